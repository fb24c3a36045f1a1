#include "study/spelling.h"

#include <string.h>

static const struct spelling {
    const char *key, *inner; /* `key: TEXT` is short for `key: {inner: TEXT}` */
    bool always;             /* nothing behind the reader knows the short form */
} spellings[] = {
    {"model", "name", true},
    {"trace", "path", true},
    {"batch", "global", false},
    {"precision", "activations", false},
};

static void spelling_write_out(struct input *input, struct value *document, const struct spelling *spelling)
{
    struct value *value = value_get(document, spelling->key);
    if (!value || value->kind != VALUE_SCALAR)
        return;
    struct value *inner = value_new_scalar(&input->arena, value->place, value->text, value->quoted);
    *value = *value_new(&input->arena, inner->place, VALUE_MAP);
    value_put(&input->arena, value, spelling->inner, inner->place, inner);
}

void spelling_read(struct input *input, struct value *document)
{
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++)
        if (spellings[i].always)
            spelling_write_out(input, document, &spellings[i]);
}

void spelling_set(struct input *input, struct value *document, const char *path)
{
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        size_t length = strlen(spellings[i].key);
        if (strncmp(path, spellings[i].key, length) == 0 && path[length] == '.')
            spelling_write_out(input, document, &spellings[i]);
    }
}
