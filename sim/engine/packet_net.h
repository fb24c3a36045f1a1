/* Packet net: the state of the packet level (packet.c), which its files packet_*.c share. Queues of links,
 * packets in them and on their way, flows and the queues of their paths. Internal to them. */
#ifndef PARTITA_ENGINE_PACKET_NET_H
#define PARTITA_ENGINE_PACKET_NET_H

#include "base/arena.h"
#include "base/vector.h"
#include "engine/queue.h"
#include "engine/train.h"

enum { PACKET_NONE = UINT32_MAX };

struct packet {
    double arrival; /* in the next queue, seconds; while it is on its way */
    uint64_t order; /* of joining a queue */
    uint32_t flow, hop;
    uint32_t next; /* in its queue or on its link; the next unused one */
    uint32_t last; /* the flow's last packet, which may be shorter */
};

struct packet_list {
    uint32_t first, last; /* PACKET_NONE: empty */
};

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
    uint32_t sending;        /* packet; PACKET_NONE */
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

static inline void packet_net_push(struct packet_net *net, struct packet_list *list, uint32_t p)
{
    net->packets.at[p].next = PACKET_NONE;
    if (list->first == PACKET_NONE)
        list->first = p;
    else
        net->packets.at[list->last].next = p;
    list->last = p;
}

static inline uint32_t packet_net_pop(struct packet_net *net, struct packet_list *list)
{
    uint32_t p = list->first;
    list->first = net->packets.at[p].next;
    return p;
}

static inline uint32_t packet_net_new(struct packet_net *net, uint32_t flow, uint32_t hop, bool last)
{
    uint32_t p = net->unused_packet;
    if (p == PACKET_NONE) {
        p = net->packets.count;
        VECTOR_PUSH(&net->packets, ((struct packet){0}));
    } else {
        net->unused_packet = net->packets.at[p].next;
    }
    net->packets.at[p] = (struct packet){.flow = flow, .hop = hop, .next = PACKET_NONE, .last = last};
    return p;
}

/* Of the payload of its last packet. */
static inline double packet_net_last_bytes(const struct packet_net *net, const struct packet_flow *flow)
{
    return flow->bytes - (double)(flow->packets - 1) * net->mtu;
}

static inline void packet_net_complete(struct packet_net *net, uint32_t f)
{
    struct packet_flow *flow = &net->flows.at[f];
    VECTOR_PUSH(&net->completed, flow->tag);
    flow->tag = net->unused_flow[flow->size_class];
    net->unused_flow[flow->size_class] = f + 1;
}

/* The queue that a packet goes to from the one it is in; PACKET_NONE: its destination. */
static inline uint32_t packet_net_after(const struct packet_net *net, uint32_t p)
{
    const struct packet *packet = &net->packets.at[p];
    const struct packet_flow *flow = &net->flows.at[packet->flow];
    return packet->hop + 1 < flow->hops ? net->pool.at[flow->path + packet->hop + 1] : PACKET_NONE;
}

/* The queue of the h-th hop of a flow, and the link that serves it. */
static inline uint32_t packet_net_queue(const struct packet_net *net, const struct packet_flow *flow,
                                        uint32_t h)
{
    return net->pool.at[flow->path + h];
}

static inline struct packet_link *packet_net_link(struct packet_net *net, const struct packet_flow *flow,
                                                  uint32_t h)
{
    return &net->links.at[net->queues.at[packet_net_queue(net, flow, h)].link];
}

#endif
