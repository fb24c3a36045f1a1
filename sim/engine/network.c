/* Flows in time. The rates come from maxmin.c; here each flow has its remaining bytes as of its last change
 * of rate (lazy: a flow whose rate stays costs nothing) and one pending event, the expiry of its latency or
 * its completion. A completion that moves later is not re-keyed: its key is a lower bound, corrected when it
 * comes to the top. */
#include "engine/network.h"

#include "base/arena.h"
#include "engine/maxmin.h"
#include "engine/queue.h"

#include <assert.h>
#include <float.h>
#include <math.h>

enum flow_state { FLOW_FREE, FLOW_WAITING, FLOW_ACTIVE };

struct flow {
    double remaining; /* bytes, as of `updated` */
    double updated;   /* seconds */
    double rate;      /* bytes per second, since `updated` */
    double finish;    /* seconds; INFINITY while the rate is 0 */
    double key;       /* time of its pending event, <= finish */
    double bytes, weight;
    uint32_t event; /* handle in the queue, QUEUE_NONE if none */
    uint32_t tag;
    uint32_t state; /* enum flow_state; FLOW_FREE: `tag` is the next free flow */
};

struct network {
    struct arena arena; /* owns this record */
    struct maxmin maxmin;
    struct queue *queue; /* identity: flow */
    VECTOR(struct flow) flows;
    VECTOR(double) carried; /* per link: bytes of completed flows */
    struct index_list completed;
    struct index_list reweighted; /* flows whose weight changed since the last solve */
    uint32_t free, active;
    double now; /* the last instant heard of */
};

struct network *network_new(const double *capacities, uint32_t link_count)
{
    struct arena arena;
    arena_init(&arena);
    struct network *network = ARENA_NEW(&arena, struct network);
    network->arena = arena;
    maxmin_init(&network->maxmin, capacities, link_count);
    network->queue = queue_new();
    network->free = MAXMIN_NONE;
    for (uint32_t l = 0; l < link_count; l++)
        VECTOR_PUSH(&network->carried, 0.0);
    return network;
}

void network_free(struct network *network)
{
    if (!network)
        return;
    maxmin_fini(&network->maxmin);
    queue_free(network->queue);
    VECTOR_FREE(&network->flows);
    VECTOR_FREE(&network->carried);
    VECTOR_FREE(&network->completed);
    VECTOR_FREE(&network->reweighted);
    struct arena arena = network->arena;
    arena_fini(&arena);
}

void network_set_solver(struct network *network, enum network_solver solver)
{
    network->maxmin.solver = (uint8_t)solver;
}

static uint32_t take_flow(struct network *network)
{
    uint32_t f = network->free;
    if (f != MAXMIN_NONE) {
        network->free = network->flows.at[f].tag;
        return f;
    }
    VECTOR_PUSH(&network->flows, ((struct flow){0}));
    return network->flows.count - 1;
}

static bool needs_bandwidth(const struct network *network, uint32_t f)
{
    return network->flows.at[f].bytes > 0 && network->maxmin.routes.at[f].count;
}

static void activate(struct network *network, uint32_t f, double now)
{
    struct flow *flow = &network->flows.at[f];
    flow->state = FLOW_ACTIVE;
    flow->updated = now;
    flow->event = QUEUE_NONE;
    maxmin_attach(&network->maxmin, f);
}

uint32_t network_start(struct network *network, double now, const struct network_flow *wanted)
{
    assert(wanted->bytes >= 0 && wanted->latency >= 0);
    uint32_t f = take_flow(network);
    network->flows.at[f] = (struct flow){.remaining = wanted->bytes,
                                         .updated = now,
                                         .finish = INFINITY,
                                         .bytes = wanted->bytes,
                                         .weight = wanted->weight,
                                         .event = QUEUE_NONE,
                                         .tag = wanted->tag,
                                         .state = FLOW_WAITING};
    maxmin_define(&network->maxmin, f, wanted->usage, wanted->usage_count, wanted->weight, wanted->cap);
    network->now = now;
    network->active++;
    if (wanted->latency == 0 && needs_bandwidth(network, f)) {
        activate(network, f, now);
    } else {
        struct flow *flow = &network->flows.at[f];
        flow->key = now + wanted->latency;
        flow->event = queue_add(network->queue, flow->key, PHASE_LATENCY, f);
    }
    return f;
}

void network_set_capacity(struct network *network, double now, uint32_t link, double capacity)
{
    assert(link < network->carried.count);
    network->now = now;
    maxmin_set_capacity(&network->maxmin, link, capacity);
}

void network_set_weight(struct network *network, double now, uint32_t f, double weight)
{
    struct flow *flow = &network->flows.at[f];
    assert(weight > 0 && weight < INFINITY);
    network->now = now;
    if (flow->state == FLOW_FREE || flow->weight == weight)
        return;
    maxmin_scale(&network->maxmin, f, flow->weight, weight);
    flow->weight = weight;
    VECTOR_PUSH(&network->reweighted, f);
}

void network_set_cap(struct network *network, double now, uint32_t f, double cap)
{
    const struct flow *flow = &network->flows.at[f];
    assert(cap >= 0);
    network->now = now;
    if (flow->state != FLOW_FREE)
        maxmin_set_cap(&network->maxmin, f, flow->weight, cap);
}

