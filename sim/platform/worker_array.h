/* Worker_array: the devices that compute as one array of several dimensions, as tools that know no other
 * networks number them: worker r has place r / (sizes of the dimensions before d) mod (size of d) along
 * dimension d. */
#ifndef PARTITA_PLATFORM_WORKER_ARRAY_H
#define PARTITA_PLATFORM_WORKER_ARRAY_H

#include "platform/array.h"
#include "platform/platform.h"

/* The sizes of the array that is all workers, the innermost (whose index runs fastest) first. Returns how
 * many there are; 0: the workers are no array. */
uint32_t worker_array_sizes(const struct platform *platform, uint32_t size[ARRAY_RANK]);

#endif
