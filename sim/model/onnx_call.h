/* Onnx_call: one node of an ONNX graph while the shapes of its outputs are found, and while it is written as
 * layers. Operators (onnx_operator.h) see the graph through these functions only.
 *
 * A *value* is what the file calls a tensor's name. It has a shape, its numbers where they are known (shape
 * computations are carried out), and the weight that it is, when it is one in another arrangement. */
#ifndef PARTITA_MODEL_ONNX_CALL_H
#define PARTITA_MODEL_ONNX_CALL_H

#include "base/names.h"
#include "input/value.h"
#include "model/onnx_file.h"

struct onnx_operator;
struct onnx_writer;

/* A sequence: the names of its tensors. */
struct onnx_parts {
    uint32_t count;
    const char **names;
};

/* Whether a value's numbers are a causal mask. */
enum onnx_mask { ONNX_MASK_UNKNOWN, ONNX_MASK_NONE, ONNX_MASK_CAUSAL };

struct onnx_value {
    const char *name;
    int64_t type; /* enum onnx_type */
    bool given;   /* the shape is known */
    struct onnx_shape shape;
    const double *known;              /* its elements, or NULL */
    const struct onnx_tensor *weight; /* that it is, perhaps in another arrangement; or NULL */
    uint32_t readers;                 /* nodes' inputs; the graph's outputs count as one each */
    bool decides;  /* which branch an If takes, when the model runs: it is worked out though no layer reads it
                    */
    bool unpacked; /* a weight that stands in the file in another form */
    bool constant; /* stood in a node: it may be computed with, like a shape */
    uint8_t mask;  /* enum onnx_mask, once somebody looked */
    const struct onnx_parts *parts; /* of a sequence; NULL: a tensor */
    const char *layer;              /* that gives it, once written; or NULL */
    const char *labels[ONNX_RANK];  /* of its dimensions, once written */
};

/* What whoever uses a graph may say about it; all may be NULL. */
struct onnx_choices {
    const struct value *dims;     /* sizes of symbolic dimensions, by name */
    const struct value *trips;    /* of loops, by the names of their nodes; or one number for all */
    const struct value *sequence; /* size of symbolic dimensions that are called like a sequence */
    bool flash;                   /* attention is one kernel that never stores its scores */
    bool ignore;                  /* operators that are not known */
};

/* One pass over a graph. */
struct onnx_infer {
    struct report *report;
    struct arena *arena;
    struct names names; /* of values: an identity is an index into `values` */
    VECTOR(struct onnx_value) values;
    const struct onnx_file *file;
    VECTOR(struct onnx_node) nodes; /* the graph's, with subgraphs and composed operators in place */
    struct onnx_choices choices;
    int64_t batch;           /* the first dimension of the inputs, as the file or the choices say */
    int64_t scale;           /* 1; 2 finds out which dimensions grow with the batch */
    bool repeated;           /* `nodes` are those of another pass */
    uint32_t depth;          /* of operators that are composed of others */
    uint64_t expanded_bytes; /* of the copies of nodes that these were composed of */
    struct names asked;      /* symbolic dimensions whose size was asked for */
    struct names noted;      /* those to which nobody gave one: reported */
    bool sequence_used;      /* by a dimension */
};

struct onnx_call {
    struct onnx_infer *infer;
    struct onnx_writer *writer; /* NULL while shapes are found */
    const struct onnx_node *node;
    const struct onnx_operator *rules;
    uint32_t index; /* in `infer->nodes` */
};

/* Reports "node 'NAME' (OPERATOR) …" for the file. Returns false. */
bool onnx_call_fail(struct onnx_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for a value that the node reads, but that is not there: nobody gives it, or a later node. */
bool onnx_call_fail_missing(struct onnx_call *call, const char *name);

/* An input; NULL when it is left out. The first `needed` inputs exist: the driver checked. */
struct onnx_value *onnx_call_in(const struct onnx_call *call, uint32_t index);
/* An output; NULL when nobody wants it. */
struct onnx_value *onnx_call_out(const struct onnx_call *call, uint32_t index);

/* Attributes, or what stands for them. */
int64_t onnx_call_int(const struct onnx_call *call, const char *name, int64_t otherwise);
double onnx_call_float(const struct onnx_call *call, const char *name, double otherwise);
const char *onnx_call_text(const struct onnx_call *call, const char *name, const char *otherwise);
/* The number of elements of a list; 0 when there is none. */
uint32_t onnx_call_ints(const struct onnx_call *call, const char *name, const int64_t **list);

/* An axis from −rank to rank − 1 as one from 0; false after reporting. */
bool onnx_call_axis(struct onnx_call *call, int64_t axis, uint32_t rank, uint32_t *out);
/* Axes as bits, from an input (if `input` is not negative and there is one) or an attribute `axes`; all bits
 * 0 when there is neither. */
bool onnx_call_axes(struct onnx_call *call, int input, uint32_t rank, uint32_t *bits);
/* The whole numbers of an input that a shape depends on; false after reporting that they are not known. */
bool onnx_call_numbers(struct onnx_call *call, uint32_t input, int64_t *count, const int64_t **numbers);

/* An input whose numbers are a shape. */
bool onnx_call_shape(struct onnx_call *call, uint32_t input, struct onnx_shape *shape);

/* Gives an output its shape and type; false after reporting a shape that cannot be. */
bool onnx_call_give(struct onnx_call *call, uint32_t output, int64_t type, const struct onnx_shape *shape);
/* The shape and type of the first input. */
bool onnx_call_give_alike(struct onnx_call *call, uint32_t output);
/* The same with numbers, when the shape is small. */
void onnx_call_know(struct onnx_call *call, uint32_t output, const double *numbers);

/* The shape to which all inputs from `first` are stretched. */
bool onnx_call_broadcast(struct onnx_call *call, struct onnx_shape *into, const struct onnx_shape *with);
const char *onnx_call_describe(struct arena *arena, const struct onnx_shape *shape);

/* A double as a whole number, bounded. */
int64_t onnx_call_whole(double number);

#endif
