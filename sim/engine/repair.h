/* Repair: brings the levels back to the fixed point after a few changes, by a sweep of the links they touch.
 * For maxmin.c. */
#ifndef PARTITA_ENGINE_REPAIR_H
#define PARTITA_ENGINE_REPAIR_H

#include "engine/maxmin.h"

/* From the dirty links, as far as changes reach. The arrivals are undecided and on the list of changes. */
void repair_solve(struct maxmin *maxmin);

#endif
