/* What each layer kind becomes: iteration spaces, index maps, parameters, what is kept for the backward pass.
 * An operator is written as "names size, … | output dims <- operand dims, …" and compared as text. */
#include "model_support.h"

#include <math.h>
#include <stdio.h>

struct text {
    char at[2048];
    size_t length;
};

__attribute__((format(printf, 2, 3))) static void text_add(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    text->length +=
        (size_t)vsnprintf(text->at + text->length, sizeof text->at - text->length, format, arguments);
    va_end(arguments);
}

static const char *first_name(const struct built *built, const struct layer_op *op, int8_t dim)
{
    return dim < 0 ? "*" : names_text(&built->names, op->dims[dim].names[0]);
}

/* "[b,c,y*2+ky*1-0,x…]" */
static void add_operand(struct text *text, const struct built *built, const struct layer_op *op,
                        const struct operand *operand)
{
    const struct tensor *tensor = &built->model.tensors.at[operand->tensor];
    text_add(text, "%s[", operand->added ? "+" : "");
    for (uint32_t i = 0; i < tensor->rank; i++) {
        const struct operand_dim *at = &operand->dims[i];
        text_add(text, "%s%s", i ? "," : "", first_name(built, op, at->dim));
        if (at->inner >= 0)
            text_add(text, ".%s", first_name(built, op, at->inner));
        if (at->kernel >= 0)
            text_add(text, "*%u+%s*%u-%u", at->stride, first_name(built, op, at->kernel), at->dilation,
                     at->pad);
        if (at->offset)
            text_add(text, "-%llu", (unsigned long long)at->offset);
    }
    text_add(text, "]%s%s%s", operand->saved ? "s" : "", operand->gradient ? "" : "!",
             operand->feedback ? "<" : "");
}

static const char *written(const struct built *built, const char *layer, const char *name)
{
    static struct text text;
    const struct layer_op *op = built_operator(built, layer, name);
    text.length = 0;
    text.at[0] = '\0';
    if (!op)
        fail_msg("layer '%s' has no operator '%s'", layer, name);
    for (uint32_t i = 0; i < op->dim_count; i++) {
        text_add(&text, "%s", i ? " " : "");
        for (int k = 0; k < DIM_NAMES && op->dims[i].names[k]; k++)
            text_add(&text, "%s%s", k ? "/" : "", names_text(&built->names, op->dims[i].names[k]));
        text_add(&text, ":%llu%s%s", (unsigned long long)op->dims[i].size, op->dims[i].opaque ? "!" : "",
                 op->dims[i].sequential ? ">" : "");
    }
    text_add(&text, " | ");
    add_operand(&text, built, op, &op->output);
    text_add(&text, " <-");
    for (uint32_t i = 0; i < op->operand_count; i++) {
        text_add(&text, " ");
        add_operand(&text, built, op, &op->operands[i]);
    }
    return text.at;
}

static void a_convolution_is_an_einsum_with_windows(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built,
                    "layers:\n"
                    "  - {input: image, dims: {c: 3, y: 10, x: 12}}\n"
                    "  - {conv: first, out: 8, kernel: [3, 5], stride: [1, 2], pad: [1, 2], act: relu}\n"
                    "  - {conv: second, out: 8, kernel: 3, dilation: 2, bias: no}\n",
                    NULL, 2);
    built_want(&built);
    assert_string_equal(
        written(&built, "first", ""),
        "b:2 o:8 i:3 y:10 x:6 ky:3 kx:5 | [b,o,y,x] <- [b,i,y*1+ky*1-1,x*2+kx*1-2]s! [o,i,ky,kx]");
    assert_string_equal(written(&built, "first", "bias+relu"),
                        "b:2 c/o/i:8 y:10 x:6 | [b,c,y,x] <- [b,c,y,x] [c]");
    assert_string_equal(
        written(&built, "second", ""),
        "b:2 o:8 i:8 y:6 x:2 ky:3 kx:3 | [b,o,y,x] <- [b,i,y*1+ky*2-0,x*1+kx*2-0]s [o,i,ky,kx]");
    const struct layer_op *epilogue = built_operator(&built, "first", "bias+relu");
    assert_true(epilogue->fused && epilogue->output_saved && !epilogue->linear);
    assert_true(built_operator(&built, "first", "")->linear);
    assert_int_equal(built_operator(&built, "first", "")->kernel, KERNEL_CONV);
    assert_int_equal(model_layer_parameters(&built.model, built_layer(&built, "first")), 8 * 3 * 3 * 5 + 8);
    built_fini(&built);
}

