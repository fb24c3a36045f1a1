/* Trace_file: names of files, taken apart. */
#ifndef PARTITA_TRACE_TRACE_FILE_H
#define PARTITA_TRACE_TRACE_FILE_H

#include "base/arena.h"

#include <stdbool.h>

/* "a/b/" of "a/b/c", "./" of "c"; in the arena. */
const char *trace_file_folder(const char *path, struct arena *arena);
/* "c" of "a/b/c". */
const char *trace_file_base(const char *path);
bool trace_file_is_folder(const char *path);
bool trace_file_ends(const char *name, const char *ending);

#endif
