/* Fused blocks against DeepThings (Zhao, Barijough and Gerstlauer 2018): its recursion for tiles, its
 * communication volumes and its redundant work; and what cannot be fused. */
#include "plan_case.h"

#include "plan/fuse.h"
#include "plan/memory.h"
#include "plan/state.h"
#include "plan/work.h"

/* The first 16 layers of YOLOv2 (Darknet's layer0 … layer15) behind a view that stands for the gateway. */
static const char yolo[] =
    "name: m\nlayers:\n  - {input: image, dims: {c: 3, y: 608, x: 608}}\n  - {flatten: gateway}\n"
    "  - {conv: l0, out: 32, kernel: 3, pad: 1, bias: no}\n  - {pool: l1, kernel: 2}\n"
    "  - {conv: l2, out: 64, kernel: 3, pad: 1, bias: no}\n  - {pool: l3, kernel: 2}\n"
    "  - {conv: l4, out: 128, kernel: 3, pad: 1, bias: no}\n  - {conv: l5, out: 64, kernel: 1, bias: no}\n"
    "  - {conv: l6, out: 128, kernel: 3, pad: 1, bias: no}\n  - {pool: l7, kernel: 2}\n"
    "  - {conv: l8, out: 256, kernel: 3, pad: 1, bias: no}\n  - {conv: l9, out: 128, kernel: 1, bias: no}\n"
    "  - {conv: l10, out: 256, kernel: 3, pad: 1, bias: no}\n  - {pool: l11, kernel: 2}\n"
    "  - {conv: l12, out: 512, kernel: 3, pad: 1, bias: no}\n  - {conv: l13, out: 256, kernel: 1, bias: no}\n"
    "  - {conv: l14, out: 512, kernel: 3, pad: 1, bias: no}\n  - {conv: l15, out: 256, kernel: 1, bias: no}\n"
    "  - {flatten: result}\n";
enum { LAYERS = 16 };
static const struct {
    uint32_t size, channels, kernel; /* of the input; 0: a pool of 2 */
} geometry[LAYERS] = {{608, 3, 3},  {608, 32, 0},  {304, 32, 3}, {304, 64, 0}, {152, 64, 3}, {152, 128, 1},
                      {152, 64, 3}, {152, 128, 0}, {76, 128, 3}, {76, 256, 1}, {76, 128, 3}, {76, 256, 0},
                      {38, 256, 3}, {38, 512, 1},  {38, 256, 3}, {38, 512, 1}};

/* The gateway, the fused block on some devices, and the gateway again. */
static void yolo_case(struct plan_case *c, uint32_t tiles, uint32_t devices)
{
    char axes[32], members[16];
    case_init(c, yolo, 1);
    c->plan.training = false;
    c->plan.schedule = &inference_schedule;
    snprintf(axes, sizeof axes, "y:%u x:%u", tiles, tiles);
    snprintf(members, sizeof members, "y:%u", devices);
    case_stage(c, 2, "");
    case_stage(c, LAYERS, devices == 1 ? "" : members);
    case_fuse(c, axes);
    case_stage(c, 0, "");
    c->plan.input_device = case_device(c);
    assert_true(case_derive(c));
}

struct range {
    uint64_t low, high; /* first and last index, as DeepThings counts */
};

/* The part of a layer's input that a range of its output needs, as in DeepThings' code. */
static struct range needed(uint32_t layer, struct range out)
{
    uint64_t size = geometry[layer].size, half = geometry[layer].kernel / 2;
    if (!geometry[layer].kernel)
        return (struct range){2 * out.low, 2 * out.high + 1 < size - 1 ? 2 * out.high + 1 : size - 1};
    return (struct range){out.low > half ? out.low - half : 0,
                          out.high + half < size - 1 ? out.high + half : size - 1};
}

