/* Alpha-beta: a message takes its latency and then its bytes over the bandwidth of its narrowest link, as if
 * it were alone (Hockney 1994). Ideal: its latency only, which is the same with links of infinite capacity.
 * One pending event per message. A change of capacity visits the messages under way: O(messages · links). */
#include "engine/network_model.h"

#include "engine/incidence.h"
#include "engine/queue.h"

#include <assert.h>
#include <float.h>
#include <math.h>

struct alpha_beta_message {
    double bytes, cap;
    double remaining, updated, rate; /* bytes as of `updated`; meaningful once it transmits */
    uint32_t first, count; /* its usage in the pool, where the record keeps 2^size_class entries for good */
    uint32_t size_class;
    uint32_t event; /* QUEUE_NONE: stalled */
    uint8_t traffic;
    uint32_t tag; /* while unused: the next unused record of its class + 1 */
    enum { UNUSED, WAITING, TRANSMITTING } state;
};

struct alpha_beta {
    struct arena arena;  /* owns this record and the arrays per link */
    struct queue *queue; /* identity: message */
    double *capacities, *carried;
    double limits[UINT8_MAX + 1]; /* caps by class of traffic */
    VECTOR(struct alpha_beta_message) messages;
    VECTOR(struct network_usage) pool;
    struct index_list completed;
    uint32_t unused[32]; /* per size class: first unused record + 1 */
};

static void *alpha_beta_open(const struct network_setting *setting)
{
    struct arena arena;
    arena_init(&arena);
    struct alpha_beta *net = ARENA_NEW(&arena, struct alpha_beta);
    net->queue = queue_new();
    net->carried = ARENA_ARRAY(&arena, double, setting->link_count + 1);
    net->capacities = arena_copy(&arena, setting->capacities, setting->link_count * sizeof(double));
    for (uint32_t i = 0; i <= UINT8_MAX; i++)
        net->limits[i] = INFINITY;
    net->arena = arena;
    return net;
}

static void alpha_beta_close(void *state)
{
    struct alpha_beta *net = state;
    if (!net)
        return;
    queue_free(net->queue);
    VECTOR_FREE(&net->messages);
    VECTOR_FREE(&net->pool);
    VECTOR_FREE(&net->completed);
    struct arena arena = net->arena;
    arena_fini(&arena);
}

static void *ideal_open(const struct network_setting *setting)
{
    struct alpha_beta *net = alpha_beta_open(setting);
    for (uint32_t l = 0; l < setting->link_count; l++)
        net->capacities[l] = INFINITY;
    return net;
}

static uint32_t alpha_beta_take(struct alpha_beta *net, uint32_t count)
{
    uint32_t size_class = incidence_class(count), m = net->unused[size_class] - 1;
    if (net->unused[size_class]) {
        net->unused[size_class] = net->messages.at[m].tag;
        return m;
    }
    VECTOR_PUSH(&net->messages,
                ((struct alpha_beta_message){.first = net->pool.count, .size_class = size_class}));
    for (uint32_t i = 0; i < 1u << size_class; i++)
        VECTOR_PUSH(&net->pool, ((struct network_usage){0, 0}));
    return net->messages.count - 1;
}

static void alpha_beta_start(void *state, double now, const struct network_message *message)
{
    struct alpha_beta *net = state;
    uint32_t m = alpha_beta_take(net, message->usage_count);
    struct alpha_beta_message *record = &net->messages.at[m];
    for (uint32_t i = 0; i < message->usage_count; i++)
        net->pool.at[record->first + i] = message->usage[i];
    record->count = message->usage_count;
    record->bytes = record->remaining = message->bytes;
    record->cap = message->cap;
    record->traffic = message->traffic;
    record->tag = message->tag;
    record->state = WAITING;
    record->event = queue_add(net->queue, now + message->latency, PHASE_LATENCY, m);
}

static void ideal_start(void *state, double now, const struct network_message *message)
{
    struct network_message unlimited = *message;
    unlimited.cap = INFINITY;
    alpha_beta_start(state, now, &unlimited);
}

static double alpha_beta_rate(const struct alpha_beta *net, const struct alpha_beta_message *message)
{
    double rate = fmin(message->cap, net->limits[message->traffic]);
    for (uint32_t i = message->first; i < message->first + message->count; i++)
        rate = fmin(rate, net->capacities[net->pool.at[i].link] / net->pool.at[i].coefficient);
    return rate;
}

