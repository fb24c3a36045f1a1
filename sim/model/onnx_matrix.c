/* Onnx_matrix: matrix products, sums of products in Einstein's notation, and recurrent layers. */
#include "model/onnx_operator.h"

#include <ctype.h>
#include <string.h>

/* ---- MatMul and its quantised forms ---- */

static bool onnx_matrix_matmul(struct onnx_call *call)
{
    const struct onnx_value *a = onnx_call_in(call, 0), *b = onnx_call_in(call, 1);
    struct onnx_shape left = a->shape, right = b->shape, shape;
    if (!left.rank || !right.rank)
        return onnx_call_fail(call, "multiplies a number");
    int64_t m = left.rank > 1 ? left.dims[left.rank - 2] : -1,
            n = right.rank > 1 ? right.dims[right.rank - 1] : -1;
    int64_t k = left.dims[left.rank - 1], other = right.dims[right.rank > 1 ? right.rank - 2 : 0];
    if (k != other)
        return onnx_call_fail(call, "multiplies %s by %s, which do not fit each other",
                              onnx_call_describe(call->infer->arena, &left),
                              onnx_call_describe(call->infer->arena, &right));
    left.rank = left.rank > 2 ? left.rank - 2 : 0;
    right.rank = right.rank > 2 ? right.rank - 2 : 0;
    shape = left;
    if (!onnx_call_broadcast(call, &shape, &right))
        return false;
    if (m >= 0)
        shape.dims[shape.rank++] = m;
    if (n >= 0)
        shape.dims[shape.rank++] = n;
    bool integer = strcmp(call->node->kind, "MatMulInteger") == 0;
    return onnx_call_give(call, 0, integer ? ONNX_INT32 : a->type, &shape);
}

/* The bias of a product: what its only reader adds, when that is a weight of the last dimension's size. */
static struct onnx_value *onnx_matrix_bias(const struct onnx_call *call, const struct onnx_value *out,
                                           const struct onnx_node **adder)
{
    const struct onnx_infer *infer = call->infer;
    if (out->readers != 1 || out->shape.rank < 1)
        return NULL;
    for (uint32_t n = call->index + 1; n < infer->nodes.count && n < call->index + 4; n++) {
        const struct onnx_node *node = &infer->nodes.at[n];
        if (strcmp(node->kind, "Add") != 0 || node->inputs.count != 2)
            continue;
        int at = strcmp(node->inputs.at[0], out->name) == 0   ? 1
                 : strcmp(node->inputs.at[1], out->name) == 0 ? 0
                                                              : -1;
        if (at < 0)
            continue;
        struct onnx_value *bias =
            &call->infer->values.at[names_find(&call->infer->names, node->inputs.at[at])];
        *adder = node;
        return bias->shape.rank == 1 && bias->shape.dims[0] == out->shape.dims[out->shape.rank - 1] &&
                       onnx_write_is_own(call, bias)
                   ? bias
                   : NULL;
    }
    return NULL;
}

/* x under labels beside which the features `in` and `out` of a table have their own. */
static struct onnx_value onnx_matrix_beside(struct onnx_call *call, struct onnx_value *x, const char *in,
                                            const char *out)
{
    const char *labels[ONNX_RANK];
    uint32_t last = x->shape.rank - 1;
    labels[last] = in;
    labels[last + 1] = out;
    for (uint32_t i = last; i-- > 0;) {
        bool taken = strcmp(x->labels[i], in) == 0 || strcmp(x->labels[i], out) == 0;
        labels[i] = taken ? arena_format(call->infer->arena, "n%u", i) : x->labels[i];
    }
    return onnx_write_labelled(call, x, labels, "input");
}

/* x · W with a weight of two dimensions, as `fc`: one that only this node reads, or the table of an
 * embedding, transposed. */
