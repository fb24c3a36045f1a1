/* Exchanges that a coordinator passes on, against closed forms: how many elements go to it and from it. */
#include "plan_case.h"

#include "collective/collective.h"
#include "plan/exchange.h"
#include "plan/workload.h"

/* Gives the halo exchanges of a group (NULL: of all) to coordinators. */
static void through_root(struct plan_case *c, const char *group)
{
    struct workload_carrier *carrier = ARENA_NEW(&c->arena, struct workload_carrier);
    *carrier =
        (struct workload_carrier){.group = group, .kind = HALO_EXCHANGE, .algorithm = &via_root_algorithm};
    c->plan.carriers = carrier;
    c->plan.carrier_count = 1;
}

/* Elements of all exchanges of a pass, by leg. */
struct volumes {
    double of[3];
};

static struct volumes volumes_of(const struct derivation *d, bool backward)
{
    struct volumes volumes = {{0}};
    for (uint32_t i = 0; i < (backward ? d->backward.count : d->forward.count); i++) {
        const struct action *a = backward ? &d->backward.at[i] : &d->forward.at[i];
        for (uint32_t k = 0; a->kind == ACTION_EXCHANGE && k < a->message_count; k++)
            volumes.of[a->leg] += d->messages.at[a->first_message + k].elements;
    }
    return volumes;
}

static void expect_volumes(const struct derivation *d, bool backward, double straight, double to, double from)
{
    struct volumes volumes = volumes_of(d, backward);
    ASSERT_NEAR(volumes.of[EXCHANGE_STRAIGHT], straight, 0);
    ASSERT_NEAR(volumes.of[EXCHANGE_TO_ROOT], to, 0);
    ASSERT_NEAR(volumes.of[EXCHANGE_FROM_ROOT], from, 0);
}

enum { WIDTH = 5, CHANNELS = 2, ROW = WIDTH * CHANNELS };

/* A convolution of `window` rows over 24 rows of so many samples, split as `axes` says. */
static void rows_case(struct plan_case *c, uint32_t window, const char *axes, uint64_t samples,
                      bool coordinated)
{
    char model[256];
    snprintf(model, sizeof model,
             "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 24, x: 5}}\n  - {conv: z, out: 2, kernel: 1}\n"
             "  - {conv: a, out: 3, kernel: [%u, 3], pad: [%u, 1], bias: no}\n",
             window, window / 2);
    case_init(c, model, samples);
    case_stage(c, 0, axes);
    if (coordinated)
        through_root(c, "y");
    assert_true(case_derive(c));
}

/* With h = window / 2 and shares of at least 2 h rows: members 1 to n - 1 send h rows up, all but the last
 * one h rows more; those inside get 2 h rows, the last one h. Backward the same, of gradients. */
static void a_coordinator_with_a_share_gets_the_borders_of_all_others_and_sends_them_theirs(void **state)
{
    (void)state;
    for (uint32_t n = 3; n <= 6; n++)
        for (uint32_t h = 0; h <= 2; h++) {
            struct plan_case c;
            char axes[16];
            snprintf(axes, sizeof axes, "y:%u", n);
            rows_case(&c, 2 * h + 1, axes, 1, true);
            for (int backward = 0; backward < 2; backward++)
                expect_volumes(c.derivations, backward, 0, (2 * n - 3) * h * ROW, (2 * n - 3) * h * ROW);
            case_fini(&c);
        }
}

/* One that has no share, as a gateway: twice the 2 (n - 1) h rows that n others send each other straight. */
static void a_coordinator_without_a_share_doubles_what_is_sent(void **state)
{
    (void)state;
    for (uint32_t h = 1; h <= 2; h++) {
        struct plan_case c, straight;
        rows_case(&c, 2 * h + 1, "y:0/1/1/1/1", 1, true);
        rows_case(&straight, 2 * h + 1, "y:4", 1, false);
        expect_volumes(c.derivations, false, 0, 2 * 3 * h * ROW, 2 * 3 * h * ROW);
        expect_volumes(c.derivations, true, 0, 2 * 3 * h * ROW, 2 * 3 * h * ROW);
        expect_volumes(straight.derivations, false, 2 * 3 * h * ROW, 0, 0);
        case_fini(&c);
        case_fini(&straight);
    }
}

