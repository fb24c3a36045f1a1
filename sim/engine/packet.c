/* Packet: store-and-forward. A message is cut into packets of `mtu` bytes. A link sends one packet at a time;
 * the packet then travels for the link's latency and joins the queue of the next link. Queues are first-in
 * first-out and lossless: a packet leaves a link's queue only when it holds a slot of the next one, which it
 * frees when it has left that link. It asks for the slot as soon as it is among the first two of its queue, so
 * that a link need not pause between two packets. Who finds no slot (the queue before, or the source of a message)
 * waits in line for one. A source offers packets at the rate of its first link.
 *
 * A queue has the slots of `buffer` and, as the headroom of lossless networks has, for each link before it
 * those of the packets that this link keeps on its way at full rate. A full-duplex link has one queue. A
 * shared medium or a half-duplex cable is one server for the queues of all its directions: one per link that
 * packets come from, and per earlier crossing; it sends the packet that came first of those that have a slot.
 *
 * A message that finds the links of its path unused is not simulated packet by packet: train.c says when it
 * arrives. When another message wants one of those links, or a capacity changes, its packets are put where
 * they would be by then, and it goes on packet by packet. So cost grows with the packets that meet others,
 * and packet_limit bounds them. */
#include "engine/incidence.h"
#include "engine/network_model.h"
#include "engine/queue.h"
#include "engine/train.h"

#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NONE = UINT32_MAX };

struct packet {
    double arrival; /* in the next queue, seconds; while it is on its way */
    uint64_t order; /* of joining a queue */
    uint32_t flow, hop;
    uint32_t next; /* in its queue or on its link; the next unused one */
    uint32_t last; /* the flow's last packet, which may be shorter */
};

struct packet_list {
    uint32_t first, last; /* NONE: empty */
};

/* So many packets of a queue may hold slots. With one, a link that is hardly faster than its share of the
 * next one now and then has no packet in line there when its turn comes. */
enum { PACKET_AHEAD = 2 };

/* Waiters are queues, and sources of flows with PACKET_SOURCE set. */
#define PACKET_SOURCE (1u << 31)

struct packet_queue {
    uint32_t link;
    uint32_t before, crossing; /* the link from which its packets come, and how often they were here before */
    uint32_t slots, used;      /* used: packets in it, on their way to it, sent from it, and held for some */
    struct packet_list packets; /* in it */
    struct packet_list waiters; /* for a slot of it */
    uint32_t next_waiter;       /* after this one, in the list in which it waits */
    uint32_t next;              /* of the same link */
    uint8_t held;               /* so many of its first packets have a slot of their next queue */
    bool waiting;               /* the one after them is in line for one */
};

struct packet_link {
    double capacity, latency, carried;
    struct packet_list wire; /* packets on their way, in order of arrival */
    uint32_t sending;        /* packet; NONE */
    uint32_t queues;         /* first; the one with the link's own index */
    uint32_t flows;          /* that go packet by packet and cross it */
    uint32_t train;          /* the flow that has it for itself … */
    double train_until;      /* … until its last packet is in the next queue, seconds */
    uint32_t mark;
    bool shared;
};

struct packet_flow {
    double bytes, start;
    uint64_t packets, entered, delivered;
    uint32_t path, hops, size_class; /* queues in the pool, which keeps 2^size_class entries for the record */
    uint32_t event;                  /* end of the train or of the latency; next packet of the source */
    uint32_t next_waiter;
    uint32_t tag; /* while unused: the next unused record of its class + 1 */
    bool train;
};

/* Packets come to the queue from that link. */
struct packet_feed {
    uint32_t queue, before;
};

struct packet_net {
    struct arena arena; /* owns this record */
    double mtu, header, now;
    uint32_t base_slots, link_count, unused_packet, stamp;
    uint32_t unused_flow[32]; /* per size class + 1 */
    struct queue *events;     /* identities: links: ends of sending, links: arrivals, flows */
    VECTOR(struct packet_link) links;
    VECTOR(struct packet_queue) queues;
    VECTOR(struct packet_flow) flows;
    VECTOR(struct packet) packets;
    struct index_list pool;        /* queues of the flows' paths … */
    VECTOR(struct train_hop) hops; /* … and, of trains, the numbers of each hop as of its start */
    VECTOR(struct packet_feed) feeds;
    struct index_list feed_slots; /* open-addressing hash of feeds: index + 1 */
    struct index_list completed;
    uint64_t order, handled, sent, limit;
    char problem[200];
};

