/* Boundary: tensors that cross from one stage to another, forward, and their gradients on the way back. */
#ifndef PARTITA_PLAN_BOUNDARY_H
#define PARTITA_PLAN_BOUNDARY_H

#include "plan/forms.h"

/* Brings a tensor that this stage does not have into the wanted form: from the stage that made it, from the
 * plan's input device, or (a model input without an input device) from nowhere: every member has its part
 * already. Returns the form. */
uint32_t boundary_import(struct derivation *d, const struct form_want *want);

/* The token that a stage chose, from its last operator, for the next pass of another stage that reads it as
 * its input: appends the SEND and the RECEIVE, marked as feeds; nothing when the devices have it already. */
void boundary_feed(struct derivation *from, uint32_t chosen, struct derivation *to, uint32_t input);

/* True for a model input that no device sends: every member has whatever it wants of it. */
bool boundary_everywhere(const struct derivation *d, uint32_t tensor);

/* True when a form of a tensor that this stage did not make is on its devices already: a model input that no
 * device sends, or what another stage of the same devices has. */
bool boundary_there(struct derivation *d, const struct form_want *want);

/* The layout in which an import's gradient is wanted before it goes back: that of the form that was imported;
 * where that is whole along an axis which both stages have, the shares in which the source computed the
 * tensor (a reduce-scatter then does instead of an all-reduce). */
struct layout boundary_required(struct derivation *d, const struct stage_import *import);

/* The layout in which a tensor leaves its stage, where it would be `wanted` and is, in summands, in others:
 * members send whatever they own, so nothing is gathered, spread or exchanged just to be sent. */
struct layout boundary_nearest(struct derivation *d, uint32_t tensor, const struct layout *from,
                               uint32_t count, struct layout wanted);

/* The way back: appends the SEND of an import's gradient to this stage's backward list. `dependencies`: what
 * made it, in the layout import->returned. */
void boundary_return(struct derivation *d, const struct stage_import *import, const uint32_t *dependencies,
                     uint32_t count);

/* Appends to this stage's backward list the RECEIVEs of the gradients of all tensors that later stages
 * imported from it, each as a contribution. `derivations`: of all stages; the later ones have derived their
 * backward lists. */
void boundary_collect(struct derivation *derivations, uint32_t stage);

#endif
