/* The notation of model files: parameters, blocks, repetition, conditions and names. */
#include "model_support.h"

#include <stdio.h>

static void a_block_is_used_like_a_kind_and_gives_units_and_parts(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built,
                    "blocks:\n"
                    "  inner:\n"
                    "    parameters: {size: 4}\n"
                    "    layers: [{fc: one, out: size}, {fc: two, out: {h: 2 * size}}]\n"
                    "  outer:\n"
                    "    parameters: {size: }\n"
                    "    layers: [{inner: a, size: size}, {fc: between, out: 5}, {inner: b}]\n"
                    "layers:\n"
                    "  - {input: x, dims: {s: 3, h: 8}}\n"
                    "  - {outer: block, repeat: 2, size: 10}\n"
                    "  - {fc: last, out: 1}\n",
                    NULL, 1);
    built_want(&built);
    assert_string_equal(built_output_shape(&built, "block[0].a.two"), "b 1, s 3, h 20");
    assert_string_equal(built_output_shape(&built, "block[1].b.two"), "b 1, s 3, h 8");
    assert_int_equal(built.model.units.count, 4); /* x, block[0], block[1], last */
    const struct model_unit *unit = &built.model.units.at[model_find_unit(&built.model, "block[1]")];
    assert_int_equal(unit->layer_count, 5);
    const struct {
        const char *layer, *part;
    } parts[] = {{"x", "x"},
                 {"block[1].a.one", "block[1].a"},
                 {"block[1].between", "block[1]"},
                 {"block[0].b.two", "block[0].b"},
                 {"last", "last"}};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const struct layer *layer = &built.model.layers.at[built_layer(&built, parts[i].layer)];
        assert_string_equal(names_text(&built.names, layer->part), parts[i].part);
    }
    built_fini(&built);
}

static void repetitions_count_i_from_zero_and_chain(void **state)
{
    (void)state;
    struct built built;
    built_from_text(
        &built,
        "layers:\n"
        "  - {input: x, dims: {s: 3, h: 8}}\n"
        "  - {fc: grow, repeat: 3, out: 10 + i, bias: no}\n"
        "  - {name: pair, repeat: 2, layers: [{fc: fc, out: 20 * (i + 1)}, {act: act, function: relu}]}\n"
        "  - {fc: early, from: 'grow[1]', out: 1, bias: no}\n"
        "  - {fc: late, from: grow, out: 1, bias: no}\n"
        "  - {fc: never, from: pair, repeat: 0, out: 1}\n"
        "  - {fc: after, from: never, out: 1, bias: no}\n",
        NULL, 1);
    built_want(&built);
    assert_string_equal(built_output_shape(&built, "grow[2]"), "b 1, s 3, h 12");
    assert_string_equal(built_output_shape(&built, "pair[1].act"), "b 1, s 3, h 40");
    assert_int_equal(model_layer_parameters(&built.model, built_layer(&built, "grow[2]")), 11 * 12);
    assert_int_equal(model_layer_parameters(&built.model, built_layer(&built, "early")), 11);
    assert_int_equal(model_layer_parameters(&built.model, built_layer(&built, "late")), 12);
    assert_int_equal(model_layer_parameters(&built.model, built_layer(&built, "after")), 40);
    built_fini(&built);
}

static void a_skipped_item_stands_for_its_input(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built,
                    "parameters: {wide: no}\n"
                    "layers:\n"
                    "  - {input: x, dims: {s: 3, h: 8}}\n"
                    "  - {fc: main, out: 8}\n"
                    "  - {fc: shortcut, from: x, when: wide, out: 8}\n"
                    "  - {add: add, from: [main, shortcut]}\n"
                    "  - {fc: each, repeat: 4, when: i % 2 == 1, out: 8}\n",
                    NULL, 1);
    built_want(&built);
    const struct layer_op *add = built_operator(&built, "add", "");
    assert_int_equal(add->operands[1].tensor, built.model.layers.at[built_layer(&built, "x")].output);
    assert_int_equal(model_find_layer(&built.model, "shortcut"), MODEL_NONE);
    assert_int_equal(model_find_unit(&built.model, "shortcut"), MODEL_NONE);
    assert_int_equal(model_find_layer(&built.model, "each[2]"), MODEL_NONE);
    const struct layer_op *third = built_operator(&built, "each[3]", "");
    assert_int_equal(third->operands[0].tensor, built.model.layers.at[built_layer(&built, "each[1]")].output);
    built_fini(&built);
}

static void parameters_have_defaults_that_use_each_other_and_can_be_set(void **state)
{
    (void)state;
    const char *text = "parameters: {hidden: 8, inner: 4 * hidden, kind: rms}\n"
                       "layers:\n"
                       "  - {input: x, dims: {s: 3, h: hidden}}\n"
                       "  - {norm: norm, type: kind}\n"
                       "  - {fc: fc, out: {f: inner}, bias: no}\n";
    const struct {
        const char *set;
        uint64_t parameters;
    } cases[] = {{NULL, 8 + 8 * 32},
                 {"hidden: 4", 4 + 4 * 16},
                 {"{hidden: 4, inner: hidden + 1}", 4 + 4 * 5},
                 {"kind: layer", 16 + 8 * 32}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct built built;
        built_from_text(&built, text, cases[i].set, 1);
        built_want(&built);
        assert_int_equal(model_parameters(&built.model), cases[i].parameters);
        built_fini(&built);
    }
}