/* Two members have nothing that a third passes on. */
static void two_members_exchange_straight(void **state)
{
    (void)state;
    struct plan_case c;
    rows_case(&c, 3, "y:2", 1, true);
    expect_volumes(c.derivations, false, 2 * ROW, 0, 0);
    expect_volumes(c.derivations, true, 2 * ROW, 0, 0);
    case_fini(&c);
}

/* Shares of 4 rows under a window of 17: each member needs up to 8 rows on each side. Forward, a row goes to
 * the coordinator once, though four others want it; backward, it sends one sum for all that it got. */
static void a_coordinator_gets_a_row_once_and_sends_one_sum(void **state)
{
    (void)state;
    struct plan_case c;
    rows_case(&c, 17, "y:6", 1, true);
    double wanted = (4 + 8) + (8 + 8) + (8 + 8) + (8 + 4) + 8, owned = 5 * 4; /* of members 1 to 5 */
    expect_volumes(c.derivations, false, 0, owned * ROW, wanted * ROW);
    expect_volumes(c.derivations, true, 0, wanted * ROW, owned * ROW);
    case_fini(&c);
}

/* The two halves of a batch have a coordinator each: the first of their y. */
static void members_that_exchange_nothing_have_coordinators_of_their_own(void **state)
{
    (void)state;
    static const char *const meshes[] = {"b:2 y:3", "y:3 b:2"};
    for (size_t k = 0; k < 2; k++) {
        struct plan_case c;
        rows_case(&c, 3, meshes[k], 2, true);
        const struct derivation *d = c.derivations;
        uint32_t seen = 0;
        for (uint32_t i = 0; i < d->forward.count; i++)
            for (uint32_t n = 0; d->forward.at[i].leg && n < d->forward.at[i].message_count; n++) {
                const struct message_part *message = &d->messages.at[d->forward.at[i].first_message + n];
                bool up = d->forward.at[i].leg == EXCHANGE_TO_ROOT;
                uint32_t root = up ? message->to : message->from, other = up ? message->from : message->to;
                uint32_t y = k ? 0 : 1, b = 1 - y;
                assert_int_equal(layout_coordinates(d->stage, root).at[y], 0);
                assert_int_equal(layout_coordinates(d->stage, root).at[b],
                                 layout_coordinates(d->stage, other).at[b]);
                seen |= 1u << root;
            }
        assert_int_equal(seen, k ? 1 << 0 | 1 << 1 : 1 << 0 | 1 << 3);
        case_fini(&c);
    }
}

/* Rows that windows of `kernel` rows every `stride` read and their member does not own, row by row. */
static uint32_t rows_read_of_others(uint32_t rows, uint32_t kernel, uint32_t stride, uint32_t pad, uint32_t n)
{
    uint32_t places = (rows + 2 * pad - kernel) / stride + 1, count = 0;
    for (uint32_t m = 0; m < n; m++)
        for (uint32_t row = 0; row < rows; row++) {
            bool reads = false;
            for (uint32_t y = places * m / n; y < places * (m + 1) / n; y++)
                reads |= row + pad >= y * stride && row + pad < y * stride + kernel;
            count += reads && (row < rows * m / n || row >= rows * (m + 1) / n);
        }
    return count;
}

/* Where strides are longer than windows, the rows between those stay where they are; so do their gradients.
 */
