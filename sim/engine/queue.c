/* A key is one unsigned 128-bit integer: time bits (a non-negative double orders like its bits), phase (2
 * bits), identity (30), handle (32). So one comparison decides everything, ties included. The earliest keys
 * are in a 4-ary array heap that stays in the nearest cache; beyond HEAP_MOST of them, later ones are in a
 * ladder (ladder.h), from where they come in small lots when the heap is empty. `position` maps a pending
 * handle to its place in the heap or its slot in the ladder, and a free one to the next free one.
 *
 * Taking the root away leaves a hole there, which the next event added fills: one walk down the heap for the
 * pair, instead of one down and one up. Whatever else looks at the heap fills it with the last key first. */
#include "engine/queue.h"

#include "base/arena.h"
#include "base/vector.h"
#include "engine/ladder.h"

#include <assert.h>
#include <string.h>

enum { ARITY = 4, IDENTITY_BITS = 30 };
enum { HEAP_MOST = 2048, LOT = 512 }; /* keys in the heap before it spills; that it gets at once, at most */

struct queue {
    struct arena arena;         /* owns this record */
    VECTOR(queue_key) memory;   /* `count` is not used */
    queue_key *heap;            /* in `memory`, so that four siblings share one cache line */
    uint32_t count;             /* keys in `heap` */
    struct index_list position; /* per handle */
    uint32_t free;              /* first free handle, QUEUE_NONE if none */
    uint32_t most; /* keys in the heap beyond which it spills: HEAP_MOST or, if that failed, more */
    struct ladder ladder;
    bool hole; /* the root is taken away, but still counted in `heap` */
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
    queue->most = HEAP_MOST;
    return queue;
}

void queue_free(struct queue *queue)
{
    if (!queue)
        return;
    VECTOR_FREE(&queue->memory);
    VECTOR_FREE(&queue->position);
    ladder_fini(&queue->ladder);
    struct arena arena = queue->arena;
    arena_fini(&arena);
}

uint32_t queue_count(const struct queue *queue)
{
    return queue->count - queue->hole + queue->ladder.count;
}

/* Keeps the first `count` keys. */
static void make_room(struct queue *queue, uint32_t count)
{
    enum { LINE = 64 };
    size_t before = queue->heap ? (size_t)(queue->heap - queue->memory.at) : 0, pad = 0;
    queue->memory.at = vector_grow(queue->memory.at, &queue->memory.room, sizeof *queue->memory.at);
    while ((uintptr_t)(queue->memory.at + pad + 1) % LINE)
        pad++;
    queue->heap = queue->memory.at + pad;
    memmove(queue->heap, queue->memory.at + before, count * sizeof *queue->heap);
}

/* Makes a heap of the keys as they lie. */
static void heapify(struct queue *queue)
{
    for (uint32_t i = queue->count; i-- > 0;)
        sift_down(queue, i, queue->heap[i]);
}

/* Moves the later keys to the ladder. Where all are of one time there is nothing to gain. */
static void spill(struct queue *queue)
{
    settle(queue);
    uint32_t stay = ladder_spill(&queue->ladder, queue->heap, queue->count, queue->position.at);
    queue->most = stay == queue->count ? 2 * stay : HEAP_MOST;
    queue->count = stay;
    heapify(queue);
}

/* An empty heap gets the earliest lot of the ladder; so it is empty only when the whole queue is. */
static void refill(struct queue *queue)
{
    if (queue->count > queue->hole || !queue->ladder.buckets.count)
        return;
    queue->hole = false;
    queue->count = ladder_cut(&queue->ladder, LOT, queue->position.at);
    if (!queue->count)
        return;
    while (queue->count + ARITY > queue->memory.room)
        make_room(queue, 0);
    ladder_take(&queue->ladder, queue->heap);
    queue->most = queue->count > HEAP_MOST ? 2 * queue->count : HEAP_MOST;
    heapify(queue);
}

static void insert(struct queue *queue, queue_key key)
{
    if ((uint64_t)(key >> 64) >= ladder_limit(&queue->ladder)) {
        ladder_add(&queue->ladder, key, queue->position.at);
        return;
    }
    if (queue->hole) {
        queue->hole = false;
        sift_down(queue, 0, key);
        return;
    }
    if (queue->count + ARITY > queue->memory.room)
        make_room(queue, queue->count);
    sift_up(queue, queue->count++, key);
    if (queue->count > queue->most)
        spill(queue);
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

/* Takes a key out of the heap. */
static void remove_near(struct queue *queue, uint32_t place)
{
    if (place == 0) {
        queue->hole = true;
        return;
    }
    queue_key last = queue->heap[--queue->count];
    if (place < queue->count)
        sift(queue, place, last);
}

void queue_move(struct queue *queue, uint32_t handle, double time)
{
    uint32_t slot = queue->position.at[handle];
    if (slot & LADDER_FAR) {
        slot &= ~LADDER_FAR;
        struct queue_event event = key_event(queue->ladder.keys.at[slot]);
        queue_key key = key_of(time, event.phase, event.identity, handle);
        if (ladder_replace(&queue->ladder, slot, key))
            return;
        ladder_remove(&queue->ladder, slot, queue->position.at);
        insert(queue, key);
        return;
    }
    settle(queue);
    uint32_t place = queue->position.at[handle];
    assert(place < queue->count && key_handle(queue->heap[place]) == handle);
    struct queue_event event = key_event(queue->heap[place]);
    queue_key key = key_of(time, event.phase, event.identity, handle);
    if ((uint64_t)(key >> 64) < ladder_limit(&queue->ladder)) {
        sift(queue, place, key);
        return;
    }
    remove_near(queue, place);
    insert(queue, key);
    refill(queue);
}

static void release(struct queue *queue, uint32_t handle)
{
    queue->position.at[handle] = queue->free;
    queue->free = handle;
}

void queue_cancel(struct queue *queue, uint32_t handle)
{
    uint32_t slot = queue->position.at[handle];
    if (slot & LADDER_FAR) {
        ladder_remove(&queue->ladder, slot & ~LADDER_FAR, queue->position.at);
        release(queue, handle);
        return;
    }
    settle(queue);
    uint32_t place = queue->position.at[handle];
    assert(place < queue->count && key_handle(queue->heap[place]) == handle);
    release(queue, handle);
    remove_near(queue, place);
    refill(queue);
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
    refill(queue);
    return true;
}