static void a_list_says_which_repetitions_differ(void **state)
{
    (void)state;
    const char *text = "parameters: {last: 4, wide: [1, last]}\n"
                       "layers:\n"
                       "  - {input: x, dims: {s: 3, h: 8}}\n"
                       "  - {fc: fc, repeat: 5, out: \"8 + (i in wide)\", bias: no}\n";
    const struct {
        const char *set;
        uint64_t parameters;
    } cases[] = {{NULL, 64 + 72 + 72 + 64 + 72}, {"wide: [0, 7]", 72 + 72 + 64 * 3}, {"wide: []", 64 * 5}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct built built;
        built_from_text(&built, text, cases[i].set, 1);
        built_want(&built);
        assert_int_equal(model_parameters(&built.model), cases[i].parameters);
        built_fini(&built);
    }
}

static void names_are_looked_up_outwards(void **state)
{
    (void)state;
    struct built built;
    built_from_text(
        &built,
        "blocks:\n"
        "  both:\n"
        "    inputs: [left, right]\n"
        "    layers: [{fc: same, from: left, out: 8}, {add: sum, from: [same, right]}, {fc: tail, out: 3}]\n"
        "    result: sum\n"
        "layers:\n"
        "  - {input: x, dims: {s: 3, h: 8}}\n"
        "  - {fc: same, out: 8}\n"
        "  - {fc: other, out: 8}\n"
        "  - {both: pair, from: [same, other]}\n"
        "  - name: outer\n"
        "    layers: [{add: add, from: [in, same]}, {add: deep, from: [pair.same, pair]}]\n",
        NULL, 1);
    built_want(&built);
    const struct model *model = &built.model;
    uint32_t same = model->layers.at[built_layer(&built, "same")].output;
    uint32_t inner = model->layers.at[built_layer(&built, "pair.same")].output;
    uint32_t sum = model->layers.at[built_layer(&built, "pair.sum")].output;
    assert_int_equal(built_operator(&built, "pair.same", "")->operands[0].tensor, same);
    assert_int_equal(built_operator(&built, "pair.sum", "")->operands[0].tensor, inner);
    assert_int_equal(built_operator(&built, "outer.add", "")->operands[0].tensor,
                     sum); /* the result, not the last */
    assert_int_equal(built_operator(&built, "outer.add", "")->operands[1].tensor, same);
    assert_int_equal(built_operator(&built, "outer.deep", "")->operands[0].tensor, inner);
    assert_int_equal(built_operator(&built, "outer.deep", "")->operands[1].tensor, sum);
    built_fini(&built);
}

static void layers_know_where_they_stand_after_the_input_is_gone(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built, "layers:\n  - {input: x, dims: {h: 8}}\n  - {fc: fc, out: 3}\n", NULL, 1);
    built_want(&built);
    input_fini(&built.input);
    input_init(&built.input, NULL);
    struct place place = built.model.layers.at[built_layer(&built, "fc")].place;
    assert_string_equal(place.file, "model");
    assert_int_equal(place.line, 3);
    assert_int_equal(place.column, 6);
    built_fini(&built);
}

static void several_inputs_are_allowed_and_tokens_come_from_the_first_discrete(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built,
                    "sample: sequence\n"
                    "layers:\n"
                    "  - {input: image, dims: {s: 4, h: 8}}\n"
                    "  - {input: words, dims: {s: 7}, discrete: yes}\n"
                    "  - {input: more, dims: {s: 9}, discrete: yes}\n"
                    "  - {embedding: embed, from: words, vocabulary: 9, out: 8}\n",
                    NULL, 1);
    built_want(&built);
    assert_true(built.model.tokens == 7);
    assert_string_equal(built.model.sample, "sequence");
    assert_false(built.model.tensors.at[0].discrete);
    assert_true(built.model.tensors.at[1].discrete);
    built_fini(&built);
}

static void the_batch_is_a_name(void **state)
{
    (void)state;
    struct built built;
    built_from_text(&built, "layers: [{input: x, dims: {h: 8}}, {fc: fc, out: batch}]", NULL, 6);
    built_want(&built);
    assert_string_equal(built_output_shape(&built, "fc"), "b 6, c 6");
    built_fini(&built);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_is_used_like_a_kind_and_gives_units_and_parts),
        cmocka_unit_test(repetitions_count_i_from_zero_and_chain),
        cmocka_unit_test(a_skipped_item_stands_for_its_input),
        cmocka_unit_test(parameters_have_defaults_that_use_each_other_and_can_be_set),
        cmocka_unit_test(a_list_says_which_repetitions_differ),
        cmocka_unit_test(names_are_looked_up_outwards),
        cmocka_unit_test(layers_know_where_they_stand_after_the_input_is_gone),
        cmocka_unit_test(several_inputs_are_allowed_and_tokens_come_from_the_first_discrete),
        cmocka_unit_test(the_batch_is_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
