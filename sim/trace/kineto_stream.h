/* Kineto_stream: the tasks of a profile by the GPU's streams, and which of them waited for which of another
 * stream. A stream runs its tasks in the order in which they were launched, so "what was in the stream when
 * the host called X" is a binary search. */
#ifndef PARTITA_TRACE_KINETO_STREAM_H
#define PARTITA_TRACE_KINETO_STREAM_H

#include "trace/kineto.h"

struct kineto_queue {
    int64_t stream;
    uint32_t first, count; /* in struct kineto_streams: order */
    double work;           /* nanoseconds of what computes */
};

struct kineto_edge {
    uint32_t task, on; /* the second ends before the first begins */
};

struct kineto_streams {
    struct kineto *kineto;
    struct arena arena;
    uint32_t *call;    /* per task: its launch; TRACE_NONE: not in the file */
    uint32_t *before;  /* per task: the one before it in its stream; TRACE_NONE */
    int64_t *launched; /* per task: when; never earlier than those before it in its stream */
    uint32_t *order;   /* tasks by stream, then start */
    uint32_t *record;  /* per call: the last one before it that records an event; TRACE_NONE */
    struct correlated *by_correlation; /* calls; private */
    VECTOR(struct kineto_queue) queues;
    VECTOR(struct kineto_edge) edges; /* by task */
};

/* Sorts the arrays of `kineto`: tasks by start, calls by start, waits and operators by number. */
void kineto_stream_init(struct kineto_streams *streams, struct kineto *kineto, struct kineto_counts *counts);
void kineto_stream_fini(struct kineto_streams *streams);

/* The call of a correlation; TRACE_NONE: there is none. */
uint32_t kineto_stream_call(const struct kineto_streams *streams, int64_t correlation);

/* The last task of a queue that was launched before `time` and ended by `end`; TRACE_NONE: there is none. */
uint32_t kineto_stream_last(const struct kineto_streams *streams, const struct kineto_queue *queue,
                            int64_t time, int64_t end);

/* NULL: nothing ran on that stream. */
const struct kineto_queue *kineto_stream_queue(const struct kineto_streams *streams, int64_t stream);

#endif
