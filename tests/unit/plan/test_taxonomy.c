/* The partitioning schemes of edge and cloud systems as closed forms, per device: multiply-accumulates,
 * weights, maps and communication, with the algorithm that each scheme assumes. Sources: the survey of
 * Threadgill and Gerstlauer (2024) for the schemes; Stahl et al. (SAMOS 2019) for output and input splits in
 * a star. */
#include "plan_case.h"

#include "plan/memory.h"
#include "plan/state.h"
#include "plan/work.h"

/* Elements that a derivation moves when a coordinator carries it, which is one of its n members: what it
 * lacks is sent to it, what others lack it sends to them, one by one. `partial`: sums. */
static double star_elements(const struct derivation *d, const struct action *a)
{
    double elements = 0, n = d->stage->axis_count ? d->stage->axes[a->axis].size : 1;
    if (a->kind == ACTION_EXCHANGE || a->kind == ACTION_RECEIVE)
        for (uint32_t k = 0; k < a->message_count; k++)
            elements += d->messages.at[a->first_message + k].elements;
    if (a->kind != ACTION_COLLECTIVE)
        return elements;
    double whole = derive_payload(d, a, layout_coordinates(d->stage, 0)) / a->element_bytes;
    switch (a->collective) {
    case ALL_GATHER: /* the shares of the others to it; to each of them what it lacks */
        return whole * (n - 1) / n + (whole - whole / n) * (n - 1);
    case REDUCE_SCATTER: /* whole sums of the others to it; to each its share */
        return whole * (n - 1) + whole * (n - 1) / n;
    case ALL_REDUCE:
        return 2 * whole * (n - 1);
    default:
        fail_msg("collective %u is not expected here", a->collective);
        return 0;
    }
}

static double star_volume(const struct plan_case *c, bool backward)
{
    double elements = 0;
    for (uint32_t s = 0; s < c->plan.stages.count; s++) {
        const struct derivation *d = &c->derivations[s];
        for (uint32_t i = 0; i < (backward ? d->backward.count : d->forward.count); i++)
            elements += star_elements(d, backward ? &d->backward.at[i] : &d->forward.at[i]);
    }
    return elements;
}

/* The four fully connected layers 4-8-16-4-4 of Stahl et al. on two devices, of which one is the coordinator,
 * which has the input and wants the output. Labels say where an axis may split. */
static double toy_volume(const char *axes)
{
    struct plan_case c;
    case_init(&c,
              "name: m\nlayers:\n  - {input: x, dims: {h: 4}}\n  - {fc: a, out: {p: 8}, bias: no}\n"
              "  - {fc: b, over: p, out: {f: 16}, bias: no}\n  - {fc: c, over: f, out: {r: 4}, bias: no}\n"
              "  - {fc: d, over: r, out: {q: 4}, bias: no}\n  - {flatten: result}\n",
              1);
    c.plan.training = false;
    c.plan.schedule = &inference_schedule;
    case_stage(&c, 5, axes);
    case_stage(&c, 0, "");
    c.plan.stages.at[1].devices.at[0] = c.plan.stages.at[0].devices.at[0];
    c.plan.input_device = c.plan.stages.at[0].devices.at[0];
    assert_true(case_derive(&c));
    double volume = star_volume(&c, false), work = 0, weights = memory_parameters(&c.derivations[0], 1);
    for (uint32_t o = 0; o < c.derivations[0].operators.count; o++)
        work += work_forward(&c.derivations[0], o, 1).flops / 2;
    ASSERT_NEAR(work, (4 * 8 + 8 * 16 + 16 * 4 + 4 * 4) / 2.0,
                0); /* F = 120: multiply-accumulates of a device */
    ASSERT_NEAR(weights, 120, 0);
    case_fini(&c);
    return volume;
}

static void the_toy_network_of_stahl_communicates_as_published(void **state)
{
    (void)state;
    ASSERT_NEAR(toy_volume("p,r:2"), 40, 0);   /* a and b fused, c and d fused */
    ASSERT_NEAR(toy_volume("o:2"), 34, 0);     /* all outputs */
    ASSERT_NEAR(toy_volume("f,p,q:2"), 22, 0); /* a alone, b and c fused, d alone: the optimum */
    ASSERT_NEAR(toy_volume("i:2"), 48, 0);     /* all inputs */
}

/* Elements that a model's forward pass moves in a star: one device has the input and wants the output. The
 * first `units` units are split along `axes` over devices of which it is the first. */
