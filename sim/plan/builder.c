#include "plan/builder.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void builder_init(struct builder *builder, struct cast *cast, uint32_t rank, struct names *names)
{
    vector_release(builder->used);
    *builder = (struct builder){.cast = cast,
                                .names = names,
                                .rank = rank,
                                .open = PROGRAM_NONE,
                                .last_compute = PROGRAM_NONE,
                                .ops = builder->ops,
                                .dependencies = builder->dependencies,
                                .waited = builder->waited,
                                .marks = builder->marks,
                                .gate = builder->gate,
                                .memory = builder->memory,
                                .pending = builder->pending,
                                .inside = builder->inside,
                                .places = builder->places};
    builder->ops.count = builder->dependencies.count = builder->waited.count = builder->marks.count = 0;
    builder->gate.count = builder->memory.count = builder->pending.count = builder->inside.count = 0;
    struct index_list used = {0};
    for (uint32_t g = 0; g <= cast->ranks.at[rank].groups.count; g++)
        VECTOR_PUSH(&used, 0u);
    builder->used = used.at;
}

void builder_fini(struct builder *builder)
{
    VECTOR_FREE(&builder->ops);
    VECTOR_FREE(&builder->dependencies);
    VECTOR_FREE(&builder->waited);
    VECTOR_FREE(&builder->marks);
    VECTOR_FREE(&builder->gate);
    VECTOR_FREE(&builder->memory);
    VECTOR_FREE(&builder->pending);
    VECTOR_FREE(&builder->inside);
    VECTOR_FREE(&builder->places);
    vector_release(builder->used);
}

struct builder_mark builder_mark(const struct builder *builder, struct arena *arena)
{
    assert(builder->open == PROGRAM_NONE);
    size_t slots = builder->cast->ranks.at[builder->rank].groups.count + 1;
    return (struct builder_mark){.ops = builder->ops.count,
                                 .dependencies = builder->dependencies.count,
                                 .memory = builder->memory.count,
                                 .last_compute = builder->last_compute,
                                 .pending = builder->pending.count,
                                 .used = arena_copy(arena, builder->used, slots * sizeof *builder->used)};
}

void builder_back(struct builder *builder, const struct builder_mark *mark)
{
    size_t slots = builder->cast->ranks.at[builder->rank].groups.count + 1;
    builder->ops.count = builder->waited.count = builder->marks.count = mark->ops;
    builder->dependencies.count = mark->dependencies;
    builder->memory.count = mark->memory;
    builder->last_compute = mark->last_compute;
    memcpy(builder->used, mark->used, slots * sizeof *builder->used);
}

static uint32_t builder_add(struct builder *builder, struct op op, const struct index_list *after)
{
    op.pass = builder->pass;
    op.step = builder->step;
    op.micro_batch = builder->micro_batch;
    op.token = builder->token;
    op.first_dependency = builder->dependencies.count;
    for (uint32_t i = 0; after && i < after->count; i++) {
        bool same_stream = builder->ops.at[after->at[i]].stream == op.stream;
        bool known = op.stream == 0 && builder->waited.at[after->at[i]];
        if (same_stream || known)
            continue; /* the stream is in order: implied */
        VECTOR_PUSH(&builder->dependencies, after->at[i]);
        if (op.stream == 0)
            builder->waited.at[after->at[i]] = true;
    }
    op.dependency_count = builder->dependencies.count - op.first_dependency;
    VECTOR_PUSH(&builder->ops, op);
    VECTOR_PUSH(&builder->waited, false);
    VECTOR_PUSH(&builder->marks, builder->mark);
    return builder->ops.count - 1;
}

static bool builder_must_wait(const struct builder *builder, const struct index_list *after)
{
    for (uint32_t i = 0; after && i < after->count; i++)
        if (builder->ops.at[after->at[i]].stream != 0 && !builder->waited.at[after->at[i]])
            return true;
    return false;
}

