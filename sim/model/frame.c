/* Frame: the meaning of a full name is found through its interned identity, so that a look-up costs a hash
 * and a model of n layers is built in O(n). */
#include "model/frame.h"

#include "base/nearest.h"

#include <stdio.h>
#include <string.h>

static const struct named frame_nothing = {MODEL_NONE, MODEL_NONE};

static struct named frame_by_full_name(const struct builder *builder, const char *prefix, const char *name)
{
    char full[FRAME_NAME];
    int length = snprintf(full, sizeof full, "%s%s", prefix, name);
    if (length >= FRAME_NAME)
        return frame_nothing;
    uint32_t id = names_find(builder->model->names, full);
    return id < builder->named.count ? builder->named.at[id] : frame_nothing;
}

struct named frame_find(const struct builder *builder, const char *name)
{
    for (const struct frame *frame = builder->frame; frame; frame = frame->outer) {
        struct named found = frame_by_full_name(builder, frame->prefix, name);
        if (found.tensor != MODEL_NONE)
            return found;
        for (uint32_t i = 0; i < frame->input_count; i++)
            if (strcmp(frame->input_names[i], name) == 0 || (i == 0 && strcmp(name, "in") == 0))
                return (struct named){frame->inputs[i], MODEL_NONE};
    }
    return frame_nothing;
}

bool frame_unknown(struct builder *builder, struct place place, const char *key, const char *name)
{
    VECTOR(const char *) known = {0};
    const struct names *names = builder->model->names;
    for (const struct frame *frame = builder->frame; frame; frame = frame->outer) {
        size_t length = strlen(frame->prefix);
        for (uint32_t i = 0; i < frame->input_count; i++)
            VECTOR_PUSH(&known, frame->input_names[i]);
        for (uint32_t id = 0; id < builder->named.count; id++)
            if (builder->named.at[id].tensor != MODEL_NONE &&
                strncmp(names_text(names, id), frame->prefix, length) == 0)
                VECTOR_PUSH(&known, names_text(names, id) + length);
    }
    const char *near = nearest_name(name, known.at, known.count);
    VECTOR_FREE(&known);
    builder->failed = true;
    return report_error(&builder->input->report, place, "%s: there is no layer '%s' before this one%s%s%s",
                        key, name, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

bool frame_define(struct builder *builder, struct place place, const char *full_name, struct named named)
{
    uint32_t id = names_add(builder->model->names, full_name);
    while (builder->named.count <= id)
        VECTOR_PUSH(&builder->named, frame_nothing);
    if (builder->named.at[id].tensor != MODEL_NONE)
        return report_error(&builder->input->report, place, "there are two layers called '%s'", full_name);
    builder->named.at[id] = named;
    return true;
}
