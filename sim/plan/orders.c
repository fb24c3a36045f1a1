#include "plan/orders.h"

#include <math.h>
#include <stdio.h>

void orders_init(struct orders *orders, uint32_t devices, uint32_t stages)
{
    VECTOR(uint16_t) device_of = {0};
    VECTOR(struct schedule_list) lists = {0};
    for (uint32_t s = 0; s < stages; s++)
        VECTOR_PUSH(&device_of, 0);
    for (uint32_t d = 0; d < devices; d++)
        VECTOR_PUSH(&lists, (struct schedule_list){0});
    *orders = (struct orders){
        .devices = devices, .stages = stages, .directions = 1, .device_of = device_of.at, .lists = lists.at};
}

void orders_fini(struct orders *orders)
{
    for (uint32_t d = 0; d < orders->devices; d++)
        VECTOR_FREE(&orders->lists[d]);
    vector_release(orders->lists);
    vector_release(orders->device_of);
    *orders = (struct orders){0};
}

void orders_make(const struct schedule *schedule, const struct schedule_shape *shape, struct orders *orders)
{
    orders_init(orders, shape->devices, schedule_stages(schedule, shape));
    orders->directions = schedule->placement == SCHEDULE_BOTH ? 2 : 1;
    orders->micro_batches = shape->micro_batches;
    for (uint32_t s = 0; s < orders->stages; s++)
        orders->device_of[s] = (uint16_t)schedule_device(schedule, shape, s);
    schedule->order(shape, orders->lists);
}

const char *orders_text(const struct schedule_item *item, struct arena *arena)
{
    return arena_format(arena, "%u%s%u", item->stage, program_pass_names[item->pass], item->micro_batch);
}

enum { DONE_F = 1, DONE_I = 2, DONE_W = 4 };

static unsigned orders_does(const struct schedule_item *item)
{
    return item->pass == PASS_F   ? DONE_F
           : item->pass == PASS_I ? DONE_I
           : item->pass == PASS_W ? DONE_W
                                  : DONE_I | DONE_W;
}

struct orders_state {
    const struct orders *orders;
    uint8_t *done;  /* per stage and micro-batch: bits */
    uint32_t *next; /* per device: the first item that has not run */
};

static uint8_t *orders_done(const struct orders_state *state, uint32_t stage, uint32_t micro_batch)
{
    return &state->done[(size_t)stage * state->orders->micro_batches + micro_batch];
}

/* What an item waits for; false when it can run. */
static bool orders_waits(const struct orders_state *state, const struct schedule_item *item,
                         struct schedule_item *missing)
{
    uint32_t each = state->orders->stages / state->orders->directions, along = item->stage % each;
    *missing = *item;
    if (item->pass == PASS_F) {
        missing->stage--;
        return along > 0 && !(*orders_done(state, missing->stage, item->micro_batch) & DONE_F);
    }
    if (item->pass == PASS_W) {
        missing->pass = PASS_I;
        return !(*orders_done(state, item->stage, item->micro_batch) & DONE_I);
    }
    missing->pass = PASS_F;
    if (!(*orders_done(state, item->stage, item->micro_batch) & DONE_F))
        return true;
    missing->pass = item->pass;
    missing->stage++;
    return along + 1 < each && !(*orders_done(state, missing->stage, item->micro_batch) & DONE_I);
}

/* Runs what a device can run; false when that was nothing. */
static bool orders_run(struct orders_state *state, uint32_t device)
{
    const struct schedule_list *list = &state->orders->lists[device];
    uint32_t begin = state->next[device];
    while (state->next[device] < list->count) {
        const struct schedule_item *item = &list->at[state->next[device]];
        struct schedule_item missing;
        uint32_t count = item->overlapped ? 2 : 1;
        for (uint32_t i = 0; i < count; i++)
            if (orders_waits(state, &item[i], &missing))
                return state->next[device] > begin;
        for (uint32_t i = 0; i < count; i++)
            *orders_done(state, item[i].stage, item[i].micro_batch) |= (uint8_t)orders_does(&item[i]);
        state->next[device] += count;
    }
    return state->next[device] > begin;
}

