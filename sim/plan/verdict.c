#include "plan/verdict.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* What a program holds when it holds most. */
struct verdict_peak {
    struct memory_change *order; /* its changes in the order of time, as far as it is known */
    uint64_t changes;            /* so many steps of verdict_step() are before that moment */
    double of[MEMORY_CATEGORY_COUNT];
    double total, flops;
};

/* Per operation the first that waits for it; PROGRAM_NONE: none does. */
static uint32_t *verdict_waiters(const struct program *program, struct arena *arena)
{
    uint32_t *waiter = ARENA_ARRAY(arena, uint32_t, program->op_count + 1);
    for (uint32_t i = 0; i < program->op_count; i++)
        waiter[i] = PROGRAM_NONE;
    for (uint32_t i = program->op_count; i-- > 0;) {
        const struct op *op = &program->ops[i];
        for (uint32_t k = 0; k < op->dependency_count; k++)
            waiter[program->dependencies[op->first_dependency + k]] = i;
    }
    return waiter;
}

/* Where a change stands among all: what is held throughout first, then by operation, its start before its
 * end. */
static uint32_t verdict_place(const struct memory_change *change)
{
    return change->op == PROGRAM_NONE ? 0 : 2 * change->op + 1 + change->at_end;
}

/* What a message holds goes when the first operation begins that waits for it to have gone; if none does, as
 * soon as it is there to be sent. */
static void verdict_move(const struct program *program, const uint32_t *waiter, struct memory_change *change)
{
    const struct op *op = &program->ops[change->op];
    uint32_t after = 0;
    if (waiter[change->op] != PROGRAM_NONE) {
        change->op = waiter[change->op];
        change->at_end = false;
        return;
    }
    for (uint32_t k = 0; k < op->dependency_count; k++) {
        uint32_t slot = program->dependencies[op->first_dependency + k];
        after = slot > after ? slot : after;
    }
    change->op = after;
    change->at_end = true;
}

/* Operations of the compute stream run one after another, so the order of the program is the order of time,
 * whatever the network does; what communications take is counted where they are issued. The changes of a
 * program stand in that order but for those of messages: sorted by counting. A store keeps what it has until
 * it is asked for it. */
static void verdict_sort(const struct program *program, bool store, struct arena *arena,
                         struct verdict_peak *peak)
{
    uint32_t count = program->memory_count, *waiter = NULL;
    struct memory_change *moved = arena_copy(arena, program->memory, count * sizeof *moved);
    for (uint32_t i = program->held_count; i < count && !store; i++) {
        const struct op *op = &program->ops[moved[i].op];
        if (op->kind != OP_SEND || !op->dependency_count)
            continue;
        waiter = waiter ? waiter : verdict_waiters(program, arena);
        verdict_move(program, waiter, &moved[i]);
    }
    peak->order = moved;
    if (!waiter)
        return;
    uint32_t *first = ARENA_ARRAY(arena, uint32_t, 2 * program->op_count + 3);
    for (uint32_t i = 0; i < count; i++)
        first[verdict_place(&moved[i]) + 1]++;
    for (uint32_t i = 1; i < 2 * program->op_count + 3; i++)
        first[i] += first[i - 1];
    peak->order = ARENA_ARRAY(arena, struct memory_change, count);
    for (uint32_t i = 0; i < count; i++)
        peak->order[first[verdict_place(&moved[i])]++] = moved[i];
}

/* The changes of a program in the order of time, also of sections that recur. */
struct verdict_walk {
    const struct job *job;
    const struct program *program;
    const struct memory_change *order;
    struct program_stretch at;
    uint32_t next, first; /* in `order`; the first of the stretch */
    uint64_t steps;       /* so far */
    double bytes;         /* of the change */
};

static struct verdict_walk verdict_walk(const struct job *job, const struct program *program,
                                        const struct verdict_peak *peak)
{
    return (struct verdict_walk){
        .job = job, .program = program, .order = peak->order, .at = {.section = PROGRAM_NONE}};
}

