/* Frame: what the names inside one block mean. A name is looked up among the block's own layers and its
 * inputs, then in the blocks around it. */
#ifndef PARTITA_MODEL_FRAME_H
#define PARTITA_MODEL_FRAME_H

#include "model/builder.h"

enum { FRAME_NAME = 512 }; /* bytes of a full name, with its end */

struct frame {
    const struct frame *outer;
    const char *prefix; /* of the full names of its layers: "block[3]."; "" at the top */
    const struct scope *scope;
    uint32_t previous; /* tensor that the item before gives; MODEL_NONE at the start of a model */
    const char *input_names[OPERATOR_OPERANDS];
    uint32_t inputs[OPERATOR_OPERANDS]; /* tensors */
    uint32_t input_count;
};

/* What a name means in the builder's frame; .tensor is MODEL_NONE when nothing has this name. */
struct named frame_find(const struct builder *builder, const char *name);

/* Reports "there is no layer 'x' …" with the nearest visible name; returns false. */
bool frame_unknown(struct builder *builder, struct place place, const char *key, const char *name);

/* Appends an operand that reads another layer's weight (its first parameter). Its dimensions are matched by
 * label and size, so it may be transposed. Reports and returns false when there is none or it does not fit.
 */
bool frame_tie(struct builder *builder, struct layer_op *op, const char *name, uint32_t rank);

/* The same with one of several parameters, which the other layer calls "LAYER.SUFFIX". */
bool frame_tie_part(struct builder *builder, struct layer_op *op, const char *name, const char *suffix,
                    uint32_t rank);

/* Gives a full name a meaning. Reports and returns false when it has one already. */
bool frame_define(struct builder *builder, struct place place, const char *full_name, struct named named);

#endif
