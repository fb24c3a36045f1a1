/* Mesh: several factorisations of one stage's devices, each for a class of operators.
 *
 *     plan: {data: 4, tensor: 2, expert: 4}                 the experts of a mixture on data 2 x expert 4
 *     plan:
 *       layers:                                             layers by name; `*` stands for anything
 *         - {match: "conv*", split: {b: 4}}
 *         - {match: "fc*", split: {o: 4}}
 *
 * Two factorisations share devices when the positions at which one is cut are among those of the other or the
 * other way round, step by step from the innermost axis: then the stage's axes are the pieces between all
 * cuts, and each mesh names which pieces make up its axes. So layouts of tensors that pass between classes
 * stand on one set of axes, and the conversions between them are found like any others. */
#ifndef PARTITA_PLAN_MESH_H
#define PARTITA_PLAN_MESH_H

#include "input/fields.h"
#include "plan/plan.h"

/* What the keys say about the experts of mixtures. */
struct mesh_experts {
    uint32_t expert,
        tensor; /* devices that divide the experts, and each expert's inner features; 0: not said */
    const struct owners_list *owned; /* which of the devices has which experts; NULL: in equal shares */
    struct place place;
};

/* Gives the experts of a stage a mesh of their own: what `expert` and `tensor` leave of the devices divides
 * the batch, else the sequence. The stage has its axes and its devices (or those of a stage of equal size).
 */
bool mesh_experts(struct input *input, const struct mesh_experts *experts, struct plan *plan,
                  struct plan_stage *stage);

/* Reads `plan.layers` and gives the operators that an entry matches its mesh, in every stage. A layer that
 * none matches keeps the stage's split; where the stage has none, it takes that of the nearest matched layer
 * before it, else after it. Reports what matches nothing, what two entries claim, and products that are not
 * the stage's number of devices. */
bool mesh_layers(struct input *input, const struct value *list, struct plan *plan);

/* Notes which of a stage's axes are late, or pieces of late axes of its meshes (plan.h). */
void mesh_late(struct plan_stage *stage);

/* The name of a set of the stage's axes: of the axes of a mesh that make it up, "data" or "data+tensor". */
char *mesh_name(const struct plan_stage *stage, uint32_t axes, const struct names *names, char *buffer,
                size_t size);

/* True when axes of the stage (bit set) are pieces of one axis of some mesh, or one axis to the user (joined,
 * plan.h): a collective runs over all of them at once. */
bool mesh_joins(const struct plan_stage *stage, uint32_t axes);

#endif
