/* Model: the layer graph, as operators over named dimensions. Shapes hold for the batch that the model was
 * built with.
 *
 * A *tensor* has named dimensions (labels b batch, s sequence, c channels, y rows, x columns, h hidden, f
 * inner features, g head groups, r heads per group, d head size, v vocabulary, t time …). An *operator* runs
 * over an iteration space of named dimensions; each of its operands and its output says which iteration
 * dimension indexes each of its tensor dimensions. A dimension of the iteration space that the output lacks
 * is contracted. So fully connected  Y[b,o] += X[b,i] W[i,o];   convolution  Y[b,o,y,x] += X[b,i,
 * y·s+ky·d−pad, …] W[o,i,ky,kx] and everything that a partition needs (shares of work and of tensors, partial
 * sums, halos, gradients) is derived from these index maps; nothing here knows how it will be split.
 *
 * A *layer* is one or more operators; a *part* is the innermost named block around it (what one row of the
 * timeline shows); a *unit* is a top-level item of the model (what a stage boundary may not cut, and what
 * recomputation keeps the input of). */
#ifndef PARTITA_MODEL_MODEL_H
#define PARTITA_MODEL_MODEL_H

#include "base/arena.h"
#include "base/kernel.h"
#include "base/names.h"
#include "base/report.h"
#include "base/vector.h"

#include <stdbool.h>
#include <stdint.h>

enum { TENSOR_DIMS = 6, OPERATOR_DIMS = 10, OPERATOR_OPERANDS = 8, DIM_NAMES = 3, MODEL_NONE = UINT32_MAX };

enum tensor_role { TENSOR_INPUT, TENSOR_ACTIVATION, TENSOR_PARAMETER, TENSOR_ROLE_COUNT };

/* A dimension that is only partly filled: of `of` places at each index, before[i + 1] − before[i] exist at
 * index i. Tokens that are sent to experts of a mixture (each of them to a few), tables of different lengths
 * and triangles are such. Every index may be split off as if it were full; only work, bytes and elements
 * count what exists. Integers, so that equal shares are equal to the bit. */
struct filling {
    const uint64_t *before; /* size + 1 entries, before[0] = 0; in the model's arena */
    uint64_t of, size;
    bool even;       /* as many at each index: equal shares hold equally much */
    uint32_t chosen; /* how many of the indices one point uses (a token's experts); 0: not known */
};

/* Which device a plan gives each index to (plan/owners.h). Then positions along the dimension are in the
 * order of their owners, not in the order in which the user counts experts or tables. */
struct owners;

struct tensor_dim {
    uint32_t label; /* interned */
    uint64_t size;
    const struct filling *filling; /* NULL: full */
    const struct owners *owners;   /* NULL: equal shares, or by weight */
};

struct tensor {
    struct tensor_dim dims[TENSOR_DIMS];
    uint32_t rank;
    uint32_t name;     /* interned: "conv1_1", "block[3].attention.q.weight" */
    uint32_t layer;    /* that produces or owns it */
    uint32_t producer; /* operator, or MODEL_NONE for inputs and parameters */
    uint8_t role;      /* enum tensor_role */
    bool discrete;     /* token identities: 4-byte integers without gradient */
    bool internal; /* lives inside a fused kernel (flash attention's scores): no memory traffic, never kept */
    bool cached;   /* kept for the tokens that follow when a sequence is generated (keys and values) */
    bool past;     /* what was kept of another tensor for earlier tokens (decode.h) */
    uint32_t cache; /* of such a tensor the other one, and of that one such a tensor; 0: none */
};

/* One dimension of an operator's iteration space. It answers to several names: its role ("o", "i", "y", "ky",
 * "q", "k") and the label of the tensors that it indexes ("f", "h", "c"). */
