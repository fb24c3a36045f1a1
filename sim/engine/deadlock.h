/* Deadlock: why nothing happens any more although operations are pending. */
#ifndef PARTITA_ENGINE_DEADLOCK_H
#define PARTITA_ENGINE_DEADLOCK_H

#include "engine/run.h"

/* The report: the wait-for cycle, or the chain that ends at an operation that nobody can ever release (a
 * peer that is missing from its program, a flow on a link without capacity). Allocated in `arena`. */
const char *deadlock_report(const struct run *run, struct arena *arena);

#endif
