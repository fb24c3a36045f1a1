/* Import: topologies in the formats of other tools. An importer turns a file into a topology document, the
 * same as if someone had written the YAML (docs/topologies.md), which topology_read() then reads; so
 * parameters, --set, overrides and `partita convert` work on an import too. What a file says that a topology
 * cannot is reported as a warning, once per kind. */
#ifndef PARTITA_PLATFORM_IMPORT_H
#define PARTITA_PLATFORM_IMPORT_H

#include "input/document.h"

struct importer {
    const char *name, *about;

    /* Exactly one of the two. A format that is YAML looks at the document that was read; another claims a
     * file by its name. */
    bool (*is_document)(const struct value *document);
    bool (*is_file)(const char *path);

    /* The topology document, or NULL after reporting. `set`: the values given for its parameters, or NULL. */
    struct value *(*convert)(struct input *input, const struct value *document, const struct value *set);
    struct value *(*read)(struct input *input, const char *path, const char *text, size_t length,
                          const struct value *set);
};

extern const struct importer import_simgrid, import_nvidia, import_astra;
extern const struct importer *const import_formats[]; /* NULL-terminated */

/* The format of a file that was found; NULL for Partita's own. `document`: what the file reads as, if it is
 * YAML or JSON. */
const struct importer *import_format(const char *path, const struct value *document);

/* Reads a topology file of any format into a topology document. NULL after reporting. */
struct value *import_load(struct input *input, const char *path, const struct value *set);

/* For importers: appends keys to maps, a new map or a text. Texts are copied; `format` is as for printf. All
 * at `place`. */
struct value *import_map(struct input *input, struct value *map, const char *key, struct place place);
void import_text(struct input *input, struct value *map, const char *key, struct place place,
                 const char *format, ...) __attribute__((format(printf, 5, 6)));
/* The same in quotes, for texts with brackets. */
void import_quoted(struct input *input, struct value *map, const char *key, struct place place,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));

/* A number with its unit that reads back to the same bits: "125 MB/s", "50 us". In the input's arena. */
const char *import_bandwidth(struct input *input, double bytes_per_second);
const char *import_seconds(struct input *input, double seconds);
const char *import_flops(struct input *input, double flops);

/* A text as a name for devices, switches and links: other characters become '_', a first one that is no
 * letter gets `prefix` before it; shortened to 60 characters. */
char *import_name(struct input *input, const char *prefix, const char *text);

#endif
