/* Fluid: max-min fair sharing (network.c) as an entry of the table of network models. Here the classes of
 * traffic become weights and caps of flows. */
#include "engine/network_model.h"

#include "base/vector.h"

#include <math.h>

struct fluid_class {
    double weight, cap;
};

/* Of a flow, by its identity; only flows of a class are sure to have one. */
struct fluid_flow {
    double cap; /* the message's own */
    uint8_t traffic;
};

struct fluid {
    struct arena arena; /* owns this record */
    struct network *network;
    struct fluid_class classes[UINT8_MAX + 1];
    VECTOR(struct fluid_flow) flows;
};

static void *fluid_open(const struct network_setting *setting)
{
    struct arena arena;
    arena_init(&arena);
    struct fluid *fluid = ARENA_NEW(&arena, struct fluid);
    fluid->arena = arena;
    fluid->network = network_new(setting->capacities, setting->link_count);
    for (uint32_t i = 0; i <= UINT8_MAX; i++)
        fluid->classes[i] = (struct fluid_class){1, INFINITY};
    return fluid;
}

static void fluid_close(void *state)
{
    struct fluid *fluid = state;
    if (!fluid)
        return;
    network_free(fluid->network);
    VECTOR_FREE(&fluid->flows);
    struct arena arena = fluid->arena;
    arena_fini(&arena);
}

/* An identity that is used again may have belonged to a class. */
static void note_flow(struct fluid *fluid, uint32_t flow, const struct network_message *message)
{
    while (message->traffic && fluid->flows.count <= flow)
        VECTOR_PUSH(&fluid->flows, ((struct fluid_flow){INFINITY, 0}));
    if (flow < fluid->flows.count)
        fluid->flows.at[flow] = (struct fluid_flow){message->cap, message->traffic};
}

static void fluid_start(void *state, double now, const struct network_message *message)
{
    struct fluid *fluid = state;
    const struct fluid_class *class = &fluid->classes[message->traffic];
    const struct network_flow wanted = {.usage = message->usage,
                                        .usage_count = message->usage_count,
                                        .tag = message->tag,
                                        .bytes = message->bytes,
                                        .latency = message->latency,
                                        .weight = class->weight,
                                        .cap = message->cap < class->cap ? message->cap : class->cap};
    uint32_t flow = network_start(fluid->network, now, &wanted);
    if (message->traffic || fluid->flows.count)
        note_flow(fluid, flow, message);
}

static void fluid_set_capacity(void *state, double now, uint32_t link, double capacity)
{
    network_set_capacity(((struct fluid *)state)->network, now, link, capacity);
}

static void fluid_set_traffic(void *state, double now, uint8_t traffic, double weight, double cap)
{
    struct fluid *fluid = state;
    fluid->classes[traffic] = (struct fluid_class){weight, cap};
    for (uint32_t f = 0; f < fluid->flows.count; f++) {
        const struct fluid_flow *flow = &fluid->flows.at[f];
        if (flow->traffic != traffic)
            continue;
        network_set_weight(fluid->network, now, f, weight);
        network_set_cap(fluid->network, now, f, flow->cap < cap ? flow->cap : cap);
    }
}

static double fluid_stop(void *state, double now, uint32_t tag)
{
    struct network *network = ((struct fluid *)state)->network;
    return network_stop(network, now, network_find(network, tag));
}

static double fluid_next(void *state)
{
    return network_next(((struct fluid *)state)->network);
}

static uint32_t fluid_advance(void *state, double now, const uint32_t **tags)
{
    return network_advance(((struct fluid *)state)->network, now, tags);
}

static void fluid_solve(void *state, double now)
{
    network_solve(((struct fluid *)state)->network, now);
}

static double fluid_carried(const void *state, uint32_t link)
{
    return network_carried(((const struct fluid *)state)->network, link);
}

const struct network_model fluid_model = {
    .name = "fluid",
    .about = "flows share the links by max-min fairness; the default",
    .open = fluid_open,
    .close = fluid_close,
    .start = fluid_start,
    .set_capacity = fluid_set_capacity,
    .set_traffic = fluid_set_traffic,
    .stop = fluid_stop,
    .next = fluid_next,
    .advance = fluid_advance,
    .solve = fluid_solve,
    .carried = fluid_carried,
};
