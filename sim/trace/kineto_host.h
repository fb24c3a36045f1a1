/* Kineto_host: profiles without a GPU. Operators call operators, so those of a thread lie within one another:
 * the outermost are what the thread did, one after the other, with the FLOPs and bytes of all that lie within
 * them. */
#ifndef PARTITA_TRACE_KINETO_HOST_H
#define PARTITA_TRACE_KINETO_HOST_H

#include "trace/kineto.h"

/* Leaves the outermost of the tasks, which are operators. */
void kineto_host_outermost(struct kineto *kineto);

#endif
