/* Builds the run's arrays from the job, lets it run, and turns what it left into the result. */
#include "engine/engine.h"

#include "engine/check.h"
#include "engine/deadlock.h"
#include "engine/pass.h"
#include "engine/run.h"
#include "engine/section.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t engine_instant_limit = 10000000;

/* What is wrong with a rank's use of a group, NULL if nothing. */
static const char *slot_problem(const struct run *run, uint32_t r, uint32_t i, const struct task_slot *slot)
{
    const struct job *job = run->job;
    uint32_t g = run->ranks[r].groups[i];
    const uint32_t *members = job->members + job->groups[g].first_member;
    if (slot->matches > job->groups[g].match_count)
        return "uses a match that its group does not have";
    if (slot->used[OP_COLLECTIVE] && run->places[run->ranks[r].first_place + i] == PROGRAM_NONE)
        return "is no member of it";
    if (slot->used[OP_COLLECTIVE] && run->groups[g].repeats)
        return "has a collective in it, but a member stands twice in it";
    if ((slot->used[OP_SEND] || slot->used[OP_RECEIVE]) && job->groups[g].member_count != 2)
        return "sends messages in it, but it is not a group of two";
    if ((slot->used[OP_SEND] && members[0] != r) || (slot->used[OP_RECEIVE] && members[1] != r))
        return "sends but is not its first member, or receives and is not its second";
    return NULL;
}

static bool check_groups(struct run *run, const struct task_program *programs)
{
    const struct job *job = run->job;
    for (uint32_t r = 0; r < job->rank_count; r++) {
        const struct task_program *program = &programs[job->ranks[r].program];
        for (uint32_t i = 0; i < program->slot_count; i++) {
            const char *problem =
                program->slots[i].matches ? slot_problem(run, r, i, &program->slots[i]) : NULL;
            if (!problem)
                continue;
            const struct group *group = &job->groups[run->ranks[r].groups[i]];
            run->error = arena_format(&run->arena, "rank %u, group '%s': the rank %s", r,
                                      names_text(job->names, group->name), problem);
            return false;
        }
    }
    return true;
}

/* Every group slot that a program names stands in its ranks' tables. */
static bool check_tables(struct run *run, const struct task_program *programs)
{
    const struct job *job = run->job;
    for (uint32_t r = 0; r < job->rank_count; r++) {
        const struct task_program *program = &programs[job->ranks[r].program];
        bool fits = (uint64_t)job->ranks[r].first_group + program->slot_count <= job->group_table_count;
        for (uint32_t i = 0; fits && i < program->slot_count; i++)
            fits = !program->slots[i].matches ||
                   job->group_table[job->ranks[r].first_group + i] < job->group_count;
        if (fits)
            continue;
        run->error = arena_format(&run->arena, "rank %u names a group that does not exist", r);
        return false;
    }
    return true;
}

static void lay_out_ranks(struct run *run, const struct task_program *programs)
{
    const struct job *job = run->job;
    uint32_t places = 0;
    run->ranks = ARENA_ARRAY(&run->arena, struct run_rank, job->rank_count + 1);
    for (uint32_t r = 0; r < job->rank_count; r++) {
        const struct rank *rank = &job->ranks[r];
        const struct task_program *program = &programs[rank->program];
        run->ranks[r] = (struct run_rank){.tasks = program->tasks,
                                          .successors = program->successors,
                                          .groups = job->group_table + rank->first_group,
                                          .first_stream = run->streams_count,
                                          .first_place = places};
        run->streams_count += job->programs[rank->program].stream_count;
        places += program->slot_count;
    }
    run->places = ARENA_ARRAY(&run->arena, uint32_t, places + 1);
}

static void lay_out_streams(struct run *run)
{
    run->streams = ARENA_ARRAY(&run->arena, struct run_stream, run->streams_count + 1);
    for (uint32_t r = 0; r < run->job->rank_count; r++) {
        uint32_t count = run->job->programs[run->job->ranks[r].program].stream_count;
        for (uint32_t i = 0; i < count; i++)
            run->streams[run->ranks[r].first_stream + i].rank = r;
    }
}