static bool onnx_matrix_write_fc(struct onnx_call *call, struct onnx_value *x, struct onnx_value *weight,
                                 int64_t out, struct onnx_value *bias, const struct onnx_node *adder)
{
    const char *labels[ONNX_RANK], *tied = onnx_write_keeper(call, 1);
    uint32_t last = x->shape.rank - 1;
    struct onnx_value in = tied ? onnx_matrix_beside(call, x, "h", "v") : *x;
    for (uint32_t i = 0; i < last; i++)
        labels[i] = in.labels[i];
    labels[last] =
        tied ? "v"
             : onnx_write_fresh(call, labels, last, onnx_write_feature(x->shape.dims[last], out, last > 1));
    struct value *layer = onnx_write_layer(call, "fc", "");
    onnx_write_from(call, layer, tied ? &in : x);
    struct value *map = value_new(call->infer->arena, layer->place, VALUE_MAP);
    onnx_write_number(call, map, labels[last], out);
    value_put(call->infer->arena, layer, "out", layer->place, map);
    onnx_write_text(call, layer, "over", in.labels[last]);
    if (tied)
        onnx_write_text(call, layer, "weight", tied);
    if (bias)
        onnx_write_owns(call, bias);
    else
        onnx_write_text(call, layer, "bias", "no");
    onnx_write_owns(call, weight);
    onnx_write_gives(call, layer, 0, labels);
    if (adder) { /* the sum is done */
        struct onnx_value *sum =
            &call->infer->values.at[names_find(&call->infer->names, adder->outputs.at[0])];
        *sum = (struct onnx_value){.name = sum->name,
                                   .type = sum->type,
                                   .given = true,
                                   .shape = sum->shape,
                                   .readers = sum->readers,
                                   .layer = onnx_call_out(call, 0)->layer};
        for (uint32_t i = 0; i < sum->shape.rank; i++)
            sum->labels[i] = labels[i];
    }
    return true;
}

/* One operand's words: "1" for a dimension that is stretched. */
static const char *onnx_matrix_words(struct onnx_call *call, const char *const *words, uint32_t count)
{
    const char *text = "";
    for (uint32_t i = 0; i < count; i++)
        text = arena_format(call->infer->arena, "%s%s%s", text, i ? " " : "", words[i]);
    return text;
}

/* A product of two tensors, or with a weight that others read too. */
static bool onnx_matrix_write_einsum(struct onnx_call *call, struct onnx_value *a, struct onnx_value *b,
                                     bool a_turned, bool b_turned)
{
    const struct onnx_value *out = onnx_call_out(call, 0);
    const char *left[ONNX_RANK], *right[ONNX_RANK], *labels[ONNX_RANK];
    struct value *layer = onnx_write_layer(call, "einsum", "");
    onnx_write_from(call, layer, a);
    onnx_write_from(call, layer, b);
    uint32_t ra = a->shape.rank, rb = b->shape.rank, ro = out->shape.rank;
    bool rows = ra > 1, columns = rb > 1;
    uint32_t stretched = ro - rows - columns;
    for (uint32_t i = 0; i < stretched; i++) {
        uint32_t back = stretched - i; /* places from the matrices */
        bool in_a = back + 1 + rows <= ra && ra > 1, in_b = back + 2 <= rb;
        uint32_t at_a = in_a ? ra - 2 - back : 0, at_b = in_b ? rb - 2 - back : 0;
        bool from_a = in_a && a->shape.dims[at_a] == out->shape.dims[i];
        labels[i] = onnx_write_fresh(call, labels, i, from_a ? a->labels[at_a] : b->labels[at_b]);
        if (in_a)
            left[at_a] = a->shape.dims[at_a] == out->shape.dims[i] ? labels[i] : "1";
        if (in_b)
            right[at_b] = b->shape.dims[at_b] == out->shape.dims[i] ? labels[i] : "1";
    }
    uint32_t count = stretched;
    if (rows) {
        uint32_t at = a_turned ? ra - 1 : ra - 2;
        labels[count] = onnx_write_fresh(call, labels, count, a->labels[at]);
        left[at] = labels[count++];
    }
    if (columns) {
        uint32_t at = b_turned ? rb - 2 : rb - 1;
        labels[count] = onnx_write_fresh(call, labels, count, b->labels[at]);
        right[at] = labels[count++];
    }
    const char *k = onnx_write_fresh(call, labels, count, "k");
    left[a_turned ? ra - 2 : ra - 1] = k;
    right[rb > 1 && !b_turned ? rb - 2 : rb - 1] = k;
    onnx_write_text(call, layer, "equation",
                    arena_format(call->infer->arena, "%s, %s -> %s", onnx_matrix_words(call, left, ra),
                                 onnx_matrix_words(call, right, rb), onnx_matrix_words(call, labels, count)));
    onnx_write_gives(call, layer, 0, labels);
    return true;
}