static void tiles_grow_as_deepthings_grows_them(void **state)
{
    (void)state;
    for (uint32_t tiles = 2; tiles <= 6; tiles++) {
        struct plan_case c;
        yolo_case(&c, tiles, 4);
        const struct derivation *d = &c.derivations[1];
        uint32_t checked = 0;
        for (uint32_t o = 0; o < d->operators.count; o++) {
            uint32_t round = o / LAYERS, layer = o % LAYERS;
            for (uint32_t m = 0; m < 4 && round * 4 + m < tiles * tiles; m++) {
                uint32_t tile = round * 4 + m, row = tile / tiles, column = tile % tiles;
                struct range y = {38 * row / tiles, 38 * (row + 1) / tiles - 1};
                struct range x = {38 * column / tiles, 38 * (column + 1) / tiles - 1};
                for (uint32_t l = LAYERS; l-- > layer;) {
                    y = needed(l, y);
                    x = needed(l, x);
                }
                struct box box =
                    assign_box(d->stage, &c.model, state_operator(d, o), &d->operators.at[o].assignment,
                               &state_operator(d, o)->operands[0], layout_coordinates(d->stage, m));
                assert_true(box.dims[2].low == y.low && box.dims[2].high == y.high + 1);
                assert_true(box.dims[3].low == x.low && box.dims[3].high == x.high + 1);
                checked++;
            }
        }
        assert_int_equal(checked, tiles * tiles * LAYERS);
        case_fini(&c);
    }
}

/* Bytes that all stages receive. */
static double received(const struct plan_case *c)
{
    double bytes = 0;
    for (uint32_t s = 0; s < c->plan.stages.count; s++)
        for (uint32_t i = 0; i < c->derivations[s].forward.count; i++) {
            const struct action *a = &c->derivations[s].forward.at[i];
            for (uint32_t k = 0; a->kind == ACTION_RECEIVE && k < a->message_count; k++)
                bytes += c->derivations[s].messages.at[a->first_message + k].elements * a->element_bytes;
        }
    return bytes;
}

static void communication_volumes_are_those_of_deepthings(void **state)
{
    (void)state;
    static const double published[] = {13.79, 16.23,
                                       18.99}; /* MiB per frame, for 3 x 3, 4 x 4 and 5 x 5 tiles */
    for (uint32_t devices = 1; devices <= 6; devices++)
        for (uint32_t n = 0; n < 3; n++) {
            struct plan_case c;
            yolo_case(&c, n + 3, devices);
            ASSERT_NEAR(round(received(&c) / (1 << 20) * 100) / 100, published[n], 1e-12);
            for (uint32_t i = 0; i < c.derivations[1].forward.count; i++)
                assert_int_not_equal(c.derivations[1].forward.at[i].kind, ACTION_EXCHANGE);
            case_fini(&c);
        }
}

/* The device that has the image sends the result only: 1.41 MiB. */
static void a_device_with_the_image_sends_only_the_result(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c, yolo, 1);
    c.plan.training = false;
    c.plan.schedule = &inference_schedule;
    case_stage(&c, 2 + LAYERS, "");
    case_fuse(&c, "y:5 x:5");
    case_stage(&c, 0, "");
    assert_true(case_derive(&c));
    ASSERT_NEAR(round(received(&c) / (1 << 20) * 100) / 100, 1.41, 1e-12);
    case_fini(&c);
}

static void redundant_work_is_that_of_deepthings(void **state)
{
    (void)state;
    static const double factors[] = {1.529, 1.845, 2.196};
    for (uint32_t n = 0; n < 3; n++) {
        struct plan_case c;
        yolo_case(&c, n + 3, 6);
        const struct derivation *d = &c.derivations[1];
        struct work sum = {0};
        for (uint32_t o = 0; o < d->operators.count; o++)
            for (uint32_t m = 0; m < 6; m++) {
                struct work work = work_forward(d, o, m);
                if (state_operator(d, o)->kind == OPERATOR_EINSUM)
                    work_add(&sum, &work);
            }
        ASSERT_NEAR(round(sum.flops / 2 / 13000343552.0 * 1000) / 1000, factors[n], 1e-12);
        ASSERT_NEAR(sum.model_flops / 2, 13000343552.0, 1e-12); /* what MFU counts is done once */
        case_fini(&c);
    }
}

