/* model_needed() against an enumeration of index maps, and the counts. */
#include "model_support.h"

#include <stdlib.h>

static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (random_state >> 33) % bound;
}

struct case_of_window {
    uint64_t size, out, kernel, stride, dilation, pad;
};

/* The least and the last index that outputs [low, high) really read, by trying all. */
static struct interval enumerated(const struct case_of_window *window, struct interval over)
{
    struct interval hull = {UINT64_MAX, 0};
    for (uint64_t i = over.low; i < over.high; i++)
        for (uint64_t k = 0; k < window->kernel; k++) {
            int64_t at = (int64_t)(i * window->stride + k * window->dilation) - (int64_t)window->pad;
            if (at < 0 || at >= (int64_t)window->size)
                continue;
            hull.low = (uint64_t)at < hull.low ? (uint64_t)at : hull.low;
            hull.high = (uint64_t)at + 1 > hull.high ? (uint64_t)at + 1 : hull.high;
        }
    return hull;
}

static bool random_window(struct case_of_window *window)
{
    window->size = 1 + random_below(40);
    window->kernel = 1 + random_below(7);
    window->stride = 1 + random_below(4);
    window->dilation = 1 + random_below(3);
    window->pad = random_below(window->kernel);
    uint64_t reach = (window->kernel - 1) * window->dilation + 1, padded = window->size + 2 * window->pad;
    if (reach > padded)
        return false;
    window->out = (padded - reach) / window->stride + 1;
    return true;
}

static void check_window(const struct case_of_window *window)
{
    char text[400];
    struct built built;
    snprintf(text, sizeof text,
             "layers: [{input: in0, dims: {c: 1, y: %llu, x: 60}}, {conv: conv, out: 1, kernel: [%llu, 1], "
             "stride: [%llu, 1], "
             "dilation: [%llu, 1], pad: [%llu, 0]}]",
             (unsigned long long)window->size, (unsigned long long)window->kernel,
             (unsigned long long)window->stride, (unsigned long long)window->dilation,
             (unsigned long long)window->pad);
    built_from_text(&built, text, NULL, 1);
    built_want(&built);
    const struct layer_op *op = built_operator(&built, "conv", "");
    const struct tensor *output = &built.model.tensors.at[op->output.tensor];
    assert_int_equal(output->dims[2].size, window->out);
    for (uint64_t low = 0; low < window->out; low++)
        for (uint64_t high = low + 1; high <= window->out; high++) {
            struct interval over = {low, high};
            struct interval needed = model_needed(&built.model, op, &op->operands[0], 2, over);
            struct interval hull = enumerated(window, over);
            if (hull.low >= hull.high)
                continue; /* only padding is read */
            assert_true(needed.low <= hull.low && needed.high >= hull.high);
            /* Without gaps between the window's elements the interval is exact. */
            if (window->dilation == 1 && window->stride <= window->kernel) {
                assert_int_equal(needed.low, hull.low);
                assert_int_equal(needed.high, hull.high);
            }
            /* With gaps, what is cut off at a border is less than one gap. */
            uint64_t gap = window->dilation > window->stride ? window->dilation : window->stride;
            assert_true(hull.low - needed.low < gap && needed.high - hull.high < gap);
        }
    built_fini(&built);
}

static void needed_rows_agree_with_an_enumeration_of_random_convolutions(void **state)
{
    (void)state;
    random_state = 20240229;
    print_message("seed %llu\n", (unsigned long long)random_state);
    for (int i = 0; i < 400; i++) {
        struct case_of_window window;
        if (random_window(&window))
            check_window(&window);
    }
}

