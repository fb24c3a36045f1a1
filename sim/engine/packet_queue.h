/* Packet queue: packets one by one. A queue gets slots of the next one for its first packets, its link sends
 * them in the order in which they came, and who finds no slot waits in line. */
#ifndef PARTITA_ENGINE_PACKET_QUEUE_H
#define PARTITA_ENGINE_PACKET_QUEUE_H

#include "engine/packet_net.h"

/* Waiters are queues, and sources of flows with PACKET_SOURCE set. */
#define PACKET_SOURCE (1u << 31)

/* Puts a waiter in line for a slot of queue q. */
void packet_queue_wait(struct packet_net *net, uint32_t q, uint32_t waiter);

/* Gets the first packets of a queue slots of the next ones, or puts the queue in line. */
void packet_queue_hold(struct packet_net *net, uint32_t q);

/* Gives free slots to those in line, in their order. */
void packet_queue_grant(struct packet_net *net, uint32_t q);

/* Has an idle link send the packet whose turn it is, if any has a slot. */
void packet_queue_send(struct packet_net *net, uint32_t l);

/* The source of flow f has its next packet ready. */
void packet_queue_enter(struct packet_net *net, uint32_t f);

/* Packet p is on its way over link l until `arrival`, seconds. */
void packet_queue_travel(struct packet_net *net, uint32_t l, uint32_t p, double arrival);

/* Link l has sent its packet. */
void packet_queue_end_sending(struct packet_net *net, uint32_t l);

/* Packets on their way over link l arrive, up to the time `limit`. */
void packet_queue_end_travel(struct packet_net *net, uint32_t l, double limit);

#endif
