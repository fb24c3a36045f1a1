#include "study/rehearsal.h"

#include "engine/engine.h"

#include <math.h>
#include <stdio.h>

/* Groups: two per pair of neighbouring stages on different devices, forward from the lower one and backward.
 */
struct rehearsal_job {
    const struct orders *orders;
    const struct schedule_times *times;
    const double *whole, *weight;
    struct names names;
    struct platform platform;
    struct job job;
    uint32_t *group_of; /* per stage: that of the transfers to the next stage, the next group is the way back;
                           PROGRAM_NONE: none */
};

/* The program that is being built. */
struct rehearsal_program {
    struct rehearsal_job *rehearsal;
    VECTOR(struct op) ops;
    VECTOR(uint32_t) dependencies;
    struct index_list groups; /* of the rank's table */
};

/* Devices around a switch. Transfers have no bytes and nothing takes time. */
static void rehearsal_platform(struct rehearsal_job *rehearsal)
{
    struct platform *platform = &rehearsal->platform;
    uint32_t devices = rehearsal->orders->devices;
    platform_init(platform, &rehearsal->names);
    VECTOR_PUSH(&platform->device_types, (struct device_type){0});
    platform->first_arc = ARENA_ARRAY(&platform->arena, uint32_t, devices + 2);
    for (uint32_t d = 0; d < devices; d++) {
        VECTOR_PUSH(&platform->nodes, ((struct node){.device = d}));
        VECTOR_PUSH(&platform->devices, ((struct device){.node = d, .speed = 1}));
        VECTOR_PUSH(&platform->links, ((struct link){.bandwidth = 1}));
        VECTOR_PUSH(&platform->links, ((struct link){.bandwidth = 1}));
        VECTOR_PUSH(&platform->arcs, ((struct arc){d, devices, 2 * d}));
        platform->first_arc[d + 1] = d + 1;
    }
    VECTOR_PUSH(&platform->nodes, ((struct node){.device = UINT32_MAX}));
    for (uint32_t d = 0; d < devices; d++)
        VECTOR_PUSH(&platform->arcs, ((struct arc){devices, d, 2 * d + 1}));
    platform->first_arc[devices + 1] = 2 * devices;
}

static void rehearsal_groups(struct rehearsal_job *rehearsal)
{
    const struct orders *orders = rehearsal->orders;
    struct job *job = &rehearsal->job;
    uint32_t each = orders->stages / orders->directions;
    rehearsal->group_of = ARENA_ARRAY(&job->arena, uint32_t, orders->stages);
    job->groups = ARENA_ARRAY(&job->arena, struct group, 2 * orders->stages);
    job->members = ARENA_ARRAY(&job->arena, uint32_t, 4 * orders->stages);
    for (uint32_t s = 0; s < orders->stages; s++) {
        rehearsal->group_of[s] = PROGRAM_NONE;
        if (s % each + 1 == each || orders->device_of[s] == orders->device_of[s + 1])
            continue;
        rehearsal->group_of[s] = job->group_count;
        for (int back = 0; back < 2; back++) {
            job->groups[job->group_count++] = (struct group){
                .first_member = job->member_count, .member_count = 2, .match_count = orders->micro_batches};
            job->members[job->member_count++] = orders->device_of[s + (back ? 1u : 0u)];
            job->members[job->member_count++] = orders->device_of[s + (back ? 0u : 1u)];
        }
    }
}

static uint32_t rehearsal_communicate(struct rehearsal_program *program, uint8_t kind, uint32_t group,
                                      uint32_t match, uint32_t after)
{
    uint32_t slot = 0;
    while (slot < program->groups.count && program->groups.at[slot] != group)
        slot++;
    if (slot == program->groups.count)
        VECTOR_PUSH(&program->groups, group);
    struct op op = {.kind = kind,
                    .group = slot,
                    .match = match,
                    .stream = (uint16_t)(slot + 1),
                    .first_dependency = program->dependencies.count,
                    .dependency_count = after != PROGRAM_NONE};
    if (after != PROGRAM_NONE)
        VECTOR_PUSH(&program->dependencies, after);
    VECTOR_PUSH(&program->ops, op);
    return program->ops.count - 1;
}