static void groups_merge_channels_and_depthwise_has_one_dimension(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built,
                    "layers:\n"
                    "  - {input: image, dims: {c: 4, y: 5, x: 5}}\n"
                    "  - {conv: grouped, out: 6, kernel: 1, groups: 2, bias: no}\n"
                    "  - {conv: depthwise, out: 6, kernel: 3, groups: 6, pad: same, bias: no}\n"
                    "  - {conv: multiplied, out: 12, kernel: 1, groups: 6, bias: no}\n",
                    NULL, 1);
    built_want(&built);
    assert_string_equal(written(&built, "grouped", ""),
                        "b:1 groups/c:2 o:3 i:2 y:5 x:5 ky:1 kx:1 | [b,groups.o,y,x] <- "
                        "[b,groups.i,y*1+ky*1-0,x*1+kx*1-0]s! [groups.o,i,ky,kx]");
    assert_string_equal(
        written(&built, "depthwise", ""),
        "b:1 c/o/i:6 y:5 x:5 ky:3 kx:3 | [b,c,y,x] <- [b,c,y*1+ky*1-1,x*1+kx*1-1]s [c,ky,kx]");
    assert_int_equal(built_operator(&built, "grouped", "")->kernel, KERNEL_CONV);
    assert_int_equal(built_operator(&built, "depthwise", "")->kernel, KERNEL_DEPTHWISE);
    assert_int_equal(built_operator(&built, "multiplied", "")->kernel, KERNEL_DEPTHWISE);
    assert_int_equal(model_parameters(&built.model), 6 * 2 + 6 * 9 + 12);
    built_fini(&built);
}

static void pooling_is_windowed_or_contracts_the_map(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built,
                    "layers:\n"
                    "  - {input: image, dims: {c: 4, y: 7, x: 7}}\n"
                    "  - {pool: down, kernel: 2}\n"
                    "  - {pool: up, from: image, kernel: 2, ceil: yes}\n"
                    "  - {pool: same, op: avg, kernel: 2, stride: 1, pad: same}\n"
                    "  - {pool: all, op: avg, global: yes}\n",
                    NULL, 1);
    built_want(&built);
    assert_string_equal(built_output_shape(&built, "down"), "b 1, c 4, y 3, x 3");
    assert_string_equal(built_output_shape(&built, "up"), "b 1, c 4, y 4, x 4");
    assert_string_equal(built_output_shape(&built, "same"), "b 1, c 4, y 4, x 4");
    assert_string_equal(written(&built, "same", ""),
                        "b:1 c/o/i:4 y:4 ky:2 x:4 kx:2 | [b,c,y,x] <- [b,c,y*1+ky*1-0,x*1+kx*1-0]!");
    assert_string_equal(written(&built, "all", ""), "b:1 c/o/i:4 y:4 x:4 | [b,c] <- [b,c,y,x]!");
    const struct layer_op *down = built_operator(&built, "down", ""),
                          *all = built_operator(&built, "all", "");
    assert_true(down->kind == OPERATOR_POOL && !down->linear && down->output_saved &&
                down->operands[0].saved);
    assert_true(all->kind == OPERATOR_POOL && all->linear && !all->output_saved && !all->operands[0].saved);
    built_fini(&built);
}

static void fully_connected_contracts_labels(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built,
                    "layers:\n"
                    "  - {input: image, dims: {c: 4, y: 7, x: 7}}\n"
                    "  - {flatten: flatten}\n"
                    "  - {fc: fc1, out: 10, act: gelu}\n"
                    "  - {input: words, dims: {s: 6, h: 8}}\n"
                    "  - {fc: q, out: {g: 2, r: 3, d: 4}, bias: no}\n"
                    "  - {fc: proj, over: [g, r, d], out: {h: 8}}\n"
                    "  - {fc: square, out: 8, bias: no}\n",
                    NULL, 1);
    built_want(&built);
    assert_string_equal(written(&built, "flatten", ""), "b:1 c/o/i:4 y:7 x:7 | [b,c,y,x] <- [b,c,y,x]!");
    assert_string_equal(written(&built, "fc1", ""),
                        "b:1 o/c:10 i:4 y:7 x:7 | [b,o] <- [b,i,y,x]s! [o,i,y,x]");
    assert_string_equal(written(&built, "q", ""),
                        "b:1 s:6 o/g:2 r:3 d:4 i/h:8 | [b,s,o,r,d] <- [b,s,i]s! [o,r,d,i]");
    assert_string_equal(written(&built, "proj", ""),
                        "b:1 s:6 o/h:8 i/g:2 r:3 d:4 | [b,s,o] <- [b,s,i,r,d]s [o,i,r,d]");
    assert_string_equal(written(&built, "proj", "bias"), "b:1 s:6 h/o/i:8 | [b,s,h] <- [b,s,h] [h]");
    assert_string_equal(written(&built, "square", ""), "b:1 s:6 o/h:8 i:8 | [b,s,o] <- [b,s,i]s [o,i]");
    assert_true(built_operator(&built, "fc1", "bias+gelu")->operands[0].saved);
    assert_false(built_operator(&built, "fc1", "bias+gelu")->output_saved);
    built_fini(&built);
}