struct iteration_dim {
    uint32_t names[DIM_NAMES]; /* interned; 0 where unused */
    uint64_t size;
    const struct filling *filling; /* NULL: full */
    const struct owners *owners;   /* NULL: equal shares, or by weight */
    bool opaque;                   /* may not be split (DESIGN rule 7) */
    bool sequential; /* steps that follow one another (time of a recurrent layer): one launch each */
};

/* How one tensor dimension is indexed:
 *
 * - by iteration dimension `dim`: index = i
 * - merged with an inner one (`inner` >= 0): index = i · size(inner) + j, as channels c = (groups, i)
 * - windowed (`kernel` >= 0): index = i · stride + k · dilation − pad
 * - dim < 0: not indexed; every point needs the whole dimension (what this notation cannot express)
 *
 * A concatenated operand adds `offset`: its index is i − offset; its share of the output's range is [offset,
 * offset + size). A tensor dimension may be longer than the iteration dimension that indexes it: a table of
 * 1,024 positions read by a sequence of 512, the first position selected from a sequence. */
struct operand_dim {
    int8_t dim, inner, kernel;
    uint32_t stride, dilation, pad;
    uint64_t offset;
};

struct operand {
    uint32_t tensor;
    struct operand_dim dims[TENSOR_DIMS]; /* one per tensor dimension */
    bool gradient;                        /* a gradient flows to it (false: discrete inputs, images) */
    bool saved;    /* the backward pass reads it, so it is kept after the forward pass */
    bool feedback; /* what a later operator of the same layer produced one step of the sequential dimension
                      before (a recurrent layer's hidden state): it depends on nothing in this step */
    bool added;    /* of an einsum: the product is added to it (G += H W). Indexed like the output */
};

enum operator_kind {
    OPERATOR_EINSUM,    /* multiply-accumulate: 2 FLOPs per point; counts as MACs */
    OPERATOR_POINTWISE, /* element by element, possibly with statistics over some dimensions (norms, softmax,
                           loss) */
    OPERATOR_POOL,      /* windowed maximum or mean */
    OPERATOR_LOOKUP,    /* rows of a table, chosen by a discrete operand: no FLOPs */
    OPERATOR_VIEW,      /* the same numbers under other names: free */
    OPERATOR_KIND_COUNT
};

/* An operator of a layer: what is computed at each point of its iteration dimensions, and what it reads and
 * gives there. */
struct layer_op {
    struct iteration_dim dims[OPERATOR_DIMS];
    struct operand operands[OPERATOR_OPERANDS];
    struct operand output;
    uint32_t dim_count, operand_count;
    uint32_t layer;
    uint32_t name;      /* interned: "" or what it is inside its layer: "scores", "softmax", "relu" */
    uint8_t kind;       /* enum operator_kind */
    uint8_t kernel;     /* enum kernel_kind: which efficiency of the device applies */
    bool linear;        /* f(a + b) = f(a) + f(b) in its first operand: partial sums may pass through */
    bool additive;      /* f is linear in all its operands together (a sum, a bias): whichever are no partial
                           sums are added by one member */
    bool output_saved;  /* the backward pass reads the output (softmax, sigmoid, tanh, relu) */
    bool training_only; /* dropout, loss: skipped in inference */
    bool fused; /* runs inside the kernel of the operator before it (the bias and activation of a conv or fc):
                   its FLOPs count, its memory traffic does not, its output takes that operator's output's
                   place. Always in the same layer, and it reads that output as operand 0 */
    bool recomputed; /* cheap against what it leaves for the backward pass: selective recomputation runs it
                        again */
    bool attends;    /* part of an attention core: it mixes positions of a sequence */
    bool masked;     /* under a causal mask, however its points are counted */
    bool causal;     /* and only points whose key is not after their query are computed */
    uint64_t
        window; /* of what attends under a mask: positions that a query sees, its own among them; 0: all */
    int8_t query, key; /* of what attends: the iteration dimensions of queries and keys */
    uint8_t grows;     /* 1 + the iteration dimension over what a cache holds, one longer with each token
                          (decode.h); 0: none */
    uint8_t rereads;   /* 1 + the iteration dimension for each entry of which the kernel reads anew what has
                          not got it (heads of a group that do not share what they read); 0: none */
    double flops_per_point; /* forward; einsum: 2 */
    double fraction; /* of the iteration space that is computed: 1, or (s+1)/(2s) for a causal product */
    double
        saved_per_output; /* further bytes kept for the backward pass per output element (dropout mask: 1) */
    double workspace;     /* bytes per point that its kernel takes while it runs, forward and backward */
    /* Statistics: what must be summed over the members when a dimension of `normalised` (bit set over dims)
     * is split: so many values per point of the other dimensions, forward and backward. */
    uint32_t normalised;
    double statistics_forward, statistics_backward;
    bool statistics_local; /* may be left unsynchronised by an option (batch norm) */
    bool expert;           /* work of a mixture's experts, which may lie on a mesh of its own */
};