static void push_packet(struct packet_net *net, struct packet_list *list, uint32_t p)
{
    net->packets.at[p].next = NONE;
    if (list->first == NONE)
        list->first = p;
    else
        net->packets.at[list->last].next = p;
    list->last = p;
}

static uint32_t pop_packet(struct packet_net *net, struct packet_list *list)
{
    uint32_t p = list->first;
    list->first = net->packets.at[p].next;
    return p;
}

static uint32_t new_packet(struct packet_net *net, uint32_t flow, uint32_t hop, bool last)
{
    uint32_t p = net->unused_packet;
    if (p == NONE) {
        p = net->packets.count;
        VECTOR_PUSH(&net->packets, ((struct packet){0}));
    } else {
        net->unused_packet = net->packets.at[p].next;
    }
    net->packets.at[p] = (struct packet){.flow = flow, .hop = hop, .next = NONE, .last = last};
    return p;
}

static double last_bytes(const struct packet_net *net, const struct packet_flow *flow)
{
    return flow->bytes - (double)(flow->packets - 1) * net->mtu;
}

static double packet_bytes(const struct packet_net *net, uint32_t p)
{
    const struct packet *packet = &net->packets.at[p];
    return packet->last ? last_bytes(net, &net->flows.at[packet->flow]) : net->mtu;
}

static uint32_t *waiter_next(struct packet_net *net, uint32_t waiter)
{
    return waiter & PACKET_SOURCE ? &net->flows.at[waiter & ~PACKET_SOURCE].next_waiter
                                  : &net->queues.at[waiter].next_waiter;
}

static void wait_for_slot(struct packet_net *net, uint32_t q, uint32_t waiter)
{
    struct packet_list *list = &net->queues.at[q].waiters;
    *waiter_next(net, waiter) = NONE;
    if (list->first == NONE)
        list->first = waiter;
    else
        *waiter_next(net, list->last) = waiter;
    list->last = waiter;
}

static void complete(struct packet_net *net, uint32_t f)
{
    struct packet_flow *flow = &net->flows.at[f];
    VECTOR_PUSH(&net->completed, flow->tag);
    flow->tag = net->unused_flow[flow->size_class];
    net->unused_flow[flow->size_class] = f + 1;
}

/* The queue that a packet goes to from the head of queue q; NONE: its destination. */
static uint32_t queue_after(const struct packet_net *net, uint32_t p)
{
    const struct packet *packet = &net->packets.at[p];
    const struct packet_flow *flow = &net->flows.at[packet->flow];
    return packet->hop + 1 < flow->hops ? net->pool.at[flow->path + packet->hop + 1] : NONE;
}

/* The first packet of a queue that holds no slot; NONE: all do. */
static uint32_t first_without(const struct packet_net *net, const struct packet_queue *queue)
{
    uint32_t p = queue->packets.first;
    for (uint8_t i = 0; i < queue->held; i++)
        p = net->packets.at[p].next;
    return p;
}

/* Gets the first packets of a queue slots of the next ones, or puts the queue in line. */
static void hold_slots(struct packet_net *net, uint32_t q)
{
    struct packet_queue *queue = &net->queues.at[q];
    while (!queue->waiting && queue->held < PACKET_AHEAD) {
        uint32_t p = first_without(net, queue);
        if (p == NONE)
            return;
        uint32_t after = queue_after(net, p);
        if (after != NONE && net->queues.at[after].used == net->queues.at[after].slots) {
            queue->waiting = true;
            wait_for_slot(net, after, q);
            return;
        }
        queue->held++;
        if (after != NONE)
            net->queues.at[after].used++;
    }
}

/* Of the link's queues whose first packet has a slot, the one whose packet came first. */
static uint32_t choose_queue(const struct packet_net *net, uint32_t l)
{
    uint32_t best = NONE;
    for (uint32_t q = net->links.at[l].queues; q != NONE; q = net->queues.at[q].next)
        if (net->queues.at[q].held &&
            (best == NONE || net->packets.at[net->queues.at[q].packets.first].order <
                                 net->packets.at[net->queues.at[best].packets.first].order))
            best = q;
    return best;
}

