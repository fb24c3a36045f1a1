/* List: a schedule for any stages, made for their times. Always the pass that can start first is run next:
 * input gradients before forward passes, later stages before earlier ones, and weight gradients while nothing
 * else can start (Graham 1969, list scheduling; the rule for W is that of Qi et al. 2024, section 4). A
 * device takes a new micro-batch only while it holds fewer than the limit; the room for all of its chunks is
 * taken with the first, so that no order can lock itself up. Of the ways to break ties the best is kept. */
#include "plan/schedule.h"

#include <math.h>

struct list_device {
    double free;             /* when it can start something, seconds */
    uint32_t held;           /* micro-batches */
    struct index_list waits; /* stages whose weight gradient is due, oldest first */
    uint32_t next_wait;
};

struct list_stage {
    uint32_t device;
    bool first;                      /* of those on its device */
    uint32_t forward, input, weight; /* micro-batches so far */
    double *forward_end, *input_end; /* per micro-batch, seconds */
};

struct list_state {
    const struct schedule_shape *shape;
    struct list_device *devices;
    struct list_stage *stages;
    uint32_t stage_count;
    bool patient; /* a weight gradient is run only where it delays nothing that is known to come */
    bool eager;   /* whatever can start first, rather than input gradients that come soon */
    double end;
};

struct list_choice {
    double start;
    uint32_t stage;
    uint8_t pass;
};

static double list_seconds(const struct list_state *state, uint8_t pass, uint32_t stage)
{
    const struct schedule_times *times = state->shape->times;
    if (!times)
        return 1;
    return pass == PASS_F   ? times->forward[stage]
           : pass == PASS_I ? times->input[stage]
                            : times->weight[stage];
}

/* When the next pass of a stage can start; INFINITY: not known yet, or there is none. */
static double list_ready(const struct list_state *state, uint8_t pass, uint32_t s)
{
    const struct list_stage *stage = &state->stages[s];
    const struct list_device *device = &state->devices[stage->device];
    uint32_t limit = state->shape->limit ? state->shape->limit : state->shape->devices;
    uint32_t n = pass == PASS_F ? stage->forward : stage->input;
    if (n == state->shape->micro_batches)
        return INFINITY;
    if (pass == PASS_F) {
        if (stage->first && device->held >= limit)
            return INFINITY;
        if (s == 0)
            return device->free;
        return n < stage[-1].forward ? fmax(device->free, stage[-1].forward_end[n]) : INFINITY;
    }
    if (n >= stage->forward)
        return INFINITY;
    if (s + 1 == state->stage_count)
        return device->free;
    return n < stage[1].input ? fmax(device->free, stage[1].input_end[n]) : INFINITY;
}

/* What a device would do next. */
static struct list_choice list_choose(const struct list_state *state, uint32_t d)
{
    const struct list_device *device = &state->devices[d];
    struct list_choice best = {INFINITY, 0, PASS_F};
    for (uint32_t s = state->stage_count; s-- > 0;) {
        if (state->stages[s].device != d)
            continue;
        double input = list_ready(state, PASS_I, s), forward = list_ready(state, PASS_F, s);
        double margin = state->eager || best.pass == PASS_I ? 0 : list_seconds(state, PASS_F, s) / 2;
        if (input < best.start || (input < INFINITY && best.pass == PASS_F && input <= best.start + margin))
            best = (struct list_choice){input, s, PASS_I};
        if (forward < best.start)
            best = (struct list_choice){forward, s, PASS_F};
    }
    if (device->next_wait < device->waits.count) {
        uint32_t s = device->waits.at[device->next_wait];
        double until = device->free + (state->patient ? list_seconds(state, PASS_W, s) : 0);
        if (best.start == INFINITY || (device->free < best.start && until <= best.start))
            best = (struct list_choice){device->free, s, PASS_W};
    }
    return best;
}