static bool onnx_matrix_write_matmul(struct onnx_call *call)
{
    struct onnx_value *a = onnx_call_in(call, 0), *b = onnx_call_in(call, 1);
    const struct onnx_node *adder = NULL;
    if (b->shape.rank != 2 || a->shape.rank < 2 || !a->layer ||
        (!onnx_write_is_own(call, b) && !onnx_write_keeper(call, 1)))
        return onnx_matrix_write_einsum(call, a, b, false, false);
    struct onnx_value *bias = onnx_matrix_bias(call, onnx_call_out(call, 0), &adder);
    return onnx_matrix_write_fc(call, a, b, b->shape.dims[1], bias, bias ? adder : NULL);
}

/* ---- Gemm ---- */

static bool onnx_matrix_gemm(struct onnx_call *call)
{
    const struct onnx_value *a = onnx_call_in(call, 0), *b = onnx_call_in(call, 1);
    bool turn_a = onnx_call_int(call, "transA", 0) != 0, turn_b = onnx_call_int(call, "transB", 0) != 0;
    if (a->shape.rank != 2 || b->shape.rank != 2 || a->shape.dims[!turn_a] != b->shape.dims[turn_b])
        return onnx_call_fail(call, "multiplies %s by %s, which do not fit each other",
                              onnx_call_describe(call->infer->arena, &a->shape),
                              onnx_call_describe(call->infer->arena, &b->shape));
    struct onnx_shape shape = {2, {a->shape.dims[turn_a], b->shape.dims[!turn_b]}};
    return onnx_call_give(call, 0, a->type, &shape);
}

static bool onnx_matrix_write_gemm(struct onnx_call *call)
{
    struct onnx_value *a = onnx_call_in(call, 0), *b = onnx_call_in(call, 1), *c = onnx_call_in(call, 2);
    bool turn_a = onnx_call_int(call, "transA", 0) != 0, turn_b = onnx_call_int(call, "transB", 0) != 0;
    const struct onnx_value *out = onnx_call_out(call, 0);
    bool own = c && onnx_write_is_own(call, c) && c->shape.rank >= 1 &&
               onnx_file_elements(&c->shape) == out->shape.dims[1] && c->shape.dims[c->shape.rank - 1] != 1;
    if (c && out->shape.dims[1] == 1 && onnx_file_elements(&c->shape) == 1 && c->shape.rank)
        own = onnx_write_is_own(call, c);
    bool plain = a->layer && !turn_a && (onnx_write_is_own(call, b) || onnx_write_keeper(call, 1));
    if (plain && (!c || own || (!c->layer && onnx_file_elements(&c->shape) == 1)))
        return onnx_matrix_write_fc(call, a, b, out->shape.dims[1], own ? c : NULL, NULL);
    if (!onnx_matrix_write_einsum(call, a, b, turn_a, turn_b))
        return false;
    if (!c || (!c->layer && onnx_file_elements(&c->shape) == 1 && !c->shape.rank))
        return true;
    struct onnx_value product = *out;
    struct value *sum = onnx_write_layer(call, "elementwise", "bias");
    onnx_write_from(call, sum, &product);
    onnx_write_from(call, sum, c);
    onnx_write_gives(call, sum, 0, product.labels);
    return true;
}

/* ---- Einsum ---- */

struct onnx_matrix_equation {
    char words[9][ONNX_RANK + 1]; /* letters of the inputs, then of the output */
    uint32_t inputs;
    int64_t sizes[128];
};

/* The letters of one operand; "..." stands for capital letters that are not used, which fill it up. */
static bool onnx_matrix_term(struct onnx_call *call, const char **at, uint32_t rank, char *letters)
{
    uint32_t count = 0, given = 0;
    for (const char *c = *at; *c && *c != ',' && *c != '-'; c++)
        given += isalpha((unsigned char)*c) != 0;
    for (; **at && **at != ',' && **at != '-'; ++*at) {
        if (isspace((unsigned char)**at))
            continue;
        if (strncmp(*at, "...", 3) == 0) {
            for (uint32_t i = given; i < rank && count < ONNX_RANK; i++)
                letters[count++] = (char)(1 + (rank - 1 - i)); /* counted from the right */
            *at += 2;
            continue;
        }
        if (!isalpha((unsigned char)**at) || count == ONNX_RANK)
            return onnx_call_fail(call, "has an equation with '%c' where a letter is expected", **at);
        letters[count++] = **at;
    }
    letters[count] = 0;
    return true;
}