struct layer {
    uint32_t name; /* interned, unique: "conv1_1", "block[3].attention.q" */
    uint32_t kind; /* interned: "conv" */
    uint32_t part; /* interned: "conv1_1", "block[3].attention" */
    uint32_t unit; /* index into units */
    uint32_t first_operator, operator_count;
    uint32_t output; /* tensor */
    struct place place;
};

struct model_unit {
    uint32_t name; /* "conv1_1", "block[3]" */
    uint32_t first_layer, layer_count;
};

struct model {
    struct arena arena;  /* owns places' texts; vectors own the arrays */
    struct names *names; /* not owned */
    uint32_t name;
    VECTOR(struct layer) layers;       /* in topological order */
    VECTOR(struct layer_op) operators; /* in execution order; operators of a layer are contiguous */
    VECTOR(struct tensor) tensors;
    VECTOR(struct model_unit) units;
    VECTOR(const struct filling *) fillings; /* of mixtures: equal ones are one */
    uint64_t batch;                          /* samples the shapes hold for */
    double tokens;      /* per sample: the length of the discrete input's sequence; 0 when there is none */
    bool causal;        /* attention is counted causal (half) rather than full */
    const char *sample; /* what one sample is: "image", "sequence", "sample" */
};

void model_init(struct model *model, struct names *names);
void model_fini(struct model *model);

/* Index of a layer by name; MODEL_NONE when there is none. */
uint32_t model_find_layer(const struct model *model, const char *name);
uint32_t model_find_unit(const struct model *model, const char *name);

/* Elements of a tensor. */
double model_elements(const struct tensor *tensor);

/* How much an interval of indices of a dimension holds: its length, or where the dimension is partly filled
 * the sum of what exists. */
struct interval {
    uint64_t low, high; /* [low, high); empty when low >= high */
};
double model_extent(const struct filling *filling, struct interval over);

/* Trainable parameters: every parameter tensor once, also when several layers use it (tied). */
uint64_t model_parameters(const struct model *model);
uint64_t model_layer_parameters(const struct model *model, uint32_t layer); /* those that the layer owns */
/* Those that one token uses: of a mixture's experts only as many as it is sent to, and the shared ones. */
uint64_t model_active_parameters(const struct model *model);

/* Multiply-accumulates of one forward pass over `batch` samples: of einsums only, causal fraction applied. */
double model_macs(const struct model *model);
double model_layer_macs(const struct model *model, uint32_t layer);

/* Points of an operator's iteration space times its fraction. */
double model_points(const struct layer_op *layer_op);

/* The interval of tensor indices that an interval [low, high) of iteration dimension needs, for one operand
 * dimension of an operator; clipped to the tensor (windows reach into padding). For a merged dimension the
 * interval is of the outer one. */
struct interval model_needed(const struct model *model, const struct layer_op *layer_op,
                             const struct operand *operand, uint32_t tensor_dim, struct interval over);

#endif