static double star_of(const char *model, uint32_t units, const char *axes)
{
    struct plan_case c;
    case_init(&c, model, 1);
    c.plan.training = false;
    c.plan.schedule = &inference_schedule;
    case_stage(&c, units, axes);
    case_stage(&c, 0, "");
    c.plan.stages.at[1].devices.at[0] = c.plan.input_device = c.plan.stages.at[0].devices.at[0];
    assert_true(case_derive(&c));
    double volume = star_volume(&c, false);
    case_fini(&c);
    return volume;
}

/* Splits of single layers and of fused pairs in a star of N, as in the survey: M and K are the elements of a
 * layer's input and output. Outputs: M (N-1) + K (N-1)/N; inputs: M (N-1)/N + K (N-1); outputs, then inputs:
 * M (N-1) + K (N-1), with nothing between. */
static void layers_split_in_a_star_move_what_their_equations_say(void **state)
{
    (void)state;
#define STAR(layer) "name: m\nlayers:\n  - {input: x, dims: {" layer "  - {flatten: result}\n"
    static const struct {
        const char *name, *model, *output, *input;
        uint32_t units;
        double in, out; /* M and K */
    } layers[] = {
        {"fc", STAR("h: 24}}\n  - {fc: a, out: 36, bias: no}\n"), "o", "i", 2, 24, 36},
        {"conv", STAR("c: 12, y: 5, x: 4}}\n  - {conv: a, out: 24, kernel: 3, pad: 1, bias: no}\n"), "o", "i",
         2, 12 * 5 * 4, 24 * 5 * 4},
        {"fc, fused",
         STAR(
             "h: 24}}\n  - {fc: a, out: {f: 12}, act: relu}\n  - {fc: b, over: f, out: {r: 36}, bias: no}\n"),
         "f", NULL, 3, 24, 36},
        {"conv, fused", /* the second has one filter, so that its inputs are split */
         STAR("c: 6, y: 5, x: 4}}\n  - {conv: a, out: 12, kernel: 3, pad: 1, act: relu}\n"
              "  - {conv: b, out: 1, kernel: 1, bias: no}\n"),
         "o,i", NULL, 3, 6 * 5 * 4, 5 * 4},
    };
#undef STAR
    for (size_t k = 0; k < sizeof layers / sizeof layers[0]; k++)
        for (uint32_t n = 2; n <= 6; n += 1 + n / 4) {
            char axes[16];
            double m = layers[k].in, out = layers[k].out, others = n - 1;
            if (getenv("PARTITA_VERBOSE"))
                fprintf(stderr, "%s, %u devices\n", layers[k].name, n);
            snprintf(axes, sizeof axes, "%s:%u", layers[k].output, n);
            bool fused = !layers[k].input;
            ASSERT_NEAR(star_of(layers[k].model, layers[k].units, axes),
                        fused ? (m + out) * others : m * others + out * others / n, 1e-12);
            if (fused)
                continue;
            snprintf(axes, sizeof axes, "%s:%u", layers[k].input, n);
            ASSERT_NEAR(star_of(layers[k].model, layers[k].units, axes), m * others / n + out * others,
                        1e-12);
        }
}

/* Elements that go from and to a coordinator which hands out the rows of each layer with their borders and
 * collects its whole map. `works`: it is the first of the n devices that compute; otherwise one besides. */
static double rescattered(uint32_t n, bool works)
{
    struct plan_case c;
    char axes[16];
    snprintf(axes, sizeof axes, "y:%u", n);
    case_init(
        &c,
        "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 12, x: 5}}\n  - {conv: a, out: 3, kernel: 3, pad: "
        "1}\n"
        "  - {act: s, function: relu}\n  - {conv: b, out: 4, kernel: 3, pad: 1}\n  - {act: t, function: "
        "relu}\n",
        1);
    c.plan.training = false;
    c.plan.schedule = &inference_schedule;
    for (uint32_t s = 0; s < 4; s++)
        case_stage(&c, s ? 1 : 2, s % 2 ? "" : axes);
    struct plan_stage *stages = c.plan.stages.at;
    memcpy(stages[2].devices.at, stages[0].devices.at, n * sizeof *stages[0].devices.at);
    uint32_t coordinator = works ? stages[0].devices.at[0] : stages[1].devices.at[0];
    stages[1].devices.at[0] = stages[3].devices.at[0] = c.plan.input_device = coordinator;
    assert_true(case_derive(&c));
    double volume = star_volume(&c, false);
    case_fini(&c);
    return volume;
}

