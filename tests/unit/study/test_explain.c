/* Explanations: what is printed against closed forms, and that every layer of every kind can be explained. */
#include "../plan/plan_case.h"

#include "plan/state.h"
#include "study/explain_derivation.h"
#include "study/explain_einsum.h"
#include "study/explain_layer.h"

/* What one layer's short (or full) explanation prints. */
static char *layer_text(struct plan_case *c, uint32_t stage, const char *name, bool full)
{
    struct explain_stage explained;
    char *text = NULL;
    size_t length = 0;
    uint32_t layer = model_find_layer(&c->model, name);
    assert_int_not_equal(layer, MODEL_NONE);
    explain_stage_init(&explained, &c->derivations[stage]);
    FILE *memory = open_memstream(&text, &length);
    if (full)
        explain_derivation_text(&explained, layer, memory);
    else
        explain_layer_text(&explained, layer, 0, memory);
    fclose(memory);
    explain_stage_fini(&explained);
    return text;
}

static uint32_t occurrences(const char *text, const char *part)
{
    uint32_t count = 0;
    for (const char *at = text; (at = strstr(at, part)); at++)
        count++;
    return count;
}

static void expect(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("there is no\n  %s\nin\n%s", part, text);
}

/* Megatron-LM: two all-reduces of b·s·h in the forward pass of a block, two in its backward pass (Shoeybi et
 * al. 2019). */
static void a_tensor_parallel_block_tells_of_four_all_reduces(void **state)
{
    (void)state;
    struct plan_case c;
    uint32_t found = 0;
    case_init_shipped(&c, "gpt2", "{layers: 2, sequence: 128}", 2);
    case_stage(&c, 0, "f,g,r,v:4");
    assert_true(case_derive(&c));
    double megabytes = 2 * 128 * 768 * 4 / 1e6;
    char payload[64];
    snprintf(payload, sizeof payload, "partial sums → all-reduce, %.0f KB", megabytes * 1000);
    for (uint32_t l = 0; l < c.model.layers.count; l++)
        if (strncmp(names_text(&c.names, c.model.layers.at[l].name), "block[1].", 9) == 0) {
            char *text = layer_text(&c, 0, names_text(&c.names, c.model.layers.at[l].name), false);
            found += occurrences(text, payload);
            free(text);
        }
    assert_int_equal(found, 4);
    char *text = layer_text(&c, 0, "block[1].mlp.fc2", false);
    expect(text,
           "forward          X: contracted dimension `i` is split over `f,g,r,v`: partial sums → all-reduce");
    expect(text, "25 %: 302 MFLOP forward, 302 MFLOP input gradient, 302 MFLOP weight gradient");
    free(text);
    case_fini(&c);
}

/* H·b elements are gathered in each of T steps, not T·H·b once. */
static void a_loop_tells_the_bytes_of_a_step(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c, "name: m\nlayers:\n  - {input: x, dims: {t: 50, h: 24}}\n  - {lstm: l, hidden: 64}\n", 8);
    case_stage(&c, 0, "o:4");
    assert_true(case_derive(&c));
    char *text = layer_text(&c, 0, "l", false);
    expect(text, "all-gather, 2.05 KB in each of 50 steps of `t`"); /* 8 · 64 · 4 bytes */
    expect(text, "reduce-scatter, 2.05 KB in each of 50 steps of `t`");
    free(text);
    case_fini(&c);
}

static void what_is_added_is_not_multiplied(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c, "name: m\nlayers:\n  - {input: x, dims: {t: 50, h: 24}}\n  - {lstm: l, hidden: 64}\n", 8);
    case_stage(&c, 0, "b:2");
    assert_true(case_derive(&c));
    char *text = layer_text(&c, 0, "l", false);
    expect(text, "Y[b,t,g,o] = B[b,t,g,o] + Σk A[b,t-1,k] W[g,o,k]");
    expect(text, "dW: contracted dimension `b` is split over `b`: partial sums → all-reduce once per step");
    free(text);
    case_fini(&c);
}

static void windows_tell_stride_dilation_and_padding(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c,
              "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 17, x: 17}}\n  - {conv: a, out: 2, kernel: "
              "1}\n  - {conv: c, out: 4, kernel: 3, "
              "stride: 2, dilation: 2, pad: 2}\n",
              1);
    case_stage(&c, 0, "y:2");
    assert_true(case_derive(&c));
    char *text = layer_text(&c, 0, "c", false);
    expect(text, "X[b,i,y·2+ky·2-2,x·2+kx·2-2] W[o,i,ky,kx]");
    expect(text, "windows, or shares, along `y` reach into what other devices own → exchange, 2 messages");
    free(text);
    case_fini(&c);
}

