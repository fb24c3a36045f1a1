/* Random graphs of computations without communication, replayed, against two small schedulers that share
 * nothing with the program: one by the rules of streams and time, in whole microseconds, for traces that say
 * nothing on starts; one for those that do. */
#define _GNU_SOURCE /* mkdtemp */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "traces.h"

#include "played.h"

enum { NODES = 60, RANKS = 3, GRAPHS = 30, RESOURCES = 3 };

/* What a device does one at a time. */
enum resource { DEVICE, HOST, MEMORY };

struct task {
    uint64_t id, start; /* recorded, microseconds; 0: not */
    uint64_t length;    /* microseconds */
    enum resource resource;
    uint32_t waits[NODES], wait_count; /* for tasks before it in the array */
    uint64_t begin, end;               /* expected */
    bool done, begun;
};

static uint64_t state;

static uint32_t draw(uint32_t below)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % below;
}

/* Lengths are large and prime to each other often enough that sums of different ones are never the same. */
static void make_graph(struct task *tasks, bool starts)
{
    for (uint32_t i = 0; i < NODES; i++) {
        tasks[i] = (struct task){.id = (uint64_t)draw(1 << 30) << 30 | (uint64_t)i << 8 | draw(256),
                                 .length = 1 + draw(1000000),
                                 .resource = draw(3) ? DEVICE : (enum resource)(1 + draw(2)),
                                 .start = starts ? 1 + draw(1 << 20) * NODES + i : 0};
        for (uint32_t k = draw(4); i && k > 0; k--)
            tasks[i].waits[tasks[i].wait_count++] = draw(i);
    }
}

static void write_graph(const struct task *tasks, uint32_t rank)
{
    uint32_t order[NODES];
    begin_rank();
    for (uint32_t i = 0; i < NODES; i++) {
        uint32_t other = draw(i + 1);
        order[i] = order[other];
        order[other] = i;
    }
    for (uint32_t k = 0; k < NODES; k++) {
        const struct task *task = &tasks[order[k]];
        char name[32];
        snprintf(name, sizeof name, "task %u", order[k]);
        begin_node(task->id, task->resource == MEMORY ? TRACE_LOAD + draw(2) : TRACE_COMPUTE, name);
        if (task->start)
            wire_put_integer(&node_message, CHAKRA_START, task->start);
        wire_put_integer(&node_message, CHAKRA_DURATION, task->length);
        if (task->resource == HOST)
            integer("is_cpu_op", 1);
        for (uint32_t w = 0; w < task->wait_count; w++)
            wire_put_integer(&node_message, draw(2) ? CHAKRA_DATA_DEPENDENCIES : CHAKRA_CONTROL_DEPENDENCIES,
                             tasks[task->waits[w]].id);
    }
    end_rank(rank);
}

/* When the last of what a task waits for has ended; false: something has not. */
static bool ready_at(const struct task *tasks, const struct task *task, uint64_t *time)
{
    *time = 0;
    for (uint32_t w = 0; w < task->wait_count; w++) {
        const struct task *on = &tasks[task->waits[w]];
        if (!on->done)
            return false;
        *time = on->end > *time ? on->end : *time;
    }
    return true;
}

/* The task that a free resource takes: of those that are ready, the one that became so first. */
static struct task *next_of(struct task *tasks, enum resource resource, uint64_t now)
{
    struct task *first = NULL;
    uint64_t best = 0;
    for (uint32_t i = 0; i < NODES; i++) {
        uint64_t ready;
        if (tasks[i].begun || tasks[i].resource != resource || !ready_at(tasks, &tasks[i], &ready) ||
            ready > now)
            continue;
        if (!first || ready < best || (ready == best && tasks[i].id < first->id)) {
            first = &tasks[i];
            best = ready;
        }
    }
    return first;
}

/* Time goes from end to end; a resource that is free takes what is ready. Returns the last end. */
static uint64_t expect_as_soon_as_possible(struct task *tasks)
{
    struct task *busy[RESOURCES] = {NULL};
    uint64_t now = 0;
    for (;;) {
        uint64_t next = UINT64_MAX;
        for (int r = 0; r < RESOURCES; r++) {
            if (busy[r])
                continue;
            busy[r] = next_of(tasks, (enum resource)r, now);
            if (busy[r]) {
                busy[r]->begun = true;
                busy[r]->begin = now;
                busy[r]->end = now + busy[r]->length;
            }
        }
        for (int r = 0; r < RESOURCES; r++)
            if (busy[r] && busy[r]->end < next)
                next = busy[r]->end;
        if (next == UINT64_MAX)
            return now;
        now = next;
        for (int r = 0; r < RESOURCES; r++)
            if (busy[r] && busy[r]->end == now) {
                busy[r]->done = true;
                busy[r] = NULL;
            }
    }
}

