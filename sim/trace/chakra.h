/* Chakra: execution traces of MLCommons, one file per rank: a sequence of messages of Protocol Buffers, each
 * after its length as a varint. The first is GlobalMetadata, the others are nodes in any order
 * (github.com/mlcommons/chakra, schema/protobuf/et_def.proto). The numbers here are that schema's. */
#ifndef PARTITA_TRACE_CHAKRA_H
#define PARTITA_TRACE_CHAKRA_H

#include "input/document.h"
#include "trace/trace.h"

#include <stddef.h>

enum { CHAKRA_VERSION = 1, CHAKRA_METADATA_ATTRIBUTE = 2 };
enum chakra_node_field {
    CHAKRA_ID = 1,
    CHAKRA_NAME,
    CHAKRA_TYPE,
    CHAKRA_CONTROL_DEPENDENCIES,
    CHAKRA_DATA_DEPENDENCIES,
    CHAKRA_START,
    CHAKRA_DURATION,
    CHAKRA_INPUTS,
    CHAKRA_OUTPUTS,
    CHAKRA_ATTRIBUTE
};
enum { CHAKRA_VALUES = 1 };                                 /* of inputs and outputs */
enum { CHAKRA_ATTRIBUTE_NAME = 1, CHAKRA_ATTRIBUTE_ABOUT }; /* of an attribute; from 3 on its value: */
enum { CHAKRA_DOUBLE = 3, CHAKRA_DOUBLES = 4, CHAKRA_INT32 = 7, CHAKRA_INT64 = 9, CHAKRA_UINT64 = 13 };
enum { CHAKRA_BOOL = 27, CHAKRA_BOOLS = 28, CHAKRA_STRING = 29 };

/* What an attribute sets; of a list of flags, which ones are false. */
enum chakra_kind { CHAKRA_NUMBER, CHAKRA_INTEGER, CHAKRA_FLAG, CHAKRA_TEXT, CHAKRA_SHARES, CHAKRA_FALSE };

/* Every attribute of a node that is read and written. */
struct chakra_attribute {
    const char *name;
    enum chakra_kind kind;
    size_t offset;     /* in struct trace_node: a double, int64_t, bool, name, two uint32_t, uint32_t */
    int64_t low, high; /* of an integer */
};
extern const struct chakra_attribute chakra_attributes[];
extern const uint32_t chakra_attribute_count;

/* Reads the trace of one rank from bytes; `path` is what messages call it. `rank` is empty. False after
 * reporting. */
bool chakra_read(struct input *input, struct trace *trace, struct trace_rank *rank, const void *bytes,
                 size_t length);

/* Writes the trace of one rank to a file's stream; false when that fails. */
bool chakra_write(const struct trace *trace, const struct trace_rank *rank, const char *version, FILE *out);

#endif