/* Nine tiles on four devices: three rounds. The work of all tiles is 1.529 times that of the network
 * (DeepThings). */
static void dealt_tiles_count_all_rounds(void **state)
{
    (void)state;
    struct plan_case c;
    double flops = 0;
    case_init_shipped(&c, "yolov2-first16", NULL, 1);
    c.plan.training = false;
    c.plan.schedule = &inference_schedule;
    case_stage(&c, 2, "");
    case_stage(&c, 16, "tile:4");
    case_fuse(&c, "y:3 x:3");
    case_stage(&c, 0, "");
    assert_true(case_derive(&c));
    struct explain_stage explained;
    explain_stage_init(&explained, &c.derivations[1]);
    for (uint32_t l = 0; l < c.model.layers.count; l++) {
        uint32_t first, end = explain_stage_operators(&explained, l, &first);
        for (uint32_t o = first; o < end; o++)
            for (uint32_t m = 0; m < 4; m++)
                if (state_operator(&c.derivations[1], o)->kind == OPERATOR_EINSUM)
                    flops += explain_stage_share(&explained, o, m).forward;
    }
    ASSERT_NEAR(round(flops / 2 / 13000343552.0 * 1000) / 1000, 1.529, 1e-12);
    explain_stage_fini(&explained);
    char *text = layer_text(&c, 1, "layer0.conv", false);
    expect(text, "in 3 tiles");
    expect(text, "for 3 tiles one after the other");
    free(text);
    case_fini(&c);
}

/* Uneven shares print their extremes: 7 rows as 5 and 2. */
static void unequal_shares_print_a_range(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c, "name: m\nlayers:\n  - {input: x, dims: {h: 10}}\n  - {fc: d, out: 7, bias: no}\n", 5);
    case_stage(&c, 0, "o:5/2");
    assert_true(case_derive(&c));
    char *text = layer_text(&c, 0, "d", false);
    expect(text, "28.6 to 71.4 %: 200 FLOP to 500 FLOP forward"); /* 2 · 5 · 10 · 2 and · 5 */
    expect(text, "weights 80 B to 200 B");
    free(text);
    case_fini(&c);
}

/* The full derivation adds predicted seconds: a ring of n over cables of bandwidth B and latency a per cable
 * scatters sums in (n - 1) (2 a + bytes / (n B)), as a route crosses two cables. */
static void a_full_derivation_predicts_the_seconds_of_a_ring(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c,
              "name: m\nlayers:\n  - {input: x, dims: {h: 8}}\n  - {fc: a, out: {h: 8}}\n  - {fc: d, out: "
              "1000, bias: yes}\n",
              1000);
    case_stage(&c, 0, "i:4");
    case_connect(&c, 1e9, 1e-6);
    assert_true(case_derive(&c));
    char *text = layer_text(&c, 0, "d", true), expected[128];
    double bytes = 4e6;
    snprintf(expected, sizeof expected, "by ring in 3 rounds, %.0f MB on the busiest link: %.3g ms predicted",
             0.75 * bytes / 1e6, 3 * (2e-6 + bytes / 4 / 1e9) * 1e3);
    expect(text, "i:P becomes i:S(c)");
    expect(text, expected);
    expect(text, "contracted: Y lacks it");
    expect(text, "dX[b,i] += dY[b,o] W[o,i]");
    expect(text, "dW[o,i] += dY[b,o] X[b,i]: complete on each device");
    expect(text, "a as i:S(h): 8 KB, kept for the backward pass");
    free(text);
    case_fini(&c);
}

/* Each layer of a model, in both forms: every operator must say what it computes, its dimensions, and, but
 * for views, how it is split. */
