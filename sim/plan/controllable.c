#include "plan/controllable.h"

#include <math.h>
#include <stdlib.h>

/* Besides the kinds of the pattern: the weight gradients, of both chunks together while they are placed, and
 * in the end of chunk 1 and of chunk 0. */
enum { WEIGHT = CONTROLLABLE_KINDS, WEIGHT_1 = WEIGHT, WEIGHT_0, KINDS };

struct slots {
    uint32_t *at[KINDS]; /* ascending slots, one per pass */
    uint32_t count[KINDS];
};

struct pattern {
    uint32_t devices, micro_batches, room;
    struct slots *slots; /* per device */
    uint8_t *taken;      /* per device, `room` slots each */
};

static void *pattern_array(uint32_t count, size_t size)
{
    void *at = NULL;
    uint32_t room = 0;
    do
        at = vector_grow(at, &room, size);
    while (room < count);
    return at;
}

/* The kind, of the first `kinds`, whose next pass comes first; `kinds` when none is left. */
static uint32_t pattern_next(const struct slots *slots, const uint32_t *next, uint32_t kinds)
{
    uint32_t best = kinds;
    for (uint32_t k = 0; k < kinds; k++)
        if (next[k] < slots->count[k] &&
            (best == kinds || slots->at[k][next[k]] < slots->at[best][next[best]]))
            best = k;
    return best;
}

/* Puts the weight gradients: in each free slot one whose input gradient is there, chunk 1 before chunk 0
 * where they are told apart. */
static void pattern_weights(struct slots *slots, bool apart)
{
    uint32_t next[KINDS] = {0}, waiting[2] = {0}, kind, slot = 0;
    slots->count[WEIGHT_1] = slots->count[WEIGHT_0] = 0;
    while ((kind = pattern_next(slots, next, WEIGHT)) < WEIGHT || waiting[0] || waiting[1]) {
        if (kind < WEIGHT && slots->at[kind][next[kind]] == slot) {
            next[kind]++;
            if (kind >= CONTROLLABLE_I1)
                waiting[apart ? kind - CONTROLLABLE_I1 : 0]++;
        } else if (waiting[0] || waiting[1]) {
            uint32_t w = waiting[0] ? 0 : 1;
            slots->at[WEIGHT + w][slots->count[WEIGHT + w]++] = slot;
            waiting[w]--;
        }
        slot++;
    }
}

/* Most stage activations that a device holds: a forward pass takes one, a weight gradient gives one back.
 * Where weight gradients are not placed, they are where pattern_weights() would put them. */
static uint32_t pattern_memory(const struct slots *slots)
{
    bool placed = slots->count[WEIGHT] > 0;
    uint32_t kinds = placed ? WEIGHT + 1 : WEIGHT, next[KINDS] = {0}, kind, slot = 0, waiting = 0;
    uint32_t now = 0, most = 0;
    while ((kind = pattern_next(slots, next, kinds)) < kinds) {
        if (slots->at[kind][next[kind]] == slot) {
            next[kind]++;
            waiting += kind == CONTROLLABLE_I0 || kind == CONTROLLABLE_I1;
            now += kind <= CONTROLLABLE_F1;
            now -= kind == WEIGHT;
        } else if (!placed && waiting) {
            waiting--;
            now--;
        } else if (placed) {
            slot = slots->at[kind][next[kind]];
            continue;
        }
        most = now > most ? now : most;
        slot++;
    }
    return most;
}

/* The pass that a pass of a kind follows on a device's neighbour; NULL: it does not depend on one. */
static const struct slots *pattern_before(const struct pattern *pattern, uint32_t device, uint32_t kind)
{
    if ((kind == CONTROLLABLE_F0 || kind == CONTROLLABLE_I1) && device > 0)
        return &pattern->slots[device - 1];
    if ((kind == CONTROLLABLE_F1 || kind == CONTROLLABLE_I0) && device + 1 < pattern->devices)
        return &pattern->slots[device + 1];
    return NULL;
}

/* The slot of the n-th input gradient of a device, of both chunks. */
static uint32_t pattern_input(const struct slots *slots, uint32_t n)
{
    uint32_t next[2] = {0};
    for (;; n--) {
        bool first = next[1] == slots->count[CONTROLLABLE_I0] ||
                     (next[0] < slots->count[CONTROLLABLE_I1] &&
                      slots->at[CONTROLLABLE_I1][next[0]] < slots->at[CONTROLLABLE_I0][next[1]]);
        uint32_t slot = first ? slots->at[CONTROLLABLE_I1][next[0]++] : slots->at[CONTROLLABLE_I0][next[1]++];
        if (n == 0)
            return slot;
    }
}

