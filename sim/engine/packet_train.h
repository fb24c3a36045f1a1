/* Packet train: messages that find the links of their path unused. train.c says when they arrive; when
 * another wants one of the links, their packets are put where they are by then. */
#ifndef PARTITA_ENGINE_PACKET_TRAIN_H
#define PARTITA_ENGINE_PACKET_TRAIN_H

#include "engine/packet_net.h"

/* Whether flow f can go as a train: links are all up and unused, none comes twice, and queues are long enough
 * for the closed form. */
bool packet_train_fits(struct packet_net *net, uint32_t f);

/* Flow f, which fits, takes its links; and gives them back when it has arrived. */
void packet_train_start(struct packet_net *net, uint32_t f);
void packet_train_end(struct packet_net *net, uint32_t f);

/* The train on link l, if there is one, goes packet by packet from now on. */
void packet_train_clear(struct packet_net *net, uint32_t l);

#endif
