/* Sums of products in Einstein's notation that are matrix products: with a weight, as those that give and
 * take heads; of two activations, as those of attention. */
#include "model/onnx_operator.h"
#include "model/onnx_recognise.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Letters of the two inputs and of the output. */
struct einsum_words {
    char of[3][ONNX_RANK + 1];
};

static bool einsum_word(const char **at, char *word)
{
    uint32_t count = 0;
    for (; **at && **at != ',' && **at != '-'; ++*at) {
        if (isspace((unsigned char)**at))
            continue;
        if (!isalpha((unsigned char)**at) || count == ONNX_RANK || memchr(word, **at, count))
            return false;
        word[count++] = **at;
    }
    word[count] = 0;
    return count > 0;
}

/* False for anything but two inputs and an output whose letters differ. */
static bool einsum_read(const struct onnx_call *call, struct einsum_words *words)
{
    const char *at = onnx_call_text(call, "equation", "");
    if (call->node->inputs.count != 2 || !einsum_word(&at, words->of[0]) || *at++ != ',' ||
        !einsum_word(&at, words->of[1]) || strncmp(at, "->", 2) != 0)
        return false;
    at += 2;
    return einsum_word(&at, words->of[2]) && !*at;
}

/* Letters of `word` that are, or are not, in another one; their number. */
static uint32_t einsum_pick(const char *word, const char *other, bool in, char *picked)
{
    uint32_t count = 0;
    for (const char *c = word; *c; c++)
        if ((strchr(other, *c) != NULL) == in)
            picked[count++] = *c;
    picked[count] = 0;
    return count;
}

/* ---- with a weight ---- */

/* The bias that the only reader adds: a weight of the sizes of all outputs, or NULL. */
static const char *einsum_bias(const struct onnx_recognise *recognise, const char *out, int64_t size,
                               uint32_t *adder)
{
    *adder = onnx_recognise_to(recognise, out);
    const char *bias =
        onnx_recognise_is(recognise, *adder, "Add") ? onnx_recognise_other(recognise, *adder, out) : "";
    bool good = onnx_recognise_is_own(recognise, bias) &&
                onnx_file_elements(&onnx_recognise_value(recognise, bias)->shape) == size;
    return good ? bias : NULL;
}

/* [leading, contracted] × [contracted, outputs] → [leading, outputs], with one or two of each but the first.
 */
static void einsum_project(struct onnx_recognise *recognise, uint32_t node, const struct einsum_words *words)
{
    char contracted[ONNX_RANK + 1], outputs[ONNX_RANK + 1], rest[ONNX_RANK + 1];
    const char *x = words->of[0], *y = words->of[2];
    uint32_t from = einsum_pick(x, y, false, contracted), count = einsum_pick(y, x, false, outputs);
    size_t lead = strlen(x) - from;
    bool good = from && from <= 2 && count && count <= 2 && lead + count == strlen(y) &&
                strncmp(x, y, lead) == 0 && strcmp(x + lead, contracted) == 0 &&
                strlen(words->of[1]) == from + count &&
                einsum_pick(words->of[1], contracted, true, rest) == from &&
                einsum_pick(words->of[1], outputs, true, rest) == count;
    if (!good)
        return;
    const char *names[2] = {onnx_recognise_in(recognise, node, 0), onnx_recognise_in(recognise, node, 1)};
    const char *out = onnx_recognise_out(recognise, node);
    const struct onnx_shape *shape = &onnx_recognise_value(recognise, out)->shape;
    const int64_t *sizes = shape->dims + lead;
    int64_t copy[2] = {sizes[0], count > 1 ? sizes[1] : 1};
    uint32_t adder;
    const char *bias = einsum_bias(recognise, out, copy[0] * copy[1], &adder);
    struct onnx_node *product = onnx_recognise_replace(
        recognise, bias ? adder : node, onnx_attention_projection, names[0], names[1], bias, NULL);
    onnx_recognise_int(product, "from", from);
    onnx_recognise_ints(recognise, product, "out", copy, count);
}

/* ---- of two activations ---- */

