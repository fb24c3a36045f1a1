#include "plan/builder.h"

#include <assert.h>
#include <stdio.h>

void builder_init(struct builder *builder, struct cast *cast, uint32_t rank, struct names *names)
{
    *builder = (struct builder){
        .cast = cast, .names = names, .rank = rank, .open = PROGRAM_NONE, .last_compute = PROGRAM_NONE};
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
    vector_release(builder->used);
}

static uint32_t builder_add(struct builder *builder, struct op op, const struct index_list *after)
{
    op.pass = builder->pass;
    op.step = builder->step;
    op.micro_batch = builder->micro_batch;
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
    op->allocates += builder->allocates;
    op->frees += builder->frees;
    builder->allocates = builder->frees = 0;
    return builder->open;
}

void builder_close(struct builder *builder)
{
    builder->open = PROGRAM_NONE;
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

void builder_finish(struct builder *builder, struct arena *arena, struct program *program)
{
    uint32_t slots = builder->cast->ranks.at[builder->rank].groups.count;
    if (builder->last_compute != PROGRAM_NONE) /* what is still to be freed is freed by the last operation */
        builder->ops.at[builder->last_compute].frees += builder->frees;
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