static void explain_all(const char *model, const char *parameters, const char *axes, uint64_t batch)
{
    struct plan_case c;
    case_init_shipped(&c, model, parameters, batch);
    case_stage(&c, 0, axes);
    case_connect(&c, 1e9, 1e-6);
    if (!case_derive(&c)) {
        report_print(&c.input.report, stderr);
        fail_msg("%s over %s cannot be derived", model, axes);
    }
    for (uint32_t l = 0; l < c.model.layers.count; l++) {
        const char *name = names_text(&c.names, c.model.layers.at[l].name);
        char *brief = layer_text(&c, 0, name, false), *full = layer_text(&c, 0, name, true);
        assert_int_equal(occurrences(full, "    dimensions\n"), c.model.layers.at[l].operator_count);
        assert_int_equal(occurrences(full, "    forward\n"), c.model.layers.at[l].operator_count);
        for (uint32_t o = 0; o < c.model.layers.at[l].operator_count; o++) {
            const struct layer_op *layer_op = &c.model.operators.at[c.model.layers.at[l].first_operator + o];
            char *einsum = NULL;
            size_t length = 0;
            FILE *memory = open_memstream(&einsum, &length);
            explain_einsum_text(&c.model, layer_op, memory);
            fclose(memory);
            expect(brief, einsum);
            expect(full, einsum);
            free(einsum);
        }
        assert_null(strstr(brief, "(null)"));
        assert_null(strstr(full, "(null)"));
        assert_null(strstr(full, "over ``"));
        free(brief);
        free(full);
    }
    case_fini(&c);
}

static void heads_that_read_by_themselves_are_told_of(void **state)
{
    (void)state;
    for (int alone = 0; alone < 2; alone++) {
        struct plan_case c;
        case_init_shipped(&c, "llama2-7b",
                          alone ? "{layers: 1, groups: 8, per-head: yes}" : "{layers: 1, groups: 8}", 2);
        case_stage(&c, 0, "");
        assert_true(case_derive(&c));
        char *text = layer_text(&c, 0, "block[0].attention.core", true);
        assert_int_equal(occurrences(text, "each of it reads by itself"), alone ? 2 : 0);
        free(text);
        case_fini(&c);
    }
}

static void layers_of_all_kinds_can_be_explained(void **state)
{
    (void)state;
    explain_all("vgg16", NULL, "b:2 o:2", 4);
    explain_all("resnet50", NULL, "y:2 x:2", 1);
    explain_all("inception-v3", NULL, "i,o:3", 2);
    explain_all("mobilenet-v2", NULL, "o,i:2", 2);
    explain_all("densenet-121", NULL, "b:2", 2);
    explain_all("gpt2", "{layers: 1}", "s:2 f,g,r,v,s:2", 2);
    explain_all("bert-base", "{layers: 1}", "f,g,r,v:3", 2);
    explain_all("llama2-70b", "{layers: 1}", "g:2 r:2", 1);
    explain_all("t5-small", NULL, "f,g,r,v:2", 2);
    explain_all("gnmt-8", NULL, "o:2", 2);
    explain_all("gnmt-8", NULL, "i,o:2", 2);
    explain_all("vit-b16", "{layers: 1}", "b:2 f,g,r,v:2", 2);
    explain_all("mnist-cnn", NULL, "o:3/0/1", 2);
}

/* What crosses between stages of a wave, and that it does so in chunks. */
static void transfers_of_a_wave_tell_their_chunks(void **state)
{
    (void)state;
    struct plan_case c;
    struct explain_stage explained;
    char *text = NULL;
    size_t length = 0;
    case_init(&c,
              "name: m\nlayers:\n  - {input: x, dims: {t: 50, h: 24}}\n  - {lstm: k, hidden: 64}\n"
              "  - {lstm: l, hidden: 64}\n",
              8);
    c.plan.time_chunks = 5;
    case_stage(&c, 2, "");
    case_stage(&c, 1, "");
    assert_true(case_derive(&c));
    explain_stage_init(&explained, &c.derivations[0]);
    FILE *memory = open_memstream(&text, &length);
    explain_layer_boundary(&explained, MODEL_NONE, memory);
    fclose(memory);
    explain_stage_fini(&explained);
    /* 8 · 50 · 64 · 4 bytes */
    expect(text,
           "forward  k: stage 1 needs it → send, 1 message, 102 KB in all, in 5 chunks of the sequence");
    expect(text, "backward gradient of k: made in stage 1 → receive, 1 message, 102 KB in all, in 5 chunks");
    free(text);
    case_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tensor_parallel_block_tells_of_four_all_reduces),
        cmocka_unit_test(a_loop_tells_the_bytes_of_a_step),
        cmocka_unit_test(what_is_added_is_not_multiplied),
        cmocka_unit_test(windows_tell_stride_dilation_and_padding),
        cmocka_unit_test(dealt_tiles_count_all_rounds),
        cmocka_unit_test(unequal_shares_print_a_range),
        cmocka_unit_test(a_full_derivation_predicts_the_seconds_of_a_ring),
        cmocka_unit_test(transfers_of_a_wave_tell_their_chunks),
        cmocka_unit_test(heads_that_read_by_themselves_are_told_of),
        cmocka_unit_test(layers_of_all_kinds_can_be_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