/* Where the pass that a device's next item waits for stands. The item is one of an overlapped pair. */
static void orders_blocked(const struct orders_state *state, uint32_t device, struct schedule_item *waiting,
                           struct orders_place *at)
{
    const struct orders *orders = state->orders;
    const struct schedule_item *item = &orders->lists[device].at[state->next[device]];
    struct schedule_item missing;
    if (!orders_waits(state, item, &missing) && item->overlapped)
        orders_waits(state, ++item, &missing);
    *waiting = *item;
    at->device = orders->device_of[missing.stage];
    const struct schedule_list *list = &orders->lists[at->device];
    unsigned wanted = missing.pass == PASS_F ? DONE_F : DONE_I;
    for (at->index = 0; at->index < list->count; at->index++)
        if (list->at[at->index].stage == missing.stage &&
            list->at[at->index].micro_batch == missing.micro_batch &&
            orders_does(&list->at[at->index]) & wanted)
            return;
}

/* Devices wait for each other: follows them until one comes again, and says who waits for whom. */
static const char *orders_cycle(const struct orders_state *state, uint32_t device, struct arena *arena,
                                struct orders_place *place)
{
    const struct orders *orders = state->orders;
    bool *seen = ARENA_ARRAY(arena, bool, orders->devices);
    struct schedule_item waiting;
    struct orders_place at;
    for (; !seen[device]; device = at.device) {
        seen[device] = true;
        orders_blocked(state, device, &waiting, &at);
    }
    const char *text = "the order deadlocks:";
    *place = (struct orders_place){device, state->next[device]};
    uint32_t first = device;
    do {
        orders_blocked(state, device, &waiting, &at);
        const struct schedule_item *wanted = &orders->lists[at.device].at[at.index];
        const struct schedule_item *before = &orders->lists[at.device].at[state->next[at.device]];
        text = arena_format(arena, "%s%s stage %u waits with %s for %s of stage %u", text,
                            device == first ? "" : ";", waiting.stage, orders_text(&waiting, arena),
                            orders_text(wanted, arena), wanted->stage);
        if (wanted != before)
            text = arena_format(arena, "%s, which stands behind %s", text, orders_text(before, arena));
        device = at.device;
    } while (device != first);
    return text;
}

/* Each pass once, on the device of its stage. */
static const char *orders_count(struct orders_state *state, struct arena *arena, struct orders_place *place)
{
    const struct orders *orders = state->orders;
    for (uint32_t d = 0; d < orders->devices; d++)
        for (uint32_t i = 0; i < orders->lists[d].count; i++) {
            const struct schedule_item *item = &orders->lists[d].at[i];
            *place = (struct orders_place){d, i};
            if (orders->device_of[item->stage] != d)
                return arena_format(arena, "%s is not on the device of its stage, which is device %u",
                                    orders_text(item, arena), orders->device_of[item->stage]);
            uint8_t *done = orders_done(state, item->stage, item->micro_batch);
            if (*done & orders_does(item))
                return arena_format(arena, "%s stands here a second time", orders_text(item, arena));
            *done |= (uint8_t)orders_does(item);
        }
    return NULL;
}

static const char *orders_complete(const struct orders_state *state, bool training, struct arena *arena,
                                   struct orders_place *place)
{
    const struct orders *orders = state->orders;
    uint32_t each = orders->stages / orders->directions;
    unsigned all = training ? DONE_F | DONE_I | DONE_W : DONE_F;
    for (uint32_t m = 0; m < orders->micro_batches; m++) {
        bool found = false;
        for (uint32_t way = 0; way < orders->directions; way++) {
            unsigned some = 0;
            for (uint32_t s = way * each; s < (way + 1) * each; s++)
                some |= *orders_done(state, s, m);
            found |= some != 0;
            for (uint32_t s = way * each; some && s < (way + 1) * each; s++) {
                unsigned done = *orders_done(state, s, m);
                *place = (struct orders_place){orders->device_of[s], UINT32_MAX};
                if (done & ~all)
                    return arena_format(arena, "%u%s%u: this step has no backward passes", s,
                                        done & DONE_I ? "I" : "W", m);
                if (done != all)
                    return arena_format(arena, "%u%s%u is missing: stage %u has no %s of micro-batch %u", s,
                                        !(done & DONE_F)   ? "F"
                                        : !(done & DONE_I) ? "B"
                                                           : "W",
                                        m, s,
                                        !(done & DONE_F)   ? "forward pass"
                                        : !(done & DONE_I) ? "backward pass"
                                                           : "weight gradient",
                                        m);
            }
        }
        *place = (struct orders_place){0, UINT32_MAX};
        if (!found)
            return arena_format(arena, "micro-batch %u is missing", m);
    }
    return NULL;
}

