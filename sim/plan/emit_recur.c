#include "plan/emit_recur.h"

#include <string.h>

static bool recur_same_cost(const struct op_cost *a, const struct op_cost *b)
{
    return a->seconds == b->seconds && a->bytes == b->bytes && a->flops == b->flops &&
           a->model_flops == b->model_flops && a->memory_bytes == b->memory_bytes;
}

static struct op_cost recur_cost(const struct op *op)
{
    return (struct op_cost){op->seconds, op->bytes, op->flops, op->model_flops, op->memory_bytes};
}

/* Whether operations at `a` and `b` are the same but for what they cost. Dependencies are as far back. */
static bool recur_same_op(const struct builder *builder, uint32_t a, uint32_t b, bool same_micro_batch)
{
    const struct op *x = &builder->ops.at[a], *y = &builder->ops.at[b];
    bool same = x->kind == y->kind && x->pass == y->pass && x->collective == y->collective &&
                x->stream == y->stream && x->label == y->label && x->group == y->group &&
                x->shares == y->shares && x->traffic == y->traffic && x->step == y->step &&
                x->dependency_count == y->dependency_count &&
                (!same_micro_batch || x->micro_batch == y->micro_batch);
    for (uint32_t i = 0; same && i < x->dependency_count; i++)
        same = a - builder->dependencies.at[x->first_dependency + i] ==
               b - builder->dependencies.at[y->first_dependency + i];
    return same;
}

/* Whether two changes of memory are the same but for their bytes, `y` of an operation `shift` later. */
static bool recur_same_change(const struct memory_change *x, const struct memory_change *y, uint32_t shift)
{
    return x->op == y->op - shift && x->label == y->label && x->category == y->category &&
           x->at_end == y->at_end;
}

/* Whether what was written is `copies` times the same, one after the other. */
static bool recur_copies(const struct recur *recur, const struct builder *builder, uint32_t copies)
{
    uint32_t ops = recur->end.ops - recur->begin.ops, changes = recur->end.memory - recur->begin.memory;
    uint32_t op_count = ops / copies, size_count = changes / copies;
    bool same = ops % copies == 0 && changes % copies == 0;
    for (uint32_t i = op_count; same && i < ops; i++) {
        uint32_t at = recur->begin.ops + i, first = at - i / op_count * op_count;
        struct op_cost a = recur_cost(&builder->ops.at[first]), b = recur_cost(&builder->ops.at[at]);
        same = recur_same_op(builder, first, at, false) && recur_same_cost(&a, &b);
    }
    for (uint32_t i = size_count; same && i < changes; i++) {
        const struct memory_change *at = &builder->memory.at[recur->begin.memory + i];
        const struct memory_change *first = at - i / size_count * size_count;
        same = recur_same_change(first, at, i / size_count * op_count) && first->bytes == at->bytes;
    }
    return same;
}

void emit_recur_begin(struct recur *recur, struct builder *builder, struct builder_mark begin, uint32_t times,
                      uint32_t micro_batches)
{
    *recur = (struct recur){.begin = begin, .times = times, .copies = 1};
    arena_init(&recur->arena);
    recur->end = builder_mark(builder, &recur->arena);
    if (recur_copies(recur, builder, micro_batches))
        recur->copies = micro_batches;
    recur->uneven = begin.pending || recur->end.pending;
    recur->op_count = (recur->end.ops - begin.ops) / recur->copies;
    recur->size_count = (recur->end.memory - begin.memory) / recur->copies;
    recur->costs = ARENA_ARRAY(&recur->arena, struct recur_cost, recur->op_count + 1);
    for (uint32_t i = 0; i < recur->size_count; i++) {
        struct memory_change change = builder->memory.at[begin.memory + i];
        recur->uneven |= change.op < begin.ops; /* of an operation of the token before */
        change.op -= begin.ops;
        VECTOR_PUSH(&recur->sizes, ((struct recur_size){change, NULL}));
    }
}

static void recur_ops(struct recur *recur, const struct builder *builder)
{
    recur->uneven |= builder->ops.count - recur->end.ops != recur->op_count;
    for (uint32_t i = 0; i < recur->op_count && !recur->uneven; i++) {
        uint32_t at = recur->end.ops + i, first = recur->begin.ops + i;
        struct op_cost cost = recur_cost(&builder->ops.at[at]), usual = recur_cost(&builder->ops.at[first]);
        struct op_cost **costs = &recur->costs[i].at;
        recur->uneven |= !recur_same_op(builder, first, at, true);
        if (!*costs && recur_same_cost(&cost, &usual))
            continue;
        if (!*costs) {
            *costs = ARENA_ARRAY(&recur->arena, struct op_cost, recur->times);
            for (uint32_t t = 0; t < recur->times; t++)
                (*costs)[t] = usual;
        }
        (*costs)[recur->time] = cost;
    }
}

