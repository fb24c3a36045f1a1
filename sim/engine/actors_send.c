#include "engine/actors_flight.h"

#include <assert.h>
#include <math.h>

/* The route of a pair; false after failing. */
static bool actors_send_route(struct actors *actors, struct chronicle_pair *pair)
{
    const struct chronicle_rank *ranks = actors->chronicle.ranks;
    const struct platform *platform = actors->platform;
    uint32_t from = ranks[pair->from].device, to = ranks[pair->to].device;
    pair->way = ways_message(&actors->ways, from, to);
    if (pair->way == PROGRAM_NONE)
        actors_fail(actors, "no route from %s to %s, which must communicate (%s)",
                    names_text(platform->names, platform->devices.at[from].name),
                    names_text(platform->names, platform->devices.at[to].name),
                    names_text(actors->chronicle.names, pair->name));
    return pair->way != PROGRAM_NONE;
}

uint32_t actors_send(struct actors *actors, uint32_t from, uint32_t to, const struct actors_message *message,
                     struct actors_then then)
{
    struct chronicle *chronicle = &actors->chronicle;
    assert(from < actors->rank_count && to < actors->rank_count && message->bytes >= 0);
    if (from == to) {
        actors_state_soon(actors, then, actors->cause);
        return PROGRAM_NONE;
    }
    uint32_t index = chronicle_pair(chronicle, from, to, message->group);
    struct chronicle_pair *pair = &chronicle->pairs.at[index];
    if (pair->way == PROGRAM_NONE && !actors_send_route(actors, pair))
        return PROGRAM_NONE;
    uint32_t flight = actors_flight_take(
        actors,
        (struct actors_flight){.then = then, .group = PROGRAM_NONE, .pair = index, .under_way = true});
    struct op op = {.bytes = message->bytes,
                    .label = message->label,
                    .micro_batch = message->round,
                    .group = pair->from_slot,
                    .match = chronicle->groups.at[pair->group].match_count,
                    .stream = (uint16_t)chronicle_lane(chronicle, from, chronicle->send),
                    .kind = OP_SEND,
                    .pass = message->pass};
    uint32_t sent = chronicle_begin(chronicle, from, &op, actors->now, actors->now, actors->cause, false);
    op.group = pair->to_slot;
    op.kind = OP_RECEIVE;
    op.stream = (uint16_t)chronicle_lane(chronicle, to, chronicle->receive);
    uint32_t received = chronicle_begin(chronicle, to, &op, actors->now, actors->now,
                                        (struct chronicle_cause){from, sent}, true);
    actors->flights.at[flight].from_slot = sent;
    actors->flights.at[flight].to_slot = received;
    actors->flights.at[flight].transfer = actors_flight_start(actors, pair->group, pair->way, message->bytes,
                                                              message->cap, message->label, flight);
    return flight;
}

bool actors_send_recall(struct actors *actors, uint32_t index)
{
    struct actors_flight *flight = &actors->flights.at[index];
    struct chronicle *chronicle = &actors->chronicle;
    assert(flight->under_way && flight->group == PROGRAM_NONE);
    if (!actors->model->stop) {
        actors_fail(actors, "the network level '%s' cannot call messages back; fluid can",
                    actors->model->name);
        return false;
    }
    const struct chronicle_pair *pair = &chronicle->pairs.at[flight->pair];
    struct engine_transfer *transfer = &chronicle->transfers.at[flight->transfer];
    double factor = actors->ways.activities.at[transfer->activity].bytes_factor;
    double sent = actors->model->stop(actors->network, actors->now, index) / (factor > 0 ? factor : 1);
    transfer->bytes = sent;
    transfer->latency = fmin(transfer->latency, actors->now - transfer->start);
    chronicle->ranks[pair->from].ops.at[flight->from_slot].bytes = sent;
    chronicle->ranks[pair->to].ops.at[flight->to_slot].bytes = sent;
    actors_flight_end(actors, index);
    return true;
}
