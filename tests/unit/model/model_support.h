/* Helpers of the model tests: a model built from text or from a shipped file, with everything it needs. */
#ifndef PARTITA_TESTS_MODEL_SUPPORT_H
#define PARTITA_TESTS_MODEL_SUPPORT_H

#include "model/build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct built {
    struct input input;
    struct names names;
    struct model model;
    bool well;
};

static inline void built_init(struct built *built)
{
    input_init(&built->input, PARTITA_SOURCE);
    names_init(&built->names);
    model_init(&built->model, &built->names);
    built->well = false;
}

static inline void built_fini(struct built *built)
{
    model_fini(&built->model);
    names_fini(&built->names);
    input_fini(&built->input);
}

static inline struct value *built_parse(struct built *built, const char *name, const char *text)
{
    return document_parse(&built->input, name, text, strlen(text), false);
}

/* Builds from the text of a model file called "model". `set`: text of a map, or NULL. */
static inline void built_from_text(struct built *built, const char *text, const char *set, uint64_t batch)
{
    built_init(built);
    struct value *document = built_parse(built, "model", text);
    struct value *values = set ? built_parse(built, "set", set) : NULL;
    built->well = document && build_model(&built->input, document, values, batch, &built->model);
}

/* Builds workloads/models/NAME.yaml. */
static inline void built_from_shipped(struct built *built, const char *name, const char *set, uint64_t batch)
{
    built_init(built);
    const char *path = document_find(&built->input, "workloads/models", name, (struct place){0});
    struct value *document = path ? document_load(&built->input, path) : NULL;
    struct value *values = set ? built_parse(built, "set", set) : NULL;
    built->well = document && build_model(&built->input, document, values, batch, &built->model);
}

/* Fails the test with the reported messages unless the model was built. */
static inline void built_want(const struct built *built)
{
    if (!built->well)
        report_print(&built->input.report, stderr);
    assert_true(built->well);
}

static inline uint32_t built_layer(const struct built *built, const char *name)
{
    uint32_t layer = model_find_layer(&built->model, name);
    if (layer == MODEL_NONE)
        fail_msg("no layer '%s'", name);
    return layer;
}

/* An operator of a layer by its name inside the layer; NULL when there is none. */
static inline const struct layer_op *built_operator(const struct built *built, const char *layer_name,
                                                    const char *operator_name)
{
    const struct layer *layer = &built->model.layers.at[built_layer(built, layer_name)];
    for (uint32_t i = 0; i < layer->operator_count; i++) {
        const struct layer_op *op = &built->model.operators.at[layer->first_operator + i];
        if (strcmp(names_text(&built->names, op->name), operator_name) == 0)
            return op;
    }
    return NULL;
}

/* "b 2, c 64, y 8, x 8" */
static inline const char *built_shape(const struct built *built, uint32_t tensor)
{
    static char text[512];
    const struct tensor *at = &built->model.tensors.at[tensor];
    size_t length = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < at->rank; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%s %llu", i ? ", " : "",
                                   names_text(&built->names, at->dims[i].label),
                                   (unsigned long long)at->dims[i].size);
    return text;
}

static inline const char *built_output_shape(const struct built *built, const char *layer)
{
    return built_shape(built, built->model.layers.at[built_layer(built, layer)].output);
}

#endif
