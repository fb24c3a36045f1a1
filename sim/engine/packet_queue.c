#include "engine/packet_queue.h"

#include <assert.h>

/* So many packets of a queue may hold slots. With one, a link that is hardly faster than its share of the
 * next one now and then has no packet in line there when its turn comes. */
enum { PACKET_AHEAD = 2 };

static double packet_queue_bytes(const struct packet_net *net, uint32_t p)
{
    const struct packet *packet = &net->packets.at[p];
    return packet->last ? packet_net_last_bytes(net, &net->flows.at[packet->flow]) : net->mtu;
}

static uint32_t *packet_queue_next_waiter(struct packet_net *net, uint32_t waiter)
{
    return waiter & PACKET_SOURCE ? &net->flows.at[waiter & ~PACKET_SOURCE].next_waiter
                                  : &net->queues.at[waiter].next_waiter;
}

void packet_queue_wait(struct packet_net *net, uint32_t q, uint32_t waiter)
{
    struct packet_list *list = &net->queues.at[q].waiters;
    *packet_queue_next_waiter(net, waiter) = PACKET_NONE;
    if (list->first == PACKET_NONE)
        list->first = waiter;
    else
        *packet_queue_next_waiter(net, list->last) = waiter;
    list->last = waiter;
}

/* The first packet of a queue that holds no slot; PACKET_NONE: all do. */
static uint32_t packet_queue_first_without(const struct packet_net *net, const struct packet_queue *queue)
{
    uint32_t p = queue->packets.first;
    for (uint8_t i = 0; i < queue->held; i++)
        p = net->packets.at[p].next;
    return p;
}

void packet_queue_hold(struct packet_net *net, uint32_t q)
{
    struct packet_queue *queue = &net->queues.at[q];
    while (!queue->waiting && queue->held < PACKET_AHEAD) {
        uint32_t p = packet_queue_first_without(net, queue);
        if (p == PACKET_NONE)
            return;
        uint32_t after = packet_net_after(net, p);
        if (after != PACKET_NONE && net->queues.at[after].used == net->queues.at[after].slots) {
            queue->waiting = true;
            packet_queue_wait(net, after, q);
            return;
        }
        queue->held++;
        if (after != PACKET_NONE)
            net->queues.at[after].used++;
    }
}

/* Of the link's queues whose first packet has a slot, the one whose packet came first. */
static uint32_t packet_queue_choose(const struct packet_net *net, uint32_t l)
{
    uint32_t best = PACKET_NONE;
    for (uint32_t q = net->links.at[l].queues; q != PACKET_NONE; q = net->queues.at[q].next)
        if (net->queues.at[q].held &&
            (best == PACKET_NONE || net->packets.at[net->queues.at[q].packets.first].order <
                                        net->packets.at[net->queues.at[best].packets.first].order))
            best = q;
    return best;
}

void packet_queue_send(struct packet_net *net, uint32_t l)
{
    struct packet_link *link = &net->links.at[l];
    if (link->sending != PACKET_NONE || link->capacity <= 0)
        return;
    uint32_t q = packet_queue_choose(net, l);
    if (q == PACKET_NONE)
        return;
    uint32_t p = packet_net_pop(net, &net->queues.at[q].packets);
    link->sending = p;
    net->sent++;
    queue_add(net->events, net->now + (packet_queue_bytes(net, p) + net->header) / link->capacity,
              PHASE_COMPLETION, l);
    net->queues.at[q].held--;
    packet_queue_hold(net, q);
}

static void packet_queue_join(struct packet_net *net, uint32_t p)
{
    struct packet *packet = &net->packets.at[p];
    uint32_t q = net->pool.at[net->flows.at[packet->flow].path + packet->hop];
    packet->order = net->order++;
    packet_net_push(net, &net->queues.at[q].packets, p);
    packet_queue_hold(net, q);
    packet_queue_send(net, net->queues.at[q].link);
}

