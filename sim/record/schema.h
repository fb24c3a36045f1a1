/* Schema: the tables and views of a results database (docs/database.md explains them). */
#ifndef PARTITA_RECORD_SCHEMA_H
#define PARTITA_RECORD_SCHEMA_H

#include <sqlite3.h>
#include <stdbool.h>

#include "base/arena.h"

/* SCHEMA_VERSION counts changes that an older reader would misread (PRAGMA user_version); SCHEMA_APPLICATION
 * marks the file as Partita's (PRAGMA application_id, "PRTA"); SCHEMA_BINS is how many equal bins of a step
 * link_use has. */
enum { SCHEMA_VERSION = 2, SCHEMA_APPLICATION = 0x50525441, SCHEMA_BINS = 200 };

/* Checks that an open database is one of this schema version. With `create`, an empty file gets the schema;
 * the caller is inside a write transaction then. False with a message that starts with `path`. */
bool schema_open(sqlite3 *db, const char *path, bool create, struct arena *arena, const char **error);

/* A message about a failed call: path, what was being done, SQLite's text and the system's where it has one.
 */
const char *schema_error(sqlite3 *db, const char *path, const char *doing, struct arena *arena);

#endif
