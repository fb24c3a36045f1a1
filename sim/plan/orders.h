/* Orders: a schedule made for a number of devices and micro-batches, or read from a file: the list of each
 * device, and where each stage stands. */
#ifndef PARTITA_PLAN_ORDERS_H
#define PARTITA_PLAN_ORDERS_H

#include "base/arena.h"
#include "plan/schedule.h"

struct orders {
    uint32_t devices, stages; /* of all directions */
    uint32_t directions;      /* 2: stages from stages/2 on are a second copy of the model */
    uint32_t micro_batches;
    uint16_t *device_of;         /* per stage; owned, as are the lists */
    struct schedule_list *lists; /* per device */
};

/* Where an item stands, for messages. */
struct orders_place {
    uint32_t device, index; /* UINT32_MAX: nowhere, it is missing */
};

/* Makes the orders of a schedule that has no schedule_problem(). */
void orders_make(const struct schedule *schedule, const struct schedule_shape *shape, struct orders *orders);

/* Empty lists for so many devices and stages. */
void orders_init(struct orders *orders, uint32_t devices, uint32_t stages);
void orders_fini(struct orders *orders);

/* Checks that each stage has each pass of each of its micro-batches once (F; then I and W, or B, or neither
 * when nothing is trained), each on the device of the stage, and that they can be executed in this order.
 * Otherwise returns what is wrong (in the arena), with the place of the item that it is about. */
const char *orders_check(const struct orders *orders, bool training, struct arena *arena,
                         struct orders_place *place);

/* Whether a micro-batch goes through the direction of a stage. */
bool orders_passes(const struct orders *orders, uint32_t stage, uint32_t micro_batch);

/* Seconds of an item, alone. */
double orders_seconds(const struct schedule_item *item, const struct schedule_times *times);

/* No order of these passes on these devices is faster, with free transfers: no micro-batch can pass the
 * stages in less than the sum of its passes, and no device do its work in less, begin before the first of its
 * passes can, or have less to come after its last one. A whole backward pass counts as I and W, which may be
 * put off. */
double orders_bound(const struct orders *orders, const struct schedule_times *times);

/* "1F0", "2I3" */
const char *orders_text(const struct schedule_item *item, struct arena *arena);

#endif