/* The first slot that what a pass waits for leaves it. */
static uint32_t pattern_ready(const struct pattern *pattern, uint32_t device, uint32_t kind, uint32_t n)
{
    const struct slots *slots = &pattern->slots[device], *before = pattern_before(pattern, device, kind);
    uint32_t ready = before ? before->at[kind][n] + 1 : 0;
    if (kind > CONTROLLABLE_F0 && kind < WEIGHT && slots->at[kind - 1][n] >= ready)
        ready = slots->at[kind - 1][n] + 1;
    if (kind == WEIGHT) {
        uint32_t input = pattern_input(slots, n);
        ready = input >= ready ? input + 1 : ready;
    }
    if (n > 0 && slots->at[kind][n - 1] >= ready)
        ready = slots->at[kind][n - 1] + 1;
    return ready;
}

struct pattern_cursor {
    uint32_t device, kind, n;
};

/* Walks over all passes by slot, then device, then kind. `next`: devices times KINDS numbers. False when all
 * have been seen. */
static bool pattern_walk(const struct pattern *pattern, uint32_t kinds, uint32_t *next,
                         struct pattern_cursor *at)
{
    uint32_t best = UINT32_MAX;
    for (uint32_t d = 0; d < pattern->devices; d++) {
        uint32_t kind = pattern_next(&pattern->slots[d], &next[d * KINDS], kinds);
        if (kind == kinds || pattern->slots[d].at[kind][next[d * KINDS + kind]] >= best)
            continue;
        best = pattern->slots[d].at[kind][next[d * KINDS + kind]];
        *at = (struct pattern_cursor){d, kind, next[d * KINDS + kind]};
    }
    if (best == UINT32_MAX)
        return false;
    next[at->device * KINDS + at->kind]++;
    return true;
}

/* Moves a pass to the earliest free slot from `ready` on with which the device holds no more than `most`. */
static void pattern_move(struct pattern *pattern, struct pattern_cursor at, uint32_t ready, uint32_t most)
{
    struct slots *slots = &pattern->slots[at.device];
    uint32_t *slot = &slots->at[at.kind][at.n], old = *slot;
    bool takes =
        at.kind <= CONTROLLABLE_F1 || slots->count[WEIGHT] == 0; /* others can only give back sooner */
    for (uint32_t s = ready; s < old; s++) {
        if (pattern->taken[(size_t)at.device * pattern->room + s])
            continue;
        *slot = s;
        if (!takes || pattern_memory(slots) <= most)
            return;
    }
    *slot = old;
}

/* Every pass as soon as the one before it on its device and what it waits for have ended. */
static void pattern_squeeze(struct pattern *pattern, uint32_t kinds, uint32_t *next)
{
    uint32_t *free_from = pattern_array(pattern->devices, sizeof *free_from);
    struct slots *early = pattern_array(pattern->devices, sizeof *early);
    for (uint32_t d = 0; d < pattern->devices; d++) {
        free_from[d] = 0;
        for (uint32_t k = 0; k < kinds; k++)
            early[d].at[k] = pattern_array(2 * pattern->micro_batches, sizeof(uint32_t));
    }
    struct pattern squeezed = {.devices = pattern->devices, .slots = early};
    for (uint32_t i = 0; i < pattern->devices * KINDS; i++)
        next[i] = 0;
    struct pattern_cursor at = {0};
    while (pattern_walk(pattern, kinds, next, &at)) {
        const struct slots *before = pattern_before(&squeezed, at.device, at.kind);
        uint32_t slot = free_from[at.device];
        if (before && before->at[at.kind][at.n] >= slot)
            slot = before->at[at.kind][at.n] + 1;
        early[at.device].at[at.kind][at.n] = slot;
        free_from[at.device] = slot + 1;
    }
    for (uint32_t d = 0; d < pattern->devices; d++)
        for (uint32_t k = 0; k < kinds; k++) {
            uint32_t *old = pattern->slots[d].at[k];
            for (uint32_t n = 0; n < pattern->slots[d].count[k]; n++)
                old[n] = early[d].at[k][n];
            vector_release(early[d].at[k]);
        }
    vector_release(early);
    vector_release(free_from);
}

