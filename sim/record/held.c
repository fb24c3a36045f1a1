#include "record/held.h"

#include <stdlib.h>

static int held_order(const void *left, const void *right)
{
    const struct held_event *a = left, *b = right;
    if (a->time != b->time)
        return a->time < b->time ? -1 : 1;
    if ((a->change->bytes > 0) != (b->change->bytes > 0))
        return a->change->bytes > 0 ? 1 : -1;
    return a->change < b->change ? -1 : a->change > b->change;
}

void held_changes(const struct job *job, const struct engine_result *result, uint32_t rank,
                  struct held_list *list)
{
    const struct program *program = &job->programs[job->ranks[rank].program];
    const struct engine_record *records = &result->records[result->first_record[rank]];
    list->count = 0;
    for (uint32_t i = program->held_count; i < program->memory_count; i++) {
        const struct memory_change *change = &program->memory[i];
        const struct engine_record *record = &records[change->op];
        VECTOR_PUSH(list, ((struct held_event){change->at_end ? record->end : record->start, change}));
    }
    if (list->count)
        qsort(list->at, list->count, sizeof *list->at, held_order);
}

double held_peak(const struct job *job, const struct engine_result *result, uint32_t rank)
{
    const struct program *program = &job->programs[job->ranks[rank].program];
    struct held_list list = {0};
    double now = 0;
    for (uint32_t h = 0; h < program->held_count; h++)
        now += program->memory[h].bytes;
    double most = now;
    held_changes(job, result, rank, &list);
    for (uint32_t i = 0; i < list.count; i++) {
        now += list.at[i].change->bytes;
        most = now > most ? now : most;
    }
    VECTOR_FREE(&list);
    return most;
}
