/* A folder and an arena for the tests that write databases; one per test. */
#ifndef PARTITA_TEST_DATABASE_H
#define PARTITA_TEST_DATABASE_H

#include "pipeline.h"

#include "record/reader.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

struct database {
    struct arena arena;
    char folder[64];
    const char *path; /* folder/run.db; not there yet */
    const char *error;
};

static inline int database_setup(void **state)
{
    struct database *database = calloc(1, sizeof *database);
    assert(database);
    arena_init(&database->arena);
    strcpy(database->folder, "/tmp/partita-test-XXXXXX");
    if (!mkdtemp(database->folder))
        return -1;
    database->path = arena_format(&database->arena, "%s/run.db", database->folder);
    database->error = "";
    *state = database;
    return 0;
}

static inline int database_teardown(void **state)
{
    struct database *database = *state;
    DIR *folder = opendir(database->folder);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        unlink(arena_format(&database->arena, "%s/%s", database->folder, entry->d_name));
    closedir(folder);
    rmdir(database->folder);
    arena_fini(&database->arena);
    free(database);
    return 0;
}

/* Records a pipeline of this shape; fails the test when that fails. */
static inline int64_t database_record(struct database *database, const struct pipeline_shape *shape,
                                      const char *name)
{
    struct pipeline pipeline;
    pipeline_init(&pipeline, shape);
    int64_t run = pipeline_record(&pipeline, database->path, name, &database->arena, &database->error);
    pipeline_fini(&pipeline);
    if (!run)
        fail_msg("%s", database->error);
    return run;
}

static inline struct reader *database_read(struct database *database)
{
    struct reader *reader = reader_open(database->path, &database->arena, &database->error);
    if (!reader)
        fail_msg("%s", database->error);
    return reader;
}

/* A file's text in the arena; NULL when it cannot be read. */
static inline char *database_file(struct database *database, const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    fseek(file, 0, SEEK_END);
    size_t size = (size_t)ftell(file);
    rewind(file);
    char *text = arena_alloc(&database->arena, size + 1);
    size = fread(text, 1, size, file);
    text[size] = '\0';
    fclose(file);
    return text;
}

#define DATABASE_TEST(name) cmocka_unit_test_setup_teardown(name, database_setup, database_teardown)

#endif
