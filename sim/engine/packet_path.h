/* Packet path: the queues of a message's links, and their slots: headroom for the links before. */
#ifndef PARTITA_ENGINE_PACKET_PATH_H
#define PARTITA_ENGINE_PACKET_PATH_H

#include "engine/network_model.h"
#include "engine/packet_net.h"

/* A record for a flow of so many hops. */
uint32_t packet_path_flow(struct packet_net *net, uint32_t hops);

/* Finds or makes the queues of flow f, which is to carry the message. */
void packet_path_lay(struct packet_net *net, uint32_t f, const struct network_message *message);

#endif
