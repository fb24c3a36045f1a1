#include "model/model_file.h"

#include "model/hf.h"
#include "model/onnx.h"
#include "model/onnx_file.h"

struct value *model_file_translate(struct input *input, const char *path, struct value *set)
{
    if (onnx_file_is(path))
        return onnx_read(input, path, set);
    struct value *document = document_load(input, path);
    return hf_is(document) ? hf_read(input, document) : document;
}

bool model_file_is(const struct value *document)
{
    return hf_is(document) || (value_get(document, "layers") && !value_get(document, "model"));
}

struct value *model_file_load(struct input *input, const char *path, struct value *set)
{
    struct value *document = model_file_translate(input, path, set);
    return document && value_get(document, "extends") ? document_complete(input, document) : document;
}