static void list_run(struct list_state *state, struct list_choice choice, struct schedule_list *lists)
{
    struct list_stage *stage = &state->stages[choice.stage];
    struct list_device *device = &state->devices[stage->device];
    double end = choice.start + list_seconds(state, choice.pass, choice.stage);
    uint32_t n;
    if (choice.pass == PASS_F) {
        n = stage->forward++;
        stage->forward_end[n] = end;
        device->held += stage->first;
    } else if (choice.pass == PASS_I) {
        n = stage->input++;
        stage->input_end[n] = end;
        VECTOR_PUSH(&device->waits, choice.stage);
    } else {
        n = stage->weight++;
        device->next_wait++;
        device->held -= stage->first; /* the first stage is done last */
    }
    device->free = end;
    state->end = fmax(state->end, end);
    schedule_add(&lists[stage->device], choice.pass, choice.stage, n);
}

static void *list_array(uint32_t count, size_t size)
{
    void *at = NULL;
    uint32_t room = 0;
    do
        at = vector_grow(at, &room, size);
    while (room < count);
    return at;
}

/* Whether a stage before `s` stands on the device. */
static bool list_stands(const struct list_state *state, uint32_t s, uint32_t device)
{
    while (s-- > 0)
        if (state->stages[s].device == device)
            return true;
    return false;
}

/* Writes one order and returns how long it takes. */
static double list_try(const struct schedule_shape *shape, bool patient, bool eager,
                       struct schedule_list *lists)
{
    struct list_state state = {.shape = shape, .patient = patient, .eager = eager};
    state.stage_count = schedule_stages(&list_schedule, shape);
    state.devices = list_array(shape->devices, sizeof *state.devices);
    state.stages = list_array(state.stage_count, sizeof *state.stages);
    for (uint32_t d = 0; d < shape->devices; d++)
        state.devices[d] = (struct list_device){0};
    for (uint32_t s = 0; s < state.stage_count; s++) {
        uint32_t device = schedule_device(&list_schedule, shape, s);
        state.stages[s] = (struct list_stage){.device = device, .first = !list_stands(&state, s, device)};
        state.stages[s].forward_end = list_array(shape->micro_batches, sizeof(double));
        state.stages[s].input_end = list_array(shape->micro_batches, sizeof(double));
    }
    for (;;) {
        struct list_choice first = {INFINITY, 0, PASS_F};
        for (uint32_t d = shape->devices; d-- > 0;) {
            struct list_choice choice = list_choose(&state, d);
            if (choice.start < first.start)
                first = choice;
        }
        if (first.start == INFINITY)
            break;
        list_run(&state, first, lists);
    }
    for (uint32_t s = 0; s < state.stage_count; s++) {
        vector_release(state.stages[s].forward_end);
        vector_release(state.stages[s].input_end);
    }
    for (uint32_t d = 0; d < shape->devices; d++)
        VECTOR_FREE(&state.devices[d].waits);
    vector_release(state.stages);
    vector_release(state.devices);
    return state.end;
}

static void list_order(const struct schedule_shape *shape, struct schedule_list *lists)
{
    double best = INFINITY;
    for (int way = 0; way < 4; way++) {
        struct schedule_list *tried = list_array(shape->devices, sizeof *tried);
        for (uint32_t d = 0; d < shape->devices; d++)
            tried[d] = (struct schedule_list){0};
        double seconds = list_try(shape, way & 1, way & 2, tried);
        for (uint32_t d = 0; d < shape->devices; d++) {
            struct schedule_list other = lists[d];
            if (seconds < best)
                lists[d] = tried[d];
            VECTOR_FREE(seconds < best ? &other : &tried[d]);
        }
        best = fmin(best, seconds);
        vector_release(tried);
    }
}

const struct schedule list_schedule = {
    .name = "list",
    .about = "made for the stages at hand: whatever can start first, within a limit of activations",
    .source = "Graham 1969; Qi et al. 2024 (arXiv 2401.10241), section 4",
    .fewest_chunks = 1,
    .most_chunks = 64,
    .training = true,
    .timed = true,
    .anywhere = true,
    .order = list_order,
};
