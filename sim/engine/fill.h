/* Fill: all levels from scratch by progressive filling. For instants in which much of the network changes:
 * there each entry costs a third of what it costs in the local repair. */
#ifndef PARTITA_ENGINE_FILL_H
#define PARTITA_ENGINE_FILL_H

#include "engine/maxmin.h"

/* Decides every attached flow that this pass has not decided yet (its `pass` is not the present one), and
 * gives every link that it reaches its level. Adds to `changes` the flows whose level is another one. */
void fill_solve(struct maxmin *maxmin);

#endif