static bool onnx_matrix_parse(struct onnx_call *call, struct onnx_matrix_equation *e)
{
    const char *at = onnx_call_text(call, "equation", "");
    uint32_t free_rank = 0;
    *e = (struct onnx_matrix_equation){.inputs = call->node->inputs.count};
    if (e->inputs > 8)
        return onnx_call_fail(call, "has more than 8 inputs");
    for (uint32_t i = 0; i < e->inputs; i++) {
        const struct onnx_value *x = onnx_call_in(call, i);
        if (!x || !onnx_matrix_term(call, &at, x->shape.rank, e->words[i]))
            return x ? false : onnx_call_fail(call, "lacks input %u", i);
        if (strlen(e->words[i]) != x->shape.rank || (*at != ',') != (i + 1 == e->inputs))
            return onnx_call_fail(call, "has an equation that does not fit its inputs");
        at += *at == ',';
        for (uint32_t k = 0; k < x->shape.rank; k++) {
            unsigned letter = (unsigned char)e->words[i][k];
            int64_t size = x->shape.dims[k];
            if (e->sizes[letter] > 1 && size > 1 && e->sizes[letter] != size)
                return onnx_call_fail(call, "has an equation that does not fit its inputs");
            e->sizes[letter] = size > e->sizes[letter] ? size : e->sizes[letter];
            free_rank += letter < 32 && letter > free_rank;
        }
    }
    if (at[0] == '-' && at[1] == '>') {
        at += 2;
        uint32_t letters = 0;
        for (const char *c = at; *c; c++)
            letters += isalpha((unsigned char)*c) != 0;
        if (!onnx_matrix_term(call, &at, letters + free_rank, e->words[e->inputs]))
            return false;
    } else { /* letters that occur once, in alphabetic order */
        uint32_t count = 0;
        for (uint32_t i = free_rank; i > 0; i--)
            e->words[e->inputs][count++] = (char)i;
        for (int c = 'A'; c <= 'z'; c++) {
            uint32_t seen = 0;
            for (uint32_t i = 0; i < e->inputs; i++)
                for (const char *l = e->words[i]; *l; l++)
                    seen += *l == c;
            if (seen == 1 && count < ONNX_RANK)
                e->words[e->inputs][count++] = (char)c;
        }
    }
    return !*at || onnx_call_fail(call, "has an equation that does not fit its inputs");
}

static bool onnx_matrix_einsum(struct onnx_call *call)
{
    struct onnx_matrix_equation e;
    struct onnx_shape shape = {0};
    if (!onnx_matrix_parse(call, &e))
        return false;
    for (const char *c = e.words[e.inputs]; *c; c++) {
        if (!e.sizes[(unsigned char)*c])
            return onnx_call_fail(call, "has an equation whose output has a letter of no input");
        shape.dims[shape.rank++] = e.sizes[(unsigned char)*c];
    }
    return onnx_call_give(call, 0, onnx_call_in(call, 0)->type, &shape);
}

static bool onnx_matrix_write_equation(struct onnx_call *call)
{
    struct onnx_matrix_equation e;
    const char *names[128] = {0}, *labels[ONNX_RANK], *text = "";
    struct value *layer = onnx_write_layer(call, "einsum", "");
    onnx_matrix_parse(call, &e);
    for (uint32_t i = 0; i <= e.inputs; i++)
        for (const char *c = e.words[i]; *c; c++)
            names[(unsigned char)*c] = *c < 32 ? arena_format(call->infer->arena, "e%d", *c)
                                               : arena_format(call->infer->arena, "%c", *c);
    /* The batch keeps its name. */
    struct onnx_value *x = onnx_call_in(call, 0);
    for (uint32_t i = 0; i < e.inputs; i++)
        onnx_write_from(call, layer, onnx_call_in(call, i));
    for (uint32_t k = 0; k < x->shape.rank; k++)
        if (strcmp(x->labels[k], "b") == 0)
            for (int c = 0; c < 128; c++) {
                if (c == e.words[0][k])
                    names[c] = "b";
                else if (names[c] && strcmp(names[c], "b") == 0)
                    names[c] = "b2";
            }
    for (uint32_t i = 0; i <= e.inputs; i++) {
        text = arena_format(call->infer->arena, "%s%s", text, i == 0 ? "" : i == e.inputs ? " -> " : ", ");
        uint32_t k = 0;
        for (const char *c = e.words[i]; *c; c++, k++) {
            bool one =
                i < e.inputs && onnx_call_in(call, i)->shape.dims[k] == 1 && e.sizes[(unsigned char)*c] > 1;
            const char *word = one ? "1" : names[(unsigned char)*c];
            text = arena_format(call->infer->arena, "%s%s%s", text, k ? " " : "", word);
            if (i == e.inputs)
                labels[k] = word;
        }
    }
    onnx_write_text(call, layer, "equation", text);
    onnx_write_gives(call, layer, 0, labels);
    return true;
}