static void strided_windows_exchange_the_rows_that_they_read_and_no_others(void **state)
{
    (void)state;
    uint32_t between = 0; /* cases in which whole intervals would have been more */
    for (uint32_t stride = 1; stride <= 5; stride++)
        for (uint32_t kernel = 1; kernel <= 4; kernel++)
            for (uint32_t pad = 0; pad < kernel; pad++)
                for (uint32_t n = 2; n <= 4; n++) {
                    char model[256], axes[16];
                    struct plan_case c;
                    snprintf(
                        model, sizeof model,
                        "name: m\nlayers:\n  - {input: x, dims: {c: 2, y: 23, x: 5}}\n  - {conv: z, out: 2, "
                        "kernel: 1}\n  - {conv: a, out: 3, kernel: [%u, 1], stride: [%u, 1], pad: [%u, 0], "
                        "bias: no}\n",
                        kernel, stride, pad);
                    snprintf(axes, sizeof axes, "y:%u", n);
                    case_init(&c, model, 1);
                    case_stage(&c, 0, axes);
                    assert_true(case_derive(&c));
                    uint32_t rows = rows_read_of_others(23, kernel, stride, pad, n);
                    for (int backward = 0; backward < 2; backward++)
                        expect_volumes(c.derivations, backward, rows * ROW, 0, 0);
                    between += stride > kernel && rows;
                    case_fini(&c);
                }
    assert_true(between > 10);
}

/* Bytes of all messages of a forward pass: from the image's device, between stages, and inside them. */
static double all_bytes(const struct plan_case *c)
{
    double bytes = 0;
    for (uint32_t s = 0; s < c->plan.stages.count; s++)
        for (uint32_t i = 0; i < c->derivations[s].forward.count; i++) {
            const struct action *a = &c->derivations[s].forward.at[i];
            for (uint32_t k = 0; a->kind != ACTION_SEND && k < a->message_count; k++)
                bytes += c->derivations[s].messages.at[a->first_message + k].elements * a->element_bytes;
        }
    return bytes;
}

/* The first sixteen layers of YOLOv2 by rows on so many boards, of which the first has the image, and a
 * gateway that hands out rows, passes on borders and collects the map. */
static void modnn_case(struct plan_case *c, uint32_t boards)
{
    char axes[32] = "y:0";
    case_init_shipped(c, "yolov2-first16", NULL, 1);
    c->plan.training = false;
    c->plan.schedule = &inference_schedule;
    for (uint32_t i = 0; i < boards; i++)
        strcat(axes, "/1");
    case_stage(c, 2, "");
    case_stage(c, 16, axes);
    case_stage(c, 0, "");
    struct plan_stage *stages = c->plan.stages.at;
    stages[1].axes[0].rounds_up = true;
    stages[1].devices.at[0] = stages[2].devices.at[0] = stages[0].devices.at[0];
    c->plan.input_device = stages[1].devices.at[1];
    through_root(c, NULL);
    assert_true(case_derive(c));
}

/* MiB per frame of MoDNN on one to six boards, in the comparison of Zhao, Barijough and Gerstlauer (2018). */
static void modnn_communicates_what_was_published(void **state)
{
    (void)state;
    static const double published[] = {9.87, 10.92, 12.87, 13.92, 17.05, 19.59};
    for (uint32_t boards = 1; boards <= 6; boards++) {
        struct plan_case c;
        modnn_case(&c, boards);
        ASSERT_NEAR(round(all_bytes(&c) / (1 << 20) * 100) / 100, published[boards - 1], 1e-12);
        case_fini(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_coordinator_with_a_share_gets_the_borders_of_all_others_and_sends_them_theirs),
        cmocka_unit_test(a_coordinator_without_a_share_doubles_what_is_sent),
        cmocka_unit_test(two_members_exchange_straight),
        cmocka_unit_test(a_coordinator_gets_a_row_once_and_sends_one_sum),
        cmocka_unit_test(members_that_exchange_nothing_have_coordinators_of_their_own),
        cmocka_unit_test(strided_windows_exchange_the_rows_that_they_read_and_no_others),
        cmocka_unit_test(modnn_communicates_what_was_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