static void send_next(struct packet_net *net, uint32_t l)
{
    struct packet_link *link = &net->links.at[l];
    if (link->sending != NONE || link->capacity <= 0)
        return;
    uint32_t q = choose_queue(net, l);
    if (q == NONE)
        return;
    uint32_t p = pop_packet(net, &net->queues.at[q].packets);
    link->sending = p;
    net->sent++;
    queue_add(net->events, net->now + (packet_bytes(net, p) + net->header) / link->capacity, PHASE_COMPLETION,
              l);
    net->queues.at[q].held--;
    hold_slots(net, q);
}

static void join_queue(struct packet_net *net, uint32_t p)
{
    struct packet *packet = &net->packets.at[p];
    uint32_t q = net->pool.at[net->flows.at[packet->flow].path + packet->hop];
    packet->order = net->order++;
    push_packet(net, &net->queues.at[q].packets, p);
    hold_slots(net, q);
    send_next(net, net->queues.at[q].link);
}

/* The source of a flow has its next packet ready. */
static void enter(struct packet_net *net, uint32_t f)
{
    struct packet_flow *flow = &net->flows.at[f];
    uint32_t q = net->pool.at[flow->path];
    struct packet_queue *queue = &net->queues.at[q];
    if (queue->used == queue->slots) {
        wait_for_slot(net, q, f | PACKET_SOURCE);
        return;
    }
    queue->used++;
    flow->entered++;
    double capacity = net->links.at[queue->link].capacity;
    double pause = capacity > 0 ? (net->mtu + net->header) / capacity : 0;
    flow->event = QUEUE_NONE;
    if (flow->entered < flow->packets)
        flow->event = queue_add(net->events, net->now + pause, PHASE_START, 2 * net->link_count + f);
    join_queue(net, new_packet(net, f, 0, flow->entered == flow->packets));
}

/* Gives free slots to those in line, in their order. */
static void grant_slots(struct packet_net *net, uint32_t q)
{
    while (net->queues.at[q].used < net->queues.at[q].slots && net->queues.at[q].waiters.first != NONE) {
        uint32_t waiter = net->queues.at[q].waiters.first;
        net->queues.at[q].waiters.first = *waiter_next(net, waiter);
        if (waiter & PACKET_SOURCE) {
            enter(net, waiter & ~PACKET_SOURCE);
        } else {
            net->queues.at[waiter].waiting = false;
            hold_slots(net, waiter);
            send_next(net, net->queues.at[waiter].link);
        }
    }
}

static void deliver(struct packet_net *net, uint32_t p)
{
    uint32_t f = net->packets.at[p].flow;
    struct packet_flow *flow = &net->flows.at[f];
    net->packets.at[p].next = net->unused_packet;
    net->unused_packet = p;
    if (++flow->delivered < flow->packets)
        return;
    for (uint32_t h = 0; h < flow->hops; h++)
        net->links.at[net->queues.at[net->pool.at[flow->path + h]].link].flows--;
    complete(net, f);
}

static void arrive(struct packet_net *net, uint32_t p)
{
    if (queue_after(net, p) == NONE) {
        deliver(net, p);
    } else {
        net->packets.at[p].hop++;
        join_queue(net, p);
    }
}

static void travel(struct packet_net *net, uint32_t l, uint32_t p, double arrival)
{
    struct packet_link *link = &net->links.at[l];
    net->packets.at[p].arrival = arrival;
    if (link->wire.first == NONE)
        queue_add(net->events, arrival, PHASE_LATENCY, net->link_count + l);
    push_packet(net, &link->wire, p);
}

static void end_sending(struct packet_net *net, uint32_t l)
{
    struct packet_link *link = &net->links.at[l];
    uint32_t p = link->sending;
    uint32_t q = net->pool.at[net->flows.at[net->packets.at[p].flow].path + net->packets.at[p].hop];
    link->sending = NONE;
    link->carried += packet_bytes(net, p);
    assert(net->queues.at[q].used > 0 && net->queues.at[q].used <= net->queues.at[q].slots);
    net->queues.at[q].used--;
    if (link->latency > 0)
        travel(net, l, p, net->now + link->latency);
    else
        arrive(net, p);
    send_next(net, l);
    grant_slots(net, q);
}

static void end_travel(struct packet_net *net, uint32_t l, double limit)
{
    struct packet_link *link = &net->links.at[l];
    while (link->wire.first != NONE && net->packets.at[link->wire.first].arrival <= limit)
        arrive(net, pop_packet(net, &link->wire));
    if (link->wire.first != NONE)
        queue_add(net->events, net->packets.at[link->wire.first].arrival, PHASE_LATENCY, net->link_count + l);
}