static void normalisation_says_what_its_statistics_cost(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built,
                    "layers:\n"
                    "  - {input: words, dims: {s: 6, h: 8}}\n"
                    "  - {norm: layer}\n"
                    "  - {norm: rms, type: rms}\n"
                    "  - {norm: plain, affine: no}\n"
                    "  - {input: image, dims: {c: 8, y: 4, x: 4}}\n"
                    "  - {norm: batch, type: batch, act: relu}\n"
                    "  - {norm: group, type: group, groups: 2}\n"
                    "  - {norm: lrn, type: lrn, size: 5}\n",
                    NULL, 3);
    built_want(&built);
    const struct {
        const char *name;
        uint32_t normalised;
        double statistics;
        uint64_t parameters;
    } wanted[] = {{"layer", 4, 2, 16},  {"rms", 4, 1, 8},     {"plain", 4, 2, 0},
                  {"batch", 13, 2, 16}, {"group", 28, 2, 16}, {"lrn", 0, 0, 0}};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        const struct layer_op *op = built_operator(&built, wanted[i].name, "");
        assert_int_equal(op->normalised, wanted[i].normalised);
        assert_true(op->statistics_forward == wanted[i].statistics);
        assert_true(op->statistics_backward == wanted[i].statistics);
        assert_int_equal(model_layer_parameters(&built.model, built_layer(&built, wanted[i].name)),
                         wanted[i].parameters);
        assert_true(op->operands[0].saved);
        assert_int_equal(op->statistics_local, strcmp(wanted[i].name, "batch") == 0);
    }
    assert_true(built_operator(&built, "batch", "")->output_saved); /* of its relu */
    assert_string_equal(written(&built, "layer", ""), "b:3 s:6 h/o/i:8 | [b,s,h] <- [b,s,h]s! [h] [h]");
    assert_string_equal(
        written(&built, "group", ""),
        "b:3 groups/c:2 i:4 y:4 x:4 | [b,groups.i,y,x] <- [b,groups.i,y,x]s [groups.i] [groups.i]");
    assert_string_equal(written(&built, "lrn", ""),
                        "b:3 c/o/i:8 y:4 x:4 kc:5 | [b,c,y,x] <- [b,c*1+kc*1-2,y,x]s");
    built_fini(&built);
}

#define HEADS(mask, more)                                                                                    \
    "layers:\n"                                                                                              \
    "  - {input: words, dims: {s: 6, h: 8}}\n"                                                               \
    "  - {fc: q, from: words, out: {g: 2, r: 3, d: 4}}\n"                                                    \
    "  - {fc: k, from: words, out: {g: 2, d: 4}}\n"                                                          \
    "  - {fc: v, from: words, out: {g: 2, d: 4}}\n"                                                          \
    "  - {attention: core, from: [q, k, v], mask: " mask more "}\n"

static void attention_is_two_products_around_a_softmax(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built, HEADS("none", ", dropout: yes"), NULL, 1);
    built_want(&built);
    assert_string_equal(written(&built, "core", "scores"),
                        "b:1 g:2 r:3 q/s:6 k/s:6 d:4 | [b,g,r,q,k] <- [b,q,g,r,d]s [b,k,g,d]s");
    assert_string_equal(written(&built, "core", "softmax"),
                        "b:1 g:2 r:3 q/s:6 k/s:6 | [b,g,r,q,k] <- [b,g,r,q,k]");
    assert_string_equal(written(&built, "core", "context"),
                        "b:1 g:2 r:3 q/s:6 k/s:6 d:4 | [b,q,g,r,d] <- [b,g,r,q,k]s [b,k,g,d]s");
    assert_string_equal(built_output_shape(&built, "core"), "b 1, s 6, g 2, r 3, d 4");
    const struct layer_op *softmax = built_operator(&built, "core", "softmax");
    const struct layer_op *dropout = built_operator(&built, "core", "dropout");
    assert_int_equal(softmax->normalised, 1 << 4);
    assert_true(softmax->statistics_forward == 2 && softmax->statistics_backward == 1 &&
                softmax->output_saved);
    assert_true(dropout->training_only && dropout->linear && dropout->saved_per_output == 1);
    assert_true(model_layer_macs(&built.model, built_layer(&built, "core")) == 2.0 * 2 * 3 * 6 * 6 * 4);
    built_fini(&built);
}

