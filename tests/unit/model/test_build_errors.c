/* Every mistake in a model file is reported at its place, with what was expected and the nearest valid name.
 */
#include "model_support.h"

#include <stdio.h>

#define IMAGE "layers:\n  - {input: image, dims: {c: 4, y: 8, x: 8}}\n"
#define WORDS                                                                                                \
    "layers:\n  - {input: words, dims: {s: 4}, discrete: yes}\n  - {embedding: embed, vocabulary: 9, out: "  \
    "8}\n"

static const struct mistake {
    const char *text, *message; /* message: "line:column: text" */
} mistakes[] = {
    {IMAGE "  - {cnov: c, out: 8, kernel: 3}\n",
     "3:6: there is no layer kind or block 'cnov'; did you mean 'conv'?"},
    {"blocks: {bottleneck: {layers: [{fc: fc, out: 3}]}}\n" IMAGE "  - {botleneck: c, out: 8}\n",
     "4:6: there is no layer kind or block 'botleneck'; did you mean 'bottleneck'?"},
    {IMAGE "  - {conv: c1, out: 8, kernel: 3}\n  - {conv: c2, from: c3, out: 8, kernel: 3}\n",
     "4:22: from: there is no layer 'c3' before this one; did you mean 'c1'?"},
    {IMAGE "  - {conv: c1, from: nowhere-near, out: 8, kernel: 3}\n",
     "3:22: from: there is no layer 'nowhere-near' before this one"},
    {IMAGE "  - {fc: fc, out: 8}\n  - {conv: c2, out: 8, kernel: 3}\n",
     "4:6: conv 'c2' needs an input with dimensions b, c, y, x; 'fc' gives b 1, c 8"},
    {IMAGE "  - {conv: c1, out: 8, kernel: 9}\n",
     "3:6: conv 'c1' has a kernel that reaches over 9 positions of y, but its padded input has 8"},
    {IMAGE "  - {conv: c1, out: 8, kernel: [3, 5, 7]}\n",
     "3:32: kernel needs one number or two, [y, x], but this list has 3"},
    {IMAGE "  - {conv: c1, out: 8, kernel: 3, groups: 3}\n",
     "3:6: conv 'c1' has 3 groups, which do not divide its 4 input and 8 output channels"},
    {IMAGE "  - {conv: c1, out: 8, kernel: 3, strid: 2}\n",
     "3:35: unknown key 'strid' in conv; did you mean 'stride'?"},
    {IMAGE "  - {conv: c1, kernel: 3}\n", "3:5: missing key 'out' in conv; expected a whole number"},
    {IMAGE "  - {conv: c1, out: 0, kernel: 3}\n", "3:21: expected out between 1 and 1000000000; got 0"},
    {IMAGE "  - {conv: c1, out: 8, kernel: 3, act: rellu}\n",
     "3:40: expected one of identity, relu, relu6, leaky-relu, gelu, silu, tanh, sigmoid, hard-swish; got "
     "'rellu'; did you mean 'relu'?"},
    {IMAGE "  - {conv: c1, out: hiden, kernel: 3}\n", "3:21: unknown name 'hiden'"},
    {IMAGE "  - {conv: c1, out: 8, kernel: 3}\n  - {conv: c1, out: 8, kernel: 3}\n",
     "4:6: there are two layers called 'c1'"},
    {IMAGE "  - {conv: c.1, out: 8, kernel: 3}\n",
     "3:12: expected a name of letters, digits, '_' and '-' for a layer; got the text 'c.1'"},
    {IMAGE "  - {add: add, from: [image]}\n", "3:6: add 'add' needs 2 to 8 inputs, but `from` gives 1"},
    {IMAGE "  - {conv: c1, out: 8, kernel: 3}\n  - {add: add, from: [image, c1]}\n",
     "4:6: add 'add' needs inputs of one shape, but 'image' is b 1, c 4, y 8, x 8 and 'c1' is b 1, c 8, y 6, "
     "x 6"},
    {IMAGE "  - {conv: c1, out: 8, kernel: 3}\n  - {concat: join, from: [image, c1]}\n",
     "4:6: concat 'join' joins inputs that differ in one dimension only, but 'image' is b 1, c 4, y 8, x 8 "
     "and 'c1' is b 1, c 8, y 6, x 6"},
    {IMAGE "  - {pool: p}\n", "3:6: pool 'p' needs `kernel`, or `global: yes`"},
    {IMAGE "  - {fc: fc, out: 8, over: [c, z]}\n",
     "3:6: fc 'fc' contracts over 'z', but its input has only b 1, c 4, y 8, x 8"},
    {IMAGE "  - {fc: fc, out: {y: 8}, over: c}\n",
     "3:6: fc 'fc' would give a tensor with two dimensions 'y'"},
    {IMAGE "  - {norm: norm, over: h}\n",
     "3:6: norm 'norm' normalises over 'h', but its input has only b 1, c 4, y 8, x 8"},
    {IMAGE "  - {reorg: reorg, stride: 3}\n",
     "3:6: reorg 'reorg' has stride 3, which does not divide its input, b 1, c 4, y 8, x 8"},
    {IMAGE "  - {embedding: e, vocabulary: 9, out: 8}\n",
     "3:6: embedding 'e' needs an input of discrete tokens; 'image' is not declared `discrete: yes`"},
    {IMAGE "  - {conv: c1, out: 8, kernel: 3, repeat: -1}\n",
     "3:43: expected repeat between 0 and 1000000000; got -1"},
    {IMAGE "  - {dropout: d, when: no, repeat: 1000001}\n", "3:6: the model has more than 1000000 layers"},
    {IMAGE "  - {}\n", "3:5: expected a layer; got an empty map"},
    {IMAGE "  - conv\n", "3:5: expected a map for a layer; got the text 'conv'"},
    {IMAGE "  - {dropout: d, when: perhaps}\n", "3:24: expected yes or no; got the text 'perhaps'"},
    {WORDS "  - {attention: core, from: [embed, embed, embed]}\n",
     "4:6: attention 'core' needs q with b, s, [g, [r]], d and k, v with b, s, [g], d of the same sizes; got "
     "q b 1, s 4, h 8; k b 1, s 4, h 8; v b 1, s 4, h 8"},
    {WORDS "  - {fc: logits, out: {v: 10}, weight: embed, bias: no}\n",
     "4:6: fc 'logits' shares the weight of 'embed', whose dimensions (v 9, h 8) do not fit"},
    {WORDS "  - {fc: logits, out: {v: 9}, weight: embedd, bias: no}\n",
     "4:6: weight: there is no layer 'embedd' before this one; did you mean 'embed'?"},
    {WORDS "  - {dropout: d}\n  - {fc: logits, out: {v: 9}, weight: d, bias: no}\n",
     "5:6: fc 'logits' shares the weight of 'd', which has none"},
    {WORDS "  - {position: p, count: 3}\n", "4:6: position 'p' has 3 positions, but the sequence has 4"},
    {WORDS "  - {lstm: l, from: words, hidden: 3}\n",
     "4:6: lstm 'l' needs an input with dimensions b, s (or t), h; 'words' gives b 1, s 4"},
    {"layers: [{fc: fc, out: 3}]\n", "1:11: fc 'fc' needs 1 input, but `from` gives 0"},
    {"layers: []\n", "1:9: the model has no layers"},
    {"layers:\n  - {input: x, dims: {h: 1e9}}\n  - {fc: fc, repeat: 10, out: 1e9}\n",
     "2:3: the model has 1e+19 parameters, more than the 9e18 that are counted"},
    {"name: x\n", "1:1: missing key 'layers' in a model"},
    {"layers: [{input: x, dims: {b: 3}}]\n",
     "1:11: input 'x' needs 1 to 5 dimensions besides the batch b, which is added by itself"},
    {"layers: [{input: x, dims: {c: 1e9, y: 1e9, x: 1e9}}]\n", "1:11: input 'x' has more than 9e18 elements"},
    {"blocks: {a: {layers: [{b: b}]}, b: {layers: [{a: a}]}}\n" IMAGE "  - {a: a}\n",
     "1:47: block 'a' contains itself"},
    {"blocks: {conv: {layers: []}}\n" IMAGE, "1:10: block 'conv' has the name of a layer kind"},
    {"blocks: {a: {parameters: {n: }, layers: [{fc: fc, out: n}]}}\n" IMAGE "  - {a: a}\n",
     "4:6: parameter 'n' has no default and needs a value"},
    {"parameters: {n: [1, [2]]}\n" IMAGE, "1:21: expected a number in parameter 'n'; got a list"},
    {"blocks: {a: {parameters: {n: []}, layers: [{fc: fc, out: 2}]}}\n" IMAGE "  - {a: a, n: 4}\n",
     "4:15: expected a list of numbers for parameter 'n'; got the text '4'"},
    {"blocks: {a: {parameters: {n: 3}, layers: [{fc: fc, out: n}]}}\n" IMAGE "  - {a: a, n: [4]}\n",
     "4:15: expected a number or a text for parameter 'n'; got a list"},
    {"blocks: {a: {parameters: {n: 3}, layers: [{fc: fc, out: n}]}}\n" IMAGE "  - {a: a, m: 4}\n",
     "4:12: unknown key 'm' in block 'a'; expected one of n, a, from, when, repeat"},
    {"blocks: {a: {parameters: {from: 3}, layers: [{fc: fc, out: n}]}}\n" IMAGE,
     "1:27: 'from' cannot be the name of a parameter"},
    {"blocks: {a: {parameters: {a: 3}, layers: [{fc: fc, out: a}]}}\n" IMAGE,
     "1:27: 'a' cannot be the name of a parameter"},
    {"layers: [{input: x, dims: {'': 3}}]\n",
     "1:11: input 'x' has a dimension called ''; expected a label such as h"},
    {IMAGE "  - {conv: c1, out: 8, kernel: 3, dilation: 2000000000}\n",
     "3:45: expected dilation between 1 and 1000000000; got 2000000000"},
    {"blocks: {a: {inputs: [l, r], layers: [{add: add, from: [l, r]}]}}\n" IMAGE "  - {a: a}\n",
     "4:6: block 'a' has 2 inputs, but `from` gives 1"},
    {"blocks: {a: {layers: [{fc: fc, out: 3}], result: fd}}\n" IMAGE "  - {a: a}\n",
     "4:6: result: there is no layer 'fd' before this one; did you mean 'fc'?"},
    {"blocks: {a: {layer: []}}\n" IMAGE, "1:14: unknown key 'layer' in block 'a'; did you mean 'layers'?"},
    {"parameters: {a: 2 * bb, bb: 3}\n" IMAGE, "1:21: unknown name 'bb'"},
    {"parameters: {a: {b: 1}}\n" IMAGE, "1:17: expected a number or a text for parameter 'a'; got a map"},
    {"attention: most\n" IMAGE, "1:12: expected one of full, causal; got 'most'"},
    {"layer: []\n" IMAGE, "1:1: unknown key 'layer' in a model; did you mean 'layers'?"},
};