static void lay_out_groups(struct run *run)
{
    const struct job *job = run->job;
    run->groups = ARENA_ARRAY(&run->arena, struct run_group, job->group_count + 1);
    for (uint32_t g = 0; g < job->group_count; g++)
        run->groups[g] = (struct run_group){job->groups[g].member_count, job->groups[g].rendezvous, false};
    size_t kinds = (size_t)job->group_count * (COLLECTIVE_KIND_COUNT + 1);
    run->activity_of = ARENA_ARRAY(&run->arena, uint32_t, kinds + 1);
    memset(run->activity_of, 0xff, kinds * sizeof *run->activity_of);
}

/* Each rank's place in each group of its table: table entries bucketed by group, then one pass over the
 * members of each group. O(table entries + members). */
static void find_places(struct run *run, const struct task_program *programs)
{
    const struct job *job = run->job;
    uint32_t *first = ARENA_ARRAY(&run->arena, uint32_t, (size_t)job->group_count + 2);
    for (uint32_t r = 0; r < job->rank_count; r++)
        for (uint32_t i = 0; i < programs[job->ranks[r].program].slot_count; i++)
            if (run->ranks[r].groups[i] < job->group_count)
                first[run->ranks[r].groups[i] + 2]++;
    for (uint32_t g = 2; g < job->group_count + 2; g++)
        first[g] += first[g - 1];
    uint32_t total = first[job->group_count + 1];
    struct run_release *entries = ARENA_ARRAY(&run->arena, struct run_release, total + 1);
    for (uint32_t r = 0; r < job->rank_count; r++)
        for (uint32_t i = 0; i < programs[job->ranks[r].program].slot_count; i++)
            if (run->ranks[r].groups[i] < job->group_count)
                entries[first[run->ranks[r].groups[i] + 1]++] = (struct run_release){r, i, 0};
    uint32_t *place = ARENA_ARRAY(&run->arena, uint32_t, job->rank_count + 1);
    memset(place, 0xff, job->rank_count * sizeof *place);
    for (uint32_t g = 0; g < job->group_count; g++) {
        const uint32_t *members = job->members + job->groups[g].first_member;
        for (uint32_t i = 0; i < job->groups[g].member_count; i++) {
            run->groups[g].repeats |= place[members[i]] != PROGRAM_NONE;
            place[members[i]] = i;
        }
        for (uint32_t e = first[g]; e < first[g + 1]; e++)
            run->places[run->ranks[entries[e].rank].first_place + entries[e].slot] = place[entries[e].rank];
        for (uint32_t i = 0; i < job->groups[g].member_count; i++)
            place[members[i]] = PROGRAM_NONE;
    }
}

static int compare_changes(const void *a, const void *b)
{
    const struct run_change *const *x = a, *const *y = b;
    if ((*x)->time != (*y)->time)
        return (*x)->time < (*y)->time ? -1 : 1;
    return *x < *y ? -1 : *x > *y; /* in the order given */
}

static bool good_traffic(const struct traffic_class *traffic)
{
    return traffic->weight > 0 && traffic->weight < INFINITY && traffic->cap >= 0;
}

/* The changes of links, then those of traffic. False when one is wrong. */
static bool gather_changes(struct run *run, struct run_change *all)
{
    const struct engine_options *options = run->options;
    for (uint32_t i = 0; i < options->change_count; i++) {
        const struct engine_change *change = &options->changes[i];
        all[run->change_count++] =
            (struct run_change){.time = change->time, .capacity = change->capacity, .link = change->link};
        if (change->time >= 0 && change->time < INFINITY && change->capacity >= 0 &&
            change->capacity < INFINITY && change->link < run->platform->links.count)
            continue;
        run->error = arena_format(&run->arena, "change %u of a link's capacity: link %u, %g B/s at %g s", i,
                                  change->link, change->capacity, change->time);
        return false;
    }
    for (uint32_t i = 0; i < options->traffic_change_count; i++) {
        const struct engine_traffic_change *change = &options->traffic_changes[i];
        all[run->change_count++] = (struct run_change){.time = change->time,
                                                       .weight = change->now.weight,
                                                       .cap = change->now.cap,
                                                       .link = UINT32_MAX,
                                                       .traffic = (uint8_t)(change->traffic + 1)};
        if (change->time >= 0 && change->time < INFINITY && good_traffic(&change->now) &&
            change->traffic < run->job->traffic_count)
            continue;
        run->error =
            arena_format(&run->arena, "change %u of traffic: class %u, weight %g, cap %g B/s at %g s", i,
                         change->traffic, change->now.weight, change->now.cap, change->time);
        return false;
    }
    return true;
}