static void a_causal_mask_halves_when_the_model_counts_causally(void **state)
{
    (void)state;
    const struct {
        const char *text, *set;
        double fraction;
    } cases[] = {{HEADS("causal", ""), NULL, 1},
                 {HEADS("causal", ""), "attention: causal", 7.0 / 12},
                 {HEADS("causal", ""), "attention: full", 1},
                 {HEADS("none", ""), "attention: causal", 1},
                 {"attention: causal\n" HEADS("causal", ""), NULL, 7.0 / 12},
                 {"attention: causal\n" HEADS("causal", ""), "attention: full", 1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct built built;
        built_from_text(&built, cases[i].text, cases[i].set, 1);
        built_want(&built);
        const char *const names[] = {"scores", "softmax", "context"};
        for (int k = 0; k < 3; k++)
            assert_true(built_operator(&built, "core", names[k])->fraction == cases[i].fraction);
        assert_true(built_operator(&built, "q", "")->fraction == 1);
        /* Row q of s attends to q + 1 keys: s (s + 1) / 2 of s² products. */
        double macs = model_layer_macs(&built.model, built_layer(&built, "core"));
        double rows = cases[i].fraction < 1 ? 21 : 36;
        assert_true(fabs(macs - 2 * 2 * 3 * 4 * rows) < 1e-9);
        built_fini(&built);
    }
}

static void flash_attention_keeps_no_scores(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built, HEADS("none", ", dropout: yes, flash: yes"), NULL, 1);
    built_want(&built);
    const char *const inner[] = {"scores", "softmax", "dropout"};
    for (int i = 0; i < 3; i++) {
        const struct layer_op *op = built_operator(&built, "core", inner[i]);
        assert_true(built.model.tensors.at[op->output.tensor].internal);
        assert_false(op->output_saved);
        assert_true(op->saved_per_output == 0);
        assert_int_equal(op->fused, i > 0);
    }
    const struct layer_op *context = built_operator(&built, "core", "context");
    assert_false(context->operands[0].saved);
    assert_true(context->operands[1].saved && context->output_saved);
    assert_false(built.model.tensors.at[context->output.tensor].internal);
    assert_true(context->saved_per_output * 4 == 4); /* one fp32 per row of d = 4 */
    built_fini(&built);
}

static void relative_positions_are_a_table_of_buckets_and_heads(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built, HEADS("none", ", buckets: 32"), NULL, 1);
    built_want(&built);
    assert_string_equal(written(&built, "core", "softmax"),
                        "b:1 g:2 r:3 q/s:6 k/s:6 | [b,g,r,q,k] <- [b,g,r,q,k] [*,g]");
    assert_int_equal(model_layer_parameters(&built.model, built_layer(&built, "core")), 64);
    built_fini(&built);
}

static void attention_may_cross_sequences_and_add_its_scores(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built,
                    "layers:\n"
                    "  - {input: query, dims: {s: 5, d: 4}}\n"
                    "  - {input: memory, dims: {s: 9, d: 4}}\n"
                    "  - {input: value, dims: {s: 9, h: 7}}\n"
                    "  - {attention: core, from: [query, memory, value], score: additive}\n",
                    NULL, 1);
    built_want(&built);
    assert_string_equal(written(&built, "core", "scores"),
                        "b:1 q/s:5 k/s:9 d:4 | [b,q,k] <- [b,q,d]s! [b,k,d]s! [d]");
    assert_string_equal(built_output_shape(&built, "core"), "b 1, s 5, h 7");
    assert_int_equal(model_parameters(&built.model), 4);
    built_fini(&built);
}

