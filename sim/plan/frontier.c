#include "plan/frontier.h"

#include <math.h>
#include <string.h>

enum { FRONTIER_ROOM = 64 };

void frontier_init(struct frontier *f, struct arena *arena)
{
    *f = (struct frontier){.node_room = FRONTIER_ROOM,
                           .heap_room = FRONTIER_ROOM,
                           .slot_count = 2 * FRONTIER_ROOM,
                           .arena = arena};
    f->nodes = ARENA_ARRAY(arena, struct frontier_node, f->node_room);
    f->heap = ARENA_ARRAY(arena, struct frontier_entry, f->heap_room);
    f->slots = ARENA_ARRAY(arena, uint32_t, f->slot_count);
}

void frontier_clear(struct frontier *f)
{
    f->node_count = f->heap_count = 0;
    memset(f->slots, 0, f->slot_count * sizeof *f->slots);
}

/* The slot that a code is in, or would be. */
static uint32_t frontier_slot(const struct frontier *f, uint32_t code)
{
    uint32_t mask = f->slot_count - 1, slot = (code * 2654435761u) >> 7 & mask;
    while (f->slots[slot] && f->nodes[f->slots[slot] - 1].code != code)
        slot = (slot + 1) & mask;
    return slot;
}

/* Twice the room for nodes, and slots of which at most half are taken. */
static void frontier_grow(struct frontier *f)
{
    struct frontier_node *nodes = ARENA_ARRAY(f->arena, struct frontier_node, 2 * (size_t)f->node_room);
    memcpy(nodes, f->nodes, f->node_count * sizeof *nodes);
    f->nodes = nodes;
    f->node_room *= 2;
    f->slot_count *= 2;
    f->slots = ARENA_ARRAY(f->arena, uint32_t, f->slot_count);
    for (uint32_t i = 0; i < f->node_count; i++)
        f->slots[frontier_slot(f, f->nodes[i].code)] = i + 1;
}

uint32_t frontier_find(struct frontier *f, uint32_t code, bool *added)
{
    uint32_t slot = frontier_slot(f, code);
    *added = !f->slots[slot];
    if (!*added)
        return f->slots[slot] - 1;
    if (f->node_count == f->node_room) {
        frontier_grow(f);
        slot = frontier_slot(f, code);
    }
    f->nodes[f->node_count] = (struct frontier_node){.seconds = INFINITY, .code = code};
    f->slots[slot] = ++f->node_count;
    return f->node_count - 1;
}

static bool frontier_before(const struct frontier *f, const struct frontier_entry *a,
                            const struct frontier_entry *b)
{
    if (a->whole < b->whole || a->whole > b->whole)
        return a->whole < b->whole;
    return a->edges != b->edges ? a->edges < b->edges : f->nodes[a->node].code < f->nodes[b->node].code;
}

void frontier_push(struct frontier *f, uint32_t node)
{
    const struct frontier_node *n = &f->nodes[node];
    struct frontier_entry entry = {n->seconds + n->left, node, n->edges};
    if (f->heap_count == f->heap_room) {
        struct frontier_entry *heap = ARENA_ARRAY(f->arena, struct frontier_entry, 2 * (size_t)f->heap_room);
        memcpy(heap, f->heap, f->heap_count * sizeof *heap);
        f->heap = heap;
        f->heap_room *= 2;
    }
    uint32_t at = f->heap_count++;
    for (; at && frontier_before(f, &entry, &f->heap[(at - 1) / 2]); at = (at - 1) / 2)
        f->heap[at] = f->heap[(at - 1) / 2];
    f->heap[at] = entry;
}

/* Takes the first entry of the heap. */
static struct frontier_entry frontier_take(struct frontier *f)
{
    struct frontier_entry first = f->heap[0], last = f->heap[--f->heap_count];
    uint32_t at = 0;
    for (uint32_t below = 1; below < f->heap_count; below = 2 * at + 1) {
        if (below + 1 < f->heap_count && frontier_before(f, &f->heap[below + 1], &f->heap[below]))
            below++;
        if (!frontier_before(f, &f->heap[below], &last))
            break;
        f->heap[at] = f->heap[below];
        at = below;
    }
    f->heap[at] = last;
    return first;
}

uint32_t frontier_pop(struct frontier *f)
{
    while (f->heap_count) {
        struct frontier_entry first = frontier_take(f);
        struct frontier_node *node = &f->nodes[first.node];
        if (node->done)
            continue; /* by a better way, since */
        node->done = true;
        return first.node;
    }
    return FRONTIER_NONE;
}
