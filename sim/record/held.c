#include "record/held.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int held_order(const void *left, const void *right)
{
    const struct held_event *a = left, *b = right;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    if ((a->bytes > 0) != (b->bytes > 0))
        return a->bytes > 0 ? 1 : -1;
    if (a->pass != b->pass)
        return a->pass < b->pass ? -1 : 1;
    return a->change < b->change ? -1 : a->change > b->change;
}

void held_sort(struct held_list *list)
{
    if (list->count)
        qsort(list->at, list->count, sizeof *list->at, held_order);
}

/* The first change, after those held throughout, of an operation from `slot` on: they stand by operation. */
static uint32_t held_first(const struct program *program, uint32_t slot)
{
    uint32_t low = program->held_count, high = program->memory_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (program->memory[middle].op < slot)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void held_add(const struct job *job, const struct program *program, const struct program_stretch *stretch,
              uint32_t pass, const struct engine_record *records, uint32_t base, struct held_list *list)
{
    for (uint32_t i = held_first(program, stretch->first);
         i < program->memory_count && program->memory[i].op < stretch->end; i++) {
        const struct memory_change *change = &program->memory[i];
        const struct engine_record *record = &records[(uint32_t)(base + change->op)];
        double bytes = program_size(job, change, stretch->time);
        if (bytes != 0)
            VECTOR_PUSH(list, ((struct held_event){change->at_end ? record->end : record->start, bytes,
                                                   change, pass}));
    }
}

void held_changes(const struct job *job, const struct engine_result *result, uint32_t rank,
                  struct held_list *list)
{
    const struct program *program = &job->programs[job->ranks[rank].program];
    struct program_stretch all = {.end = program->op_count};
    list->count = 0;
    held_add(job, program, &all, 0, result->records, result->first_record[rank], list);
    held_sort(list);
}

void held_begin(struct held *held, const struct program *program)
{
    *held = (struct held){0};
    for (uint32_t h = 0; h < program->held_count; h++)
        held->now += program->memory[h].bytes;
    held->most = held->now;
}

void held_until(struct held *held, double limit)
{
    struct held_list *list = &held->list;
    uint32_t done = 0;
    held_sort(list);
    for (; done < list->count && list->at[done].time < limit; done++) {
        held->now += list->at[done].bytes;
        held->most = held->now > held->most ? held->now : held->most;
    }
    list->count -= done;
    if (done && list->count)
        memmove(list->at, list->at + done, list->count * sizeof *list->at);
}

double held_peak(const struct job *job, const struct engine_result *result, uint32_t rank)
{
    struct held held;
    held_begin(&held, &job->programs[job->ranks[rank].program]);
    held_changes(job, result, rank, &held.list);
    held_until(&held, INFINITY);
    VECTOR_FREE(&held.list);
    return held.most;
}
