/* Stores: the programs of hosts and drives that keep things for ranks (offload.h). A store does what the
 * ranks that it serves say: it receives, keeps, adds up, updates and sends, all of it operations on the real
 * links and on the host's own compute stream. Between a host and a drive go optimizer states, gradients and
 * parameters for updates that the host makes.
 *
 * What a store sends waits for what brought or made it, so that nothing is used before it has arrived. The
 * compute stream takes the ranks' requests in turn, step by step. */
#ifndef PARTITA_PLAN_STORES_H
#define PARTITA_PLAN_STORES_H

#include "plan/offload.h"

/* Fills the programs of all stores. `scripts`: per rank, of those that are like no earlier one. */
void stores_emit(const struct plan *plan, struct cast *cast, const struct offload_script *scripts,
                 struct job *job, const uint32_t *program_of);

#endif