static void every_device_holds_all_weights_of_the_block(void **state)
{
    (void)state;
    struct plan_case c;
    yolo_case(&c, 3, 4);
    for (uint32_t m = 0; m < 4; m++) /* biases and norms left out: 3,422,592 weights of the convolutions */
        ASSERT_NEAR(memory_parameters(&c.derivations[1], m), (double)model_parameters(&c.model), 0);
    case_fini(&c);
}

/* Derives a model whose units [first, first + count) are fused in a grid of tiles, and expects one error. */
static void expect_refusal(const char *model, uint32_t before, uint32_t count, const char *tiles,
                           bool training, const char *message)
{
    struct plan_case c;
    case_init(&c, model, 1);
    c.plan.training = training;
    if (before)
        case_stage(&c, before, "");
    case_stage(&c, count, "y:2");
    case_fuse(&c, tiles);
    if (before + count < c.model.units.count)
        case_stage(&c, 0, "");
    assert_false(case_derive(&c));
    assert_int_equal(c.input.report.errors, 1);
    assert_string_equal(c.input.report.list.at[0].text, message);
    assert_string_equal(c.input.report.list.at[0].place.file, "fuse.yaml");
    case_fini(&c);
}

static void what_is_no_chain_cannot_be_fused(void **state)
{
    (void)state;
    static const char residual[] =
        "name: m\nlayers:\n  - {input: x, dims: {c: 3, y: 8, x: 8}}\n  - {conv: a, out: 3, kernel: 3, pad: "
        "1}\n"
        "  - {conv: b, out: 3, kernel: 3, pad: 1}\n  - {add: s, from: [a, b]}\n  - {pool: p, global: yes}\n"
        "  - {fc: d, out: 2}\n";
    expect_refusal(residual, 1, 2, NULL, false,
                   "a fused block is a chain of layers, but 'a' inside it is read by 's' after it");
    expect_refusal(residual, 1, 4, NULL, false,
                   "tiles split 'y', of which 'p' needs all: it cannot be part of the fused block");
    static const char branch[] =
        "name: m\nlayers:\n  - {input: x, dims: {c: 3, y: 8, x: 8}}\n  - {conv: a, out: 3, kernel: 3, pad: "
        "1}\n"
        "  - {conv: b, out: 3, kernel: 3, pad: 1}\n  - {conv: c, from: a, out: 3, kernel: 3, pad: 1}\n";
    expect_refusal(branch, 1, 3, NULL, false,
                   "a fused block is a chain of layers, but nothing reads 'b' inside it");
}

static void statistics_over_rows_cannot_be_fused_in_training(void **state)
{
    (void)state;
    static const char normalised[] = "name: m\nlayers:\n  - {input: x, dims: {c: 3, y: 8, x: 8}}\n  - {conv: "
                                     "a, out: 3, kernel: 3, pad: 1}\n"
                                     "  - {norm: n, type: batch}\n  - {conv: b, out: 3, kernel: 3}\n";
    expect_refusal(
        normalised, 1, 3, NULL, true,
        "'n' takes statistics over 'y', of which tiles of a fused block overlap: in training it cannot "
        "be fused");
}

static void a_recurrent_layer_cannot_be_fused(void **state)
{
    (void)state;
    static const char recurrent[] =
        "name: m\nlayers:\n  - {input: x, dims: {s: 3, h: 4}}\n  - {lstm: l, hidden: 3}\n";
    expect_refusal(recurrent, 1, 1, "s:2 h:2", false, "'l' runs step by step, which cannot be fused");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tiles_grow_as_deepthings_grows_them),
        cmocka_unit_test(communication_volumes_are_those_of_deepthings),
        cmocka_unit_test(a_device_with_the_image_sends_only_the_result),
        cmocka_unit_test(redundant_work_is_that_of_deepthings),
        cmocka_unit_test(every_device_holds_all_weights_of_the_block),
        cmocka_unit_test(what_is_no_chain_cannot_be_fused),
        cmocka_unit_test(statistics_over_rows_cannot_be_fused_in_training),
        cmocka_unit_test(a_recurrent_layer_cannot_be_fused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
