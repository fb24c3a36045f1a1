/* Onnx_operator: the operators of ONNX that are known. Each is a table entry: how the shapes of its outputs
 * follow from its inputs, how it is carried out on numbers that are known, and which layers it becomes. The
 * tables stand in the files of their families; docs/onnx.md is made from them. */
#ifndef PARTITA_MODEL_ONNX_OPERATOR_H
#define PARTITA_MODEL_ONNX_OPERATOR_H

#include "model/onnx_call.h"

struct onnx_operator {
    const char *kind; /* op_type */
    uint32_t needed;  /* inputs that must be there */
    bool (*infer)(struct onnx_call *call);
    bool (*write)(struct onnx_call *call); /* NULL: each output element is made of the inputs at `flops` */
    void (*fold)(struct onnx_call *call);  /* sets known numbers of the outputs; NULL: never */
    double (*apply)(double a, double b);   /* of point-wise operators: folds numbers */
    double flops;      /* per element: of the output (point-wise), of the input (reduce) */
    const char *act;   /* the name of the function as a Partita activation; or NULL */
    uint64_t settings; /* bits of inputs that are no data: shapes, axes, scales of a quantisation */
    bool rearranges;   /* a weight remains a weight in another arrangement */
};

/* Each ends with a NULL kind. */
extern const struct onnx_operator onnx_pointwise_operators[], onnx_view_operators[], onnx_pieces_operators[],
    onnx_constant_operators[], onnx_window_operators[], onnx_matrix_operators[], onnx_reduce_operators[],
    onnx_other_operators[], onnx_select_operators[], onnx_attention_operators[];
/* Operators that only onnx_recognise makes; ends with a NULL kind. */
extern const struct onnx_operator onnx_attention_made[];
/* The kinds of such nodes, known by their addresses: no file can ask for them. The second is Attention with
 * learned values that are added to the scores, its fourth input. */
extern const char onnx_attention_projection[], onnx_attention_biased[];
/* The tables; NULL-terminated. */
extern const struct onnx_operator *const onnx_infer_operators[];

const struct onnx_operator *onnx_infer_find(const struct onnx_node *node);

/* ---- writing layers ---- */

/* A new layer of a kind, called after the node (and `suffix`, when it is one of several). */
struct value *onnx_write_layer(struct onnx_call *call, const char *kind, const char *suffix);
void onnx_write_text(struct onnx_call *call, struct value *layer, const char *key, const char *text);
void onnx_write_number(struct onnx_call *call, struct value *layer, const char *key, int64_t number);
void onnx_write_numbers(struct onnx_call *call, struct value *layer, const char *key, const int64_t *numbers,
                        uint32_t count);
/* Adds a value to the layer's `from`. A weight gets a layer of its own first. */
void onnx_write_from(struct onnx_call *call, struct value *layer, struct onnx_value *value);
/* Writes labels and sizes of a value, as `dims`. */
void onnx_write_dims(struct onnx_call *call, struct value *layer, const char *key,
                     const struct onnx_value *value, const char *const *labels);
/* Labels and sizes that do not grow with the batch. */
void onnx_write_sizes(struct onnx_call *call, struct value *layer, const char *key,
                      const struct onnx_shape *shape, const char *const *labels);
/* The same with an axis cut into pieces (count 0: as it is). */
void onnx_write_cut(struct onnx_call *call, struct value *layer, const char *key,
                    const struct onnx_value *value, uint32_t axis, const int64_t *pieces, uint32_t count,
                    const char *const *labels);
/* Says that the layer gives an output, with labels for its dimensions. */
void onnx_write_gives(struct onnx_call *call, const struct value *layer, uint32_t output,
                      const char *const *labels);
/* Marks a weight as counted in the layer that reads it; false when another layer counts it already, or it is
 * no weight. */
bool onnx_write_owns(struct onnx_call *call, const struct onnx_value *value);
/* Whether a value is a weight that only this node reads: it can be part of the node's layer. */
bool onnx_write_is_own(const struct onnx_call *call, const struct onnx_value *value);
/* Whether a weight is read by nodes of this kind alone, as this input: the first one's layer can own it. */
bool onnx_write_is_kinds(const struct onnx_call *call, uint32_t input);
/* The layer that has the weight at an input, where onnx_write_keep() said so; or NULL. */
const char *onnx_write_keeper(const struct onnx_call *call, uint32_t input);
void onnx_write_keep(struct onnx_call *call, uint32_t input, const char *layer);
/* Weights that are no parameters: running statistics. */
void onnx_write_statistics(struct onnx_call *call, const struct onnx_value *value);
/* A value under other labels (in order), through a view where they differ. */
struct onnx_value onnx_write_labelled(struct onnx_call *call, struct onnx_value *value,
                                      const char *const *labels, const char *suffix);
/* The same for an input of a node that joins along `axis`: one that does not grow with the batch, as the
 * output does, is repeated for each sample. */
struct onnx_value onnx_write_repeated(struct onnx_call *call, struct onnx_value *value,
                                      const char *const *labels, uint32_t axis, const char *suffix);
/* The first label of the list (and then of all) that is not among those of `labels`. */
const char *onnx_write_fresh(struct onnx_call *call, const char *const *labels, uint32_t count,
                             const char *wanted);
/* The label of the features that a product with a weight gives: a vocabulary, the inner features of an MLP,
 * or those of the layers between. Plans split the first two. */
const char *onnx_write_feature(int64_t in, int64_t out, bool sequence);
/* Labels for an output from those of the inputs, matched from the right. */
void onnx_write_stretched(struct onnx_call *call, uint32_t output, const char **labels);
/* The node as one layer that rearranges its inputs into each output. */
bool onnx_write_rearranged(struct onnx_call *call);

#endif
