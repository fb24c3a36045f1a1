#include "trace/chakra.h"
#include "trace/wire.h"

#include <math.h>
#include <string.h>

/* A message and one inside it, reused. */
struct chakra_writer {
    const struct trace *trace;
    struct wire_buffer node, attribute;
};

static void writer_attribute(struct chakra_writer *writer, const char *name)
{
    writer->attribute.count = 0;
    wire_put_bytes(&writer->attribute, CHAKRA_ATTRIBUTE_NAME, name, strlen(name));
}

static void writer_end(struct chakra_writer *writer)
{
    wire_put_bytes(&writer->node, CHAKRA_ATTRIBUTE, writer->attribute.at, writer->attribute.count);
}

static void writer_integer(struct chakra_writer *writer, const char *name, uint32_t field, int64_t value)
{
    writer_attribute(writer, name);
    wire_put_integer(&writer->attribute, field, (uint64_t)value);
    writer_end(writer);
}

static void writer_number(struct chakra_writer *writer, const char *name, double value)
{
    writer_attribute(writer, name);
    wire_put_double(&writer->attribute, CHAKRA_DOUBLE, value);
    writer_end(writer);
}

static void writer_text(struct chakra_writer *writer, const char *name, uint32_t text)
{
    const char *string = names_text(writer->trace->names, text);
    writer_attribute(writer, name);
    wire_put_bytes(&writer->attribute, CHAKRA_STRING, string, strlen(string));
    writer_end(writer);
}

/* A number that others read as a whole one, and if it is none, the number itself for Partita. */
static void writer_whole(struct chakra_writer *writer, const char *name, uint32_t field, const char *exact,
                         double value)
{
    enum { WHOLE_BITS = 53 }; /* beyond, doubles are whole, but integers may not hold them */
    double rounded = fmin(floor(value + 0.5), ldexp(1, WHOLE_BITS));
    writer_integer(writer, name, field, (int64_t)rounded);
    if (rounded != value)
        writer_number(writer, exact, value);
}

static void writer_compute(struct chakra_writer *writer, const struct trace_node *node)
{
    writer_whole(writer, "num_ops", CHAKRA_INT64, "partita_flops", node->flops);
    writer_whole(writer, "tensor_size", CHAKRA_UINT64, "partita_memory_bytes", node->bytes);
    if (!isnan(node->model_flops) && node->model_flops != node->flops)
        writer_number(writer, "partita_model_flops", node->model_flops);
}

static void writer_shares(struct chakra_writer *writer, const double *shares, uint32_t count)
{
    struct wire_buffer list = {0};
    for (uint32_t i = 0; i < count; i++)
        wire_put_double(&list, 1, shares[i]);
    writer_attribute(writer, "partita_shares");
    wire_put_bytes(&writer->attribute, CHAKRA_DOUBLES, list.at, list.count);
    writer_end(writer);
    VECTOR_FREE(&list);
}

/* As many flags as ASTRA-sim takes for granted, or up to the last that is false. */
static void writer_dimensions(struct chakra_writer *writer, uint32_t without)
{
    enum { DIMENSIONS = 4 };
    struct wire_buffer list = {0};
    for (uint32_t d = 0; d < 32 && (d < DIMENSIONS || without >> d); d++)
        wire_put_integer(&list, 1, !(without >> d & 1));
    writer_attribute(writer, "involved_dim");
    wire_put_bytes(&writer->attribute, CHAKRA_BOOLS, list.at, list.count);
    writer_end(writer);
    VECTOR_FREE(&list);
}

static void writer_communication(struct chakra_writer *writer, const struct trace_rank *rank,
                                 const struct trace_node *node)
{
    if (!isnan(node->size))
        writer_whole(writer, "comm_size", CHAKRA_INT64, "partita_bytes", node->size);
    writer_integer(writer, "comm_tag", CHAKRA_INT32, node->tag);
    if (node->label)
        writer_text(writer, "partita_group", node->label);
    if (node->type == TRACE_COLLECTIVE) {
        writer_integer(writer, "comm_type", CHAKRA_INT64, node->kind);
        if (node->pg)
            writer_text(writer, "pg_name", node->pg);
        if (node->without)
            writer_dimensions(writer, node->without);
        if (node->share_count)
            writer_shares(writer, rank->shares.at + node->first_share, node->share_count);
        return;
    }
    if (node->source >= 0)
        writer_integer(writer, "comm_src", CHAKRA_INT32, node->source);
    if (node->target >= 0)
        writer_integer(writer, "comm_dst", CHAKRA_INT32, node->target);
    if (node->rendezvous)
        writer_integer(writer, "partita_rendezvous", CHAKRA_BOOL, 1);
}

