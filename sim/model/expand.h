/* Expand: the items of a model file, one after another, into layers; blocks and repetitions unrolled. */
#ifndef PARTITA_MODEL_EXPAND_H
#define PARTITA_MODEL_EXPAND_H

#include "model/builder.h"
#include "model/frame.h"

/* A named list of layers that an item can use like a kind. */
struct block {
    const char *name;
    struct place place;
    const struct value *parameters, *inputs, *layers; /* `inputs`, `parameters`: or NULL */
    const char *result;                               /* the layer it gives, or NULL: the last */
    bool active;                                      /* being expanded: using it again would never end */
};

struct expand {
    struct builder builder;
    const struct scope *parameters; /* of the model */
    VECTOR(struct block) blocks;
    struct field **tables; /* per kind: its fields after those that every item has; made when first used */
    void *keys;            /* of any kind, under construction */
    uint32_t part;         /* interned; 0 outside of blocks */
    uint32_t depth;
    uint64_t items;      /* expanded so far */
    const char *file[2]; /* a file's name in the input's arena and its copy in the model's */
};

extern const char *const expand_item_keys[]; /* that mean the same for every item, and `i`; NULL-terminated */

/* Whether a text can be the name of a layer, block or parameter: letters, digits, '_', '-'. Reports. */
bool expand_check_name(struct input *input, const struct value *name, const char *what);

/* Expands the items of a frame. Returns false after the first item with an error: what follows would only
 * repeat it. */
bool expand_items(struct expand *expand, struct frame *frame, const struct value *items);

#endif
