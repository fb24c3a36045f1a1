#include "pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* A timeline written down by hand: one rank per program, one step unless said otherwise. */
struct drawn {
    uint32_t rank, stream;
    uint8_t kind;
    double start, end;
    uint32_t step;
};

struct sheet {
    struct names names;
    struct arena arena;
    struct job job;
    struct engine_result result;
    struct platform platform;
    struct model model;
    struct plan plan;
    struct metrics metrics;
    const char *error;
};

enum { SHEET_STREAMS = 3 }; /* 0 computes, 1 is of group "tensor", 2 of group "data"; 3 computes too */

static void sheet_init(struct sheet *sheet, const struct drawn *drawn, uint32_t count, uint32_t ranks)
{
    *sheet = (struct sheet){0};
    names_init(&sheet->names);
    arena_init(&sheet->arena);
    struct job *job = &sheet->job;
    struct arena *arena = &sheet->arena;
    *job = (struct job){.names = &sheet->names, .program_count = ranks, .rank_count = ranks, .steps = 1};
    job->programs = ARENA_ARRAY(arena, struct program, ranks);
    job->ranks = ARENA_ARRAY(arena, struct rank, ranks);
    job->groups = ARENA_ARRAY(arena, struct group, 2);
    job->groups[0] = (struct group){.name = names_add(&sheet->names, "tensor"), .member_count = 4};
    job->groups[1] = (struct group){.name = names_add(&sheet->names, "data"), .member_count = 2};
    job->group_count = job->group_table_count = 2;
    job->group_table = ARENA_ARRAY(arena, uint32_t, 2);
    job->group_table[1] = 1;
    sheet->result.records = ARENA_ARRAY(arena, struct engine_record, count);
    sheet->result.first_record = ARENA_ARRAY(arena, uint32_t, ranks + 1);
    uint32_t at = 0;
    for (uint32_t rank = 0; rank < ranks; rank++) {
        struct program *program = &job->programs[rank];
        job->ranks[rank] = (struct rank){.device = rank, .program = rank};
        program->ops = ARENA_ARRAY(arena, struct op, count);
        program->stream_count = SHEET_STREAMS;
        program->streams = ARENA_ARRAY(arena, struct program_stream, SHEET_STREAMS + 1);
        program->streams[0].compute = program->streams[3].compute = true;
        sheet->result.first_record[rank] = at;
        for (uint32_t i = 0; i < count; i++) {
            if (drawn[i].rank != rank)
                continue;
            struct op *op = &program->ops[program->op_count++];
            *op =
                (struct op){.kind = drawn[i].kind, .stream = (uint8_t)drawn[i].stream, .step = drawn[i].step};
            op->group = drawn[i].kind == OP_COMPUTE ? PROGRAM_NONE : drawn[i].stream - 1;
            op->bytes = op->kind == OP_COMPUTE ? 0 : 1000;
            op->collective = ALL_REDUCE;
            op->flops = op->kind == OP_COMPUTE ? 50 : 0;
            if (drawn[i].stream == 3)
                program->stream_count = SHEET_STREAMS + 1;
            if (op->step >= job->steps)
                job->steps = op->step + 1;
            sheet->result.records[at++] =
                (struct engine_record){.ready = drawn[i].start, .start = drawn[i].start, .end = drawn[i].end};
        }
    }
    sheet->result.first_record[ranks] = at;
    struct device_type type = {.power_busy = 10, .power_idle = 2};
    type.peak[FP16] = 100;
    VECTOR_PUSH(&sheet->platform.device_types, type);
    for (uint32_t i = 0; i < ranks; i++)
        VECTOR_PUSH(&sheet->platform.devices, ((struct device){.speed = 1}));
    sheet->model.tokens = 8;
    sheet->plan = (struct plan){.model = &sheet->model,
                                .platform = &sheet->platform,
                                .precision = FP16,
                                .global_batch = 32,
                                .model_flops = 400};
}

static void sheet_fini(struct sheet *sheet)
{
    metrics_fini(&sheet->metrics);
    VECTOR_FREE(&sheet->platform.device_types);
    VECTOR_FREE(&sheet->platform.devices);
    arena_fini(&sheet->job.arena);
    arena_fini(&sheet->arena);
    names_fini(&sheet->names);
}

static bool sheet_compute(struct sheet *sheet)
{
    return metrics_compute(&sheet->plan, &sheet->job, &sheet->result, &sheet->metrics, &sheet->error);
}

