/* Onnx_expand: operators that are composed of others. Each node of a graph passes here on its way into the
 * flat list of an onnx_infer: a subgraph (If, Loop, Scan), a function of the file, a fused or quantised
 * operator of an optimiser is replaced by the nodes that it stands for; every other node goes into the list
 * as it is, and its shapes are found at once, so that an If can look at its condition.
 *
 * Names of values are unique in the list: those inside a subgraph get the node's name in front. */
#ifndef PARTITA_MODEL_ONNX_EXPAND_H
#define PARTITA_MODEL_ONNX_EXPAND_H

#include "model/onnx_infer.h"

#include <stdarg.h>

/* Names inside a subgraph or function, and the node that calls it. */
struct onnx_scope {
    struct onnx_scope *around; /* whose names are seen too; NULL: nobody's */
    const char *prefix;
    struct names inner;
    VECTOR(const char *) outer;     /* what each name of `inner` stands for; NULL: nothing yet */
    const struct onnx_node *caller; /* whose attributes a function's nodes refer to; or NULL */
    const struct onnx_graph *graph; /* the function, for defaults of its attributes; or NULL */
    struct onnx_scope *lasting;     /* where constants belong: a loop's, not one trip's; NULL: this */
};

/* One node that is being replaced. Its inputs and outputs are named as in the flat list. */
struct onnx_expand {
    struct onnx_call call;    /* for the functions that look at a node: onnx_call_in() and others */
    struct onnx_scope *scope; /* of the node */
    struct onnx_node next;    /* attributes that are collected for the node that comes next */
    uint32_t made;            /* nodes */
    bool failed;
};

struct onnx_expander {
    const char *domain, *kind;                    /* domain "": the standard one */
    bool (*expand)(struct onnx_expand *expand);   /* false after reporting */
    bool (*wanted)(const struct onnx_call *call); /* NULL: always */
};

/* Each ends with a NULL kind. */
extern const struct onnx_expander onnx_control_expanders[], onnx_sequence_expanders[],
    onnx_attention_expanders[], onnx_contrib_expanders[];
/* The tables; NULL-terminated. */
extern const struct onnx_expander *const onnx_expand_tables[];

/* Appends a node, or what it stands for, to the flat list. `scope` NULL: of the whole graph. */
bool onnx_expand_node(struct onnx_infer *infer, const struct onnx_node *node, uint32_t index,
                      struct onnx_scope *scope);

/* ---- subgraphs ---- */

void onnx_expand_open(struct onnx_scope *scope, struct onnx_scope *around, const char *prefix);
void onnx_expand_close(struct onnx_scope *scope);
/* Says what a name stands for. */
void onnx_expand_name(struct onnx_scope *scope, const char *inner, const char *outer);
/* What a name stands for in the flat list. */
const char *onnx_expand_outer(struct onnx_infer *infer, const struct onnx_scope *scope, const char *name);
/* Counts one more copy of a node, with its long names and lists; false, and said, when a damaged file asks
 * for too many. */
bool onnx_expand_room(struct onnx_infer *infer, const struct onnx_node *node, uint32_t index,
                      const struct onnx_scope *scope);
/* All nodes of a graph. */
bool onnx_expand_graph(struct onnx_infer *infer, const struct onnx_graph *graph, uint32_t index,
                       struct onnx_scope *scope);
/* Declares the weights of a graph in a scope. */
void onnx_expand_weights(struct onnx_infer *infer, const struct onnx_graph *graph, struct onnx_scope *scope);
/* Takes the nodes from `count` on away again. */
void onnx_expand_undo(struct onnx_infer *infer, uint32_t count);

/* ---- making nodes ---- */

/* Attributes of the node that is made next. */
void onnx_expand_int(struct onnx_expand *expand, const char *name, int64_t number);
void onnx_expand_float(struct onnx_expand *expand, const char *name, double number);
void onnx_expand_text(struct onnx_expand *expand, const char *name, const char *text);
void onnx_expand_ints(struct onnx_expand *expand, const char *name, const int64_t *numbers, uint32_t count);
/* One of the node that is replaced, if it has it. */
void onnx_expand_copy(struct onnx_expand *expand, const char *name);

/* A node of the standard domain; inputs until NULL, "" for one that is left out. Returns the name of its
 * output;
 * "" after a failure, when nothing more is made. */
const char *onnx_expand_put(struct onnx_expand *expand, const char *kind, ...);
/* The same with the name of an output of the node that is replaced. */
const char *onnx_expand_give(struct onnx_expand *expand, uint32_t output, const char *kind, ...);
/* The same with any number of inputs, and `outputs` names. */
void onnx_expand_many(struct onnx_expand *expand, const char *kind, const char *const *inputs, uint32_t count,
                      const char **outputs, uint32_t output_count);

/* Constants: a list, one number without dimensions. */
const char *onnx_expand_list(struct onnx_expand *expand, const int64_t *numbers, uint32_t count);
const char *onnx_expand_whole(struct onnx_expand *expand, int64_t number);
const char *onnx_expand_real(struct onnx_expand *expand, double number);

/* The name of an input; "" when it is left out. */
const char *onnx_expand_in(const struct onnx_expand *expand, uint32_t input);
/* Whether an output is there. */
bool onnx_expand_wants(const struct onnx_expand *expand, uint32_t output);
/* ---- attention, of several forms ---- */

struct onnx_attention_parts {
    const char *q, *k, *v; /* [batch, heads, positions, size] */
    bool causal;
    bool joined;       /* the output is [batch, positions, heads · size] */
    bool present;      /* outputs 1 and 2 are the keys and values */
    const char *added; /* to the scores: a mask, or learned values; NULL: nothing */
};

/* An input that is added to the scores; NULL: there is none. */
const char *onnx_attention_added(const struct onnx_expand *expand, uint32_t input);

/* [batch, positions, heads · size] as [batch, heads, positions, size]; what has four dimensions stays. */
const char *onnx_attention_split(struct onnx_expand *expand, const char *x, int64_t heads);
/* What was kept of earlier positions, and the new ones. */
const char *onnx_attention_append(struct onnx_expand *expand, const char *past, const char *x);
/* Gives the outputs of the node that is replaced. */
void onnx_attention_give(struct onnx_expand *expand, const struct onnx_attention_parts *parts);

/* The shape of a value that is there; without dimensions if there is none. */
struct onnx_shape onnx_expand_shape(const struct onnx_expand *expand, const char *name);

#endif
