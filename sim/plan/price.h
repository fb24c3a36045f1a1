/* Price: predicted seconds of a collective along one axis of a stage's mesh: latency and bytes over the links
 * that its members really have, by the algorithm that the workload names for that axis. Groups of an axis
 * stand for each other: the one of the stage's first member is priced, alone on the network. */
#ifndef PARTITA_PLAN_PRICE_H
#define PARTITA_PLAN_PRICE_H

#include "collective/collective.h"
#include "plan/plan.h"

struct prices;

/* Prices of one stage, each worked out when it is first asked for. */
struct prices *price_new(const struct plan *plan, const struct plan_stage *stage, struct arena *arena);

/* The algorithm that the workload names for a kind of collective in the groups along some axes (bit set). */
const struct algorithm *price_algorithm(const struct plan *plan, const struct plan_stage *stage, int kind,
                                        uint32_t axes);

/* Seconds of one collective (enum collective_kind) along an axis, or several together (bit set), with this
 * payload (struct op's `bytes`). Where members have no route, which is reported elsewhere: the bytes of the
 * busiest port at 1 byte/s. */
double price_seconds(struct prices *prices, int kind, uint32_t axes, double bytes);

/* What carries it in that time: the algorithm, its rounds and its bytes on the busiest link; its list of
 * links is not kept. NULL where members have no route. */
const struct activity *price_activity(struct prices *prices, int kind, uint32_t axes, double bytes);

#endif