static double exposed_of(const struct sheet *sheet, uint32_t rank, const char *group)
{
    const struct metrics_rank *metrics = &sheet->metrics.ranks.at[rank];
    for (uint32_t i = 0; i < metrics->exposed.count; i++)
        if (metrics->exposed.at[i].group == names_find(&sheet->names, group))
            return metrics->exposed.at[i].seconds;
    return 0;
}

#define SHEET(sheet, ranks, ...)                                                                             \
    struct sheet sheet;                                                                                      \
    do {                                                                                                     \
        const struct drawn drawn[] = {__VA_ARGS__};                                                          \
        sheet_init(&sheet, drawn, sizeof drawn / sizeof drawn[0], ranks);                                    \
        assert_true(sheet_compute(&sheet));                                                                  \
    } while (0)

static void a_gap_is_split_into_exposed_communication_and_bubble(void **state)
{
    (void)state;
    /* compute 0-4 and 10-12; tensor 3-6 (1 s hidden, 2 exposed); nothing 6-7; data 7-11 (3 exposed) */
    SHEET(sheet, 1, {0, 0, OP_COMPUTE, 0, 4, 0}, {0, 1, OP_COLLECTIVE, 3, 6, 0},
          {0, 2, OP_COLLECTIVE, 7, 11, 0}, {0, 0, OP_COMPUTE, 10, 12, 0});
    const struct metrics_rank *rank = &sheet.metrics.ranks.at[0];
    ASSERT_CLOSE(sheet.metrics.window, 12, 0);
    ASSERT_CLOSE(rank->compute, 6, 0);
    ASSERT_CLOSE(exposed_of(&sheet, 0, "tensor"), 2, 0);
    ASSERT_CLOSE(exposed_of(&sheet, 0, "data"), 3, 0);
    ASSERT_CLOSE(rank->bubble, 1, 0);
    ASSERT_CLOSE(rank->idle, 0, 0);
    ASSERT_CLOSE(sheet.metrics.bubble_fraction, 1.0 / 12, 1e-15);
    sheet_fini(&sheet);
}

static void overlapping_communications_count_for_the_one_that_ends_last(void **state)
{
    (void)state;
    /* the gap is 1-6: tensor 1-5 outlasts data 2-4, but not data 4-6 */
    SHEET(sheet, 1, {0, 0, OP_COMPUTE, 0, 1, 0}, {0, 1, OP_COLLECTIVE, 1, 5, 0},
          {0, 2, OP_COLLECTIVE, 2, 4, 0}, {0, 2, OP_COLLECTIVE, 4, 6, 0}, {0, 0, OP_COMPUTE, 6, 7, 0});
    ASSERT_CLOSE(exposed_of(&sheet, 0, "tensor"), 3, 0);
    ASSERT_CLOSE(exposed_of(&sheet, 0, "data"), 2, 0);
    ASSERT_CLOSE(sheet.metrics.ranks.at[0].bubble, 0, 0);
    sheet_fini(&sheet);
}

static void equal_ends_count_for_the_lower_stream(void **state)
{
    (void)state;
    SHEET(sheet, 1, {0, 0, OP_COMPUTE, 0, 1, 0}, {0, 2, OP_COLLECTIVE, 1, 4, 0},
          {0, 1, OP_COLLECTIVE, 2, 4, 0});
    ASSERT_CLOSE(exposed_of(&sheet, 0, "data"), 1, 0);
    ASSERT_CLOSE(exposed_of(&sheet, 0, "tensor"), 2, 0);
    sheet_fini(&sheet);
}

static void time_outside_a_device_s_own_span_is_idle(void **state)
{
    (void)state;
    SHEET(sheet, 2, {0, 0, OP_COMPUTE, 5, 15, 0}, {1, 0, OP_COMPUTE, 7, 8, 0}, {1, 1, OP_SEND, 8, 9, 0});
    const struct metrics_rank *rank = &sheet.metrics.ranks.at[1];
    ASSERT_CLOSE(sheet.metrics.window_start, 5, 0);
    ASSERT_CLOSE(rank->idle, 2 + 6, 0);
    ASSERT_CLOSE(exposed_of(&sheet, 1, "tensor"), 1, 0);
    ASSERT_CLOSE(sheet.metrics.idle, 4, 0);
    ASSERT_CLOSE(sheet.metrics.compute, 5.5, 0);
    sheet_fini(&sheet);
}