static struct train train_of(const struct packet_net *net, const struct packet_flow *flow)
{
    return (struct train){net->hops.at + flow->path, flow->hops, flow->packets};
}

/* Links are all up and unused, none comes twice, and queues are long enough for the closed form. */
static bool may_be_train(struct packet_net *net, uint32_t f)
{
    const struct packet_flow *flow = &net->flows.at[f];
    net->stamp++;
    for (uint32_t h = 0; h < flow->hops; h++) {
        struct packet_link *link = &net->links.at[net->queues.at[net->pool.at[flow->path + h]].link];
        if (link->flows || link->capacity <= 0 || link->mark == net->stamp)
            return false;
        link->mark = net->stamp;
    }
    return net->base_slots >= 2;
}

static void start_train(struct packet_net *net, uint32_t f)
{
    struct packet_flow *flow = &net->flows.at[f];
    struct train train = train_of(net, flow);
    double full = net->mtu + net->header, last = last_bytes(net, flow) + net->header, end = 0;
    flow->train = true;
    for (uint32_t h = 0; h < flow->hops; h++) {
        const struct packet_queue *queue = &net->queues.at[net->pool.at[flow->path + h]];
        const struct packet_link *link = &net->links.at[queue->link];
        net->hops.at[flow->path + h] =
            (struct train_hop){full / link->capacity, last / link->capacity, link->latency, queue->slots};
    }
    for (uint32_t h = 0; h < flow->hops; h++) {
        struct packet_link *link = &net->links.at[net->queues.at[net->pool.at[flow->path + h]].link];
        end = net->now + train_arrives(&train, flow->packets, h);
        link->train = f;
        link->train_until = end;
    }
    flow->event = queue_add(net->events, end, PHASE_COMPLETION, 2 * net->link_count + f);
}

static void end_train(struct packet_net *net, uint32_t f)
{
    const struct packet_flow *flow = &net->flows.at[f];
    for (uint32_t h = 0; h < flow->hops; h++)
        net->links.at[net->queues.at[net->pool.at[flow->path + h]].link].carried += flow->bytes;
    complete(net, f);
}

/* Puts the packets around one hop where they are after `time` seconds: on the link's wire, being sent, in its
 * queue. A link that the train has left may have gone to others since; there is nothing left to put there. */
static void unpack_hop(struct packet_net *net, uint32_t f, const struct train *train, uint32_t h, double time)
{
    struct packet_flow *flow = &net->flows.at[f];
    uint32_t q = net->pool.at[flow->path + h], l = net->queues.at[q].link;
    struct packet_link *link = &net->links.at[l];
    uint64_t before = h ? train_count(train, train_starts, h - 1, time) : flow->entered;
    uint64_t here = h ? train_count(train, train_arrives, h - 1, time) : flow->entered;
    uint64_t started = train_count(train, train_starts, h, time);
    uint64_t ended = train_count(train, train_ends, h, time);
    uint64_t gone = train_count(train, train_arrives, h, time);
    net->queues.at[q].used += (uint32_t)(before - ended);
    link->carried += ended == flow->packets ? flow->bytes : (double)ended * net->mtu;
    for (uint64_t k = gone + 1; k <= ended; k++)
        travel(net, l, new_packet(net, f, h, k == flow->packets), flow->start + train_arrives(train, k, h));
    if (started > ended) {
        link->sending = new_packet(net, f, h, started == flow->packets);
        queue_add(net->events, flow->start + train_ends(train, started, h), PHASE_COMPLETION, l);
    }
    for (uint64_t k = started + 1; k <= here; k++) {
        uint32_t p = new_packet(net, f, h, k == flow->packets);
        net->packets.at[p].order = net->order++;
        push_packet(net, &net->queues.at[q].packets, p);
    }
    if (h + 1 == flow->hops)
        flow->delivered = gone;
}

static double enters(const struct train *train, uint64_t packet, uint32_t hop)
{
    (void)hop;
    return train_enters(train, packet);
}

