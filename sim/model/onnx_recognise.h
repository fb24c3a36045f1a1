/* Onnx_recognise: patterns of nodes that are one layer of a network, as exporters write them: a norm and an
 * activation in their steps, attention as products around a softmax, a product with a weight whose result is
 * cut into heads. Each is replaced by one node, so that heads can be split over devices and attention counts
 * as such. What the network computes, its parameters and its products stay the same; what nobody reads any
 * more is taken away.
 *
 * Patterns look for the names of values, which are given once; nodes that are replaced keep the names of
 * their outputs. */
#ifndef PARTITA_MODEL_ONNX_RECOGNISE_H
#define PARTITA_MODEL_ONNX_RECOGNISE_H

#include "model/onnx_infer.h"

enum { RECOGNISE_NONE = UINT32_MAX };

struct onnx_extra {
    uint32_t before; /* the place in the list where it goes */
    struct onnx_node node;
};

/* One pass over the nodes of a graph whose shapes are known. */
struct onnx_recognise {
    struct onnx_infer *infer;
    uint32_t *producer; /* by value: the node that gives it; RECOGNISE_NONE: none */
    uint32_t *reader;   /* by value: the last node that reads it */
    VECTOR(struct onnx_extra) extra;
};

struct onnx_pattern {
    const char *anchor; /* op_type of the node where a search starts */
    void (*apply)(struct onnx_recognise *recognise, uint32_t node);
};

/* Each ends with a NULL anchor. */
extern const struct onnx_pattern onnx_recognise_quantised[], onnx_recognise_einsum[],
    onnx_recognise_products[], onnx_recognise_steps[], onnx_recognise_attention[],
    onnx_recognise_heads_sides[], onnx_recognise_heads[];

/* Replaces all patterns in a graph that onnx_infer_run() has walked. Returns false after reporting. */
bool onnx_recognise_all(struct onnx_infer *infer);

/* ---- looking ---- */

struct onnx_node *onnx_recognise_node(const struct onnx_recognise *recognise, uint32_t node);
struct onnx_value *onnx_recognise_value(const struct onnx_recognise *recognise, const char *name);
/* The node that gives a value, or RECOGNISE_NONE. */
uint32_t onnx_recognise_from(const struct onnx_recognise *recognise, const char *name);
/* The last node that reads a value, or RECOGNISE_NONE. */
uint32_t onnx_recognise_last(const struct onnx_recognise *recognise, const char *name);
/* The only node that reads a value, or RECOGNISE_NONE if there are none or several. */
uint32_t onnx_recognise_to(const struct onnx_recognise *recognise, const char *name);
bool onnx_recognise_is(const struct onnx_recognise *recognise, uint32_t node, const char *kind);
/* Inputs and outputs by number; "" where there is none. */
const char *onnx_recognise_in(const struct onnx_recognise *recognise, uint32_t node, uint32_t input);
const char *onnx_recognise_out(const struct onnx_recognise *recognise, uint32_t node);
/* The other input of a node of two; "" when neither is `name`. */
const char *onnx_recognise_other(const struct onnx_recognise *recognise, uint32_t node, const char *name);
/* Whether nodes read a value, and nobody outside the graph does. */
bool onnx_recognise_is_inner(const struct onnx_recognise *recognise, const char *name);
/* Whether a value is one number. */
bool onnx_recognise_is_number(const struct onnx_recognise *recognise, const char *name);
/* Whether a value is a weight that nobody else reads, in any arrangement. */
bool onnx_recognise_is_own(const struct onnx_recognise *recognise, const char *name);
/* Whether a value is a weight of one dimension of a size that nobody else reads. */
bool onnx_recognise_is_vector(const struct onnx_recognise *recognise, const char *name, int64_t size);

/* ---- replacing ---- */

/* Makes all readers of a value read another one, from a node on. */
void onnx_recognise_redirect(struct onnx_recognise *recognise, uint32_t from, const char *name,
                             const char *to);

/* Makes a node another one with the same first output. Inputs until NULL. */
struct onnx_node *onnx_recognise_replace(struct onnx_recognise *recognise, uint32_t node, const char *kind,
                                         ...);
/* A new node in front of another one; its output's name, which the caller chooses, must be new. */
struct onnx_node *onnx_recognise_insert(struct onnx_recognise *recognise, uint32_t before, const char *kind,
                                        const char *output, ...);
void onnx_recognise_ints(struct onnx_recognise *recognise, struct onnx_node *node, const char *name,
                         const int64_t *numbers, uint32_t count);
void onnx_recognise_int(struct onnx_node *node, const char *name, int64_t number);

#endif