static void rates_follow_from_step_time_and_peak(void **state)
{
    (void)state;
    SHEET(sheet, 2, {0, 0, OP_COMPUTE, 0, 4, 0}, {1, 0, OP_COMPUTE, 0, 2, 0}, {1, 1, OP_COLLECTIVE, 2, 4, 0});
    const struct metrics *metrics = &sheet.metrics;
    ASSERT_CLOSE(metrics->samples_per_s, 8, 0);
    ASSERT_CLOSE(metrics->tokens_per_s, 64, 0);
    ASSERT_CLOSE(metrics->peak_flops, 200, 0);
    ASSERT_CLOSE(metrics->mfu, 400 / (4.0 * 200), 0);
    ASSERT_CLOSE(metrics->flops_per_device, 50, 0);
    ASSERT_CLOSE(metrics->ranks.at[0].flops, 50, 0);
    ASSERT_CLOSE(metrics->energy, 10 * 4 + 10 * 2 + 2 * 2, 0);
    sheet_fini(&sheet);
}

static void only_the_last_step_counts_and_its_period_is_start_to_start(void **state)
{
    (void)state;
    SHEET(sheet, 2, {0, 0, OP_COMPUTE, 0, 4, 0}, {1, 0, OP_COMPUTE, 1, 9, 0}, {0, 0, OP_COMPUTE, 7, 8, 1},
          {1, 0, OP_COMPUTE, 9, 12, 1});
    ASSERT_CLOSE(sheet.metrics.step_time, 7, 0);
    ASSERT_CLOSE(sheet.metrics.window_start, 7, 0);
    ASSERT_CLOSE(sheet.metrics.window, 5, 0);
    ASSERT_CLOSE(sheet.metrics.ranks.at[0].idle, 4, 0);
    ASSERT_CLOSE(sheet.metrics.ranks.at[1].idle, 2, 0);
    ASSERT_CLOSE(sheet.metrics.energy, 10 * (1 + 3) + 2 * (6 + 4), 0);
    sheet_fini(&sheet);
}

static void energy_is_that_of_a_period_also_when_steps_overlap(void **state)
{
    (void)state;
    /* A step takes 6 s, but the next one starts after 4 s: idle power is not counted twice. */
    SHEET(sheet, 1, {0, 0, OP_COMPUTE, 0, 3, 0}, {0, 1, OP_COLLECTIVE, 3, 6, 0}, {0, 0, OP_COMPUTE, 4, 7, 1},
          {0, 1, OP_COLLECTIVE, 7, 10, 1});
    ASSERT_CLOSE(sheet.metrics.step_time, 4, 0);
    ASSERT_CLOSE(sheet.metrics.window, 6, 0);
    ASSERT_CLOSE(sheet.metrics.energy, 10 * 3 + 2 * 1, 0);
    sheet_fini(&sheet);
}

static void several_compute_streams_are_busy_together(void **state)
{
    (void)state;
    SHEET(sheet, 1, {0, 0, OP_COMPUTE, 0, 3, 0}, {0, 3, OP_COMPUTE, 2, 5, 0}, {0, 1, OP_COLLECTIVE, 4, 6, 0});
    ASSERT_CLOSE(sheet.metrics.ranks.at[0].compute, 5, 0);
    ASSERT_CLOSE(exposed_of(&sheet, 0, "tensor"), 1, 0);
    sheet_fini(&sheet);
}

static void a_stream_that_does_two_things_at_once_fails_the_check(void **state)
{
    (void)state;
    struct sheet sheet;
    const struct drawn drawn[] = {{0, 0, OP_COMPUTE, 0, 3, 0}, {0, 0, OP_COMPUTE, 2, 4, 0}};
    sheet_init(&sheet, drawn, 2, 1);
    assert_false(sheet_compute(&sheet));
    assert_non_null(strstr(sheet.error, "rank 0"));
    sheet_fini(&sheet);
}

static void a_receive_that_was_ready_late_is_no_communication_after_its_flow(void **state)
{
    (void)state;
    struct sheet sheet;
    /* the flow takes 1-2, but the receive's stream lets it end only at 5 */
    const struct drawn drawn[] = {
        {0, 0, OP_COMPUTE, 0, 1, 0}, {0, 1, OP_RECEIVE, 1, 5, 0}, {0, 0, OP_COMPUTE, 5, 6, 0}};
    sheet_init(&sheet, drawn, 3, 1);
    sheet.job.groups[0].match_count = 1;
    struct engine_transfer transfer = {.start = 1, .end = 2};
    sheet.result.transfers = &transfer;
    sheet.result.transfer_count = 1;
    assert_true(sheet_compute(&sheet));
    ASSERT_CLOSE(exposed_of(&sheet, 0, "tensor"), 1, 0);
    ASSERT_CLOSE(sheet.metrics.ranks.at[0].bubble, 3, 0);
    sheet_fini(&sheet);
}

