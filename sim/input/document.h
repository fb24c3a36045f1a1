/* Document: one input file with everything that it includes, and the changes of the command line applied.
 *
 * `extends: NAME` at the top of a map file (device type, link type, topology, workload, model) loads that
 * file first and lays this one over it: maps merge key by key, everything else replaces. `include: [FILE, …]`
 * inside a map merges those files' keys under it, in order; a key of the including map wins. Files are looked
 * up in the including file's folder, the working directory, then the shipped folders, as named and then with
 * `.yaml`, `.yml` and `.json`; a file never finds itself. A cycle is an error. */
#ifndef PARTITA_INPUT_DOCUMENT_H
#define PARTITA_INPUT_DOCUMENT_H

#include "base/report.h"
#include "base/vector.h"
#include "input/value.h"

struct input {
    struct arena arena;    /* owns every value and text read */
    struct report report;  /* what was wrong */
    const char *data_root; /* folder that holds topologies/ and workloads/; NULL: none shipped */
};

void input_init(struct input *input, const char *data_root);
void input_fini(struct input *input);

/* Reads a file (JSON when it ends in .json, else YAML). NULL after reporting when it cannot be read, is not
 * well formed, has a duplicate key, an alias cycle, or nests deeper than 200. The root must be a map. */
struct value *document_load(struct input *input, const char *path);

/* The same from text; `name` is what messages call it. For tests, fuzzers and the database's stored input. */
struct value *document_parse(struct input *input, const char *name, const char *text, size_t length,
                             bool json);

/* The bytes of a file, unpacked if gzip has compressed it, with a NUL after them, in the input's arena. NULL
 * after reporting at `from`. For readers of other formats. */
char *document_bytes(struct input *input, const char *path, struct place from, size_t *length);

/* Finds the file that a reference names: relative to the folder of `from.file`, then `name` as a path, then
 * data_root/`folder`/name, each as named and with the known extensions; never `from.file` itself. Returns its
 * path in the arena; or reports at `from` what was not found, the nearest shipped name of that folder, and
 * returns NULL. */
const char *document_find(struct input *input, const char *folder, const char *name, struct place from);

/* The same without a message when there is none. */
const char *document_look(struct input *input, const char *folder, const char *name);

/* Names (without extension) of the files that data_root/`folder` ships, sorted; count through *count. */
const char *const *document_list(struct input *input, const char *folder, uint32_t *count);

/* What a document stands for that was made rather than read: with the file that its `extends` names under it.
 * NULL after reporting. */
struct value *document_complete(struct input *input, struct value *root);

/* Applies `key=value` of the command line: `path` is dotted (see value_at), `text` is read as YAML (so `yes`,
 * `3`, `[1, 2]`, `{a: 1}` and `54 Mbps` mean what they mean in a file). Missing maps on the way are made;
 * whether the key is known is found when the typed reader meets it, at the place "--set path". List indices
 * must exist. A key that has dots or brackets of its own is meant where such a key stands already. Returns
 * false after reporting. */
bool document_set(struct input *input, struct value *root, const char *path, const char *text);

/* The same where the user typed the path in another way: messages stand at "--set typed". */
bool document_set_as(struct input *input, struct value *root, const char *typed, const char *path,
                     const char *text);

#endif