/* MoDNN, where whole maps go through the coordinator: in each layer all M elements of the input and the 2
 * (n-1) borders of h rows go out, and all K of the output come back; without those of a coordinator that
 * works. */
static void a_map_that_is_gathered_and_handed_out_again_crosses_twice_a_layer(void **state)
{
    (void)state;
    enum { ROW_X = 2 * 5, ROW_A = 3 * 5, ROW_B = 4 * 5, ROWS = 12 }; /* elements of a row of x, a and b */
    for (uint32_t n = 2; n <= 6; n += 1 + n / 4) {
        double out = ROWS + 2 * (n - 1),
               others = ROWS * (n - 1) / n + 2 * (n - 1) - 1; /* rows with borders */
        ASSERT_NEAR(rescattered(n, false), out * ROW_X + ROWS * ROW_A + out * ROW_A + ROWS * ROW_B, 0);
        ASSERT_NEAR(rescattered(n, true), others * (ROW_X + ROW_A) + ROWS * (n - 1) / n * (ROW_A + ROW_B), 0);
    }
}

/* The layers of YOLOv2 that are heavy in weights, 16 to 30, with all outputs split over six devices: 78.1 MB
 * in the paper, which its equations give in units of 2^20. The map comes from the first device and its
 * results go back there. */
static void the_late_layers_of_yolov2_communicate_as_stahl_measured(void **state)
{
    (void)state;
    struct plan_case c;
    case_init_shipped(&c, "yolov2", "{size: 608}", 1);
    c.plan.training = false;
    c.plan.schedule = &inference_schedule;
    case_stage(&c, 17, "");
    case_stage(&c, 0, "o,c:6");
    c.plan.stages.at[0].devices.at[0] = c.plan.stages.at[1].devices.at[0];
    assert_true(case_derive(&c));
    const struct tensor *output = &c.model.tensors.at[c.model.layers.at[c.model.layers.count - 1].output];
    double gathered = model_elements(output) * 5 / 6, bytes = 4 * (star_volume(&c, false) + gathered);
    if (!(fabs(bytes / (1 << 20) / 78.1 - 1) < 0.02))
        fail_msg("%g MiB are communicated, not 78.1", bytes / (1 << 20));
    case_fini(&c);
}

/* 203.85 MB of weights: 204, 68, 41, 34 and 29 MB a device. Channels that do not divide by 7 leave 0.3 %
 * more. */
static void weights_of_yolov2_split_by_outputs_are_the_total_over_the_devices(void **state)
{
    (void)state;
    static const uint32_t devices[] = {1, 3, 5, 6, 7}, published[] = {204, 68, 41, 34, 29};
    for (size_t k = 0; k < 5; k++) {
        char axes[16];
        struct plan_case c;
        case_init_shipped(&c, "yolov2", "{size: 608}", 1);
        c.plan.training = false;
        c.plan.schedule = &inference_schedule;
        snprintf(axes, sizeof axes, "o,c:%u", devices[k]);
        case_stage(&c, 0, devices[k] > 1 ? axes : "");
        assert_true(case_derive(&c));
        double sum = 0, total = (double)model_parameters(&c.model);
        for (uint32_t m = 0; m < devices[k]; m++) {
            double mine = memory_parameters(c.derivations, m);
            sum += mine;
            if (!(fabs(mine * devices[k] / total - 1) < 0.01))
                fail_msg("device %u of %u holds %g of %g weights", m, devices[k], mine, total);
        }
        ASSERT_NEAR(sum, total, 1e-12);
        assert_int_equal((int)round(4 * total / devices[k] / 1e6), published[k]);
        case_fini(&c);
    }
}

/* The sequential mapping of the same network: two layers on each device, F = 160 and 80, T = 240, C = 16. */
static void the_toy_network_layer_by_layer_sends_one_activation(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(
        &c,
        "name: m\nlayers:\n  - {input: x, dims: {h: 4}}\n  - {fc: a, out: 8, bias: no}\n"
        "  - {fc: b, out: 16, bias: no}\n  - {fc: c, out: 4, bias: no}\n  - {fc: d, out: 4, bias: no}\n",
        1);
    c.plan.training = false;
    c.plan.schedule = &inference_schedule;
    case_stage(&c, 3, "");
    case_stage(&c, 0, "");
    assert_true(case_derive(&c));
    ASSERT_NEAR(star_volume(&c, false), 16, 0);
    static const double macs[] = {160, 80};
    for (uint32_t s = 0; s < 2; s++) {
        double work = 0;
        for (uint32_t o = 0; o < c.derivations[s].operators.count; o++)
            work += work_forward(&c.derivations[s], o, 0).flops / 2;
        ASSERT_NEAR(work, macs[s], 0);
        ASSERT_NEAR(memory_parameters(&c.derivations[s], 0), macs[s], 0); /* a weight a multiply-accumulate */
    }
    case_fini(&c);
}