/* Distances for each group of heads, stretched over its heads and the batch; gradients flow to them. */
static void attention_adds_values_for_pairs_of_positions(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built,
                    "layers:\n"
                    "  - {input: q, dims: {s: 5, g: 2, r: 3, d: 4}}\n"
                    "  - {input: k, dims: {s: 9, g: 2, d: 4}}\n"
                    "  - {parameter: near, dims: {g: 2, r: 1, q: 5, k: 9}}\n"
                    "  - {attention: core, from: [q, k, k, near]}\n",
                    NULL, 1);
    built_want(&built);
    assert_string_equal(written(&built, "core", "softmax"),
                        "b:1 g:2 r:3 q/s:5 k/s:9 | [b,g,r,q,k] <- [b,g,r,q,k]! [g,*,q,k]");
    assert_int_equal(model_parameters(&built.model), 2 * 5 * 9);
    built_fini(&built);
}

/* A second layer with the first one's weights adds work but no parameters: 4 (I H + H²) + 8 H once. */
static void recurrent_layers_may_share_all_weights(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built,
                    "layers:\n"
                    "  - {input: x, dims: {s: 3, h: 16}}\n"
                    "  - {lstm: one, hidden: 16}\n"
                    "  - {lstm: two, hidden: 16, weight: one}\n",
                    NULL, 1);
    built_want(&built);
    assert_int_equal(model_parameters(&built.model), 4 * (16 * 16 + 16 * 16) + 8 * 16);
    assert_float_equal(model_macs(&built.model), 2 * 3 * 4 * 16 * (16 + 16), 0);
    built_fini(&built);
}

/* PyTorch: 4 (I H + H²) + 8 H; 8,396,800 for I = H = 1024 and 12,591,104 for I = 2048; MACs 4 H (I + H). */
static void recurrent_layers_have_their_published_sizes(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built,
                    "layers:\n"
                    "  - {input: x, dims: {s: 3, h: 1024}}\n"
                    "  - {lstm: both, hidden: 1024, directions: 2}\n"
                    "  - {lstm: wide, hidden: 1024}\n"
                    "  - {lstm: keras, from: x, hidden: 10, biases: 1}\n"
                    "  - {gru: gru, from: x, hidden: 10}\n"
                    "  - {rnn: rnn, from: x, hidden: 10}\n",
                    NULL, 1);
    built_want(&built);
    const struct {
        const char *name;
        uint64_t parameters;
        double macs;
    } wanted[] = {{"both", 2 * 8396800, 3 * 2 * 8388608.0},
                  {"wide", 12591104, 3 * 12582912.0},
                  {"keras", 4 * (1024 * 10 + 100) + 40, 3 * 40 * 1034.0},
                  {"gru", 3 * (1024 * 10 + 100) + 60, 3 * 30 * 1034.0},
                  {"rnn", 1024 * 10 + 100 + 20, 3 * 10 * 1034.0}};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        uint32_t layer = built_layer(&built, wanted[i].name);
        assert_int_equal(model_layer_parameters(&built.model, layer), wanted[i].parameters);
        assert_true(model_layer_macs(&built.model, layer) == wanted[i].macs);
    }
    assert_string_equal(written(&built, "wide", "input"),
                        "b:1 t/s:3 g:4 o/h/f:1024 i:2048 | [b,t,g,o] <- [b,t,i]s [g,o,i]");
    assert_string_equal(written(&built, "wide", "recurrent"),
                        "b:1 t/s:3> g:4 o/h/f:1024 k/i:1024 | [b,t,g,o] <- [b,t,k]s< [g,o,k] +[b,t,g,o]");
    assert_string_equal(written(&built, "wide", "gates"),
                        "b:1 t/s:3> g:4! o/h/f:1024 | [b,t,o] <- [b,t,g,o]s [g,o] [g,o]");
    assert_string_equal(written(&built, "gru", "gates"),
                        "b:1 t/s:3> g:3! o/h/f:10 | [b,t,o] <- [b,t,g,o] [b,t,g,o]s [g,o] [g,o]");
    assert_string_equal(written(&built, "both", "gates"),
                        "b:1 t/s:3> direction:2 g:4! o/h/f:1024 | [b,t,direction,o] <- "
                        "[b,t,direction,g,o]s [direction,g,o] [direction,g,o]");
    assert_string_equal(written(&built, "both", "join"),
                        "b:1 s:3 direction:2 h/o/i:1024 | [b,s,direction.h] <- [b,s,direction,h]");
    const struct layer_op *step = built_operator(&built, "wide", "recurrent");
    assert_int_equal(step->operands[0].tensor, built.model.layers.at[built_layer(&built, "wide")].output);
    built_fini(&built);
}