/* ---- LSTM, GRU, RNN ---- */

static int64_t onnx_matrix_gates(const struct onnx_call *call)
{
    return strcmp(call->node->kind, "LSTM") == 0 ? 4 : strcmp(call->node->kind, "GRU") == 0 ? 3 : 1;
}

static bool onnx_matrix_recurrent(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0), *w = onnx_call_in(call, 1),
                            *r = onnx_call_in(call, 2);
    int64_t gates = onnx_matrix_gates(call), layout = onnx_call_int(call, "layout", 0);
    int64_t directions = strcmp(onnx_call_text(call, "direction", "forward"), "bidirectional") == 0 ? 2 : 1;
    if (x->shape.rank != 3 || w->shape.rank != 3 || r->shape.rank != 3 || w->shape.dims[0] != directions ||
        r->shape.dims[0] != directions || w->shape.dims[2] != x->shape.dims[2] ||
        w->shape.dims[1] != gates * r->shape.dims[2] || r->shape.dims[1] != w->shape.dims[1])
        return onnx_call_fail(call, "has an input of %s and weights of %s and %s",
                              onnx_call_describe(call->infer->arena, &x->shape),
                              onnx_call_describe(call->infer->arena, &w->shape),
                              onnx_call_describe(call->infer->arena, &r->shape));
    int64_t hidden = r->shape.dims[2], time = x->shape.dims[layout ? 1 : 0],
            batch = x->shape.dims[layout ? 0 : 1];
    struct onnx_shape all = {4, {time, directions, batch, hidden}}, last = {3, {directions, batch, hidden}};
    if (layout) {
        all = (struct onnx_shape){4, {batch, time, directions, hidden}};
        last = (struct onnx_shape){3, {batch, directions, hidden}};
    }
    return onnx_call_give(call, 0, x->type, &all) && onnx_call_give(call, 1, x->type, &last) &&
           onnx_call_give(call, 2, x->type, &last);
}

enum { MATRIX_WEIGHT = 1, MATRIX_RECURRENT, MATRIX_BIAS, MATRIX_PEEPHOLE = 7, MATRIX_INPUTS };

/* Whether an input is a weight of the layer: not a bias of known numbers, as of zeros that the graph makes.
 */
static bool onnx_matrix_has(const struct onnx_call *call, uint32_t input)
{
    const struct onnx_value *value = onnx_call_in(call, input);
    bool weights = input == MATRIX_WEIGHT || input == MATRIX_RECURRENT;
    return weights ||
           ((input == MATRIX_BIAS || input == MATRIX_PEEPHOLE) && value && (value->weight || !value->known));
}

/* The layer before this one whose weights all are those of the node; NULL: there is none. */
static const char *onnx_matrix_twin(const struct onnx_call *call)
{
    const char *twin = onnx_write_keeper(call, MATRIX_WEIGHT);
    for (uint32_t i = 0; i < MATRIX_INPUTS; i++)
        if (twin && onnx_matrix_has(call, i) && onnx_write_keeper(call, i) != twin)
            return NULL;
    return twin;
}

/* Makes the node's weights those of its layer, or says which other layer has them. */
static bool onnx_matrix_keep(struct onnx_call *call, struct value *layer)
{
    const char *twin = onnx_matrix_twin(call);
    onnx_write_number(call, layer, "biases", onnx_matrix_has(call, MATRIX_BIAS) ? 2 : 0);
    if (onnx_matrix_has(call, MATRIX_PEEPHOLE))
        onnx_write_text(call, layer, "peephole", "yes");
    if (twin)
        onnx_write_text(call, layer, "weight", twin);
    for (uint32_t i = 0; i < MATRIX_INPUTS && !twin; i++) {
        if (!onnx_matrix_has(call, i))
            continue;
        if (!onnx_write_is_own(call, onnx_call_in(call, i)) && !onnx_write_is_kinds(call, i))
            return onnx_call_fail(call,
                                  "has weights that are computed, or that something else reads too, which "
                                  "is not supported");
        onnx_write_keep(call, i, layer->entries[0].value->text);
    }
    return true;
}