/* From now on the flow goes packet by packet. */
static void unpack_train(struct packet_net *net, uint32_t f)
{
    struct packet_flow *flow = &net->flows.at[f];
    double time = net->now * (1 + 4 * DBL_EPSILON) - flow->start;
    struct train train = train_of(net, flow);
    flow->train = false;
    queue_cancel(net->events, flow->event);
    flow->event = QUEUE_NONE;
    flow->entered = train_count(&train, enters, 0, time);
    for (uint32_t h = flow->hops; h-- > 0;) {
        struct packet_link *link = &net->links.at[net->queues.at[net->pool.at[flow->path + h]].link];
        if (link->train == f)
            link->train_until = 0;
        link->flows++;
        unpack_hop(net, f, &train, h, time);
    }
    for (uint32_t h = flow->hops; h-- > 0;) {
        hold_slots(net, net->pool.at[flow->path + h]);
        send_next(net, net->queues.at[net->pool.at[flow->path + h]].link);
    }
    uint32_t q = net->pool.at[flow->path];
    if (flow->entered == flow->packets)
        return;
    if (net->queues.at[q].used >= net->queues.at[q].slots)
        wait_for_slot(net, q, f | PACKET_SOURCE);
    else
        flow->event =
            queue_add(net->events, fmax(net->now, flow->start + train_enters(&train, flow->entered + 1)),
                      PHASE_START, 2 * net->link_count + f);
}

static void clear_link(struct packet_net *net, uint32_t l)
{
    if (net->links.at[l].train_until > net->now * (1 + 4 * DBL_EPSILON))
        unpack_train(net, net->links.at[l].train);
}

static uint32_t find_queue(struct packet_net *net, uint32_t l, uint32_t before, uint32_t crossing)
{
    if (!net->links.at[l].shared)
        return l;
    uint32_t last = l;
    for (uint32_t q = l; q != NONE; q = net->queues.at[q].next) {
        if (net->queues.at[q].before == before && net->queues.at[q].crossing == crossing)
            return q;
        last = q;
    }
    struct packet_queue queue = net->queues.at[l];
    queue.before = before;
    queue.crossing = crossing;
    queue.slots = net->base_slots;
    queue.used = 0;
    queue.held = 0;
    queue.waiting = false;
    queue.packets = queue.waiters = (struct packet_list){NONE, NONE};
    queue.next = NONE;
    VECTOR_PUSH(&net->queues, queue);
    net->queues.at[last].next = net->queues.count - 1;
    return net->queues.count - 1;
}

static uint32_t feed_slot(const struct packet_net *net, uint32_t q, uint32_t before)
{
    uint32_t mask = net->feed_slots.room - 1, slot = (q * 0x9e3779b1u ^ before * 0x85ebca6bu) >> 7 & mask;
    while (net->feed_slots.at[slot]) {
        const struct packet_feed *feed = &net->feeds.at[net->feed_slots.at[slot] - 1];
        if (feed->queue == q && feed->before == before)
            break;
        slot = (slot + 1) & mask;
    }
    return slot;
}

static void rehash_feeds(struct packet_net *net)
{
    net->feed_slots.at = vector_grow(net->feed_slots.at, &net->feed_slots.room, sizeof *net->feed_slots.at);
    memset(net->feed_slots.at, 0, net->feed_slots.room * sizeof *net->feed_slots.at);
    for (uint32_t i = 0; i < net->feeds.count; i++)
        net->feed_slots.at[feed_slot(net, net->feeds.at[i].queue, net->feeds.at[i].before)] = i + 1;
}

/* The first time that packets come from a link: room for those that it keeps on its way at full rate. */
static void leave_headroom(struct packet_net *net, uint32_t q, uint32_t before)
{
    if (2 * net->feeds.count >= net->feed_slots.room)
        rehash_feeds(net);
    uint32_t slot = feed_slot(net, q, before);
    if (net->feed_slots.at[slot])
        return;
    VECTOR_PUSH(&net->feeds, ((struct packet_feed){q, before}));
    net->feed_slots.at[slot] = net->feeds.count;
    struct packet_queue *queue = &net->queues.at[q];
    double rate = fmin(net->links.at[queue->link].capacity, net->links.at[before].capacity);
    double packets = ceil(net->links.at[before].latency * rate / (net->mtu + net->header));
    queue->slots += (uint32_t)fmin(packets, 1e6);
    grant_slots(net, q);
}

