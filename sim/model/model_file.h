/* Model_file: reads a model from a file of any form that is known: Partita's own notation, a config.json of
 * Hugging Face's library, or an .onnx file. `set`: the model's keys of a workload or the command line, or
 * NULL; those that a form has for itself are taken out of it (onnx.h). */
#ifndef PARTITA_MODEL_MODEL_FILE_H
#define PARTITA_MODEL_MODEL_FILE_H

#include "input/document.h"

/* The document of a file as it stands; of another form, translated (with `extends`, for people to read and
 * edit). NULL after reporting. */
struct value *model_file_translate(struct input *input, const char *path, struct value *set);

/* The same with everything in it that it extends, for build_model(). A file that is no model is returned as
 * it was read. */
struct value *model_file_load(struct input *input, const char *path, struct value *set);

/* Whether a file that was read is a model of any of these forms rather than a workload. */
bool model_file_is(const struct value *document);

#endif