/* The receive that a pass needs, and the send that it allows; W has neither. */
static uint32_t rehearsal_transfer(struct rehearsal_program *program, const struct schedule_item *item,
                                   bool sends, uint32_t after)
{
    const struct rehearsal_job *rehearsal = program->rehearsal;
    uint32_t each = rehearsal->orders->stages / rehearsal->orders->directions;
    bool forward = item->pass == PASS_F, above = sends == forward;
    if (item->pass == PASS_W || (!above && item->stage % each == 0))
        return PROGRAM_NONE;
    uint32_t group = rehearsal->group_of[above ? item->stage : item->stage - 1];
    if (group == PROGRAM_NONE)
        return PROGRAM_NONE;
    return rehearsal_communicate(program, sends ? OP_SEND : OP_RECEIVE, group + (forward ? 0 : 1),
                                 item->micro_batch, after);
}

/* One item, or an overlapped pair as one operation. */
static void rehearsal_item(struct rehearsal_program *program, const struct schedule_item *item)
{
    const struct schedule_times *times = program->rehearsal->times;
    uint32_t count = item->overlapped ? 2 : 1, receives[2];
    struct op op = {.kind = OP_COMPUTE, .group = PROGRAM_NONE, .pass = item->pass};
    for (uint32_t i = 0; i < count; i++) {
        receives[i] = rehearsal_transfer(program, &item[i], false, PROGRAM_NONE);
        op.seconds += orders_seconds(&item[i], times);
    }
    if (count == 2 && times->pair > 0)
        op.seconds = times->pair;
    op.first_dependency = program->dependencies.count;
    for (uint32_t i = 0; i < count; i++)
        if (receives[i] != PROGRAM_NONE) {
            VECTOR_PUSH(&program->dependencies, receives[i]);
            op.dependency_count++;
        }
    VECTOR_PUSH(&program->ops, op);
    uint32_t slot = program->ops.count - 1;
    for (uint32_t i = 0; i < count; i++)
        rehearsal_transfer(program, &item[i], true, slot);
}

static void rehearsal_program(struct rehearsal_job *rehearsal, uint32_t device)
{
    struct rehearsal_program program = {.rehearsal = rehearsal};
    struct job *job = &rehearsal->job;
    const struct schedule_list *list = &rehearsal->orders->lists[device];
    for (uint32_t i = 0; i < list->count; i += list->at[i].overlapped ? 2 : 1)
        rehearsal_item(&program, &list->at[i]);
    struct program *out = &job->programs[device];
    out->op_count = program.ops.count;
    out->ops = arena_copy(&job->arena, program.ops.at, program.ops.count * sizeof(struct op));
    out->dependency_count = program.dependencies.count;
    out->dependencies =
        arena_copy(&job->arena, program.dependencies.at, program.dependencies.count * sizeof(uint32_t));
    out->stream_count = program.groups.count + 1;
    out->streams = ARENA_ARRAY(&job->arena, struct program_stream, out->stream_count);
    out->streams[0].compute = true;
    job->ranks[device] = (struct rank){
        .device = device, .program = device, .stage = device, .first_group = job->group_table_count};
    for (uint32_t i = 0; i < program.groups.count; i++)
        job->group_table[job->group_table_count++] = program.groups.at[i];
    VECTOR_FREE(&program.ops);
    VECTOR_FREE(&program.dependencies);
    VECTOR_FREE(&program.groups);
}

static void rehearsal_build(struct rehearsal_job *rehearsal)
{
    struct job *job = &rehearsal->job;
    uint32_t devices = rehearsal->orders->devices;
    arena_init(&job->arena);
    names_init(&rehearsal->names);
    rehearsal_platform(rehearsal);
    rehearsal_groups(rehearsal);
    job->names = &rehearsal->names;
    job->steps = 1;
    job->program_count = job->rank_count = devices;
    job->programs = ARENA_ARRAY(&job->arena, struct program, devices);
    job->ranks = ARENA_ARRAY(&job->arena, struct rank, devices);
    job->group_table = ARENA_ARRAY(&job->arena, uint32_t, 4 * rehearsal->orders->stages + 1);
    for (uint32_t d = 0; d < devices; d++)
        rehearsal_program(rehearsal, d);
}

