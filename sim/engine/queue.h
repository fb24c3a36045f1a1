/* Queue: pending events in time order. 16-byte keys (time bits, phase, identity) compared as one 128-bit
 * integer, the earliest in a 4-ary array heap, the others in buckets by time; handles stay valid while an
 * event is pending, so it can be moved or cancelled. O(log n) each, amortised; no allocation per event (the
 * arrays double). Times must be >= 0 and finite. */
#ifndef PARTITA_ENGINE_QUEUE_H
#define PARTITA_ENGINE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

enum queue_phase { PHASE_COMPLETION, PHASE_LATENCY, PHASE_CAPACITY, PHASE_START };

enum { QUEUE_NONE = UINT32_MAX };

struct queue_event {
    double time;
    uint32_t phase; /* enum queue_phase */
    uint32_t
        identity; /* what it is about; breaks ties, so the order is the same everywhere (must be < 2^30) */
    uint32_t handle;
};

struct queue; /* opaque: queue.c */

struct queue *queue_new(void);
void queue_free(struct queue *queue);
uint32_t queue_count(const struct queue *queue);

/* Adds an event that is neither moved nor cancelled; its handle is QUEUE_NONE. The cheapest way. */
void queue_push(struct queue *queue, double time, enum queue_phase phase, uint32_t identity);

/* Adds an event and returns its handle. */
uint32_t queue_add(struct queue *queue, double time, enum queue_phase phase, uint32_t identity);
/* Gives a pending event another time, or takes it away; its handle may be used again after that. */
void queue_move(struct queue *queue, uint32_t handle, double time);
void queue_cancel(struct queue *queue, uint32_t handle);

/* The earliest event without removing it; false when empty. */
bool queue_peek(const struct queue *queue, struct queue_event *event);
/* The same, and removes it. */
bool queue_pop(struct queue *queue, struct queue_event *event);

#endif
