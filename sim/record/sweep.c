#include "record/sweep.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int sweep_order(const void *left, const void *right)
{
    const struct sweep_stretch *a = left, *b = right;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    if (a->stream != b->stream)
        return a->stream < b->stream ? -1 : 1;
    return a->place < b->place ? -1 : a->place > b->place;
}

static void sweep_sort(struct sweep_list *list)
{
    for (uint32_t i = 1; i < list->count; i++)
        if (sweep_order(&list->at[i - 1], &list->at[i]) > 0) {
            qsort(list->at, list->count, sizeof *list->at, sweep_order);
            return;
        }
}

/* Whether `a` outlasts `b`; ties go to the lower stream, then to what comes first in it. */
static bool sweep_outlasts(const struct sweep_stretch *a, const struct sweep_stretch *b)
{
    if (a->end != b->end)
        return a->end > b->end;
    return a->stream != b->stream ? a->stream < b->stream : a->place < b->place;
}

/* Shares a gap of the compute stream out from where the sweep is to `to`. `next`: the first communication
 * that has not started there. */
static void sweep_gap(struct sweep *sweep, struct metrics_rank *rank, double to, uint32_t *next)
{
    const struct sweep_list *list = &sweep->communications;
    for (double from = sweep->now; from < to;) {
        for (; *next < list->count && list->at[*next].start <= from; ++*next)
            if (!sweep->any || sweep_outlasts(&list->at[*next], &sweep->last)) {
                sweep->last = list->at[*next];
                sweep->any = true;
            }
        double until = *next < list->count && list->at[*next].start < to ? list->at[*next].start : to;
        if (sweep->any && sweep->last.end > from) {
            until = fmin(until, sweep->last.end);
            rank->exposed.at[sweep->last.share].seconds += until - from;
        } else {
            rank->bubble += until - from;
        }
        from = until;
    }
}

static void sweep_drop(struct sweep_list *list, uint32_t count)
{
    list->count -= count;
    if (count && list->count)
        memmove(list->at, list->at + count, list->count * sizeof *list->at);
}

void sweep_until(struct sweep *sweep, struct metrics_rank *rank, double limit)
{
    uint32_t done = 0, next = 0;
    sweep_sort(&sweep->busy);
    sweep_sort(&sweep->communications);
    if (!sweep->begun && rank->first_start < limit) {
        sweep->begun = true;
        sweep->now = rank->first_start;
    }
    for (; done < sweep->busy.count && sweep->busy.at[done].start < limit; done++) {
        const struct sweep_stretch *busy = &sweep->busy.at[done];
        sweep->worked += busy->end - busy->start;
        if (busy->start > sweep->now) {
            sweep_gap(sweep, rank, busy->start, &next);
            sweep->now = busy->start;
        }
        if (busy->end >= sweep->now) { /* also of no length: the gap before it is dealt with */
            sweep->covered += busy->end - sweep->now;
            sweep->now = busy->end;
        }
    }
    sweep_drop(&sweep->busy, done);
    sweep_drop(&sweep->communications, next);
}

void sweep_end(struct sweep *sweep, struct metrics_rank *rank, bool several_compute_streams)
{
    uint32_t next = 0;
    sweep_until(sweep, rank, INFINITY);
    sweep_gap(sweep, rank, rank->last_end, &next);
    sweep->now = fmax(sweep->now, rank->last_end);
    /* One stream is in-order, so both agree; `worked` lets the check of the sum find a stream that is not. */
    rank->compute = several_compute_streams ? sweep->covered : sweep->worked;
    sweep->busy.count = sweep->communications.count = 0;
}

void sweep_fini(struct sweep *sweep)
{
    VECTOR_FREE(&sweep->busy);
    VECTOR_FREE(&sweep->communications);
}