/* Tightens the warm-up (only with the weight gradients in their places) and the drain: what comes before the
 * first micro-batch is back on device 0, and what comes after the last one has started there. */
static void pattern_tighten(struct pattern *pattern, bool weights)
{
    enum { WARM_UP, STEADY, DRAIN } phase = WARM_UP;
    uint32_t kinds = weights ? WEIGHT + 1 : WEIGHT, most = 0;
    uint32_t *next = pattern_array(pattern->devices * KINDS, sizeof *next);
    for (uint32_t i = 0; i < pattern->devices * KINDS; i++)
        next[i] = 0;
    for (uint32_t d = 0; d < pattern->devices; d++) {
        if (weights)
            pattern_weights(&pattern->slots[d], false);
        else
            pattern->slots[d].count[WEIGHT] = 0;
        uint32_t memory = pattern_memory(&pattern->slots[d]);
        most = memory > most ? memory : most;
    }
    for (size_t i = 0; i < (size_t)pattern->devices * pattern->room; i++)
        pattern->taken[i] = 0;
    struct pattern_cursor at = {0};
    while (pattern_walk(pattern, kinds, next, &at)) {
        if (at.kind == CONTROLLABLE_I0 && at.device == 0 && phase == WARM_UP)
            phase = STEADY;
        bool stays = phase == STEADY || (phase == WARM_UP && !weights);
        if (phase == STEADY && at.kind == CONTROLLABLE_F0 && at.n == pattern->micro_batches - 1)
            phase = DRAIN;
        if (!stays)
            pattern_move(pattern, at, pattern_ready(pattern, at.device, at.kind, at.n), most);
        pattern->taken[(size_t)at.device * pattern->room + pattern->slots[at.device].at[at.kind][at.n]] = 1;
    }
    for (uint32_t d = 0; d < pattern->devices && !weights; d++)
        pattern_weights(&pattern->slots[d], false);
    pattern_squeeze(pattern, WEIGHT + 1, next);
    vector_release(next);
}

static void pattern_write(const struct pattern *pattern, uint32_t device, struct schedule_list *out)
{
    static const uint8_t passes[KINDS] = {PASS_F, PASS_F, PASS_I, PASS_I, PASS_W, PASS_W};
    static const bool second[KINDS] = {false, true, true, false, true, false};
    const struct slots *slots = &pattern->slots[device];
    uint32_t next[KINDS] = {0}, kind;
    while ((kind = pattern_next(slots, next, KINDS)) < KINDS) {
        uint32_t stage = second[kind] ? 2 * pattern->devices - 1 - device : device;
        schedule_add(out, passes[kind], stage, next[kind]++);
    }
}

void controllable_order(controllable_first *first, const struct schedule_shape *shape,
                        struct schedule_list *lists)
{
    uint32_t p = shape->devices, m = shape->micro_batches;
    struct pattern pattern = {.devices = p, .micro_batches = m, .room = 6 * m + 8 * p + 16};
    pattern.slots = pattern_array(p, sizeof *pattern.slots);
    pattern.taken = pattern_array(p * pattern.room, 1);
    for (uint32_t d = 0; d < p; d++) {
        uint32_t from[KINDS] = {0};
        first(p, d, from);
        for (uint32_t k = 0; k < KINDS; k++) {
            pattern.slots[d].at[k] = pattern_array(2 * m, sizeof(uint32_t));
            pattern.slots[d].count[k] = k < WEIGHT ? m : 0;
            for (uint32_t n = 0; n < pattern.slots[d].count[k]; n++)
                pattern.slots[d].at[k][n] = from[k] + 6 * n;
        }
    }
    pattern_tighten(&pattern, true);
    pattern_tighten(&pattern, false);
    for (uint32_t d = 0; d < p; d++) {
        pattern_weights(&pattern.slots[d], true);
        pattern_write(&pattern, d, &lists[d]);
        for (uint32_t k = 0; k < KINDS; k++)
            vector_release(pattern.slots[d].at[k]);
    }
    vector_release(pattern.slots);
    vector_release(pattern.taken);
}

bool controllable_exact(const struct schedule *schedule, const struct schedule_shape *shape,
                        const struct schedule_times *times, double *each)
{
    double f, i, w;
    bool equal = schedule_equal(schedule, shape, times, &f, &i, &w) && f == i && f == w;
    *each = f / 2;
    return equal && shape->micro_batches >= shape->devices + 2;
}
