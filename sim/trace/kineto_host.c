#include "trace/kineto_host.h"

#include <stdlib.h>

/* By thread, then by start; what lies around another comes first. */
static int host_order(const void *left, const void *right)
{
    const struct kineto_task *a = left, *b = right;
    if (a->stream != b->stream)
        return a->stream < b->stream ? -1 : 1;
    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    if (a->end != b->end)
        return a->end > b->end ? -1 : 1;
    return a->name < b->name ? -1 : a->name > b->name;
}

void kineto_host_outermost(struct kineto *kineto)
{
    uint32_t kept = 0;
    if (kineto->tasks.count)
        qsort(kineto->tasks.at, kineto->tasks.count, sizeof *kineto->tasks.at, host_order);
    for (uint32_t i = 0; i < kineto->tasks.count; i++) {
        struct kineto_task task = kineto->tasks.at[i];
        struct kineto_task *last = kept ? &kineto->tasks.at[kept - 1] : NULL;
        bool same = last && last->stream == task.stream;
        if (same && task.end <= last->end && task.start < last->end) {
            last->flops += task.flops;
            last->bytes += task.bytes;
            continue;
        }
        if (same && task.start < last->end)
            task.start = last->end; /* a thread does one thing at a time */
        kineto->tasks.at[kept++] = task;
    }
    kineto->tasks.count = kept;
}