uint32_t builder_kernel(struct builder *builder, uint32_t label, const struct work *work,
                        const struct index_list *after)
{
    struct index_list gated = {0};
    if (builder->gate.count) {
        for (uint32_t i = 0; i < after->count; i++)
            VECTOR_PUSH(&gated, after->at[i]);
        for (uint32_t i = 0; i < builder->gate.count; i++)
            VECTOR_PUSH(&gated, builder->gate.at[i]);
        builder->gate.count = 0;
        after = &gated;
    }
    if (builder->open != PROGRAM_NONE &&
        (builder->ops.at[builder->open].label != label || builder_must_wait(builder, after)))
        builder_close(builder);
    if (builder->open == PROGRAM_NONE) {
        builder->open = builder_add(
            builder, (struct op){.kind = OP_COMPUTE, .label = label, .group = PROGRAM_NONE}, after);
        builder->last_compute = builder->open;
    }
    VECTOR_FREE(&gated);
    struct op *op = &builder->ops.at[builder->open];
    op->seconds += work->seconds;
    op->flops += work->flops;
    op->model_flops += work->model_flops;
    op->memory_bytes += work->bytes;
    for (uint32_t i = 0; i < builder->pending.count; i++)
        VECTOR_PUSH(&builder->inside, builder->pending.at[i]);
    builder->pending.count = 0;
    return builder->open;
}

/* Adds a change, to one of the same from `first` on if there is one. */
static void builder_note(struct builder *builder, uint32_t first, const struct memory_change *change)
{
    uint32_t i = first;
    for (; i < builder->memory.count; i++) {
        struct memory_change *other = &builder->memory.at[i];
        if (other->op == change->op && other->at_end == change->at_end &&
            other->category == change->category && other->label == change->label) {
            other->bytes += change->bytes;
            return;
        }
    }
    VECTOR_PUSH(&builder->memory, *change);
}

/* Splits the changes inside an operation at the moment at which it holds most. */
static void builder_settle(struct builder *builder)
{
    double now = 0, most = 0;
    uint32_t peak = 0, first = builder->memory.count;
    for (uint32_t i = 0; i < builder->inside.count; i++) {
        now += builder->inside.at[i].bytes;
        if (now > most) {
            most = now;
            peak = i + 1;
        }
    }
    for (uint32_t i = 0; i < builder->inside.count; i++) {
        struct memory_change *change = &builder->inside.at[i];
        change->op = builder->open;
        change->at_end = i >= peak;
        builder_note(builder, first, change);
    }
    builder->inside.count = 0;
}

void builder_close(struct builder *builder)
{
    if (builder->open != PROGRAM_NONE)
        builder_settle(builder);
    builder->open = PROGRAM_NONE;
}

void builder_take(struct builder *builder, uint8_t category, uint32_t label, double bytes)
{
    if (bytes > 0)
        VECTOR_PUSH(&builder->pending,
                    ((struct memory_change){.bytes = bytes, .label = label, .category = category}));
}

void builder_change(struct builder *builder, uint32_t op, uint8_t category, uint32_t label, double bytes)
{
    struct memory_change change = {.bytes = bytes,
                                   .op = op == PROGRAM_NONE ? builder->last_compute : op,
                                   .label = label,
                                   .category = category,
                                   .at_end = bytes < 0};
    if (bytes == 0 || change.op == PROGRAM_NONE)
        return;
    if (change.op == builder->open)
        VECTOR_PUSH(&builder->inside, change);
    else
        VECTOR_PUSH(&builder->memory, change);
}

void builder_hold(struct builder *builder, uint8_t category, uint32_t label, double bytes)
{
    if (bytes != 0)
        VECTOR_PUSH(&builder->memory,
                    ((struct memory_change){
                        .bytes = bytes, .op = PROGRAM_NONE, .label = label, .category = category}));
}

/* The rank's slot of a group of the registry. */
static uint32_t builder_slot(const struct builder *builder, uint32_t group)
{
    const struct index_list *groups = &builder->cast->ranks.at[builder->rank].groups;
    for (uint32_t i = 0; i < groups->count; i++)
        if (groups->at[i] == group)
            return i;
    assert(false && "a communication in a group that the rank was not cast into");
    return 0;
}