static bool sort_changes(struct run *run)
{
    uint32_t count = run->options->change_count + run->options->traffic_change_count;
    struct run_change *all = ARENA_ARRAY(&run->arena, struct run_change, count + 1);
    const struct run_change **order = ARENA_ARRAY(&run->arena, const struct run_change *, count + 1);
    if (!gather_changes(run, all))
        return false;
    for (uint32_t i = 0; i < count; i++)
        order[i] = &all[i];
    qsort(order, count, sizeof *order, compare_changes);
    run->changes = ARENA_ARRAY(&run->arena, struct run_change, count + 1);
    for (uint32_t i = 0; i < count; i++)
        run->changes[i] = *order[i];
    return true;
}

/* The job's classes of traffic, as the network begins with them. */
static bool open_traffic(struct run *run)
{
    const struct job *job = run->job;
    assert(job->traffic_count <= UINT8_MAX);
    if (job->traffic_count && !run->model->set_traffic) {
        run->error = arena_format(&run->arena, "the network level '%s' knows no weights and caps of traffic",
                                  run->model->name);
        return false;
    }
    run->caps = ARENA_ARRAY(&run->arena, double, job->traffic_count + 1);
    run->caps[0] = INFINITY;
    for (uint32_t i = 0; i < job->traffic_count; i++) {
        const struct traffic_class *traffic = &job->traffic[i];
        if (!good_traffic(traffic)) {
            run->error = arena_format(&run->arena, "class %u of traffic has weight %g and cap %g B/s", i,
                                      traffic->weight, traffic->cap);
            return false;
        }
        run->caps[i + 1] = traffic->cap;
        run->model->set_traffic(run->network, 0, (uint8_t)(i + 1), traffic->weight, traffic->cap);
    }
    return true;
}

static void open_network(struct run *run)
{
    uint32_t count = run->platform->links.count;
    run->capacities = ARENA_ARRAY(&run->arena, double, count + 1);
    double *latencies = ARENA_ARRAY(&run->arena, double, count + 1);
    bool *shared = ARENA_ARRAY(&run->arena, bool, count + 1);
    for (uint32_t l = 0; l < count; l++) {
        const struct link *link = &run->platform->links.at[l];
        run->capacities[l] = link->bandwidth;
        latencies[l] = link->latency;
        shared[l] = link->mode != LINK_FULL_DUPLEX;
    }
    struct network_setting setting = {.capacities = run->capacities,
                                      .latencies = latencies,
                                      .shared = shared,
                                      .link_count = count,
                                      .mtu = run->options->mtu,
                                      .header = run->options->header,
                                      .buffer = run->options->buffer,
                                      .packet_limit = run->options->packet_limit};
    run->model = run->options->network;
    run->network = run->model->open(&setting);
}

static bool set_up(struct run *run, struct engine_result *result)
{
    const struct job *job = run->job;
    if (job->section_count && run->options->random.seconds) {
        run->error = "operations that recur cannot take times of their own";
        return false;
    }
    if (job->lead && (run->options->random.seconds || !task_alike(job))) {
        run->error = "the steps of a program differ, so none can stand for those before them";
        return false;
    }
    const struct task_program *programs = task_build(&run->arena, job, &run->error);
    if (!programs || !check_tables(run, programs))
        return false;
    lay_out_ranks(run, programs);
    lay_out_streams(run);
    lay_out_groups(run);
    find_places(run, programs);
    if (!check_groups(run, programs) || !section_lay_out(run) || !sort_changes(run))
        return false;
    run->queue = queue_new();
    open_network(run);
    if (!open_traffic(run))
        return false;
    run->waits =
        (double(*)[4])arena_array(&result->arena, (size_t)run->streams_count + 1, sizeof *run->waits);
    pass_init(run);
    return true;
}

static int compare_transfers(const void *a, const void *b)
{
    const struct engine_transfer *x = a, *y = b;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return x->match < y->match ? -1 : x->match > y->match;
}