static void embeddings_look_up_rows_and_add_positions(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built,
                    "layers:\n"
                    "  - {input: tokens, dims: {s: 6}, discrete: yes}\n"
                    "  - {embedding: embed, vocabulary: 50, out: 8, positions: 10, types: 2}\n"
                    "  - {position: more, count: 7}\n",
                    NULL, 2);
    built_want(&built);
    assert_string_equal(written(&built, "embed", ""), "b:2 s:6 v/i:50 h/o:8 | [b,s,h] <- [b,s]s! [v,h]");
    assert_string_equal(written(&built, "embed", "add"), "b:2 s:6 h/o/i:8 | [b,s,h] <- [b,s,h] [s,h] [*,h]");
    assert_string_equal(written(&built, "more", ""), "b:2 s:6 h/o/i:8 | [b,s,h] <- [b,s,h] [s,h]");
    assert_int_equal(model_parameters(&built.model), 50 * 8 + 10 * 8 + 2 * 8 + 7 * 8);
    assert_int_equal(built_operator(&built, "embed", "")->kind, OPERATOR_LOOKUP);
    assert_true(model_macs(&built.model) == 0);
    assert_true(built.model.tokens == 6);
    built_fini(&built);
}

static void views_rename_without_work(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built,
                    "layers:\n"
                    "  - {input: image, dims: {c: 8, y: 4, x: 6}}\n"
                    "  - {reorg: reorg, stride: 2}\n"
                    "  - {upsample: upsample, from: image, stride: 3}\n"
                    "  - {upsample: linear, from: image, stride: [2, 3], reach: 1, flops: 7}\n"
                    "  - {deconv: tiles, from: image, out: 5, kernel: 2, size: [8, 12], bias: no}\n"
                    "  - {deconv: overlaps, from: image, out: 5, kernel: 3, size: [9, 13], bias: no}\n"
                    "  - {sequence: sequence, from: image}\n"
                    "  - {prepend: class, count: 2}\n"
                    "  - {select: first}\n",
                    NULL, 1);
    built_want(&built);
    assert_string_equal(written(&built, "reorg", ""),
                        "b:1 c/o/i:8! y:2 ky:2! x:3 kx:2! | [b,*,y,x] <- [b,c,y.ky,x.kx]!");
    assert_string_equal(built_output_shape(&built, "reorg"), "b 1, c 32, y 2, x 3");
    assert_string_equal(written(&built, "upsample", ""),
                        "b:1 c/o/i:8 y:4 ky:3! x:6 kx:3! | [b,c,y.ky,x.kx] <- [b,c,y,x]!");
    assert_string_equal(written(&built, "linear", ""),
                        "b:1 c/o/i:8 y:4 ky:2! wy:3 x:6 kx:3! wx:3 | [b,c,y.ky,x.kx] <- "
                        "[b,c,y*1+wy*1-1,x*1+wx*1-1]!");
    assert_string_equal(written(&built, "tiles", ""),
                        "b:1 o:5 i:8 y:4 x:6 ky:2! kx:2! | [b,o,y.ky,x.kx] <- [b,i,y,x]s! [o,i,ky,kx]");
    assert_string_equal(written(&built, "overlaps", ""),
                        "b:1 o:5 i:8 y:4! x:6! ky:3 kx:3 | [b,o,*,*] <- [b,i,y,x]s! [o,i,ky,kx]");
    assert_string_equal(written(&built, "sequence", ""), "b:1 y/s:4 x:6! h/o/i:8 | [b,y.x,h] <- [b,h,y,x]!");
    assert_string_equal(written(&built, "class", ""), "b:1 s:26 h/o/i:8 | [b,s,h] <- [b,s-2,h]! [s,h]");
    assert_string_equal(written(&built, "first", ""), "b:1 s:1! h/o/i:8 | [b,h] <- [b,s,h]");
    assert_int_equal(model_parameters(&built.model), 16 + 8 * 5 * (4 + 9));
    built_fini(&built);
}