void packet_queue_enter(struct packet_net *net, uint32_t f)
{
    struct packet_flow *flow = &net->flows.at[f];
    uint32_t q = net->pool.at[flow->path];
    struct packet_queue *queue = &net->queues.at[q];
    if (queue->used == queue->slots) {
        packet_queue_wait(net, q, f | PACKET_SOURCE);
        return;
    }
    queue->used++;
    flow->entered++;
    double capacity = net->links.at[queue->link].capacity;
    double pause = capacity > 0 ? (net->mtu + net->header) / capacity : 0;
    flow->event = QUEUE_NONE;
    if (flow->entered < flow->packets)
        flow->event = queue_add(net->events, net->now + pause, PHASE_START, 2 * net->link_count + f);
    packet_queue_join(net, packet_net_new(net, f, 0, flow->entered == flow->packets));
}

void packet_queue_grant(struct packet_net *net, uint32_t q)
{
    while (net->queues.at[q].used < net->queues.at[q].slots &&
           net->queues.at[q].waiters.first != PACKET_NONE) {
        uint32_t waiter = net->queues.at[q].waiters.first;
        net->queues.at[q].waiters.first = *packet_queue_next_waiter(net, waiter);
        if (waiter & PACKET_SOURCE) {
            packet_queue_enter(net, waiter & ~PACKET_SOURCE);
        } else {
            net->queues.at[waiter].waiting = false;
            packet_queue_hold(net, waiter);
            packet_queue_send(net, net->queues.at[waiter].link);
        }
    }
}

static void packet_queue_deliver(struct packet_net *net, uint32_t p)
{
    uint32_t f = net->packets.at[p].flow;
    struct packet_flow *flow = &net->flows.at[f];
    net->packets.at[p].next = net->unused_packet;
    net->unused_packet = p;
    if (++flow->delivered < flow->packets)
        return;
    for (uint32_t h = 0; h < flow->hops; h++)
        packet_net_link(net, flow, h)->flows--;
    packet_net_complete(net, f);
}

static void packet_queue_arrive(struct packet_net *net, uint32_t p)
{
    if (packet_net_after(net, p) == PACKET_NONE) {
        packet_queue_deliver(net, p);
    } else {
        net->packets.at[p].hop++;
        packet_queue_join(net, p);
    }
}

void packet_queue_travel(struct packet_net *net, uint32_t l, uint32_t p, double arrival)
{
    struct packet_link *link = &net->links.at[l];
    net->packets.at[p].arrival = arrival;
    if (link->wire.first == PACKET_NONE)
        queue_add(net->events, arrival, PHASE_LATENCY, net->link_count + l);
    packet_net_push(net, &link->wire, p);
}

void packet_queue_end_sending(struct packet_net *net, uint32_t l)
{
    struct packet_link *link = &net->links.at[l];
    uint32_t p = link->sending;
    uint32_t q = net->pool.at[net->flows.at[net->packets.at[p].flow].path + net->packets.at[p].hop];
    link->sending = PACKET_NONE;
    link->carried += packet_queue_bytes(net, p);
    assert(net->queues.at[q].used > 0 && net->queues.at[q].used <= net->queues.at[q].slots);
    net->queues.at[q].used--;
    if (link->latency > 0)
        packet_queue_travel(net, l, p, net->now + link->latency);
    else
        packet_queue_arrive(net, p);
    packet_queue_send(net, l);
    packet_queue_grant(net, q);
}

void packet_queue_end_travel(struct packet_net *net, uint32_t l, double limit)
{
    struct packet_link *link = &net->links.at[l];
    while (link->wire.first != PACKET_NONE && net->packets.at[link->wire.first].arrival <= limit)
        packet_queue_arrive(net, packet_net_pop(net, &link->wire));
    if (link->wire.first != PACKET_NONE)
        queue_add(net->events, net->packets.at[link->wire.first].arrival, PHASE_LATENCY, net->link_count + l);
}
