#include "engine/packet_train.h"

#include "engine/packet_queue.h"

#include <float.h>
#include <math.h>

static struct train packet_train_of(const struct packet_net *net, const struct packet_flow *flow)
{
    return (struct train){net->hops.at + flow->path, flow->hops, flow->packets};
}

bool packet_train_fits(struct packet_net *net, uint32_t f)
{
    const struct packet_flow *flow = &net->flows.at[f];
    net->stamp++;
    for (uint32_t h = 0; h < flow->hops; h++) {
        struct packet_link *link = packet_net_link(net, flow, h);
        if (link->flows || link->capacity <= 0 || link->mark == net->stamp)
            return false;
        link->mark = net->stamp;
    }
    return net->base_slots >= 2;
}

void packet_train_start(struct packet_net *net, uint32_t f)
{
    struct packet_flow *flow = &net->flows.at[f];
    struct train train = packet_train_of(net, flow);
    double full = net->mtu + net->header, last = packet_net_last_bytes(net, flow) + net->header, end = 0;
    flow->train = true;
    for (uint32_t h = 0; h < flow->hops; h++) {
        const struct packet_queue *queue = &net->queues.at[packet_net_queue(net, flow, h)];
        const struct packet_link *link = &net->links.at[queue->link];
        net->hops.at[flow->path + h] =
            (struct train_hop){full / link->capacity, last / link->capacity, link->latency, queue->slots};
    }
    for (uint32_t h = 0; h < flow->hops; h++) {
        struct packet_link *link = packet_net_link(net, flow, h);
        end = net->now + train_arrives(&train, flow->packets, h);
        link->train = f;
        link->train_until = end;
    }
    flow->event = queue_add(net->events, end, PHASE_COMPLETION, 2 * net->link_count + f);
}

void packet_train_end(struct packet_net *net, uint32_t f)
{
    const struct packet_flow *flow = &net->flows.at[f];
    for (uint32_t h = 0; h < flow->hops; h++)
        packet_net_link(net, flow, h)->carried += flow->bytes;
    packet_net_complete(net, f);
}

/* Puts the packets around one hop where they are after `time` seconds: on the link's wire, being sent, in its
 * queue. A link that the train has left may have gone to others since; there is nothing left to put there. */
static void packet_train_unpack_hop(struct packet_net *net, uint32_t f, const struct train *train, uint32_t h,
                                    double time)
{
    struct packet_flow *flow = &net->flows.at[f];
    uint32_t q = packet_net_queue(net, flow, h), l = net->queues.at[q].link;
    struct packet_link *link = &net->links.at[l];
    uint64_t before = h ? train_count(train, train_starts, h - 1, time) : flow->entered;
    uint64_t here = h ? train_count(train, train_arrives, h - 1, time) : flow->entered;
    uint64_t started = train_count(train, train_starts, h, time);
    uint64_t ended = train_count(train, train_ends, h, time);
    uint64_t gone = train_count(train, train_arrives, h, time);
    net->queues.at[q].used += (uint32_t)(before - ended);
    link->carried += ended == flow->packets ? flow->bytes : (double)ended * net->mtu;
    for (uint64_t k = gone + 1; k <= ended; k++)
        packet_queue_travel(net, l, packet_net_new(net, f, h, k == flow->packets),
                            flow->start + train_arrives(train, k, h));
    if (started > ended) {
        link->sending = packet_net_new(net, f, h, started == flow->packets);
        queue_add(net->events, flow->start + train_ends(train, started, h), PHASE_COMPLETION, l);
    }
    for (uint64_t k = started + 1; k <= here; k++) {
        uint32_t p = packet_net_new(net, f, h, k == flow->packets);
        net->packets.at[p].order = net->order++;
        packet_net_push(net, &net->queues.at[q].packets, p);
    }
    if (h + 1 == flow->hops)
        flow->delivered = gone;
}

static double packet_train_enters(const struct train *train, uint64_t packet, uint32_t hop)
{
    (void)hop;
    return train_enters(train, packet);
}

/* From now on the flow goes packet by packet. */
static void packet_train_unpack(struct packet_net *net, uint32_t f)
{
    struct packet_flow *flow = &net->flows.at[f];
    double time = net->now * (1 + 4 * DBL_EPSILON) - flow->start;
    struct train train = packet_train_of(net, flow);
    flow->train = false;
    queue_cancel(net->events, flow->event);
    flow->event = QUEUE_NONE;
    flow->entered = train_count(&train, packet_train_enters, 0, time);
    for (uint32_t h = flow->hops; h-- > 0;) {
        struct packet_link *link = packet_net_link(net, flow, h);
        if (link->train == f)
            link->train_until = 0;
        link->flows++;
        packet_train_unpack_hop(net, f, &train, h, time);
    }
    for (uint32_t h = flow->hops; h-- > 0;) {
        packet_queue_hold(net, packet_net_queue(net, flow, h));
        packet_queue_send(net, net->queues.at[packet_net_queue(net, flow, h)].link);
    }
    uint32_t q = net->pool.at[flow->path];
    if (flow->entered == flow->packets)
        return;
    if (net->queues.at[q].used >= net->queues.at[q].slots)
        packet_queue_wait(net, q, f | PACKET_SOURCE);
    else
        flow->event =
            queue_add(net->events, fmax(net->now, flow->start + train_enters(&train, flow->entered + 1)),
                      PHASE_START, 2 * net->link_count + f);
}

void packet_train_clear(struct packet_net *net, uint32_t l)
{
    if (net->links.at[l].train_until > net->now * (1 + 4 * DBL_EPSILON))
        packet_train_unpack(net, net->links.at[l].train);
}
