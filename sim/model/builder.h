/* Builder: what a layer kind uses to turn its keys into operators. build.c prepares one for each layer: its
 * inputs, place and the scope of its expressions; the kind's build() adds operators in execution order; the
 * last operator's output is what the layer gives.
 *
 * Tensors grow while they are built: builder_output() and builder_parameter() make an empty one and
 * builder_extend() adds a dimension together with its index map. Pointers to operators (and operands, which
 * lie inside) hold until the next builder_operator(); tensors are copied, not pointed at. */
#ifndef PARTITA_MODEL_BUILDER_H
#define PARTITA_MODEL_BUILDER_H

#include "model/activation.h"
#include "model/build.h"

struct frame;

/* What a name stands for. */
struct named {
    uint32_t tensor; /* that the layer or block of this name gives; MODEL_NONE: nothing has this name */
    uint32_t layer;  /* MODEL_NONE for a block */
};

struct builder {
    struct model *model;
    struct input *input;
    const struct scope *scope;          /* of the layer's expressions */
    const struct frame *frame;          /* of the names that the layer may refer to */
    struct place place;                 /* of the layer */
    uint32_t layer;                     /* index */
    uint32_t inputs[OPERATOR_OPERANDS]; /* tensors */
    uint32_t input_count;
    bool failed;                /* something was reported for this layer */
    VECTOR(struct named) named; /* by the identity of the full name; frame.c */
};

/* The identity of a text; names_add() in short. */
uint32_t builder_name(const struct builder *builder, const char *text);
/* The identity of a dimension's label from a file; reports one that does not start with a letter. */
uint32_t builder_label(struct builder *builder, const char *text);
/* A copy of an input. */
struct tensor builder_input(const struct builder *builder, uint32_t index);
/* Position of a dimension in a tensor by its label; -1 when it has none. */
int builder_find(const struct builder *builder, const struct tensor *tensor, const char *label);

/* Reports "KIND 'NAME' …" at the layer; returns false. */
bool builder_error(struct builder *builder, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Checks, reporting what is wrong: the number of inputs; that an input has exactly these dimensions
 * ("b c y x"). */
bool builder_want_inputs(struct builder *builder, uint32_t low, uint32_t high);
bool builder_want_dims(struct builder *builder, uint32_t input, const char *labels);
/* That the first input is a map: b, c, and 1 to 3 dimensions of space. */
bool builder_want_map(struct builder *builder);
/* "b, c 64, y 224, x 224" in the input's arena. */
const char *builder_describe(const struct builder *builder, const struct tensor *tensor);

/* Readers of keys that are a number or a pair [y, x]; whole numbers of at least `low`, at most 1e9. */
bool builder_pair(struct builder *builder, const struct value *value, const char *key, int64_t low,
                  int64_t pair[2]);
/* One number for all of `axes` dimensions, or a list of one for each. */
bool builder_list(struct builder *builder, const struct value *value, const char *key, int64_t low,
                  uint32_t axes, int64_t *list);
bool builder_integer(struct builder *builder, const struct value *value, const char *key, int64_t low,
                     int64_t *number);

/* Appends an operator to the layer. `name`: what it is inside the layer, "" when it is the layer. */
struct layer_op *builder_operator(struct builder *builder, enum operator_kind kind, enum kernel_kind kernel,
                                  const char *name);
/* Appends a dimension to the iteration space; returns its index. Names may be 0. */
int8_t builder_dim(struct builder *builder, struct layer_op *op, uint64_t size, uint32_t name,
                   uint32_t second, uint32_t third);
/* Appends a dimension named after a label; the features (c, h, f) also answer to "o" and "i". */
int8_t builder_dim_labelled(struct builder *builder, struct layer_op *op, uint64_t size, uint32_t label);

/* Appends an operand that reads a tensor; none of its dimensions is indexed yet. */
struct operand *builder_operand(struct builder *builder, struct layer_op *op, uint32_t tensor);
/* Appends an operand that reads a new parameter "LAYER.SUFFIX" without dimensions. */
struct operand *builder_parameter(struct builder *builder, struct layer_op *op, const char *suffix);
/* Makes the operator's output: a new tensor without dimensions. */
struct operand *builder_output(struct builder *builder, struct layer_op *op);
/* Appends a dimension to the tensor of an output or parameter, indexed by an iteration dimension, and filled
 * as that is. */
struct operand_dim *builder_extend(struct builder *builder, const struct layer_op *op,
                                   struct operand *operand, uint32_t label, int8_t dim);
/* Appends one whose index merges an outer and an inner dimension. */
void builder_extend_merged(struct builder *builder, const struct layer_op *op, struct operand *operand,
                           uint32_t label, int8_t outer, int8_t inner);
/* Appends one that is not indexed. */
void builder_extend_whole(struct builder *builder, struct operand *operand, uint32_t label, uint64_t size);

/* Appends a point-wise operator: one iteration dimension per dimension of the tensor, in its order; the
 * tensor is operand 0 and the output has its shape. */
struct layer_op *builder_pointwise(struct builder *builder, uint32_t tensor, const char *name, double flops);
/* Appends an operand of the same shape as operand 0, matched by labels; reports when it differs. */
struct operand *builder_operand_alike(struct builder *builder, struct layer_op *op, uint32_t tensor);
/* Appends bias and activation of a conv or fc as one fused operator over `tensor`; `features`: bits of the
 * tensor dimensions that the bias has. Nothing when there is neither. */
void builder_epilogue(struct builder *builder, uint32_t tensor, uint32_t features, bool bias, int activation);

/* A filling of a dimension, in the model's arena; the caller fills its size + 1 entries *before. */
struct filling *builder_filling(const struct builder *builder, uint64_t size, uint64_t of, uint64_t **before);
/* The one to use once it is filled: that of an earlier layer where they are equal, so that what is found out
 * about one layer's tensors is known of the next one's. */
const struct filling *builder_filled(const struct builder *builder, struct filling *filling);

/* The tensor that the newest operator gives. */
uint32_t builder_newest(const struct builder *builder);
/* Size of an iteration dimension. */
uint64_t builder_dim_size(const struct layer_op *op, int8_t dim);

/* The kinds, by file; listed in build.c. */
extern const struct layer_kind source_input_layer, conv_layer, conv_pool_layer, fc_layer, norm_layer,
    pointwise_act_layer, pointwise_add_layer, pointwise_multiply_layer, pointwise_glu_layer,
    pointwise_dropout_layer, pointwise_scale_layer, pointwise_rotary_layer, view_concat_layer,
    view_flatten_layer, view_sequence_layer, view_select_layer, view_prepend_layer, resample_reorg_layer,
    resample_upsample_layer, embedding_layer, embedding_position_layer, attention_layer, recurrent_lstm_layer,
    recurrent_gru_layer, recurrent_rnn_layer, softmax_layer, softmax_loss_layer, general_parameter_layer,
    general_elementwise_layer, general_reshape_layer, general_transpose_layer, general_rearrange_layer,
    general_lookup_layer, einsum_layer, einsum_reduce_layer, conv_transposed_layer, moe_layer, tables_layer,
    tables_pairs_layer;

#endif