/* The size that a change of the token at hand is, `guess` if it stands in the same place; a new one if none
 * is. */
static uint32_t recur_find(struct recur *recur, const struct memory_change *change, uint32_t guess)
{
    uint32_t shift = recur->end.ops, i = 0;
    if (guess < recur->sizes.count && recur_same_change(&recur->sizes.at[guess].change, change, shift))
        return guess;
    while (i < recur->sizes.count && !recur_same_change(&recur->sizes.at[i].change, change, shift))
        i++;
    if (i == recur->sizes.count) {
        struct recur_size size = {*change, NULL};
        size.change.op -= shift;
        size.change.bytes = 0;
        VECTOR_PUSH(&recur->sizes, size);
    }
    return i;
}

static void recur_memory(struct recur *recur, const struct builder *builder)
{
    recur->now.count = 0;
    while (recur->now.count < recur->sizes.count)
        VECTOR_PUSH(&recur->now, 0.0);
    for (uint32_t i = recur->end.memory; i < builder->memory.count; i++) {
        const struct memory_change *change = &builder->memory.at[i];
        recur->uneven |= change->op < recur->end.ops;
        uint32_t size = recur_find(recur, change, i - recur->end.memory);
        if (size == recur->now.count)
            VECTOR_PUSH(&recur->now, 0.0);
        recur->now.at[size] += change->bytes;
    }
    for (uint32_t i = 0; i < recur->sizes.count; i++) {
        struct recur_size *size = &recur->sizes.at[i];
        if (!size->at && size->change.bytes == recur->now.at[i])
            continue;
        if (!size->at) {
            size->at = ARENA_ARRAY(&recur->arena, double, recur->times);
            for (uint32_t t = 0; t < recur->times; t++)
                size->at[t] = size->change.bytes;
        }
        size->at[recur->time] = recur->now.at[i];
    }
}

void emit_recur_next(struct recur *recur, struct builder *builder)
{
    recur->time++;
    if (!recur->uneven)
        recur_ops(recur, builder);
    if (!recur->uneven)
        recur_memory(recur, builder);
    builder_back(builder, &recur->end);
}

/* Where a series begins among those of the job, plus 1; equal ones stand there once. `size`: of a number in
 * it. */
static uint32_t recur_series(struct emit_series_list *list, const void *series, uint32_t times, size_t size)
{
    for (uint32_t i = 0; i < list->starts.count; i++) {
        uint32_t start = list->starts.at[i];
        if (memcmp(list->bytes.at + start * size, series, times * size) == 0)
            return start + 1;
    }
    uint32_t start = (uint32_t)(list->bytes.count / size);
    for (size_t i = 0; i < times * size; i++)
        VECTOR_PUSH(&list->bytes, ((const char *)series)[i]);
    VECTOR_PUSH(&list->starts, start);
    return start + 1;
}

static void recur_note_costs(const struct recur *recur, struct builder *builder, struct emit_series *series)
{
    for (uint32_t i = 0; i < recur->op_count; i++) {
        if (!recur->costs[i].at)
            continue;
        uint32_t costs =
            recur_series(&series->costs, recur->costs[i].at, recur->times, sizeof(struct op_cost));
        for (uint32_t c = 0; c < recur->copies; c++)
            builder->ops.at[recur->begin.ops + c * recur->op_count + i].costs = costs;
    }
}

static void recur_note_sizes(const struct recur *recur, struct builder *builder, struct emit_series *series)
{
    for (uint32_t i = 0; i < recur->sizes.count; i++) {
        const struct recur_size *size = &recur->sizes.at[i];
        if (!size->at)
            continue;
        struct memory_change change = size->change;
        change.sizes = recur_series(&series->sizes, size->at, recur->times, sizeof(double));
        for (uint32_t c = 0; c < recur->copies; c++) {
            change.op = recur->begin.ops + c * recur->op_count + size->change.op;
            if (i < recur->size_count)
                builder->memory.at[recur->begin.memory + c * recur->size_count + i].sizes = change.sizes;
            else
                VECTOR_PUSH(&builder->memory, change);
        }
    }
}

void emit_recur_end(struct recur *recur, struct builder *builder, struct emit_series *series)
{
    if (!recur->uneven) {
        recur_note_costs(recur, builder, series);
        recur_note_sizes(recur, builder, series);
    }
    VECTOR_FREE(&recur->sizes);
    VECTOR_FREE(&recur->now);
    arena_fini(&recur->arena);
}