static double span(const struct run *run, const struct engine_result *result, uint32_t records)
{
    double first = result->lead_books ? result->lead_start : INFINITY, last = 0;
    for (uint32_t i = 0; result->lead_books && i < run->streams_count; i++)
        last = result->lead_books[i].last > last ? result->lead_books[i].last : last;
    for (uint32_t i = 0; i < records; i++) {
        first = result->records[i].start < first ? result->records[i].start : first;
        last = result->records[i].end > last ? result->records[i].end : last;
    }
    return last > first ? last - first : 0;
}

static void hand_over(struct run *run, struct engine_result *result)
{
    const struct job *job = run->job;
    uint32_t steps = job->section_count ? 0 : job->lead ? job->steps : 1; /* of which records are kept */
    pass_hand_over(run, result);
    if (result->transfer_count)
        qsort(result->transfers, result->transfer_count, sizeof *result->transfers, compare_transfers);
    result->stream_waits = run->waits;
    result->first_record = ARENA_ARRAY(&result->arena, uint32_t, job->rank_count + 1);
    result->first_stream = ARENA_ARRAY(&result->arena, uint32_t, job->rank_count + 1);
    for (uint32_t r = 0; r < job->rank_count; r++) {
        result->first_record[r] = run->sections[0].instance_base[r] * steps;
        result->first_stream[r] = run->ranks[r].first_stream;
    }
    result->first_record[job->rank_count] = run->instances * steps;
    result->first_stream[job->rank_count] = run->streams_count;
    result->activities = run->activity_list.at;
    result->activity_count = run->activity_list.count;
    run->activity_list.at = NULL;
    run->activity_list.count = 0;
    result->link_bytes = ARENA_ARRAY(&result->arena, double, run->platform->links.count + 1);
    for (uint32_t l = 0; l < run->platform->links.count; l++)
        result->link_bytes[l] = run->model->carried(run->network, l);
    result->makespan = span(run, result, run->instances * steps);
    result->events = run->events + (run->model->events ? run->model->events(run->network) : 0);
}

static void tear_down(struct run *run)
{
    VECTOR_FREE(&run->activity_list);
    VECTOR_FREE(&run->activities);
    VECTOR_FREE(&run->usage);
    VECTOR_FREE(&run->transfers);
    pass_fini(run);
    VECTOR_FREE(&run->ready);
    round_fini(&run->rounds);
    queue_free(run->queue);
    if (run->model)
        run->model->close(run->network);
    arena_fini(&run->arena);
}

bool engine_run(struct platform *platform, struct job *job, const struct engine_options *options,
                struct engine_result *result, const char **error)
{
    struct engine_options settled = options ? *options : (struct engine_options){0};
    if (!settled.algorithm)
        settled.algorithm = &ring_algorithm;
    if (!settled.network)
        settled.network = &fluid_model;
    if (settled.network->by_steps)
        settled.level = ENGINE_STEPS;
    if (!settled.instant_limit)
        settled.instant_limit = engine_instant_limit;
    struct run run = {.platform = platform, .job = job, .options = &settled};
    *result = (struct engine_result){0};
    arena_init(&result->arena);
    arena_init(&run.arena);
    run.kept = &result->arena;
    round_init(&run.rounds);
    if (set_up(&run, result))
        run_loop(&run);
    if (!run.error && run.ended < run.all_instances)
        run.error = deadlock_report(&run, &run.arena);
    bool done = !run.error;
    if (done) {
        hand_over(&run, result);
        const char *problem;
        if (!check_result(&run.arena, platform, job, result, &problem)) {
            run.error = arena_format(&run.arena, "self-check failed: %s", problem);
            done = false;
        }
    }
    if (!done) {
        *error = arena_text(&job->arena, run.error);
        engine_result_fini(result);
    }
    tear_down(&run);
    return done;
}

void engine_result_fini(struct engine_result *result)
{
    vector_release(result->transfers);
    vector_release(result->activities);
    arena_fini(&result->arena);
    *result = (struct engine_result){0};
}

bool engine_check(const struct platform *platform, const struct job *job, const struct engine_result *result,
                  const char **error)
{
    struct arena scratch;
    arena_init(&scratch);
    const char *problem;
    bool right = check_result(&scratch, platform, job, result, &problem);
    if (!right)
        *error = arena_text((struct arena *)&job->arena, problem);
    arena_fini(&scratch);
    return right;
}
