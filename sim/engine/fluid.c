/* Fluid: max-min fair sharing (network.c) as an entry of the table of network models. */
#include "engine/network_model.h"

static void *fluid_open(const struct network_setting *setting)
{
    return network_new(setting->capacities, setting->link_count);
}

static void fluid_close(void *state)
{
    network_free(state);
}

static void fluid_start(void *state, double now, const struct network_message *message)
{
    network_start(state, now, message->usage, message->usage_count, message->bytes, message->latency, 1,
                  message->cap, message->tag);
}

static void fluid_set_capacity(void *state, double now, uint32_t link, double capacity)
{
    network_set_capacity(state, now, link, capacity);
}

static double fluid_next(void *state)
{
    return network_next(state);
}

static uint32_t fluid_advance(void *state, double now, const uint32_t **tags)
{
    return network_advance(state, now, tags);
}

static void fluid_solve(void *state, double now)
{
    network_solve(state, now);
}

static double fluid_carried(const void *state, uint32_t link)
{
    return network_carried(state, link);
}

const struct network_model fluid_model = {
    .name = "fluid",
    .about = "flows share the links by max-min fairness; the default",
    .open = fluid_open,
    .close = fluid_close,
    .start = fluid_start,
    .set_capacity = fluid_set_capacity,
    .next = fluid_next,
    .advance = fluid_advance,
    .solve = fluid_solve,
    .carried = fluid_carried,
};
