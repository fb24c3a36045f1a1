/* Packet: store-and-forward. A message is cut into packets of `mtu` bytes. A link sends one packet at a time;
 * the packet then travels for the link's latency and joins the queue of the next link. Queues are first-in
 * first-out and lossless: a packet leaves a link's queue only when it holds a slot of the next one, which it
 * frees when it has left that link. It asks for the slot as soon as it is among the first two of its queue,
 * so that a link need not pause between two packets. Who finds no slot (the queue before, or the source of a
 * message) waits in line for one. A source offers packets at the rate of its first link.
 *
 * A queue has the slots of `buffer` and, as the headroom of lossless networks has, for each link before it
 * those of the packets that this link keeps on its way at full rate. A full-duplex link has one queue. A
 * shared medium or a half-duplex cable is one server for the queues of all its directions: one per link that
 * packets come from, and per earlier crossing; it sends the packet that came first of those that have a slot.
 *
 * A message that finds the links of its path unused is not simulated packet by packet: train.c says when it
 * arrives. When another message wants one of those links, or a capacity changes, its packets are put where
 * they would be by then, and it goes on packet by packet. So cost grows with the packets that meet others,
 * and packet_limit bounds them.
 *
 * Here is what the engine asks of the level. packet_queue.c moves packets from queue to queue, packet_train.c
 * has the messages that meet no other, packet_path.c finds the queues of a message; packet_net.h is their
 * state. */
#include "engine/network_model.h"
#include "engine/packet_path.h"
#include "engine/packet_queue.h"
#include "engine/packet_train.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

static void packet_start(void *state, double now, const struct network_message *message)
{
    struct packet_net *net = state;
    net->now = now;
    for (uint32_t h = 0; h < message->path_length; h++)
        packet_train_clear(net, message->path[h]);
    uint32_t f = packet_path_flow(net, message->path_length);
    struct packet_flow *flow = &net->flows.at[f];
    *flow = (struct packet_flow){.bytes = message->bytes,
                                 .start = now,
                                 .packets = (uint64_t)ceil(message->bytes / net->mtu),
                                 .path = flow->path,
                                 .hops = message->path_length,
                                 .size_class = flow->size_class,
                                 .event = QUEUE_NONE,
                                 .tag = message->tag};
    packet_path_lay(net, f, message);
    if (!flow->packets || !flow->hops) {
        flow->train = true;
        flow->hops = 0;
        flow->event = queue_add(net->events, now + message->latency, PHASE_LATENCY, 2 * net->link_count + f);
    } else if (packet_train_fits(net, f)) {
        packet_train_start(net, f);
    } else {
        for (uint32_t h = 0; h < flow->hops; h++)
            net->links.at[message->path[h]].flows++;
        packet_queue_enter(net, f);
    }
}

static void packet_set_capacity(void *state, double now, uint32_t link, double capacity)
{
    struct packet_net *net = state;
    net->now = now;
    packet_train_clear(net, link);
    net->links.at[link].capacity = capacity;
    packet_queue_send(net, link);
}

static void *packet_open(const struct network_setting *setting)
{
    struct arena arena;
    arena_init(&arena);
    struct packet_net *net = ARENA_NEW(&arena, struct packet_net);
    net->arena = arena;
    net->mtu = setting->mtu > 0 ? setting->mtu : network_model_mtu;
    net->header = setting->header;
    net->limit = setting->packet_limit ? setting->packet_limit : network_model_packet_limit;
    net->base_slots = (uint32_t)fmin(
        fmax(1, (setting->buffer > 0 ? setting->buffer : network_model_buffer) / net->mtu), 1e8);
    net->link_count = setting->link_count;
    net->unused_packet = PACKET_NONE;
    net->events = queue_new();
    for (uint32_t l = 0; l < setting->link_count; l++) {
        struct packet_link link = {.capacity = setting->capacities[l], .sending = PACKET_NONE, .queues = l};
        struct packet_queue queue = {
            .link = l, .before = PACKET_NONE, .slots = net->base_slots, .next = PACKET_NONE};
        queue.packets = queue.waiters = link.wire = (struct packet_list){PACKET_NONE, PACKET_NONE};
        link.latency = setting->latencies ? setting->latencies[l] : 0;
        link.shared = setting->shared && setting->shared[l];
        VECTOR_PUSH(&net->links, link);
        VECTOR_PUSH(&net->queues, queue);
    }
    return net;
}