uint32_t builder_communicate(struct builder *builder, enum op_kind kind, int collective, uint32_t group,
                             uint32_t match, double bytes, uint32_t label, const struct index_list *after)
{
    for (uint32_t i = 0; after && i < after->count; i++)
        if (after->at[i] == builder->open)
            builder_close(builder); /* it waits for that operation, which must not grow any more */
    uint32_t slot = builder_slot(builder, group);
    if (match == MODEL_NONE)
        match = builder->used[slot]++;
    registry_use(builder->cast->registry, group, match);
    bool blocks = registry_blocks(builder->cast->registry, group);
    if (blocks)
        builder_close(builder);
    struct op op = {.kind = (uint8_t)kind,
                    .collective = (uint8_t)collective,
                    .group = slot,
                    .match = match,
                    .bytes = bytes,
                    .label = label,
                    .stream = (uint16_t)(blocks ? 0 : slot + 1)};
    return builder_add(builder, op, after);
}

/* A stream's name: the group's, with the direction for point-to-point channels. */
static uint32_t builder_stream_name(const struct builder *builder, uint32_t slot)
{
    struct registry *registry = builder->cast->registry;
    const struct group *group = &registry->groups.at[builder->cast->ranks.at[builder->rank].groups.at[slot]];
    const char *way = "";
    for (uint32_t i = 0; i < builder->ops.count; i++)
        if (builder->ops.at[i].stream == slot + 1) {
            way = builder->ops.at[i].kind == OP_SEND      ? " send"
                  : builder->ops.at[i].kind == OP_RECEIVE ? " receive"
                                                          : "";
            break;
        }
    char text[160];
    snprintf(text, sizeof text, "%s%s", names_text(builder->names, group->name), way);
    return names_add(builder->names, text);
}

/* Where a change stands among those of all operations: what is held throughout comes first. */
static uint32_t builder_place(const struct memory_change *change)
{
    return change->op == PROGRAM_NONE ? 0 : 2 * change->op + 1 + change->at_end;
}

/* Copies the changes of memory, by operation and in the order in which they were noted. */
static void builder_sort(struct builder *builder, struct arena *arena, struct program *program)
{
    struct index_list *first = &builder->places;
    uint32_t count = builder->memory.count;
    first->count = 0;
    for (uint32_t i = 0; i <= 2 * builder->ops.count + 1; i++)
        VECTOR_PUSH(first, 0u);
    for (uint32_t i = 0; i < count; i++)
        if (builder->memory.at[i].bytes != 0 || builder->memory.at[i].sizes)
            first->at[builder_place(&builder->memory.at[i]) + 1]++;
    program->held_count = first->at[1];
    for (uint32_t i = 1; i < first->count; i++)
        first->at[i] += first->at[i - 1];
    program->memory_count = first->at[first->count - 1];
    program->memory = ARENA_ARRAY(arena, struct memory_change, program->memory_count);
    for (uint32_t i = 0; i < count; i++)
        if (builder->memory.at[i].bytes != 0 || builder->memory.at[i].sizes)
            program->memory[first->at[builder_place(&builder->memory.at[i])]++] = builder->memory.at[i];
}

void builder_finish(struct builder *builder, struct arena *arena, struct program *program)
{
    uint32_t slots = builder->cast->ranks.at[builder->rank].groups.count;
    builder_close(builder);
    builder_sort(builder, arena, program);
    program->op_count = builder->ops.count;
    program->ops = arena_copy(arena, builder->ops.at, builder->ops.count * sizeof(struct op));
    program->dependency_count = builder->dependencies.count;
    program->dependencies =
        arena_copy(arena, builder->dependencies.at, builder->dependencies.count * sizeof(uint32_t));
    program->stream_count = slots + 1;
    program->streams = ARENA_ARRAY(arena, struct program_stream, slots + 1);
    program->streams[0] = (struct program_stream){names_add(builder->names, "compute"), true};
    for (uint32_t s = 0; s < slots; s++)
        program->streams[s + 1] = (struct program_stream){builder_stream_name(builder, s), false};
}