static void lay_path(struct packet_net *net, uint32_t f, const struct network_message *message)
{
    uint32_t *path = net->pool.at + net->flows.at[f].path;
    for (uint32_t h = 0; h < message->path_length; h++) {
        uint32_t crossing = 0;
        for (uint32_t i = 0; i < h; i++)
            crossing += message->path[i] == message->path[h];
        path[h] = find_queue(net, message->path[h], h ? message->path[h - 1] : NONE, crossing);
        if (h)
            leave_headroom(net, path[h], message->path[h - 1]);
    }
}

static uint32_t take_flow(struct packet_net *net, uint32_t hops)
{
    uint32_t size_class = incidence_class(hops), f = net->unused_flow[size_class] - 1;
    if (net->unused_flow[size_class]) {
        net->unused_flow[size_class] = net->flows.at[f].tag;
        return f;
    }
    VECTOR_PUSH(&net->flows, ((struct packet_flow){.path = net->pool.count, .size_class = size_class}));
    for (uint32_t i = 0; i < 1u << size_class; i++)
        VECTOR_PUSH(&net->pool, 0u);
    while (net->hops.count < net->pool.count)
        VECTOR_PUSH(&net->hops, ((struct train_hop){0}));
    return net->flows.count - 1;
}

static void packet_start(void *state, double now, const struct network_message *message)
{
    struct packet_net *net = state;
    net->now = now;
    for (uint32_t h = 0; h < message->path_length; h++)
        clear_link(net, message->path[h]);
    uint32_t f = take_flow(net, message->path_length);
    struct packet_flow *flow = &net->flows.at[f];
    *flow = (struct packet_flow){.bytes = message->bytes,
                                 .start = now,
                                 .packets = (uint64_t)ceil(message->bytes / net->mtu),
                                 .path = flow->path,
                                 .hops = message->path_length,
                                 .size_class = flow->size_class,
                                 .event = QUEUE_NONE,
                                 .tag = message->tag};
    lay_path(net, f, message);
    if (!flow->packets || !flow->hops) {
        flow->train = true;
        flow->hops = 0;
        flow->event = queue_add(net->events, now + message->latency, PHASE_LATENCY, 2 * net->link_count + f);
    } else if (may_be_train(net, f)) {
        start_train(net, f);
    } else {
        for (uint32_t h = 0; h < flow->hops; h++)
            net->links.at[message->path[h]].flows++;
        enter(net, f);
    }
}

static void packet_set_capacity(void *state, double now, uint32_t link, double capacity)
{
    struct packet_net *net = state;
    net->now = now;
    clear_link(net, link);
    net->links.at[link].capacity = capacity;
    send_next(net, link);
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
    net->unused_packet = NONE;
    net->events = queue_new();
    for (uint32_t l = 0; l < setting->link_count; l++) {
        struct packet_link link = {.capacity = setting->capacities[l], .sending = NONE, .queues = l};
        struct packet_queue queue = {.link = l, .before = NONE, .slots = net->base_slots, .next = NONE};
        queue.packets = queue.waiters = link.wire = (struct packet_list){NONE, NONE};
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

static void handle(struct packet_net *net, uint32_t identity, double limit)
{
    uint32_t links = net->link_count;
    if (identity < links)
        end_sending(net, identity);
    else if (identity < 2 * links)
        end_travel(net, identity - links, limit);
    else if (net->flows.at[identity - 2 * links].train)
        end_train(net, identity - 2 * links);
    else
        enter(net, identity - 2 * links);
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
        handle(net, event.identity, limit);
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

static bool stuck(const struct packet_net *net, uint32_t q)
{
    return net->queues.at[q].waiting && !net->queues.at[q].held;
}

/* From the first queue that waits to the one it waits for, and so on; after as many steps as there are queues
 * a cycle is reached if there is one, and one more round writes it. */
static uint32_t packet_stall(const void *state, uint32_t *links, uint32_t most)
{
    const struct packet_net *net = state;
    uint32_t q = 0, count = 0;
    while (q < net->queues.count && !stuck(net, q))
        q++;
    if (q == net->queues.count)
        return 0;
    for (uint32_t i = 0; i < net->queues.count && stuck(net, q); i++)
        q = queue_after(net, net->queues.at[q].packets.first);
    uint32_t first = q;
    do {
        if (count < most)
            links[count++] = net->queues.at[q].link;
        if (stuck(net, q))
            q = queue_after(net, net->queues.at[q].packets.first);
    } while (q != first);
    if (stuck(net, q) && count < most)
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