/* Moves the event of a flow to its true completion, or takes it away when there is none. */
static void correct_event(struct network *network, struct flow *flow)
{
    if (flow->finish < INFINITY) {
        flow->key = flow->finish;
        queue_move(network->queue, flow->event, flow->key);
    } else {
        queue_cancel(network->queue, flow->event);
        flow->event = QUEUE_NONE;
    }
}

double network_next(struct network *network)
{
    struct queue_event event;
    while (queue_peek(network->queue, &event)) {
        struct flow *flow = &network->flows.at[event.identity];
        if (flow->state == FLOW_WAITING || flow->finish <= flow->key)
            return event.time;
        correct_event(network, flow);
    }
    return INFINITY;
}

/* Takes a flow that sent so many bytes off its links, and books them. */
static void release(struct network *network, uint32_t f, double sent)
{
    struct flow *flow = &network->flows.at[f];
    const struct maxmin_route *route = &network->maxmin.routes.at[f];
    const struct incidence_pool *pool = &network->maxmin.pool;
    double level_bytes = sent / flow->weight; /* coefficients there include the weight */
    for (uint32_t i = route->first; i < route->first + route->count; i++)
        if (pool->other[i] < network->carried.count)
            network->carried.at[pool->other[i]] += incidence_coefficient(pool, i) * level_bytes;
    maxmin_detach(&network->maxmin, f);
    flow->state = FLOW_FREE;
    flow->tag = network->free;
    network->free = f;
    network->active--;
}

static void complete(struct network *network, uint32_t f)
{
    VECTOR_PUSH(&network->completed, network->flows.at[f].tag);
    release(network, f, network->flows.at[f].bytes);
}

uint32_t network_advance(struct network *network, double now, const uint32_t **tags)
{
    double limit = now * (1 + 4 * DBL_EPSILON);
    struct queue_event event;
    network->completed.count = 0;
    network->now = now;
    while (queue_peek(network->queue, &event) && event.time <= limit) {
        struct flow *flow = &network->flows.at[event.identity];
        if (flow->state == FLOW_ACTIVE && flow->finish > limit) {
            correct_event(network, flow);
            continue;
        }
        queue_cancel(network->queue, event.handle);
        if (flow->state == FLOW_WAITING && needs_bandwidth(network, event.identity))
            activate(network, event.identity, now);
        else
            complete(network, event.identity);
    }
    *tags = network->completed.at;
    return network->completed.count;
}

static double left(const struct flow *flow, double now)
{
    double remaining = flow->remaining - flow->rate * (now - flow->updated);
    return remaining > 0 ? remaining : 0;
}

static void set_rate(struct network *network, uint32_t f, double rate, double now)
{
    struct flow *flow = &network->flows.at[f];
    flow->remaining = left(flow, now);
    flow->updated = now;
    flow->rate = rate;
    flow->finish = rate > 0 ? now + flow->remaining / rate : INFINITY;
    if (flow->event == QUEUE_NONE) {
        if (flow->finish < INFINITY) {
            flow->key = flow->finish;
            flow->event = queue_add(network->queue, flow->key, PHASE_COMPLETION, f);
        }
    } else if (flow->finish < flow->key) {
        correct_event(network, flow);
    }
}

/* Gives a flow the rate that follows from its level. */
static void follow_level(struct network *network, uint32_t f, double now)
{
    const struct flow *flow = &network->flows.at[f];
    double rate = network->maxmin.flows.at[f].level * flow->weight;
    if (flow->state == FLOW_ACTIVE && rate != flow->rate)
        set_rate(network, f, rate, now);
}

void network_solve(struct network *network, double now)
{
    network->now = now;
    struct maxmin *maxmin = &network->maxmin;
    maxmin_solve(maxmin);
    for (uint32_t i = 0; i < maxmin->changes.count; i++)
        follow_level(network, maxmin->changes.at[i].flow, now);
    for (uint32_t i = 0; i < network->reweighted.count; i++)
        follow_level(network, network->reweighted.at[i], now); /* its level may be the same */
    network->reweighted.count = 0;
}

double network_stop(struct network *network, double now, uint32_t f)
{
    struct flow *flow = &network->flows.at[f];
    assert(flow->state != FLOW_FREE);
    double sent = flow->state == FLOW_ACTIVE ? flow->bytes - left(flow, now) : 0;
    network->now = now;
    if (flow->event != QUEUE_NONE)
        queue_cancel(network->queue, flow->event);
    release(network, f, sent);
    return sent;
}

uint32_t network_find(const struct network *network, uint32_t tag)
{
    for (uint32_t f = 0; f < network->flows.count; f++)
        if (network->flows.at[f].state != FLOW_FREE && network->flows.at[f].tag == tag)
            return f;
    return UINT32_MAX;
}

double network_rate(const struct network *network, uint32_t flow)
{
    return network->flows.at[flow].state == FLOW_ACTIVE ? network->flows.at[flow].rate : 0;
}

double network_remaining(const struct network *network, uint32_t flow, double now)
{
    return left(&network->flows.at[flow], now);
}

uint32_t network_active(const struct network *network)
{
    return network->active;
}

double network_carried(const struct network *network, uint32_t link)
{
    const struct maxmin_link *record = &network->maxmin.links.at[link];
    double carried = network->carried.at[link];
    for (uint32_t i = 0; i < record->count; i++) {
        const struct flow *flow = &network->flows.at[network->maxmin.pool.other[record->first + i]];
        double coefficient = incidence_coefficient(&network->maxmin.pool, record->first + i);
        carried += coefficient / flow->weight * (flow->bytes - left(flow, network->now));
    }
    return carried;
}