static void packet_close(void *state)
{
    struct packet_net *net = state;
    if (!net)
        return;
    queue_free(net->events);
    VECTOR_FREE(&net->links);
    VECTOR_FREE(&net->queues);
    VECTOR_FREE(&net->flows);
    VECTOR_FREE(&net->packets);
    VECTOR_FREE(&net->hops);
    VECTOR_FREE(&net->pool);
    VECTOR_FREE(&net->feeds);
    VECTOR_FREE(&net->feed_slots);
    VECTOR_FREE(&net->completed);
    struct arena arena = net->arena;
    arena_fini(&arena);
}

static double packet_next(void *state)
{
    struct packet_net *net = state;
    struct queue_event event;
    return queue_peek(net->events, &event) ? event.time : INFINITY;
}

static void packet_handle(struct packet_net *net, uint32_t identity, double limit)
{
    uint32_t links = net->link_count;
    if (identity < links)
        packet_queue_end_sending(net, identity);
    else if (identity < 2 * links)
        packet_queue_end_travel(net, identity - links, limit);
    else if (net->flows.at[identity - 2 * links].train)
        packet_train_end(net, identity - 2 * links);
    else
        packet_queue_enter(net, identity - 2 * links);
    net->handled++;
}

static uint32_t packet_advance(void *state, double now, const uint32_t **tags)
{
    struct packet_net *net = state;
    double limit = now * (1 + 4 * DBL_EPSILON);
    struct queue_event event;
    net->now = now;
    net->completed.count = 0;
    while (queue_peek(net->events, &event) && event.time <= limit && !net->problem[0]) {
        queue_cancel(net->events, event.handle);
        packet_handle(net, event.identity, limit);
        if (net->sent > net->limit)
            snprintf(net->problem, sizeof net->problem,
                     "the packet level has sent %llu packets over links one by one, which is its limit; use "
                     "larger packets (network.mtu), raise network.packets, or use the fluid level",
                     (unsigned long long)net->sent - 1);
    }
    *tags = net->completed.at;
    return net->completed.count;
}

static void packet_solve(void *state, double now)
{
    (void)state, (void)now; /* nothing is shared out */
}

/* A train under way counts when it ends. */
static double packet_carried(const void *state, uint32_t link)
{
    return ((const struct packet_net *)state)->links.at[link].carried;
}

static uint64_t packet_events(const void *state)
{
    return ((const struct packet_net *)state)->handled;
}

static const char *packet_problem(const void *state)
{
    const struct packet_net *net = state;
    return net->problem[0] ? net->problem : NULL;
}

static bool packet_stuck(const struct packet_net *net, uint32_t q)
{
    return net->queues.at[q].waiting && !net->queues.at[q].held;
}

/* From the first queue that waits to the one it waits for, and so on; after as many steps as there are queues
 * a cycle is reached if there is one, and one more round writes it. */
static uint32_t packet_stall(const void *state, uint32_t *links, uint32_t most)
{
    const struct packet_net *net = state;
    uint32_t q = 0, count = 0;
    while (q < net->queues.count && !packet_stuck(net, q))
        q++;
    if (q == net->queues.count)
        return 0;
    for (uint32_t i = 0; i < net->queues.count && packet_stuck(net, q); i++)
        q = packet_net_after(net, net->queues.at[q].packets.first);
    uint32_t first = q;
    do {
        if (count < most)
            links[count++] = net->queues.at[q].link;
        if (packet_stuck(net, q))
            q = packet_net_after(net, net->queues.at[q].packets.first);
    } while (q != first);
    if (packet_stuck(net, q) && count < most)
        links[count++] = net->queues.at[first].link;
    return count;
}

const struct network_model packet_model = {
    .name = "packet",
    .about = "store-and-forward of packets through first-in first-out queues with back-pressure",
    .by_steps = true,
    .open = packet_open,
    .close = packet_close,
    .start = packet_start,
    .set_capacity = packet_set_capacity,
    .next = packet_next,
    .advance = packet_advance,
    .solve = packet_solve,
    .carried = packet_carried,
    .events = packet_events,
    .problem = packet_problem,
    .stall = packet_stall,
};