/* The next change and what it takes; NULL: there are no more. */
static const struct memory_change *verdict_step(struct verdict_walk *walk)
{
    const struct program *program = walk->program;
    uint32_t section = walk->at.section;
    while (walk->next >= program->held_count &&
           (walk->next == program->memory_count || walk->order[walk->next].op >= walk->at.end)) {
        if (!program_next(walk->job, program, &walk->at))
            return NULL;
        if (walk->at.section == section)
            walk->next = walk->first;
        walk->first = walk->next;
        section = walk->at.section;
    }
    const struct memory_change *change = &walk->order[walk->next++];
    walk->bytes = program_size(walk->job, change, walk->at.time);
    walk->steps++;
    return change;
}

static void verdict_peak(const struct job *job, const struct program *program, struct verdict_peak *peak)
{
    double now[MEMORY_CATEGORY_COUNT] = {0}, total = 0, most = -1;
    struct verdict_walk walk = verdict_walk(job, program, peak);
    for (const struct memory_change *change = verdict_step(&walk); change;) {
        const struct memory_change *first = change;
        uint64_t steps = walk.steps;
        for (uint32_t time = walk.at.time;
             change && change->op == first->op && change->at_end == first->at_end && walk.at.time == time;
             change = verdict_step(&walk)) {
            now[change->category] += walk.bytes;
            total += walk.bytes;
            steps = walk.steps;
        }
        if (total <= most)
            continue;
        most = peak->total = total;
        memcpy(peak->of, now, sizeof now);
        peak->changes = steps;
    }
}

static double verdict_model_flops(const struct job *job, const struct program *program, uint32_t step)
{
    double flops = 0;
    for (struct program_stretch at = {.section = PROGRAM_NONE}; program_next(job, program, &at);)
        for (uint32_t i = at.first; i < at.end; i++)
            if (program->ops[i].step == step && program->ops[i].pass != PASS_R)
                flops += program_cost(job, &program->ops[i], at.time).model_flops;
    return flops;
}

/* A tensor's name with a star for each index: "block[3].attention" and "block[4].attention" are alike. */
static uint32_t verdict_pattern(struct names *names, uint32_t name)
{
    const char *text = names_text(names, name);
    char pattern[160];
    size_t length = 0;
    while (*text && length + 2 < sizeof pattern) {
        pattern[length++] = *text++;
        if (pattern[length - 1] != '[' || !isdigit((unsigned char)*text))
            continue;
        pattern[length++] = '*';
        while (isdigit((unsigned char)*text))
            text++;
    }
    pattern[length] = 0;
    return names_add(names, pattern);
}

static int verdict_order(const void *left, const void *right)
{
    const struct plan_holding *a = left, *b = right;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    if (a->category != b->category)
        return a->category < b->category ? -1 : 1;
    return a->what < b->what ? -1 : a->what > b->what;
}

struct verdict_holdings {
    struct plan_holding *at;
    uint32_t count, room;
};

static void verdict_add(struct verdict_holdings *list, uint32_t what, uint8_t category, double bytes)
{
    uint32_t i = 0;
    while (i < list->count && (list->at[i].what != what || list->at[i].category != category))
        i++;
    if (i == list->count)
        VECTOR_PUSH(list, ((struct plan_holding){what, category, 0, 0}));
    list->at[i].bytes += bytes;
    list->at[i].count++;
}

/* The largest parts of what is held at the peak. Names of tensors follow one another, so that sums per name
 * from the first to the last one take little room. */