static void rehearsal_read(const struct rehearsal_job *rehearsal, uint32_t d,
                           const struct engine_record *records, struct rehearsal_device *out,
                           struct arena *arena)
{
    const struct program *program = &rehearsal->job.programs[d];
    const struct schedule_list *list = &rehearsal->orders->lists[d];
    double now = 0;
    uint32_t i = 0;
    *out = (struct rehearsal_device){.boxes = ARENA_ARRAY(arena, struct rehearsal_box, list->count + 1),
                                     .box_count = list->count};
    for (uint32_t slot = 0; slot < program->op_count; slot++) {
        if (program->ops[slot].kind != OP_COMPUTE)
            continue;
        uint32_t count = list->at[i].overlapped ? 2 : 1;
        if (i == 0)
            out->start = records[slot].start;
        out->end = records[slot].end;
        out->busy += records[slot].end - records[slot].start;
        for (uint32_t k = 0; k < count; k++) {
            const struct schedule_item *item = &list->at[i + k];
            out->boxes[i + k] = (struct rehearsal_box){records[slot].start, records[slot].end, *item, k == 1};
            now += item->pass == PASS_F ? rehearsal->whole[item->stage] : 0;
        }
        out->peak = fmax(out->peak, now);
        for (uint32_t k = 0; k < count; k++) {
            const struct schedule_item *item = &list->at[i + k];
            double whole = rehearsal->whole[item->stage], weight = rehearsal->weight[item->stage];
            now -= item->pass == PASS_B   ? whole
                   : item->pass == PASS_I ? whole - weight
                   : item->pass == PASS_W ? weight
                                          : 0;
        }
        i += count;
    }
}

double rehearsal_memory(const struct rehearsal_device *device, double time, const double *whole,
                        const double *weight)
{
    double bytes = 0;
    for (uint32_t i = 0; i < device->box_count; i++) {
        const struct rehearsal_box *box = &device->boxes[i];
        uint32_t s = box->item.stage;
        if (box->item.pass == PASS_F)
            bytes += box->start <= time ? whole[s] : 0;
        else if (box->end <= time)
            bytes -= box->item.pass == PASS_B   ? whole[s]
                     : box->item.pass == PASS_I ? whole[s] - weight[s]
                                                : weight[s];
    }
    return bytes;
}

bool rehearsal_run(const struct orders *orders, const struct schedule_times *times, const double *whole,
                   const double *weight, struct rehearsal *out, struct arena *arena, const char **error)
{
    struct rehearsal_job rehearsal = {.orders = orders, .times = times, .whole = whole, .weight = weight};
    struct engine_result result;
    rehearsal_build(&rehearsal);
    const struct engine_options options = {.network = &alpha_beta_ideal};
    bool good = engine_run(&rehearsal.platform, &rehearsal.job, &options, &result, error);
    if (!good)
        *error = arena_text(arena, *error);
    *out = (struct rehearsal){.devices = ARENA_ARRAY(arena, struct rehearsal_device, orders->devices),
                              .device_count = orders->devices};
    double first = INFINITY, last = 0;
    for (uint32_t d = 0; good && d < orders->devices; d++) {
        struct rehearsal_device *device = &out->devices[d];
        rehearsal_read(&rehearsal, d, &result.records[result.first_record[d]], device, arena);
        first = fmin(first, device->start);
        last = fmax(last, device->end);
        out->span = fmax(out->span, device->end - device->start);
    }
    out->makespan = good ? last - first : 0;
    if (good)
        engine_result_fini(&result);
    arena_fini(&rehearsal.job.arena);
    platform_fini(&rehearsal.platform);
    names_fini(&rehearsal.names);
    return good;
}