static void needed_of_plain_whole_merged_and_offset_dimensions(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built,
                    "layers:\n"
                    "  - {input: image, dims: {c: 4, y: 6, x: 6}}\n"
                    "  - {conv: grouped, out: 8, kernel: 1, groups: 2}\n"
                    "  - {conv: other, out: 3, kernel: 1, from: image}\n"
                    "  - {concat: both, from: [grouped, other]}\n"
                    "  - {reorg: reorg, stride: 2}\n",
                    NULL, 2);
    built_want(&built);
    const struct layer_op *grouped = built_operator(&built, "grouped", "");
    struct interval second = {1, 2}, none = {3, 3};
    struct interval needed = model_needed(&built.model, grouped, &grouped->operands[0], 1, second);
    assert_int_equal(needed.low, 2); /* group 1 of 2 reads channels 2 and 3 of 4 … */
    assert_int_equal(needed.high, 4);
    needed = model_needed(&built.model, grouped, &grouped->output, 1, second);
    assert_int_equal(needed.low, 4); /* … and writes channels 4 to 7 of 8 */
    assert_int_equal(needed.high, 8);
    needed = model_needed(&built.model, grouped, &grouped->operands[0], 0, none);
    assert_true(needed.low >= needed.high);

    const struct layer_op *both = built_operator(&built, "both", "");
    needed = model_needed(&built.model, both, &both->operands[1], 1, (struct interval){6, 10});
    assert_int_equal(needed.low, 0); /* channels 8 to 10 of the 11 come from the second */
    assert_int_equal(needed.high, 2);
    needed = model_needed(&built.model, both, &both->operands[1], 1, (struct interval){0, 8});
    assert_true(needed.low >= needed.high);
    needed = model_needed(&built.model, both, &both->operands[0], 1, (struct interval){6, 10});
    assert_int_equal(needed.low, 6);
    assert_int_equal(needed.high, 8);

    const struct layer_op *reorg = built_operator(&built, "reorg", "");
    needed = model_needed(&built.model, reorg, &reorg->output, 1, (struct interval){0, 1});
    assert_int_equal(needed.low, 0);
    assert_int_equal(needed.high, 44); /* not indexed: all of it */
    needed = model_needed(&built.model, reorg, &reorg->operands[0], 2, (struct interval){1, 3});
    assert_int_equal(needed.low, 2);
    assert_int_equal(needed.high, 6);
    built_fini(&built);
}

static void a_tied_weight_is_counted_once_and_belongs_to_its_first_layer(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built,
                    "layers:\n"
                    "  - {input: tokens, dims: {s: 5}, discrete: yes}\n"
                    "  - {embedding: embed, vocabulary: 100, out: 8}\n"
                    "  - {fc: logits, out: {v: 100}, bias: no, weight: embed}\n",
                    NULL, 1);
    built_want(&built);
    assert_int_equal(model_parameters(&built.model), 800);
    assert_int_equal(model_layer_parameters(&built.model, built_layer(&built, "embed")), 800);
    assert_int_equal(model_layer_parameters(&built.model, built_layer(&built, "logits")), 0);
    const struct layer_op *embed = built_operator(&built, "embed", ""),
                          *logits = built_operator(&built, "logits", "");
    assert_int_equal(embed->operands[1].tensor, logits->operands[1].tensor);
    /* [v, h]: v is the output of one and contracted by the other. */
    assert_int_equal(logits->operands[1].dims[0].dim, logits->output.dims[2].dim);
    assert_int_equal(logits->operands[1].dims[1].dim, logits->operands[0].dims[2].dim);
    built_fini(&built);
}

static void names_that_do_not_exist_are_not_found(void **state)
{
    (void)state;
    struct built built;
    built_from_shipped(&built, "gpt2", NULL, 1);
    built_want(&built);
    assert_int_equal(model_find_layer(&built.model, "never seen"), MODEL_NONE);
    assert_int_equal(model_find_layer(&built.model, "block[3].attention"),
                     MODEL_NONE); /* a part, not a layer */
    assert_int_not_equal(model_find_layer(&built.model, "block[3].attention.q"), MODEL_NONE);
    assert_int_equal(model_find_unit(&built.model, "block"), MODEL_NONE);
    assert_int_not_equal(model_find_unit(&built.model, "block[3]"), MODEL_NONE);
    built_fini(&built);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(needed_rows_agree_with_an_enumeration_of_random_convolutions),
        cmocka_unit_test(needed_of_plain_whole_merged_and_offset_dimensions),
        cmocka_unit_test(a_tied_weight_is_counted_once_and_belongs_to_its_first_layer),
        cmocka_unit_test(names_that_do_not_exist_are_not_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