static void alpha_beta_finish(struct alpha_beta *net, uint32_t m)
{
    struct alpha_beta_message *message = &net->messages.at[m];
    for (uint32_t i = message->first; i < message->first + message->count; i++)
        net->carried[net->pool.at[i].link] += net->pool.at[i].coefficient * message->bytes;
    VECTOR_PUSH(&net->completed, message->tag);
    message->state = UNUSED;
    message->tag = net->unused[message->size_class];
    net->unused[message->size_class] = m + 1;
}

/* Gives a transmitting message a pending event for its end at the present capacities. */
static void alpha_beta_time(struct alpha_beta *net, uint32_t m, double now)
{
    struct alpha_beta_message *message = &net->messages.at[m];
    message->updated = now;
    message->rate = alpha_beta_rate(net, message);
    message->event = message->rate > 0 ? queue_add(net->queue, now + message->remaining / message->rate,
                                                   PHASE_COMPLETION, m)
                                       : QUEUE_NONE;
}

/* New rates and ends where a rate has changed. */
static void alpha_beta_renew(struct alpha_beta *net, double now)
{
    for (uint32_t m = 0; m < net->messages.count; m++) {
        struct alpha_beta_message *message = &net->messages.at[m];
        if (message->state != TRANSMITTING || alpha_beta_rate(net, message) == message->rate)
            continue;
        message->remaining = fmax(0, message->remaining - message->rate * (now - message->updated));
        if (message->event != QUEUE_NONE)
            queue_cancel(net->queue, message->event);
        alpha_beta_time(net, m, now);
    }
}

static void alpha_beta_set_capacity(void *state, double now, uint32_t link, double capacity)
{
    struct alpha_beta *net = state;
    net->capacities[link] = capacity;
    alpha_beta_renew(net, now);
}

static void alpha_beta_set_traffic(void *state, double now, uint8_t traffic, double weight, double cap)
{
    struct alpha_beta *net = state;
    (void)weight; /* nobody to share with */
    net->limits[traffic] = cap;
    alpha_beta_renew(net, now);
}

static void ideal_set_capacity(void *state, double now, uint32_t link, double capacity)
{
    (void)state, (void)now, (void)link, (void)capacity; /* bandwidth plays no part */
}

static void ideal_set_traffic(void *state, double now, uint8_t traffic, double weight, double cap)
{
    (void)state, (void)now, (void)traffic, (void)weight, (void)cap;
}

static double alpha_beta_next(void *state)
{
    struct alpha_beta *net = state;
    struct queue_event event;
    return queue_peek(net->queue, &event) ? event.time : INFINITY;
}

static uint32_t alpha_beta_advance(void *state, double now, const uint32_t **tags)
{
    struct alpha_beta *net = state;
    double limit = now * (1 + 4 * DBL_EPSILON);
    struct queue_event event;
    net->completed.count = 0;
    while (queue_peek(net->queue, &event) && event.time <= limit) {
        queue_cancel(net->queue, event.handle);
        struct alpha_beta_message *message = &net->messages.at[event.identity];
        bool done = message->state == TRANSMITTING || message->bytes == 0;
        message->state = TRANSMITTING;
        if (done || alpha_beta_rate(net, message) == INFINITY)
            alpha_beta_finish(net, event.identity);
        else
            alpha_beta_time(net, event.identity, now);
    }
    *tags = net->completed.at;
    return net->completed.count;
}

static void alpha_beta_solve(void *state, double now)
{
    (void)state, (void)now; /* every message has its rate already */
}

static double alpha_beta_carried(const void *state, uint32_t link)
{
    return ((const struct alpha_beta *)state)->carried[link];
}

const struct network_model alpha_beta_ideal = {
    .name = "ideal",
    .about = "latency only, bandwidth without end",
    .open = ideal_open,
    .close = alpha_beta_close,
    .start = ideal_start,
    .set_capacity = ideal_set_capacity,
    .set_traffic = ideal_set_traffic,
    .next = alpha_beta_next,
    .advance = alpha_beta_advance,
    .solve = alpha_beta_solve,
    .carried = alpha_beta_carried,
};

const struct network_model alpha_beta_model = {
    .name = "alpha-beta",
    .about = "latency and bytes over the narrowest link, every message as if alone",
    .open = alpha_beta_open,
    .close = alpha_beta_close,
    .start = alpha_beta_start,
    .set_capacity = alpha_beta_set_capacity,
    .set_traffic = alpha_beta_set_traffic,
    .next = alpha_beta_next,
    .advance = alpha_beta_advance,
    .solve = alpha_beta_solve,
    .carried = alpha_beta_carried,
};
