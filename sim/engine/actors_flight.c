#include "engine/actors_flight.h"

uint32_t actors_flight_take(struct actors *actors, struct actors_flight flight)
{
    uint32_t index = actors->flights.count;
    if (actors->free_flights.count) {
        index = actors->free_flights.at[--actors->free_flights.count];
        actors->flights.at[index] = flight;
    } else {
        VECTOR_PUSH(&actors->flights, flight);
    }
    return index;
}

uint32_t actors_flight_start(struct actors *actors, uint32_t group, uint32_t way, double bytes, double cap,
                             uint32_t label, uint32_t flight)
{
    double latency, most;
    uint32_t activity = ways_best(&actors->ways, way, bytes, &latency, &most);
    const struct activity *form = &actors->ways.activities.at[activity];
    struct engine_transfer transfer = {.start = actors->now,
                                       .end = -1,
                                       .bytes = bytes,
                                       .latency = latency,
                                       .group = group,
                                       .match = actors->chronicle.groups.at[group].match_count++,
                                       .activity = activity,
                                       .label = label};
    VECTOR_PUSH(&actors->chronicle.transfers, transfer);
    actors->model->start(actors->network, actors->now,
                         &(struct network_message){.usage = actors->ways.entries.at[activity].usage,
                                                   .path = form->path.at,
                                                   .usage_count = form->usage.count,
                                                   .path_length = form->path.count,
                                                   .bytes = bytes * form->bytes_factor,
                                                   .latency = latency,
                                                   .cap = cap > 0 && cap < most ? cap : most,
                                                   .tag = flight});
    return actors->chronicle.transfers.count - 1;
}

void actors_flight_end(struct actors *actors, uint32_t index)
{
    struct actors_flight *flight = &actors->flights.at[index];
    struct chronicle *chronicle = &actors->chronicle;
    chronicle->transfers.at[flight->transfer].end = actors->now;
    if (flight->group == PROGRAM_NONE) {
        const struct chronicle_pair *pair = &chronicle->pairs.at[flight->pair];
        chronicle_end(chronicle, pair->from, flight->from_slot, actors->now);
        chronicle_end(chronicle, pair->to, flight->to_slot, actors->now);
    }
    flight->under_way = false;
    VECTOR_PUSH(&actors->free_flights, index);
}