static void verdict_largest(const struct job *job, const struct program *program,
                            const struct verdict_peak *peak, struct plan_memory *memory)
{
    struct names *names = job->names;
    struct verdict_walk walk = verdict_walk(job, program, peak);
    struct verdict_holdings alike = {0};
    struct arena scratch;
    uint32_t low = UINT32_MAX, end = 0;
    for (uint32_t i = 0; i < program->memory_count; i++) {
        uint32_t label = peak->order[i].label;
        low = label < low ? label : low;
        end = label >= end ? label + 1 : end;
    }
    arena_init(&scratch);
    uint32_t cells = end > low ? (end - low) * MEMORY_CATEGORY_COUNT : 0;
    double *sums = ARENA_ARRAY(&scratch, double, cells);
    while (walk.steps < peak->changes) {
        const struct memory_change *change = verdict_step(&walk);
        sums[(change->label - low) * MEMORY_CATEGORY_COUNT + change->category] += walk.bytes;
    }
    for (uint32_t i = 0; i < cells; i++)
        if (sums[i] > 1e-6 * peak->total)
            verdict_add(&alike, verdict_pattern(names, low + i / MEMORY_CATEGORY_COUNT),
                        i % MEMORY_CATEGORY_COUNT, sums[i]);
    if (alike.count)
        qsort(alike.at, alike.count, sizeof *alike.at, verdict_order);
    memory->largest_count = alike.count < PLAN_HOLDINGS ? alike.count : PLAN_HOLDINGS;
    for (uint32_t i = 0; i < memory->largest_count; i++)
        memory->largest[i] = alike.at[i];
    VECTOR_FREE(&alike);
    arena_fini(&scratch);
}

static struct plan_memory verdict_memory(const struct plan *plan, const struct rank *rank,
                                         const struct verdict_peak *peak)
{
    const struct device *device = &plan->platform->devices.at[rank->device];
    struct plan_memory memory = {.total = peak->total,
                                 .capacity = plan->platform->device_types.at[device->type].memory};
    memcpy(memory.of, peak->of, sizeof peak->of);
    return memory;
}

static void verdict_stage(struct plan *plan, struct plan_stage *stage, const struct job *job,
                          const struct verdict_peak *peaks)
{
    for (uint32_t m = 0; m < stage->devices.count; m++) {
        uint32_t r = stage->ranks[m];
        if (m && job->ranks[r].program == job->ranks[stage->ranks[m - 1]].program)
            continue; /* alike */
        struct plan_memory memory = verdict_memory(plan, &job->ranks[r], &peaks[job->ranks[r].program]);
        if (memory.total - memory.capacity > stage->memory.total - stage->memory.capacity || m == 0) {
            stage->memory = memory;
            stage->fullest_rank = r;
        }
        plan->fits &= memory.total <= memory.capacity;
    }
    uint32_t program = job->ranks[stage->fullest_rank].program;
    if (!plan->glance)
        verdict_largest(job, &job->programs[program], &peaks[program], &stage->memory);
}

/* What hosts and drives keep for the devices. */
static void verdict_stores(struct plan *plan, const struct job *job, const struct verdict_peak *peaks)
{
    plan->stores.count = 0;
    for (uint32_t r = 0; r < job->rank_count; r++) {
        if (!job->ranks[r].store)
            continue;
        const struct verdict_peak *peak = &peaks[job->ranks[r].program];
        struct plan_store store = {job->ranks[r].device, r, verdict_memory(plan, &job->ranks[r], peak)};
        if (!plan->glance)
            verdict_largest(job, &job->programs[job->ranks[r].program], peak, &store.memory);
        plan->fits &= store.memory.total <= store.memory.capacity;
        VECTOR_PUSH(&plan->stores, store);
    }
}

void verdict_fill(struct plan *plan, const struct job *job)
{
    struct arena scratch;
    arena_init(&scratch);
    struct verdict_peak *peaks = ARENA_ARRAY(&scratch, struct verdict_peak, job->program_count);
    bool *store = ARENA_ARRAY(&scratch, bool, job->program_count + 1);
    for (uint32_t r = 0; r < job->rank_count; r++)
        store[job->ranks[r].program] |= job->ranks[r].store;
    for (uint32_t p = 0; p < job->program_count; p++) {
        peaks[p] =
            (struct verdict_peak){.flops = verdict_model_flops(job, &job->programs[p], job->steps - 1)};
        verdict_sort(&job->programs[p], store[p], &scratch, &peaks[p]);
        verdict_peak(job, &job->programs[p], &peaks[p]);
    }
    plan->fits = true;
    plan->model_flops = 0;
    for (uint32_t r = 0; r < job->rank_count; r++)
        plan->model_flops += peaks[job->ranks[r].program].flops;
    for (uint32_t s = 0; s < plan->stages.count; s++)
        verdict_stage(plan, &plan->stages.at[s], job, peaks);
    verdict_stores(plan, job, peaks);
    arena_fini(&scratch);
}