static void pointwise_layers_say_what_is_linear_and_what_is_kept(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built,
                    "layers:\n"
                    "  - {input: x, dims: {s: 6, f: 8}}\n"
                    "  - {act: relu, function: relu}\n"
                    "  - {act: gelu, from: x, function: gelu}\n"
                    "  - {add: add, from: [relu, gelu]}\n"
                    "  - {multiply: multiply, from: [relu, gelu]}\n"
                    "  - {glu: glu, from: [relu, gelu]}\n"
                    "  - {dropout: dropout}\n"
                    "  - {scale: scale}\n"
                    "  - {concat: concat, from: [x, relu], dim: s}\n"
                    "  - {softmax: softmax, from: x}\n"
                    "  - {loss: loss, from: x}\n",
                    NULL, 1);
    built_want(&built);
    const struct {
        const char *name;
        bool linear, input_saved, output_saved;
    } wanted[] = {{"relu", false, false, true},    {"gelu", false, true, false},
                  {"add", false, false, false},    {"multiply", true, true, false},
                  {"glu", false, true, false},     {"dropout", true, false, false},
                  {"scale", true, false, false},   {"concat", false, false, false},
                  {"softmax", false, false, true}, {"loss", false, true, false}};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        const struct layer_op *op = built_operator(&built, wanted[i].name, "");
        assert_int_equal(op->linear, wanted[i].linear);
        assert_int_equal(op->operands[0].saved, wanted[i].input_saved);
        assert_int_equal(op->output_saved, wanted[i].output_saved);
    }
    assert_string_equal(written(&built, "concat", ""), "b:1 s:12 f/o/i:8 | [b,s,f] <- [b,s,f]! [b,s-6,f]!");
    assert_string_equal(written(&built, "loss", ""), "b:1 s:6 f/o/i:8 | [b,s] <- [b,s,f]s!");
    const struct layer_op *loss = built_operator(&built, "loss", "");
    assert_true(loss->training_only && loss->statistics_forward == 3 && loss->statistics_backward == 0);
    assert_int_equal(loss->normalised, 1 << 2);
    assert_true(built_operator(&built, "dropout", "")->training_only);
    assert_true(built_operator(&built, "dropout", "")->saved_per_output == 1);
    built_fini(&built);
}

static void rotary_halves_stay_together(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built, "layers: [{input: q, dims: {s: 4, g: 2, d: 6}}, {rotary: rotary}]", NULL, 1);
    built_want(&built);
    assert_string_equal(written(&built, "rotary", ""), "b:1 s:4 g:2 d:6! | [b,s,g,d] <- [b,s,g,d]!");
    built_fini(&built);
}

/* ---- what holds for every operator of every shipped model ---- */

static void check_index(const struct tensor *tensor, const struct layer_op *op, const struct operand *operand)
{
    for (uint32_t i = 0; i < TENSOR_DIMS; i++) {
        const struct operand_dim *at = &operand->dims[i];
        if (i >= tensor->rank || at->dim < 0)
            continue;
        assert_true(at->dim < (int)op->dim_count);
        uint64_t size = op->dims[at->dim].size, have = tensor->dims[i].size;
        if (at->inner >= 0)
            assert_int_equal(have, size * op->dims[at->inner].size);
        else if (at->kernel >= 0)
            assert_true((size - 1) * at->stride < have + at->pad); /* the last window starts inside */
        else if (op->kind == OPERATOR_POINTWISE && tensor->role == TENSOR_PARAMETER)
            continue; /* a table of positions may be longer, tokens put in front are fewer */
        else if (op->kind == OPERATOR_VIEW)
            assert_true(have >= size); /* a position selected from a sequence */
        else
            assert_true(have == size ||
                        (have < size && at->offset + have <= size)); /* a part of a concatenation */
    }
}

static void check_operator(const struct model *model, uint32_t index)
{
    const struct layer_op *op = &model->operators.at[index];
    uint64_t used = 0;
    assert_true(op->operand_count > 0 && op->dim_count > 0 && op->fraction > 0);
    assert_int_equal(model->tensors.at[op->output.tensor].producer, index);
    for (uint32_t i = 0; i <= op->operand_count; i++) {
        const struct operand *operand = i < op->operand_count ? &op->operands[i] : &op->output;
        const struct tensor *tensor = &model->tensors.at[operand->tensor];
        check_index(tensor, op, operand);
        for (uint32_t k = 0; k < tensor->rank; k++) {
            used |= operand->dims[k].dim >= 0 ? 1u << operand->dims[k].dim : 0;
            used |= operand->dims[k].inner >= 0 ? 1u << operand->dims[k].inner : 0;
            used |= operand->dims[k].kernel >= 0 ? 1u << operand->dims[k].kernel : 0;
        }
        if (i < op->operand_count && tensor->role == TENSOR_ACTIVATION)
            assert_true(operand->feedback ? tensor->producer > index : tensor->producer < index);
        if (i < op->operand_count && tensor->role != TENSOR_ACTIVATION)
            assert_int_equal(operand->gradient, tensor->role == TENSOR_PARAMETER);
    }
    assert_int_equal(used, (1u << op->dim_count) - 1); /* no iteration dimension without use */
    if (op->fused) {
        assert_int_equal(op->operands[0].tensor, op[-1].output.tensor);
        assert_int_equal(op->layer, op[-1].layer);
    }
}

