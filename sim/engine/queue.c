/* A key is one unsigned 128-bit integer: time bits (a non-negative double orders like its bits), phase (2
 * bits), identity (30), handle (32). So one comparison decides everything, ties included, and the heap is a
 * plain array of keys. `position` maps a pending handle to its place in the heap and a free one to the next
 * free one.
 *
 * Taking the root away leaves a hole there, which the next event added fills: one walk down the heap for the
 * pair, instead of one down and one up. Whatever else looks at the heap fills it with the last key first. */
#include "engine/queue.h"

#include "base/arena.h"
#include "base/vector.h"

#include <assert.h>
#include <string.h>

__extension__ typedef unsigned __int128 queue_key;

enum { ARITY = 4, IDENTITY_BITS = 30, FAR = 1 << 14 }; /* FAR: keys that no longer fit the near caches */

struct queue {
    struct arena arena;         /* owns this record */
    VECTOR(queue_key) memory;   /* `count` is not used */
    queue_key *heap;            /* in `memory`, so that four siblings share one cache line */
    uint32_t count;             /* keys in `heap` */
    struct index_list position; /* per handle */
    uint32_t free;              /* first free handle, QUEUE_NONE if none */
    bool hole;                  /* the root is taken away, but still counted in `heap` */
};

static queue_key key_of(double time, uint32_t phase, uint32_t identity, uint32_t handle)
{
    assert(time >= 0 && time < 1e308 && identity < 1u << IDENTITY_BITS);
    time += 0.0; /* -0 becomes +0, whose bits are the smallest */
    uint64_t bits;
    memcpy(&bits, &time, sizeof bits);
    uint64_t low = (uint64_t)(phase << IDENTITY_BITS | identity) << 32 | handle;
    return (queue_key)bits << 64 | low;
}

static uint32_t key_handle(queue_key key)
{
    return (uint32_t)key;
}

static struct queue_event key_event(queue_key key)
{
    uint64_t bits = (uint64_t)(key >> 64);
    uint32_t what = (uint32_t)((uint64_t)key >> 32);
    struct queue_event event = {.phase = what >> IDENTITY_BITS,
                                .identity = what & ((1u << IDENTITY_BITS) - 1),
                                .handle = key_handle(key)};
    memcpy(&event.time, &bits, sizeof bits);
    return event;
}

static void put(struct queue *queue, uint32_t place, queue_key key)
{
    queue->heap[place] = key;
    if (key_handle(key) != QUEUE_NONE)
        queue->position.at[key_handle(key)] = place;
}

static void sift_up(struct queue *queue, uint32_t place, queue_key key)
{
    while (place) {
        uint32_t parent = (place - 1) / ARITY;
        if (queue->heap[parent] < key)
            break;
        put(queue, place, queue->heap[parent]);
        place = parent;
    }
    put(queue, place, key);
}

/* The least of the children first … first + 3; comparisons become conditional moves, not branches. */
static uint32_t least_child(const queue_key *at, uint32_t first, uint32_t count)
{
    if (first + ARITY <= count) {
        uint32_t a = first + (at[first + 1] < at[first]);
        uint32_t b = first + 2 + (at[first + 3] < at[first + 2]);
        return at[b] < at[a] ? b : a;
    }
    uint32_t least = first;
    for (uint32_t i = first + 1; i < count; i++)
        least = at[i] < at[least] ? i : least;
    return least;
}

static void sift_down(struct queue *queue, uint32_t place, queue_key key)
{
    const queue_key *at = queue->heap;
    uint32_t count = queue->count;
    for (;;) {
        uint32_t first = place * ARITY + 1;
        if (first >= count)
            break;
        if (count > FAR)
            for (uint32_t i = 0; i < ARITY; i++)
                __builtin_prefetch(at + (size_t)(first + i) * ARITY + 1);
        uint32_t child = least_child(at, first, count);
        if (key < at[child])
            break;
        put(queue, place, at[child]);
        place = child;
    }
    put(queue, place, key);
}

