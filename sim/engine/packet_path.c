#include "engine/packet_path.h"

#include "engine/incidence.h"
#include "engine/packet_queue.h"

#include <math.h>
#include <string.h>

static uint32_t packet_path_queue(struct packet_net *net, uint32_t l, uint32_t before, uint32_t crossing)
{
    if (!net->links.at[l].shared)
        return l;
    uint32_t last = l;
    for (uint32_t q = l; q != PACKET_NONE; q = net->queues.at[q].next) {
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
    queue.packets = queue.waiters = (struct packet_list){PACKET_NONE, PACKET_NONE};
    queue.next = PACKET_NONE;
    VECTOR_PUSH(&net->queues, queue);
    net->queues.at[last].next = net->queues.count - 1;
    return net->queues.count - 1;
}

static uint32_t packet_path_feed_slot(const struct packet_net *net, uint32_t q, uint32_t before)
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

static void packet_path_rehash(struct packet_net *net)
{
    net->feed_slots.at = vector_grow(net->feed_slots.at, &net->feed_slots.room, sizeof *net->feed_slots.at);
    memset(net->feed_slots.at, 0, net->feed_slots.room * sizeof *net->feed_slots.at);
    for (uint32_t i = 0; i < net->feeds.count; i++)
        net->feed_slots.at[packet_path_feed_slot(net, net->feeds.at[i].queue, net->feeds.at[i].before)] =
            i + 1;
}

/* The first time that packets come from a link: room for those that it keeps on its way at full rate. */
static void packet_path_headroom(struct packet_net *net, uint32_t q, uint32_t before)
{
    if (2 * net->feeds.count >= net->feed_slots.room)
        packet_path_rehash(net);
    uint32_t slot = packet_path_feed_slot(net, q, before);
    if (net->feed_slots.at[slot])
        return;
    VECTOR_PUSH(&net->feeds, ((struct packet_feed){q, before}));
    net->feed_slots.at[slot] = net->feeds.count;
    struct packet_queue *queue = &net->queues.at[q];
    double rate = fmin(net->links.at[queue->link].capacity, net->links.at[before].capacity);
    double packets = ceil(net->links.at[before].latency * rate / (net->mtu + net->header));
    queue->slots += (uint32_t)fmin(packets, 1e6);
    packet_queue_grant(net, q);
}

uint32_t packet_path_flow(struct packet_net *net, uint32_t hops)
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

void packet_path_lay(struct packet_net *net, uint32_t f, const struct network_message *message)
{
    uint32_t *path = net->pool.at + net->flows.at[f].path;
    for (uint32_t h = 0; h < message->path_length; h++) {
        uint32_t crossing = 0;
        for (uint32_t i = 0; i < h; i++)
            crossing += message->path[i] == message->path[h];
        path[h] = packet_path_queue(net, message->path[h], h ? message->path[h - 1] : PACKET_NONE, crossing);
        if (h)
            packet_path_headroom(net, path[h], message->path[h - 1]);
    }
}
