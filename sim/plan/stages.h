/* Stages: from what the user wrote to the plan's list of stages. Degrees are shorthand that expands into it.
 */
#ifndef PARTITA_PLAN_STAGES_H
#define PARTITA_PLAN_STAGES_H

#include "input/fields.h"
#include "plan/mesh.h"

struct stages_degrees {
    uint32_t data, context, tensor, pipeline;
    uint32_t chunks; /* stages per device of the pipeline and direction */
    uint32_t group;  /* of the data axis: members that share states; data: all */
    bool sequence_parallel;
    struct mesh_experts experts; /* both 0: experts are split as other layers are */
    const struct value *order;   /* names of axes, the innermost first, or NULL */
    bool balanced;               /* context: shares of equal work under a causal mask */
    bool lazy;                   /* partial sums are reduced as late as they can be */
    struct place place;
};

/* Expands degrees: pipeline·chunks stages balanced by predicted time, each on data·context·tensor devices of
 * the list (the s-th such group has the stages that the plan's schedule places there), with the axes data
 * (splits b), context (splits s) and tensor (splits f, g, r, v, and s under sequence parallelism), tensor
 * innermost unless `order` places them otherwise on the list. */
bool stages_expand(struct input *input, const struct stages_degrees *degrees,
                   const struct index_list *devices, struct plan *plan);

/* Reads `plan.stages`: a list of {layers: FIRST..LAST, devices: PATTERN, split: {dimension: ways, …},
 * fuse: yes, lazy: yes}. `lazy`: what holds for stages that do not say. `layered`: plan.layers follows, so
 * that a stage of several devices may be without a split. */
bool stages_read(struct input *input, const struct value *list, bool lazy, struct plan *plan, bool layered);

/* Where attention goes by heads (Ulysses): the stage's axes that split the sequence split, for the core of
 * attention, what the other axes leave of the heads (plan.h: late). */
void stages_heads(const struct plan *plan, struct plan_stage *stage);

/* Where the schedule has a second copy of the model: adds its stages, which are the first one's on the
 * devices that the schedule places them on. */
bool stages_mirror(struct input *input, struct plan *plan);

#endif