static void members_send_what_the_algorithm_makes_them_send(void **state)
{
    (void)state;
    static const struct drawn drawn[] = {{0, 1, OP_COLLECTIVE, 2, 4, 0}};
    struct sheet sheet;
    sheet_init(&sheet, drawn, 1, 1);
    double sent[] = {1.5, 0.25, 0.25, 0.25};
    struct activity activity = {.sent = {sent, 4, 4}};
    struct engine_transfer transfer = {.start = 2, .end = 4};
    sheet.job.groups[0].match_count = 1;
    sheet.job.members = ARENA_ARRAY(&sheet.arena, uint32_t, 4);
    sheet.result.transfers = &transfer;
    sheet.result.activities = &activity;
    sheet.result.transfer_count = sheet.result.activity_count = 1;
    assert_true(sheet_compute(&sheet));
    ASSERT_CLOSE(sheet.metrics.bytes_sent, 1500, 0);
    struct op op = {.kind = OP_COLLECTIVE, .bytes = 400};
    ASSERT_CLOSE(metrics_member_bytes(&op, &activity, 2), 100, 0);
    activity.sent.count = 1;
    ASSERT_CLOSE(metrics_member_bytes(&op, &activity, 2), 600, 0);
    ASSERT_CLOSE(metrics_member_bytes(&op, NULL, 0), 0, 0);
    op.kind = OP_SEND;
    ASSERT_CLOSE(metrics_member_bytes(&op, NULL, 0), 400, 0);
    op.kind = OP_RECEIVE;
    ASSERT_CLOSE(metrics_member_bytes(&op, NULL, 0), 0, 0);
    sheet_fini(&sheet);
}

/* An independent way to the same numbers: sample every elementary interval between two time stamps. */
static void random_timelines_agree_with_brute_force(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 200; seed++) {
        srand(seed);
        struct drawn drawn[24];
        uint32_t count = 0;
        for (uint32_t stream = 0; stream < SHEET_STREAMS; stream++)
            for (double now = rand() % 5; count < 8 * (stream + 1);) {
                double end = now + 1 + rand() % 6;
                drawn[count++] = (struct drawn){0, stream, stream ? OP_COLLECTIVE : OP_COMPUTE, now, end, 0};
                now = end + rand() % 4 - (stream == 2 && rand() % 3 == 0); /* receives may overlap a little */
            }
        struct sheet sheet;
        sheet_init(&sheet, drawn, count, 1);
        assert_true(sheet_compute(&sheet));
        const struct metrics_rank *rank = &sheet.metrics.ranks.at[0];
        double bubble = 0, shares[3] = {0};
        for (double t = rank->first_start + 0.5; t < rank->last_end; t += 1) {
            uint32_t last = UINT32_MAX;
            for (uint32_t i = 0; i < count; i++) {
                bool active = drawn[i].start < t && t < drawn[i].end;
                if (active && drawn[i].stream == 0) {
                    last = i;
                    break;
                }
                if (active && (last == UINT32_MAX || drawn[i].end > drawn[last].end))
                    last = i;
            }
            if (last == UINT32_MAX)
                bubble += 1;
            else
                shares[drawn[last].stream] += 1;
        }
        if (rank->bubble != bubble || rank->compute != shares[0] ||
            exposed_of(&sheet, 0, "tensor") != shares[1])
            fail_msg("seed %u: bubble %g, expected %g; compute %g, expected %g", seed, rank->bubble, bubble,
                     rank->compute, shares[0]);
        ASSERT_CLOSE(exposed_of(&sheet, 0, "data"), shares[2], 0);
        sheet_fini(&sheet);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_gap_is_split_into_exposed_communication_and_bubble),
        cmocka_unit_test(overlapping_communications_count_for_the_one_that_ends_last),
        cmocka_unit_test(equal_ends_count_for_the_lower_stream),
        cmocka_unit_test(time_outside_a_device_s_own_span_is_idle),
        cmocka_unit_test(rates_follow_from_step_time_and_peak),
        cmocka_unit_test(only_the_last_step_counts_and_its_period_is_start_to_start),
        cmocka_unit_test(energy_is_that_of_a_period_also_when_steps_overlap),
        cmocka_unit_test(several_compute_streams_are_busy_together),
        cmocka_unit_test(a_stream_that_does_two_things_at_once_fails_the_check),
        cmocka_unit_test(a_receive_that_was_ready_late_is_no_communication_after_its_flow),
        cmocka_unit_test(members_send_what_the_algorithm_makes_them_send),
        cmocka_unit_test(random_timelines_agree_with_brute_force),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
