/* Task: what the event loop needs of an operation, in 32 bytes, and the operations that wait for it. Built
 * once per program; ranks that run the same program share it. */
#ifndef PARTITA_ENGINE_TASK_H
#define PARTITA_ENGINE_TASK_H

#include "base/arena.h"
#include "program/program.h"

struct task {
    double amount;            /* compute: seconds; otherwise bytes */
    uint32_t first_successor; /* in the program's successors, up to the next task's */
    uint32_t next;            /* the next one in its stream, PROGRAM_NONE for the last */
    uint32_t waits; /* ends that it waits for: its dependencies and the one before it in its stream */
    uint32_t group, match;
    uint16_t stream;
    uint8_t kind, collective;
};

/* How a program uses one slot of its rank's group table. */
struct task_slot {
    uint32_t matches; /* one more than the highest match; 0: the slot is not used */
    bool used[OP_KIND_COUNT];
};

struct task_program {
    struct task *tasks;   /* op_count, then one that ends the last row of successors */
    uint32_t *successors; /* slots that depend on a task, ascending */
    struct task_slot *slots;
    uint32_t slot_count; /* one more than the highest group slot it names */
};

/* One entry per program of the job; where it has a lead, of a program's first step. Returns NULL with a
 * message when a program breaks its contract (a dependency on a later slot, a stream or match that does not
 * exist). */
struct task_program *task_build(struct arena *arena, const struct job *job, const char **error);

/* Whether every step of every program has the same operations, but for their `step` and for matches, which go
 * on by the same number in each step, and no operation depends on another step's. */
bool task_alike(const struct job *job);

#endif