/* One layer split by one scheme, seen from one member. */
struct row {
    const char *name, *model, *axes;
    uint32_t member;
    double macs, weights, input,
        output;                     /* of the undivided layer's; input and output: of what the member holds */
    double forward[3], backward[3]; /* elements: all-gathered, reduce-scattered, all-reduced */
};

#define FC_LAYERS                                                                                            \
    "name: m\nlayers:\n  - {input: x, dims: {h: 6}}\n  - {fc: z, out: 24, bias: no}\n"                       \
    "  - {fc: a, out: 48, bias: no}\n"
#define CONV_LAYERS(keys)                                                                                    \
    "name: m\nlayers:\n  - {input: x, dims: {c: 6, y: 12, x: 6}}\n  - {conv: z, out: 6, kernel: 1, bias: "   \
    "no}\n"                                                                                                  \
    "  - {conv: a, out: 12, kernel: 3, pad: 1, bias: no" keys "}\n"
#define CONV_DILATED                                                                                         \
    "name: m\nlayers:\n  - {input: x, dims: {c: 6, y: 12, x: 6}}\n  - {conv: z, out: 6, kernel: 1, bias: "   \
    "no}\n  - {conv: a, out: 12, kernel: 3, pad: 2, dilation: 2, bias: no}\n"
enum {
    SAMPLES = 6,
    FC_IN = SAMPLES * 24,
    FC_OUT = SAMPLES * 48,
    MAP_IN = SAMPLES * 6 * 12 * 6,
    MAP_OUT = SAMPLES * 12 * 12 * 6
};

static const struct row rows[] = {
    {"fc, output", FC_LAYERS, "o:3", 1, 1 / 3., 1 / 3., 1, 1 / 3., {FC_IN}, {0, FC_IN}},
    {"fc, input", FC_LAYERS, "i:3", 1, 1 / 3., 1 / 3., 1 / 3., 1, {0, FC_IN}, {FC_IN}},
    {"fc, output and input", FC_LAYERS, "o:2 i:3", 4, 1 / 6., 1 / 6., 1 / 3., 1 / 2., {-1}, {-1}},
    {"fc, batch", FC_LAYERS, "b:3", 1, 1 / 3., 1, 1 / 3., 1 / 3., {0}, {0}},
    {"conv, filters", CONV_LAYERS(""), "o:3", 1, 1 / 3., 1 / 3., 1, 1 / 3., {MAP_IN}, {0, MAP_IN}},
    {"conv, channels", CONV_LAYERS(""), "i:3", 1, 1 / 3., 1 / 3., 1 / 3., 1, {0, MAP_IN}, {MAP_IN}},
    {"conv, batch", CONV_LAYERS(""), "b:3", 1, 1 / 3., 1, 1 / 3., 1 / 3., {0}, {0}},
    {"conv, rows", CONV_LAYERS(""), "y:3", 1, 1 / 3., 1, (4 + 2) / 12., 1 / 3., {0}, {0}},
    {"conv, grid", CONV_LAYERS(""), "y:3 x:2", 2, 1 / 6., 1, (4 + 2) * (3 + 1) / 72., 1 / 6., {0}, {0}},
    {"conv, dilated rows", CONV_DILATED, "y:3", 1, 1 / 3., 1, (4 + 4) / 12., 1 / 3., {0}, {0}},
    {"conv, groups", CONV_LAYERS(", groups: 3"), "c,o:3", 1, 1 / 3., 1 / 3., 1 / 3., 1 / 3., {0}, {0}},
};

/* What a member touches of the input and the output of the last operator. */
static double touched(const struct derivation *d, const struct operand *operand, uint32_t member)
{
    uint32_t last = d->operators.count - 1;
    struct box box =
        assign_box(d->stage, d->plan->model, state_operator(d, last), &d->operators.at[last].assignment,
                   operand, layout_coordinates(d->stage, member));
    return layout_elements(&box, state_tensor(d, operand->tensor)->rank);
}