static void sift(struct queue *queue, uint32_t place, queue_key key)
{
    if (place && key < queue->heap[(place - 1) / ARITY])
        sift_up(queue, place, key);
    else
        sift_down(queue, place, key);
}

/* Fills the hole. */
static void settle(struct queue *queue)
{
    if (!queue->hole)
        return;
    queue->hole = false;
    queue_key last = queue->heap[--queue->count];
    if (queue->count)
        sift_down(queue, 0, last);
}

struct queue *queue_new(void)
{
    struct arena arena;
    arena_init(&arena);
    struct queue *queue = ARENA_NEW(&arena, struct queue);
    queue->arena = arena;
    queue->free = QUEUE_NONE;
    return queue;
}

void queue_free(struct queue *queue)
{
    if (!queue)
        return;
    VECTOR_FREE(&queue->memory);
    VECTOR_FREE(&queue->position);
    struct arena arena = queue->arena;
    arena_fini(&arena);
}

uint32_t queue_count(const struct queue *queue)
{
    return queue->count - queue->hole;
}

static void make_room(struct queue *queue)
{
    enum { LINE = 64 };
    size_t before = queue->heap ? (size_t)(queue->heap - queue->memory.at) : 0, pad = 0;
    queue->memory.at = vector_grow(queue->memory.at, &queue->memory.room, sizeof *queue->memory.at);
    while ((uintptr_t)(queue->memory.at + pad + 1) % LINE)
        pad++;
    queue->heap = queue->memory.at + pad;
    memmove(queue->heap, queue->memory.at + before, queue->count * sizeof *queue->heap);
}

static void insert(struct queue *queue, queue_key key)
{
    if (queue->hole) {
        queue->hole = false;
        sift_down(queue, 0, key);
        return;
    }
    if (queue->count + ARITY > queue->memory.room)
        make_room(queue);
    sift_up(queue, queue->count++, key);
}

void queue_push(struct queue *queue, double time, enum queue_phase phase, uint32_t identity)
{
    insert(queue, key_of(time, phase, identity, QUEUE_NONE));
}

uint32_t queue_add(struct queue *queue, double time, enum queue_phase phase, uint32_t identity)
{
    uint32_t handle = queue->free;
    if (handle == QUEUE_NONE) {
        handle = queue->position.count;
        VECTOR_PUSH(&queue->position, QUEUE_NONE);
    } else {
        queue->free = queue->position.at[handle];
    }
    insert(queue, key_of(time, phase, identity, handle));
    return handle;
}

void queue_move(struct queue *queue, uint32_t handle, double time)
{
    settle(queue);
    uint32_t place = queue->position.at[handle];
    assert(place < queue->count && key_handle(queue->heap[place]) == handle);
    struct queue_event event = key_event(queue->heap[place]);
    sift(queue, place, key_of(time, event.phase, event.identity, handle));
}

static void release(struct queue *queue, uint32_t handle)
{
    queue->position.at[handle] = queue->free;
    queue->free = handle;
}

void queue_cancel(struct queue *queue, uint32_t handle)
{
    settle(queue);
    uint32_t place = queue->position.at[handle];
    assert(place < queue->count && key_handle(queue->heap[place]) == handle);
    release(queue, handle);
    if (place == 0) {
        queue->hole = true;
        return;
    }
    queue_key last = queue->heap[--queue->count];
    if (place < queue->count)
        sift(queue, place, last);
}

bool queue_peek(const struct queue *queue, struct queue_event *event)
{
    uint32_t count = queue->count;
    if (count == queue->hole)
        return false;
    *event = key_event(queue->heap[queue->hole ? least_child(queue->heap, 1, count) : 0]);
    return true;
}

bool queue_pop(struct queue *queue, struct queue_event *event)
{
    settle(queue);
    if (!queue_peek(queue, event))
        return false;
    if (event->handle != QUEUE_NONE)
        release(queue, event->handle);
    queue->hole = true;
    return true;
}
