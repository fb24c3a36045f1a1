/* Forms: the layouts in which a stage holds a tensor, and how a wanted one is obtained. */
#ifndef PARTITA_PLAN_FORMS_H
#define PARTITA_PLAN_FORMS_H

#include "plan/state.h"

struct form_want {
    uint32_t tensor;
    uint32_t layer_op;             /* stage operator that asks; MODEL_NONE: another stage */
    const struct operand *operand; /* as which it reads it; NULL: not one of its own */
    struct layout layout;          /* partial only where the tensor is */
    struct box *boxes;             /* per member; NULL: the layout's own */
    uint32_t unit, part;
    uint32_t tile; /* that asks; 0: not one of a fused block, or whoever comes later may use it too */
};

/* A form that gives what is wanted: one that is there, else one made by the cheapest conversion, else
 * imported from the stage that made the tensor. Returns its index. */
uint32_t forms_obtain(struct derivation *d, const struct form_want *want);

/* True when the form gives every member what is wanted without communication. */
bool forms_satisfies(const struct derivation *d, const struct form *form, const struct form_want *want);

/* True when every element of the tensor is in some member's box: others can be made from this form. (A window
 * that skips rows, or the first position of a sequence, leaves a form that is not whole.) */
bool forms_whole(const struct derivation *d, uint32_t form, uint32_t tensor);

/* Appends the conversion of a form; returns the new form's index. */
uint32_t forms_convert(struct derivation *d, uint32_t form, const struct form_want *want);

#endif