static void writer_dependencies(struct chakra_writer *writer, const struct trace_rank *rank,
                                const struct trace_node *node)
{
    uint32_t data = node->dependency_count - node->control_count;
    for (uint32_t i = 0; i < node->dependency_count; i++)
        wire_put_integer(&writer->node, i < data ? CHAKRA_DATA_DEPENDENCIES : CHAKRA_CONTROL_DEPENDENCIES,
                         rank->ids.at[node->first_dependency + i]);
}

/* Chakra's times are whole microseconds; what they lose is an attribute. */
static void writer_times(struct chakra_writer *writer, const struct trace_node *node)
{
    double seconds = isnan(node->seconds) ? node->duration : node->seconds;
    uint64_t start = (uint64_t)(node->start * 1e6 + 0.5);
    if (start)
        wire_put_integer(&writer->node, CHAKRA_START, start);
    if (node->type == TRACE_COMPUTE || seconds > 0)
        wire_put_integer(&writer->node, CHAKRA_DURATION, (uint64_t)(seconds * 1e6 + 0.5));
    if ((double)start * 1e-6 != node->start)
        writer_number(writer, "partita_start", node->start);
    if (!isnan(node->seconds))
        writer_number(writer, "partita_seconds", node->seconds);
}

static void writer_node(struct chakra_writer *writer, const struct trace_rank *rank,
                        const struct trace_node *node)
{
    const char *name = names_text(writer->trace->names, node->name);
    bool moves = node->type == TRACE_LOAD || node->type == TRACE_STORE;
    writer->node.count = 0;
    if (node->id)
        wire_put_integer(&writer->node, CHAKRA_ID, node->id);
    wire_put_bytes(&writer->node, CHAKRA_NAME, name, strlen(name));
    wire_put_integer(&writer->node, CHAKRA_TYPE, node->type);
    writer_dependencies(writer, rank, node);
    writer_times(writer, node);
    writer_integer(writer, "is_cpu_op", CHAKRA_BOOL, node->host);
    if (node->type == TRACE_COMPUTE || moves)
        writer_compute(writer, node);
    else if (node->type != TRACE_METADATA && node->type != TRACE_INVALID)
        writer_communication(writer, rank, node);
    if (node->allocates != 0)
        writer_number(writer, "partita_allocates", node->allocates);
    if (node->frees != 0)
        writer_number(writer, "partita_frees", node->frees);
    if (node->fixed)
        writer_integer(writer, "partita_fixed", CHAKRA_BOOL, 1);
    if (node->stream)
        writer_text(writer, "partita_stream", node->stream);
    if (node->pass >= 0)
        writer_integer(writer, "partita_pass", CHAKRA_INT64, node->pass);
    writer_integer(writer, "partita_micro_batch", CHAKRA_INT64, node->micro_batch);
    writer_integer(writer, "partita_step", CHAKRA_INT64, node->step);
}

/* The message after its length. */
static bool writer_flush(struct chakra_writer *writer, FILE *out)
{
    writer->attribute.count = 0;
    wire_put_varint(&writer->attribute, writer->node.count);
    return fwrite(writer->attribute.at, 1, writer->attribute.count, out) == writer->attribute.count &&
           fwrite(writer->node.at, 1, writer->node.count, out) == writer->node.count;
}

bool chakra_write(const struct trace *trace, const struct trace_rank *rank, const char *version, FILE *out)
{
    struct chakra_writer writer = {.trace = trace};
    wire_put_bytes(&writer.node, CHAKRA_VERSION, version, strlen(version));
    /* The attributes of the metadata have a number of their own. */
    const char *device = names_text(trace->names, rank->device);
    writer_attribute(&writer, "partita_device");
    wire_put_bytes(&writer.attribute, CHAKRA_STRING, device, strlen(device));
    wire_put_bytes(&writer.node, CHAKRA_METADATA_ATTRIBUTE, writer.attribute.at, writer.attribute.count);
    bool good = writer_flush(&writer, out);
    for (uint32_t i = 0; i < rank->nodes.count && good; i++) {
        writer_node(&writer, rank, &rank->nodes.at[i]);
        good = writer_flush(&writer, out);
    }
    VECTOR_FREE(&writer.node);
    VECTOR_FREE(&writer.attribute);
    return good;
}