static void expect_collectives(const struct derivation *d, bool backward, const double *expected)
{
    static const int kinds[] = {ALL_GATHER, REDUCE_SCATTER, ALL_REDUCE};
    double got[3] = {0};
    for (uint32_t i = 0; i < (backward ? d->backward.count : d->forward.count); i++) {
        const struct action *a = backward ? &d->backward.at[i] : &d->forward.at[i];
        for (int k = 0; k < 3; k++)
            if (a->kind == ACTION_COLLECTIVE && a->collective == kinds[k])
                got[k] += derive_payload(d, a, layout_coordinates(d->stage, 0)) / a->element_bytes;
    }
    for (int k = 0; k < 3 && expected[0] >= 0; k++)
        ASSERT_NEAR(got[k], expected[k], 0);
}

static void schemes_within_a_layer_share_work_weights_and_maps_as_their_closed_forms_say(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
        const struct row *row = &rows[r];
        struct plan_case whole, c;
        case_init(&whole, row->model, SAMPLES);
        case_init(&c, row->model, SAMPLES);
        case_stage(&whole, 0, "");
        case_stage(&c, 0, row->axes);
        assert_true(case_derive(&whole) && case_derive(&c));
        const struct derivation *one = whole.derivations, *d = c.derivations;
        uint32_t last = d->operators.count - 1, weight = d->parameters.count - 1;
        const struct layer_op *layer_op = state_operator(d, last);
        if (getenv("PARTITA_VERBOSE"))
            fprintf(stderr, "%s\n", row->name);
        ASSERT_NEAR(work_forward(d, last, row->member).flops, row->macs * work_forward(one, last, 0).flops,
                    1e-12);
        ASSERT_NEAR(work_backward(d, last, row->member).flops,
                    2 * row->macs * work_forward(one, last, 0).flops, 1e-12);
        ASSERT_NEAR(memory_parameter(d, weight, row->member), row->weights * memory_parameter(one, weight, 0),
                    1e-12);
        ASSERT_NEAR(touched(d, &layer_op->operands[0], row->member),
                    row->input * touched(one, &layer_op->operands[0], 0), 1e-12);
        ASSERT_NEAR(touched(d, &layer_op->output, row->member),
                    row->output * touched(one, &layer_op->output, 0), 1e-12);
        expect_collectives(d, false, row->forward);
        expect_collectives(d, true, row->backward);
        case_fini(&c);
        case_fini(&whole);
    }
}

/* A 3 x 3 grid: the member in the middle gets two rows, two columns and four corners of every map. */
static void a_grid_exchanges_rows_columns_and_corners(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(&c, CONV_LAYERS(""), SAMPLES);
    case_stage(&c, 0, "y:3 x:3");
    assert_true(case_derive(&c));
    const struct derivation *d = c.derivations;
    double got[9] = {0};
    uint32_t senders = 0;
    for (uint32_t i = 0; i < d->forward.count; i++)
        for (uint32_t k = 0; d->forward.at[i].kind == ACTION_EXCHANGE && k < d->forward.at[i].message_count;
             k++) {
            const struct message_part *message = &d->messages.at[d->forward.at[i].first_message + k];
            got[message->to] += message->elements;
            senders += message->to == 4;
        }
    ASSERT_NEAR(got[4], SAMPLES * 6 * (2 * 2 + 2 * 4 + 4), 0);
    ASSERT_NEAR(got[0], SAMPLES * 6 * (2 + 4 + 1), 0);
    assert_int_equal(senders, 8);
    case_fini(&c);
}

/* Pooling windows that overlap reach over the edge of a share; those that tile the map along it do not. */
static void pooling_needs_a_halo_only_where_its_windows_overlap(void **state)
{
    (void)state;
    static const struct {
        const char *keys;
        double rows; /* that the member in the middle gets */
    } pools[] = {{"kernel: 2", 0}, {"kernel: 3, stride: 1, pad: 1", 2}, {"kernel: 3, stride: 2, pad: 1", 1}};
    for (size_t k = 0; k < sizeof pools / sizeof pools[0]; k++) {
        char model[256];
        snprintf(model, sizeof model,
                 "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 12, x: 4}}\n  - {conv: z, out: 2, kernel: "
                 "1}\n  - {pool: p, %s}\n",
                 pools[k].keys);
        struct plan_case c;
        case_init(&c, model, 1);
        case_stage(&c, 0, "y:3");
        assert_true(case_derive(&c));
        const struct derivation *d = c.derivations;
        double got = 0;
        for (uint32_t i = 0; i < d->forward.count; i++)
            for (uint32_t n = 0;
                 d->forward.at[i].kind == ACTION_EXCHANGE && n < d->forward.at[i].message_count; n++) {
                const struct message_part *message = &d->messages.at[d->forward.at[i].first_message + n];
                got += message->to == 1 ? message->elements : 0;
            }
        ASSERT_NEAR(got, pools[k].rows * 2 * 4, 0);
        case_fini(&c);
    }
}

