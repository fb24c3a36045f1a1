/* Training on stages that share devices in any way: whatever the devices, the order can be run, every pass
 * runs once for each micro-batch on each device of its stage, and no device does two things at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "partita.h"
#include "plan/scheduled.h"
#include "study/scenario.h"

#include <stdio.h>
#include <string.h>

enum { DEVICES = 4, STAGES = 3, MICRO_BATCHES = 4 };

/* MNIST's CNN has two convolutions and two products; sets[s]: bits of the devices of a stage. */
static void load(struct scenario *scenario, const unsigned *sets, const char *schedule, char *text,
                 size_t room)
{
    static const char *const layers[STAGES] = {"conv1..pool1", "conv2..pool2", "flatten..softmax"};
    static const char *const dims[STAGES] = {"y", "o", "o"};
    int length =
        snprintf(text, room,
                 "topology: raspberry-pi-wifi\nset: {devices: %d}\nmodel: mnist-cnn\nstep: training\n"
                 "batch: {global: %d, micro: 1}\nprecision: fp32\nplan:\n%s  stages:\n",
                 DEVICES, MICRO_BATCHES, schedule);
    for (int s = 0; s < STAGES; s++) {
        char names[64] = "";
        int members = 0;
        for (int d = 0; d < DEVICES; d++)
            if (sets[s] >> d & 1)
                snprintf(names + strlen(names), sizeof names - strlen(names), "%s\"pi[%d]\"",
                         members++ ? ", " : "", d);
        length += snprintf(text + length, room - (size_t)length,
                           "    - {layers: %s, split: {%s: %d}, devices: [%s]}\n", layers[s], dims[s],
                           members, names);
    }
    struct scenario_options options = {
        .workload = "shared", .text = text, .data_root = partita_data_folder(), .brief = true};
    if (!scenario_load(scenario, &options)) {
        report_print(&scenario->input.report, stderr);
        fail_msg("not planned:\n%s", text);
    }
}

/* The stage that a layer with weights belongs to; -1: it is another one. */
static int stage_of(const char *layer)
{
    static const char *const first[STAGES] = {"conv1", "conv2", "fc1"};
    for (int s = 0; s < STAGES; s++)
        if (strcmp(layer, first[s]) == 0)
            return s;
    return -1;
}

/* Passes F, and W or B, of a rank in the first step. */
static void count_passes(const struct scenario *scenario, uint32_t rank, uint32_t *forward,
                         uint32_t *backward)
{
    const struct program *program = &scenario->job.programs[scenario->job.ranks[rank].program];
    bool seen[STAGES][MICRO_BATCHES][2] = {0};
    *forward = *backward = 0;
    for (uint32_t i = 0; i < program->op_count; i++) {
        const struct op *op = &program->ops[i];
        if (op->kind != OP_COMPUTE || op->step != 0 ||
            (op->pass != PASS_F && op->pass != PASS_W && op->pass != PASS_B))
            continue;
        int stage = stage_of(names_text(&scenario->names, op->label));
        if (stage < 0)
            continue;
        bool *at = &seen[stage][op->micro_batch][op->pass != PASS_F];
        *(op->pass == PASS_F ? forward : backward) += !*at;
        *at = true;
    }
}

static void check(const unsigned *sets, char *text, size_t room)
{
    struct scenario scenario;
    struct engine_result result = {0};
    const char *error = NULL;
    load(&scenario, sets, "", text, room);
    struct engine_options options = scenario_engine(&scenario);
    if (!engine_run(&scenario.platform, &scenario.job, &options, &result, &error))
        fail_msg("%s\n%s", error, text);
    for (uint32_t r = 0; r < scenario.job.rank_count; r++) {
        uint32_t forward, backward, stages = 0;
        for (int s = 0; s < STAGES; s++)
            stages += sets[s] >> scenario.job.ranks[r].device & 1;
        count_passes(&scenario, r, &forward, &backward);
        if (forward != stages * MICRO_BATCHES || backward != stages * MICRO_BATCHES)
            fail_msg("rank %u: %u forward and %u backward passes of %u stages\n%s", r, forward, backward,
                     stages, text);
    }
    engine_result_fini(&result);
    scenario_fini(&scenario);
}

static void any_stages_can_share_devices(void **state)
{
    (void)state;
    char text[2048];
    uint64_t random = 7;
    for (int round = 0; round < 60; round++) {
        unsigned sets[STAGES];
        for (int s = 0; s < STAGES; s++) {
            random = random * 6364136223846793005U + 1442695040888963407U;
            sets[s] = 1 + (unsigned)(random >> 33) % ((1 << DEVICES) - 1);
        }
        check(sets, text, sizeof text);
    }
}

static void stages_that_share_nothing_keep_1f1b(void **state)
{
    (void)state;
    char text[2048];
    struct scenario scenario;
    load(&scenario, (const unsigned[]){1, 2, 4}, "", text, sizeof text);
    assert_string_equal(scenario.plan.schedule->name, "1f1b");
    scenario_fini(&scenario);
    load(&scenario, (const unsigned[]){3, 12, 2}, "", text, sizeof text);
    assert_string_equal(scenario.plan.schedule->name, "list");
    assert_int_equal(scenario.plan.schedule_devices, 2);
    scenario_fini(&scenario);
}

/* One after the other on one device, which may hold one micro-batch: F F F B B B of each. */
static void on_one_device_a_micro_batch_is_finished_before_the_next(void **state)
{
    (void)state;
    char text[2048];
    struct scenario scenario;
    struct orders orders;
    load(&scenario, (const unsigned[]){1, 1, 1}, "", text, sizeof text);
    assert_true(scheduled_orders(&scenario.plan, scenario.derivations, &orders, &scenario.input.report));
    assert_int_equal(orders.devices, 1);
    assert_int_equal(orders.lists[0].count, 2 * STAGES * MICRO_BATCHES);
    for (uint32_t i = 0; i < orders.lists[0].count; i++)
        assert_int_equal(orders.lists[0].at[i].micro_batch, i / (2 * STAGES));
    orders_fini(&orders);
    scenario_fini(&scenario);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_stages_can_share_devices),
        cmocka_unit_test(stages_that_share_nothing_keep_1f1b),
        cmocka_unit_test(on_one_device_a_micro_batch_is_finished_before_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
