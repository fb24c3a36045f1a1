/* Hold: the queue alone, by the hold model (take the earliest event, add one a random time later). */
#ifndef PARTITA_BENCH_HOLD_H
#define PARTITA_BENCH_HOLD_H

#include <stdint.h>

/* Million holds per second of processor time with `pending` events; of sim/engine/queue.c, and of a plain
 * binary heap of (double, int). */
double hold_queue(uint32_t pending, uint32_t holds);
double hold_plain(uint32_t pending, uint32_t holds);

#endif