/* Vocabulary split: each member has its rows of the table and of the logits; the embeddings are summed. */
static void a_vocabulary_split_shares_the_table_and_sums_embeddings(void **state)
{
    (void)state;
    struct plan_case c;
    case_init(
        &c,
        "name: m\nlayers:\n  - {input: t, dims: {s: 5}, discrete: yes}\n  - {embedding: e, vocabulary: 12, "
        "out: 8}\n  - {norm: n, bias: no}\n  - {fc: l, out: {v: 12}, bias: no}\n  - {loss: loss, over: "
        "v}\n",
        2);
    case_stage(&c, 0, "v:4");
    assert_true(case_derive(&c));
    const struct derivation *d = c.derivations;
    ASSERT_NEAR(memory_parameters(d, 2), 2 * 12 * 8 / 4.0 + 8, 0);
    double sums[2] = {0}, statistics = 0;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t i = 0; i < (pass ? d->backward.count : d->forward.count); i++) {
            const struct action *a = pass ? &d->backward.at[i] : &d->forward.at[i];
            if (a->kind != ACTION_COLLECTIVE)
                continue;
            assert_int_equal(a->collective, ALL_REDUCE);
            double elements = derive_payload(d, a, layout_coordinates(d->stage, 0)) / a->element_bytes;
            *(a->elements > 0 ? &statistics : &sums[pass]) += elements;
        }
    ASSERT_NEAR(sums[0], 2 * 5 * 8, 0);    /* B s h: the embeddings */
    ASSERT_NEAR(sums[1], 2 * 5 * 8, 0);    /* B s h: the gradient of what the logits read */
    ASSERT_NEAR(statistics, 3 * 2 * 5, 0); /* B s each: maximum, the target's logit, sum of exponentials */
    case_fini(&c);
}

/* Batch norm over rows of several members: two values per channel are summed each way, if synchronised. */
static void batch_norm_sums_two_values_a_channel_unless_told_not_to(void **state)
{
    (void)state;
    for (int synchronised = 0; synchronised < 2; synchronised++) {
        struct plan_case c;
        case_init(
            &c,
            "name: m\nlayers:\n  - {input: x, dims: {c: 3, y: 8, x: 4}}\n  - {conv: a, out: 5, kernel: 1}\n"
            "  - {norm: n, type: batch}\n",
            2);
        c.plan.synchronise_statistics = synchronised;
        case_stage(&c, 0, "y:4");
        assert_true(case_derive(&c));
        const struct derivation *d = c.derivations;
        double values[2] = {0};
        for (int pass = 0; pass < 2; pass++)
            for (uint32_t i = 0; i < (pass ? d->backward.count : d->forward.count); i++) {
                const struct action *a = pass ? &d->backward.at[i] : &d->forward.at[i];
                if (a->kind != ACTION_KERNEL)
                    values[pass] += derive_payload(d, a, layout_coordinates(d->stage, 0)) / a->element_bytes;
            }
        ASSERT_NEAR(values[0], synchronised ? 2 * 5 : 0, 0);
        ASSERT_NEAR(values[1], synchronised ? 2 * 5 : 0, 0);
        case_fini(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schemes_within_a_layer_share_work_weights_and_maps_as_their_closed_forms_say),
        cmocka_unit_test(a_grid_exchanges_rows_columns_and_corners),
        cmocka_unit_test(pooling_needs_a_halo_only_where_its_windows_overlap),
        cmocka_unit_test(a_vocabulary_split_shares_the_table_and_sums_embeddings),
        cmocka_unit_test(batch_norm_sums_two_values_a_channel_unless_told_not_to),
        cmocka_unit_test(the_late_layers_of_yolov2_communicate_as_stahl_measured),
        cmocka_unit_test(weights_of_yolov2_split_by_outputs_are_the_total_over_the_devices),
        cmocka_unit_test(the_toy_network_layer_by_layer_sends_one_activation),
        cmocka_unit_test(the_toy_network_of_stahl_communicates_as_published),
        cmocka_unit_test(layers_split_in_a_star_move_what_their_equations_say),
        cmocka_unit_test(a_map_that_is_gathered_and_handed_out_again_crosses_twice_a_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