/* Resources take tasks in the order of their recorded starts as far as waits allow, each as soon as it can.
 */
static uint64_t expect_in_recorded_order(struct task *tasks)
{
    uint64_t is_free[RESOURCES] = {0}, last = 0;
    for (uint32_t n = 0; n < NODES; n++) {
        struct task *first = NULL;
        uint64_t ready;
        for (uint32_t i = 0; i < NODES; i++)
            if (!tasks[i].done && ready_at(tasks, &tasks[i], &ready) &&
                (!first || tasks[i].start < first->start))
                first = &tasks[i];
        ready_at(tasks, first, &ready);
        first->begin = ready > is_free[first->resource] ? ready : is_free[first->resource];
        first->end = is_free[first->resource] = first->begin + first->length;
        first->done = true;
        last = first->end > last ? first->end : last;
    }
    return last;
}

static void compare_rank(const struct played *played, uint32_t rank, const struct task *tasks,
                         double makespan, uint64_t seed)
{
    const struct program *program = program_of(&played->scenario.job, rank);
    assert_int_equal(program->op_count, NODES);
    for (uint32_t slot = 0; slot < NODES; slot++) {
        const struct engine_record *record =
            &played->result.records[played->result.first_record[rank] + slot];
        const char *name = names_text(&played->scenario.names, program->ops[slot].label);
        const struct task *task = &tasks[atoi(name + strlen("task "))];
        double begin = (double)task->begin * 1e-6, end = (double)task->end * 1e-6;
        if (fabs(record->start - begin) > 1e-12 * makespan || fabs(record->end - end) > 1e-12 * makespan)
            fail_msg("seed %llu, rank %u, %s: from %.15g to %.15g, expected %.15g to %.15g",
                     (unsigned long long)seed, rank, name, record->start, record->end, begin, end);
    }
}

static void graphs_happen_as_expected(bool starts, uint64_t (*expect)(struct task *tasks))
{
    static struct task tasks[RANKS][NODES];
    static const char *const sets[] = {"trace.compute=recorded"};
    for (uint64_t seed = 1; seed <= GRAPHS; seed++) {
        struct played played;
        double makespan = 0, computing = 0;
        state = seed;
        empty_folder();
        for (uint32_t rank = 0; rank < RANKS; rank++) {
            make_graph(tasks[rank], starts);
            write_graph(tasks[rank], rank);
            makespan = fmax(makespan, (double)expect(tasks[rank]) * 1e-6);
            for (uint32_t i = 0; i < NODES; i++)
                computing +=
                    tasks[rank][i].resource == DEVICE ? (double)tasks[rank][i].length * 1e-6 / RANKS : 0;
        }
        play(&played, folder, "star", sets, 1);
        for (uint32_t rank = 0; rank < RANKS; rank++)
            compare_rank(&played, rank, tasks[rank], makespan, seed);
        played_fini(&played);
        assert_int_equal(replay(NULL, "star", sets, 1), PARTITA_OK);
        if (fabs(reported("step_time_s") - makespan) > 1e-12 * makespan ||
            fabs(reported("compute_s") - computing) > 1e-9 * computing)
            fail_msg("seed %llu: %.15g of %.15g, expected %.15g of %.15g", (unsigned long long)seed,
                     reported("compute_s"), reported("step_time_s"), computing, makespan);
    }
}

static void what_has_no_recorded_start_happens_as_soon_as_it_can(void **unused)
{
    (void)unused;
    graphs_happen_as_expected(false, expect_as_soon_as_possible);
}

static void streams_take_what_has_a_recorded_start_in_that_order(void **unused)
{
    (void)unused;
    graphs_happen_as_expected(true, expect_in_recorded_order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_no_recorded_start_happens_as_soon_as_it_can),
        cmocka_unit_test(streams_take_what_has_a_recorded_start_in_that_order),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
