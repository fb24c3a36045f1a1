/* Build: reads workloads/models/NAME.yaml (or any importer's document) into a model; docs/models.md describes
 * the notation. */
#ifndef PARTITA_MODEL_BUILD_H
#define PARTITA_MODEL_BUILD_H

#include "input/fields.h"
#include "model/model.h"

/* One layer kind: its keys and how it becomes operators. The notation, `partita list layers` and the manual
 * come from this table. */
struct builder;
struct layer_kind {
    const char *name;
    const char *about;
    const struct field *fields;
    uint32_t field_count;
    bool (*build)(struct builder *builder, const void *keys); /* keys: the struct that `fields` filled */
    uint32_t keys_size;
    const void *defaults; /* of keys_size bytes, or NULL: zeros */
};
extern const struct layer_kind *const build_kinds[]; /* NULL-terminated */

/* Builds the model of a document for `batch` samples. `set`: a map of parameter values that override the
 * declared defaults (sequence, layers …) and `attention: full|causal`; or NULL. Reports and returns false on
 * bad input. */
bool build_model(struct input *input, const struct value *document, const struct value *set, uint64_t batch,
                 struct model *model);

#endif
