/* Traces made by hand, for tests: nodes written field by field as the schema of Chakra says, in a folder of
 * their own. */
#ifndef PARTITA_TEST_TRACES_H
#define PARTITA_TEST_TRACES_H

#include "partita.h"

#include "trace/chakra.h"
#include "trace/wire.h"

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[] = "/tmp/partita-trace-XXXXXX";
static struct wire_buffer rank_file, node_message;
static char *printed, *complaints;

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static void empty_folder(void)
{
    DIR *open = opendir(folder);
    char path[512];
    for (struct dirent *entry; open && (entry = readdir(open));) {
        snprintf(path, sizeof path, "%s/%.200s", folder, entry->d_name);
        if (entry->d_name[0] != '.')
            unlink(path);
    }
    closedir(open);
}

static int remove_folder(void **state)
{
    (void)state;
    empty_folder();
    free(printed);
    free(complaints);
    VECTOR_FREE(&rank_file);
    VECTOR_FREE(&node_message);
    return rmdir(folder);
}

static inline void append(struct wire_buffer *to, const struct wire_buffer *from)
{
    wire_put_varint(to, from->count);
    for (uint32_t i = 0; i < from->count; i++)
        VECTOR_PUSH(to, from->at[i]);
}

static inline void end_node(void)
{
    if (node_message.count)
        append(&rank_file, &node_message);
    node_message.count = 0;
}

/* A rank's file begins with the metadata. */
static inline void begin_rank(void)
{
    rank_file.count = node_message.count = 0;
    struct wire_buffer metadata = {0};
    wire_put_bytes(&metadata, CHAKRA_VERSION, "0.0.4", 5);
    append(&rank_file, &metadata);
    VECTOR_FREE(&metadata);
}

static inline void begin_node(uint64_t id, enum trace_type type, const char *name)
{
    end_node();
    if (id)
        wire_put_integer(&node_message, CHAKRA_ID, id);
    wire_put_bytes(&node_message, CHAKRA_NAME, name, strlen(name));
    wire_put_integer(&node_message, CHAKRA_TYPE, type);
}

static inline void put_attribute(const char *name, const struct wire_buffer *value)
{
    struct wire_buffer message = {0};
    wire_put_bytes(&message, CHAKRA_ATTRIBUTE_NAME, name, strlen(name));
    for (uint32_t i = 0; i < value->count; i++)
        VECTOR_PUSH(&message, value->at[i]);
    wire_put_bytes(&node_message, CHAKRA_ATTRIBUTE, message.at, message.count);
    VECTOR_FREE(&message);
}

static inline void integer(const char *name, int64_t number)
{
    struct wire_buffer value = {0};
    wire_put_integer(&value, CHAKRA_INT64, (uint64_t)number);
    put_attribute(name, &value);
    VECTOR_FREE(&value);
}

static inline void text(const char *name, const char *string)
{
    struct wire_buffer value = {0};
    wire_put_bytes(&value, CHAKRA_STRING, string, strlen(string));
    put_attribute(name, &value);
    VECTOR_FREE(&value);
}

static inline void waits_for(uint64_t id)
{
    wire_put_integer(&node_message, CHAKRA_DATA_DEPENDENCIES, id);
}

static inline void compute(uint64_t id, const char *name, uint64_t microseconds)
{
    begin_node(id, TRACE_COMPUTE, name);
    wire_put_integer(&node_message, CHAKRA_DURATION, microseconds);
}

static inline void message(uint64_t id, const char *name, bool receives, int64_t peer, int64_t tag,
                           int64_t bytes)
{
    begin_node(id, receives ? TRACE_RECEIVE : TRACE_SEND, name);
    integer(receives ? "comm_src" : "comm_dst", peer);
    integer("comm_tag", tag);
    integer("comm_size", bytes);
}

static inline void collective(uint64_t id, const char *name, int64_t kind, int64_t bytes)
{
    begin_node(id, TRACE_COLLECTIVE, name);
    integer("comm_type", kind);
    integer("comm_size", bytes);
}

static inline void write_bytes(const char *name, const void *bytes, size_t count)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, count, file), count);
    fclose(file);
}

static inline void end_rank(uint32_t rank)
{
    char name[64];
    snprintf(name, sizeof name, "t.%u.et", rank);
    end_node();
    write_bytes(name, rank_file.at, rank_file.count);
}

/* Runs what is in the folder (or `path`) on a bare star, as JSON. */
static inline enum partita_status replay(const char *path, const char *topology, const char *const *sets,
                                         uint32_t count)
{
    size_t length[2];
    free(printed);
    free(complaints);
    FILE *out = open_memstream(&printed, &length[0]), *err = open_memstream(&complaints, &length[1]);
    struct partita_options options = {.workload = path ? path : folder,
                                      .topology = topology,
                                      .sets = sets,
                                      .set_count = count,
                                      .json = true};
    enum partita_status status = partita_run(&options, out, err);
    fclose(out);
    fclose(err);
    return status;
}

static inline double reported(const char *key)
{
    json_t *object = json_loads(printed, 0, NULL);
    assert_non_null(object);
    json_t *value = json_object_get(object, key);
    double number = json_number_value(value), sum = 0;
    const char *name;
    json_t *part;
    if (json_is_object(value)) {
        json_object_foreach(value, name, part) sum += json_number_value(part);
        number = sum;
    }
    json_decref(object);
    return number;
}

#endif