static bool onnx_matrix_write_recurrent(struct onnx_call *call)
{
    static const char *const first[] = {"t", "b", "h"}, *const wanted[] = {"b", "t", "h"};
    struct onnx_value *x = onnx_call_in(call, 0);
    bool layout = onnx_call_int(call, "layout", 0) != 0;
    int64_t directions = onnx_call_in(call, MATRIX_WEIGHT)->shape.dims[0],
            hidden = onnx_call_in(call, MATRIX_RECURRENT)->shape.dims[2];
    struct onnx_value in = onnx_write_labelled(call, x, layout ? wanted : first, "input");
    if (!layout) {
        struct value *turned = onnx_write_layer(call, "transpose", "turned");
        onnx_write_from(call, turned, &in);
        onnx_write_text(call, turned, "order", "b t h");
        in.layer = turned->entries[0].value->text;
    }
    struct value *layer = onnx_write_layer(call,
                                           onnx_matrix_gates(call) == 4   ? "lstm"
                                           : onnx_matrix_gates(call) == 3 ? "gru"
                                                                          : "rnn",
                                           "steps");
    onnx_write_from(call, layer, &in);
    onnx_write_number(call, layer, "hidden", hidden);
    if (directions == 2)
        onnx_write_number(call, layer, "directions", 2);
    if (!onnx_matrix_keep(call, layer))
        return false;
    /* Output: [t, direction, b, h], or [b, t, direction, h]; the last states are a part of it. */
    static const char *const y[] = {"t", "direction", "b", "h"}, *const yb[] = {"b", "t", "direction", "h"};
    static const char *const last[] = {"direction", "b", "h"}, *const lastb[] = {"b", "direction", "h"};
    struct onnx_value *out = onnx_call_out(call, 0);
    struct onnx_value state = {.layer = layer->entries[0].value->text};
    if (out) {
        struct value *all = onnx_write_layer(call, "rearrange", "");
        onnx_write_from(call, all, &state);
        onnx_write_text(call, all, "free", "yes");
        onnx_write_dims(call, all, "dims", out, layout ? yb : y);
        onnx_write_gives(call, all, 0, layout ? yb : y);
    }
    for (uint32_t i = 1; i < 3; i++) {
        if (!onnx_call_out(call, i) || !onnx_call_out(call, i)->readers)
            continue;
        struct value *end = onnx_write_layer(call, "rearrange", i == 1 ? "last" : "cell");
        onnx_write_from(call, end, &state);
        onnx_write_dims(call, end, "dims", onnx_call_out(call, i), layout ? lastb : last);
        onnx_write_gives(call, end, i, layout ? lastb : last);
    }
    return true;
}

static bool onnx_matrix_det(struct onnx_call *call)
{
    const struct onnx_value *x = onnx_call_in(call, 0);
    struct onnx_shape shape = x->shape;
    if (shape.rank < 2 || shape.dims[shape.rank - 1] != shape.dims[shape.rank - 2])
        return onnx_call_fail(call, "needs square matrices");
    shape.rank -= 2;
    return onnx_call_give(call, 0, x->type, &shape);
}

const struct onnx_operator onnx_matrix_operators[] = {
    {.kind = "MatMul", .needed = 2, .infer = onnx_matrix_matmul, .write = onnx_matrix_write_matmul},
    {.kind = "MatMulInteger",
     .needed = 2,
     .infer = onnx_matrix_matmul,
     .write = onnx_matrix_write_matmul,
     .settings = 12},
    {.kind = "Gemm", .needed = 2, .infer = onnx_matrix_gemm, .write = onnx_matrix_write_gemm},
    {.kind = "Einsum", .needed = 1, .infer = onnx_matrix_einsum, .write = onnx_matrix_write_equation},
    {.kind = "LSTM", .needed = 3, .infer = onnx_matrix_recurrent, .write = onnx_matrix_write_recurrent},
    {.kind = "GRU", .needed = 3, .infer = onnx_matrix_recurrent, .write = onnx_matrix_write_recurrent},
    {.kind = "RNN", .needed = 3, .infer = onnx_matrix_recurrent, .write = onnx_matrix_write_recurrent},
    {.kind = "Det", .needed = 1, .infer = onnx_matrix_det, .write = onnx_write_rearranged, .flops = 1},
    {.kind = NULL},
};