/* A value with its dimensions in another order: the value itself, or a Transpose in front of the node. */
static const char *einsum_turned(struct onnx_recognise *recognise, uint32_t node, uint32_t input,
                                 const char *from, const char *to)
{
    const char *name = onnx_recognise_in(recognise, node, input);
    int64_t order[ONNX_RANK];
    for (uint32_t i = 0; to[i]; i++)
        order[i] = strchr(from, to[i]) - from;
    if (strcmp(from, to) == 0)
        return name;
    const char *turned =
        arena_format(recognise->infer->arena, "%s/operand%u", onnx_recognise_out(recognise, node), input);
    struct onnx_node *transpose = onnx_recognise_insert(recognise, node, "Transpose", turned, name, NULL);
    onnx_recognise_ints(recognise, transpose, "perm", order, (uint32_t)strlen(to));
    return turned;
}

/* Batch letters stand in both inputs and the output, one letter in the inputs alone, one in each and the
 * output. */
static void einsum_multiply(struct onnx_recognise *recognise, uint32_t node, const struct einsum_words *words)
{
    char shared[ONNX_RANK + 1], batch[ONNX_RANK + 1], inner[ONNX_RANK + 1], free[2][ONNX_RANK + 1];
    const char *y = words->of[2];
    uint32_t both = einsum_pick(words->of[0], words->of[1], true, shared), ranks[2];
    uint32_t contracted = einsum_pick(shared, y, false, inner);
    for (int i = 0; i < 2; i++) {
        einsum_pick(words->of[i], words->of[1 - i], false, free[i]);
        ranks[i] = (uint32_t)strlen(words->of[i]);
    }
    einsum_pick(y, shared, true, batch); /* in the output's order */
    bool good = contracted == 1 && ranks[0] == both + 1 && ranks[1] == both + 1 && strlen(y) == both + 1 &&
                strlen(batch) == both - 1 && strchr(y, *free[0]) && strchr(y, *free[1]);
    if (!good)
        return;
    int left = strchr(y, *free[0]) > strchr(y, *free[1]); /* the input whose letter comes first */
    char rows[ONNX_RANK + 3], columns[ONNX_RANK + 3], product[ONNX_RANK + 3];
    snprintf(rows, sizeof rows, "%s%c%c", batch, *free[left], *inner);
    snprintf(columns, sizeof columns, "%s%c%c", batch, *inner, *free[1 - left]);
    snprintf(product, sizeof product, "%s%c%c", batch, *free[left], *free[1 - left]);
    const char *a = einsum_turned(recognise, node, (uint32_t)left, words->of[left], rows),
               *b = einsum_turned(recognise, node, 1 - (uint32_t)left, words->of[1 - left], columns);
    if (strcmp(product, y) == 0) {
        onnx_recognise_replace(recognise, node, "MatMul", a, b, NULL);
        return;
    }
    int64_t order[ONNX_RANK];
    for (uint32_t i = 0; y[i]; i++)
        order[i] = strchr(product, y[i]) - product;
    const char *name =
        arena_format(recognise->infer->arena, "%s/product", onnx_recognise_out(recognise, node));
    onnx_recognise_insert(recognise, node, "MatMul", name, a, b, NULL);
    onnx_recognise_ints(recognise, onnx_recognise_replace(recognise, node, "Transpose", name, NULL), "perm",
                        order, (uint32_t)strlen(y));
}

static void einsum_product(struct onnx_recognise *recognise, uint32_t node)
{
    struct onnx_call call = {.infer = recognise->infer, .node = onnx_recognise_node(recognise, node)};
    struct einsum_words words;
    if (!einsum_read(&call, &words))
        return;
    const struct onnx_value *a = onnx_call_in(&call, 0), *b = onnx_call_in(&call, 1);
    if (!a || !b || a->weight || a->shape.rank != strlen(words.of[0]) || b->shape.rank != strlen(words.of[1]))
        return;
    if (onnx_recognise_is_own(recognise, b->name))
        einsum_project(recognise, node, &words);
    else if (!b->weight)
        einsum_multiply(recognise, node, &words);
}

const struct onnx_pattern onnx_recognise_einsum[] = {{"Einsum", einsum_product}, {NULL, NULL}};
