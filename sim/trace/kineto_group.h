/* Kineto_group: who takes part in a profile's communications, and what each member brings. */
#ifndef PARTITA_TRACE_KINETO_GROUP_H
#define PARTITA_TRACE_KINETO_GROUP_H

#include "trace/kineto.h"

/* The process group of a communication, made in the trace at its first use: *name is what nodes call it (0:
 * all ranks). False after reporting that nobody says who is in it. */
bool kineto_group_find(struct input *input, struct trace *trace, const struct kineto *kineto,
                       const struct kineto_communication *communication, uint32_t *name);

/* Of an all-to-all in unequal parts each rank knows its own row, in bytes, in the node's shares. Once all
 * ranks are read: turns rows into the shares of the whole exchange (struct op). Collectives that do not fit
 * are left for match.c to report. */
void kineto_group_exchange(struct trace *trace);

#endif