static void every_mistake_is_reported_at_its_place(void **state)
{
    (void)state;
    bool differs = false;
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        struct built built;
        char got[1000] = "nothing";
        built_from_text(&built, mistakes[i].text, NULL, 1);
        if (built.input.report.list.count) {
            const struct message *first = &built.input.report.list.at[0];
            snprintf(got, sizeof got, "%u:%u: %s", first->place.line, first->place.column, first->text);
        }
        if (built.well || strcmp(got, mistakes[i].message) != 0) {
            print_error("%s\n  wanted  %s\n  got     %s\n", mistakes[i].text, mistakes[i].message, got);
            differs = true;
        }
        built_fini(&built);
    }
    assert_false(differs);
}

static void a_wrong_setting_is_reported(void **state)
{
    (void)state;
    static const struct {
        const char *set, *message;
    } cases[] = {
        {"layer: 3", "set:1:1: unknown key 'layer' in the model's parameters; did you mean 'layers'?"},
        {"attention: half", "set:1:12: expected one of full, causal; got 'half'"},
        {"hidden: 7.5", "expected a whole number; got 7.5"},
        {"hidden: words", "set:1:9: unknown name 'words'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct built built;
        char got[1000] = "nothing";
        built_from_shipped(&built, "gpt2", cases[i].set, 1);
        assert_false(built.well);
        const struct message *first = &built.input.report.list.at[0];
        snprintf(got, sizeof got, "%s:%u:%u: %s", first->place.file, first->place.line, first->place.column,
                 first->text);
        if (!strstr(got, cases[i].message))
            fail_msg("set '%s': got %s", cases[i].set, got);
        built_fini(&built);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mistake_is_reported_at_its_place),
        cmocka_unit_test(a_wrong_setting_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