static void index_maps_fit_their_tensors_in_every_shipped_model(void **state)
{
    (void)state;
    struct input input;
    uint32_t count;
    input_init(&input, PARTITA_SOURCE);
    const char *const *list = document_list(&input, "workloads/models", &count);
    for (uint32_t i = 0; i < count; i++) {
        struct built built;
        built_from_shipped(&built, list[i], NULL, 2);
        built_want(&built);
        for (uint32_t k = 0; k < built.model.operators.count; k++)
            check_operator(&built.model, k);
        built_fini(&built);
    }
    input_fini(&input);
}

static void every_kind_has_a_line_for_the_manual(void **state)
{
    (void)state;
    for (uint32_t i = 0; build_kinds[i]; i++) {
        assert_true(build_kinds[i]->name && build_kinds[i]->about && build_kinds[i]->build);
        for (uint32_t k = 0; k < build_kinds[i]->field_count; k++)
            assert_non_null(build_kinds[i]->fields[k].about);
        for (uint32_t k = 0; k < i; k++)
            assert_string_not_equal(build_kinds[i]->name, build_kinds[k]->name);
    }
}

static const char *manual(void)
{
    static char text[1 << 17];
    FILE *file = fopen(PARTITA_SOURCE "/docs/models.md", "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    return text;
}

/* Each ```yaml block that has layers of its own is a model. */
static void the_examples_of_the_manual_build(void **state)
{
    (void)state;
    int count = 0;
    for (const char *at = manual(); (at = strstr(at, "```yaml\n"));) {
        char example[4096] = "";
        at += strlen("```yaml\n");
        size_t length = (size_t)(strstr(at, "```") - at);
        assert_true(length < sizeof example);
        memcpy(example, at, length);
        if (!strstr(example, "\nlayers:"))
            continue;
        struct built built;
        built_from_text(&built, example, NULL, 1);
        built_want(&built);
        built_fini(&built);
        count++;
    }
    assert_int_equal(count, 3);
}

static void the_manual_lists_every_kind_and_key(void **state)
{
    (void)state;
    const char *text = manual();
    for (uint32_t i = 0; build_kinds[i]; i++) {
        char row[1000];
        snprintf(row, sizeof row, "| `%s` | | %s |\n", build_kinds[i]->name, build_kinds[i]->about);
        const char *at = strstr(text, row);
        if (!at)
            fail_msg("docs/models.md lacks the row: %s", row);
        for (uint32_t k = 0; k < build_kinds[i]->field_count; k++) {
            const struct field *field = &build_kinds[i]->fields[k];
            snprintf(row, sizeof row, "| | `%s`%s | %s |\n", field->key, field->required ? " (required)" : "",
                     field->about);
            at = strstr(at, row);
            if (!at)
                fail_msg("docs/models.md lacks the row of %s: %s", build_kinds[i]->name, row);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_convolution_is_an_einsum_with_windows),
        cmocka_unit_test(groups_merge_channels_and_depthwise_has_one_dimension),
        cmocka_unit_test(pooling_is_windowed_or_contracts_the_map),
        cmocka_unit_test(fully_connected_contracts_labels),
        cmocka_unit_test(normalisation_says_what_its_statistics_cost),
        cmocka_unit_test(attention_is_two_products_around_a_softmax),
        cmocka_unit_test(a_causal_mask_halves_when_the_model_counts_causally),
        cmocka_unit_test(flash_attention_keeps_no_scores),
        cmocka_unit_test(relative_positions_are_a_table_of_buckets_and_heads),
        cmocka_unit_test(attention_may_cross_sequences_and_add_its_scores),
        cmocka_unit_test(attention_adds_values_for_pairs_of_positions),
        cmocka_unit_test(recurrent_layers_may_share_all_weights),
        cmocka_unit_test(recurrent_layers_have_their_published_sizes),
        cmocka_unit_test(embeddings_look_up_rows_and_add_positions),
        cmocka_unit_test(views_rename_without_work),
        cmocka_unit_test(pointwise_layers_say_what_is_linear_and_what_is_kept),
        cmocka_unit_test(rotary_halves_stay_together),
        cmocka_unit_test(index_maps_fit_their_tensors_in_every_shipped_model),
        cmocka_unit_test(the_examples_of_the_manual_build),
        cmocka_unit_test(the_manual_lists_every_kind_and_key),
        cmocka_unit_test(every_kind_has_a_line_for_the_manual),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