const char *orders_check(const struct orders *orders, bool training, struct arena *arena,
                         struct orders_place *place)
{
    struct orders_state state = {
        orders, ARENA_ARRAY(arena, uint8_t, (size_t)orders->stages * orders->micro_batches + 1),
        ARENA_ARRAY(arena, uint32_t, orders->devices)};
    const char *error = orders_count(&state, arena, place);
    if (!error)
        error = orders_complete(&state, training, arena, place);
    if (error)
        return error;
    state.done = ARENA_ARRAY(arena, uint8_t, (size_t)orders->stages * orders->micro_batches + 1);
    for (bool moved = true; moved;) {
        moved = false;
        for (uint32_t d = 0; d < orders->devices; d++)
            moved |= orders_run(&state, d);
    }
    for (uint32_t d = 0; d < orders->devices; d++)
        if (state.next[d] < orders->lists[d].count)
            return orders_cycle(&state, d, arena, place);
    return NULL;
}

bool orders_passes(const struct orders *orders, uint32_t stage, uint32_t micro_batch)
{
    const struct schedule_list *list = &orders->lists[orders->device_of[stage]];
    if (orders->directions == 1)
        return true;
    for (uint32_t i = 0; i < list->count; i++)
        if (list->at[i].stage == stage && list->at[i].micro_batch == micro_batch)
            return true;
    return false;
}

double orders_seconds(const struct schedule_item *item, const struct schedule_times *times)
{
    uint32_t s = item->stage;
    return item->pass == PASS_F   ? times->forward[s]
           : item->pass == PASS_I ? times->input[s]
           : item->pass == PASS_W ? times->weight[s]
                                  : times->input[s] + times->weight[s];
}

static double orders_pair_seconds(const struct schedule_item *item, const struct schedule_times *times)
{
    return times->pair > 0 ? times->pair : orders_seconds(&item[0], times) + orders_seconds(&item[1], times);
}

static double orders_work(const struct schedule_list *list, const struct schedule_times *times)
{
    double work = 0;
    for (uint32_t i = 0; i < list->count; i += list->at[i].overlapped ? 2 : 1)
        work += list->at[i].overlapped ? orders_pair_seconds(&list->at[i], times)
                                       : orders_seconds(&list->at[i], times);
    return work;
}

double orders_bound(const struct orders *orders, const struct schedule_times *times)
{
    uint32_t each = orders->stages / orders->directions;
    double bound = 0;
    bool training = false;
    for (uint32_t d = 0; d < orders->devices; d++)
        for (uint32_t i = 0; i < orders->lists[d].count; i++)
            training |= orders->lists[d].at[i].pass != PASS_F;
    for (uint32_t way = 0; way < orders->directions; way++) { /* one micro-batch there and back */
        double there = 0, back = 0, longest = 0;
        for (uint32_t s = way * each; s < (way + 1) * each; s++)
            there += times->forward[s];
        for (uint32_t s = (way + 1) * each; training && s-- > way * each;) {
            back += times->input[s];
            longest = fmax(longest, back + times->weight[s]);
        }
        bound = fmax(bound, there + longest);
    }
    for (uint32_t d = 0; d < orders->devices; d++) {
        double head = INFINITY, tail = INFINITY;
        for (uint32_t s = 0; s < orders->stages; s++) {
            double before = 0, after = 0;
            for (uint32_t t = s / each * each; t < s; t++)
                before += times->forward[t];
            for (uint32_t t = s + 1; !training && t < (s / each + 1) * each; t++)
                after += times->forward[t];
            if (orders->device_of[s] != d)
                continue;
            head = fmin(head, before);
            tail = fmin(tail, after);
        }
        if (orders->lists[d].count)
            bound = fmax(bound, head + orders_work(&orders->lists[d], times) + tail);
    }
    return bound;
}
