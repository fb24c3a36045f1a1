#include "trace/kineto_event.h"
#include "trace/kineto_host.h"

#include <math.h>
#include <string.h>

struct kineto_reader {
    struct json_stream *stream;
    struct kineto *kineto;
    struct names *names;
    struct kineto_event event;
};

/* Where a profile comes from: a file, or bytes in memory. */
struct kineto_source {
    struct input *input;
    struct names *names;
    const char *path;
    struct place from;
    const void *bytes; /* NULL: the file */
    size_t length;
};

/* Reports at the end of the event; returns false. */
static bool read_error(struct kineto_reader *reader, const char *what)
{
    const char *name = reader->event.name.at;
    return json_stream_error(reader->stream, arena_format(&reader->stream->input->arena, "'%.100s': %s",
                                                          *name ? name : reader->event.category, what));
}

static bool read_span(struct kineto_reader *reader, int64_t *start, int64_t *end)
{
    const struct kineto_event *event = &reader->event;
    if (event->ts == INT64_MIN || event->dur == INT64_MIN)
        return read_error(reader,
                          event->ts == INT64_MIN ? "this event has no 'ts'" : "this event has no 'dur'");
    *start = event->ts;
    *end = event->ts + (event->dur > 0 ? event->dur : 0); /* of unfinished events it may be below 0 */
    return true;
}

/* The collectives of torch.distributed by a part of their names, the more special ones first
 * (torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp), as Chakra numbers them. */
static const struct {
    const char *part;
    int64_t kind;
} read_collectives[] = {{"reduce_scatter", 7}, {"reducescatter", 7}, {"all_reduce", 0}, {"allreduce", 0},
                        {"all_gather", 2},     {"allgather", 2},     {"all_to_all", 6}, {"alltoall", 6},
                        {"broadcast", 5},      {"barrier", 9},       {"reduce", 1},     {"gather", 3},
                        {"scatter", 4}};

/* Ranks of older versions: a first one, a step, and how many. They are a list that is cut off. */
static void read_strided(struct kineto *kineto, const struct kineto_event *event,
                         struct kineto_communication *made)
{
    const int64_t highest = INT32_MAX;
    if (made->rank_count || event->group_size < 1 || event->rank_start < 0 || event->rank_start > highest ||
        event->rank_stride < 1 || event->rank_stride > highest)
        return;
    made->first_rank = kineto->numbers.count;
    made->rank_count = event->group_size > 1 ? 2 : 1;
    made->cut = event->group_size > 2;
    for (uint32_t i = 0; i < made->rank_count; i++)
        VECTOR_PUSH(&kineto->numbers, event->rank_start + i * event->rank_stride);
}

/* Whether a name is one of a library of collectives: of NVIDIA's, AMD's or Microsoft's. */
static bool read_is_nccl(const char *name)
{
    static const char *const parts[] = {"nccl", "rccl", "msccl"};
    bool is = false;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        is = is || strstr(name, parts[i]);
    return is;
}

/* What an event says on a communication, appended; TRACE_NONE when it is too little. */
static uint32_t read_communication(struct kineto_reader *reader)
{
    const struct kineto_event *event = &reader->event;
    const char *name = event->collective.at;
    struct kineto_communication made = {.kind = KINETO_NONE,
                                        .group_size = event->group_size,
                                        .sequence = event->sequence,
                                        .source = event->source,
                                        .target = event->target,
                                        .first_rank = event->first_rank,
                                        .rank_count = event->rank_count,
                                        .first_split = event->first_split,
                                        .split_count = event->split_count,
                                        .cut = event->cut};
    bool send = strcmp(name, "send") == 0, receive = strcmp(name, "recv") == 0;
    for (size_t i = 0; i < sizeof read_collectives / sizeof read_collectives[0] && made.kind < 0; i++)
        if (strstr(name, read_collectives[i].part))
            made.kind = read_collectives[i].kind;
    double element = kineto_event_element(event->dtype.at);
    bool sized = (event->in >= 0 && element > 0) || made.kind == 9;
    if (!sized || (made.kind < 0 && !(send && made.target >= 0) && !(receive && made.source >= 0)))
        return TRACE_NONE;
    read_strided(reader->kineto, event, &made);
    made.size = made.kind == 9 ? 0 : (double)event->in * element;
    made.name = names_add(reader->names, name);
    made.group = *event->group.at ? names_add(reader->names, event->group.at) : 0;
    made.description = *event->description.at ? names_add(reader->names, event->description.at) : 0;
    VECTOR_PUSH(&reader->kineto->communications, made);
    return reader->kineto->communications.count - 1;
}

static bool read_task(struct kineto_reader *reader, enum kineto_kind kind)
{
    const struct kineto_event *event = &reader->event;
    int64_t device = event->device >= 0 ? event->device : event->pid;
    int64_t stream = event->stream >= 0 ? event->stream : event->tid;
    if (stream < 0 || stream > INT32_MAX || device > INT32_MAX)
        return read_error(reader, "it does not say on which stream it ran");
    struct kineto_task task = {.stream = (device > 0 ? device << 32 : 0) + stream,
                               .correlation = event->correlation,
                               .external = event->external,
                               .bytes = event->bytes > 0 ? (double)event->bytes : 0,
                               .flops = event->flops > 0 ? event->flops : 0,
                               .name = names_add(reader->names, event->name.at),
                               .communication = TRACE_NONE,
                               .kind = kind};
    if (event->gigabytes > 0)
        task.bytes = 1e9 * event->gigabytes;
    if (kind == KINETO_KERNEL) {
        task.nccl = read_is_nccl(event->name.at) || *event->collective.at;
        task.communication = task.nccl ? read_communication(reader) : TRACE_NONE;
    }
    if (!read_span(reader, &task.start, &task.end))
        return false;
    VECTOR_PUSH(&reader->kineto->tasks, task);
    return true;
}

static bool read_kernel(struct kineto_reader *reader, bool *kept)
{
    *kept = true;
    return read_task(reader, KINETO_KERNEL);
}

static bool read_copy(struct kineto_reader *reader, bool *kept)
{
    *kept = true;
    return read_task(reader, KINETO_COPY);
}

static bool read_set(struct kineto_reader *reader, bool *kept)
{
    *kept = true;
    return read_task(reader, KINETO_SET);
}

/* Calls by a part of their names, which CUDA and HIP have in common. */
static const struct {
    const char *part;
    enum kineto_call_kind kind;
} read_calls[] = {{"EventRecord", KINETO_RECORD},
                  {"StreamWaitEvent", KINETO_WAIT},
                  {"DeviceSynchronize", KINETO_FINISH},
                  {"CtxSynchronize", KINETO_FINISH},
                  {"Synchronize", KINETO_SYNCHRONIZE},
                  {"Launch", KINETO_LAUNCH},
                  {"Memcpy", KINETO_LAUNCH},
                  {"Memset", KINETO_LAUNCH}};

static bool read_call(struct kineto_reader *reader, bool *kept)
{
    for (size_t i = 0; i < sizeof read_calls / sizeof read_calls[0]; i++) {
        if (!strstr(reader->event.name.at, read_calls[i].part))
            continue;
        struct kineto_call call = {.correlation = reader->event.correlation, .kind = read_calls[i].kind};
        *kept = true;
        if (!read_span(reader, &call.start, &call.end))
            return false;
        VECTOR_PUSH(&reader->kineto->calls, call);
        return true;
    }
    return true;
}

static bool read_wait(struct kineto_reader *reader, bool *kept)
{
    const struct kineto_event *event = &reader->event;
    bool stream = strcmp(event->sync_kind.at, "Stream Wait Event") == 0;
    int64_t device = event->device > 0 ? event->device << 32 : 0;
    int64_t of = event->stream == UINT32_MAX ? KINETO_NONE : event->stream; /* −1 in older versions */
    if (event->correlation < 0 || of > INT32_MAX || event->wait_stream > INT32_MAX ||
        (stream && (of < 0 || event->wait_stream < 0)))
        return true; /* of an event that was recorded before the profile began */
    *kept = true;
    VECTOR_PUSH(
        &reader->kineto->waits,
        ((struct kineto_wait){.correlation = event->correlation,
                              .stream = of < 0 ? KINETO_NONE : device + of,
                              .on = event->wait_stream < 0 ? KINETO_NONE : device + event->wait_stream,
                              .record = event->wait_record,
                              .host = !stream}));
    return true;
}

/* Operands of a product of matrices: [.., m, k] and [.., k, n] at these places. */
static const struct {
    const char *name;
    uint8_t left, right;
} read_products[] = {{"aten::mm", 0, 1}, {"aten::addmm", 1, 2}, {"aten::bmm", 0, 1}, {"aten::baddbmm", 1, 2}};

/* FLOPs and bytes of a product, from the shapes of its operands: every operand and the result once. */
static void read_product(const struct kineto_event *event, struct kineto_operator *layer_op)
{
    for (size_t i = 0; i < sizeof read_products / sizeof read_products[0]; i++) {
        if (strcmp(event->name.at, read_products[i].name) != 0)
            continue;
        const int64_t *left = event->shapes[read_products[i].left],
                      *right = event->shapes[read_products[i].right];
        uint32_t rank = event->dimensions[read_products[i].left];
        if (rank < 2 || rank > 3 || event->dimensions[read_products[i].right] != rank ||
            left[rank - 1] != right[rank - 2])
            return;
        double batch = rank == 3 ? (double)left[0] : 1, m = (double)left[rank - 2],
               k = (double)left[rank - 1], n = (double)right[rank - 1];
        layer_op->flops = 2 * batch * m * n * k;
        layer_op->bytes = event->element * batch * (m * k + k * n + m * n);
    }
}

/* Of a profile without a GPU: a task of its thread. */
static bool read_host_operator(struct kineto_reader *reader, const struct kineto_operator *layer_op)
{
    static const char *const communications[] = {"c10d::", "gloo:", "nccl:", "mpi:"};
    const struct kineto_event *event = &reader->event;
    struct kineto_task task = {.stream = event->tid & INT32_MAX,
                               .correlation = KINETO_NONE,
                               .external = KINETO_NONE,
                               .bytes = layer_op->bytes,
                               .flops = layer_op->flops,
                               .name = names_add(reader->names, event->name.at),
                               .communication = TRACE_NONE,
                               .kind = KINETO_OPERATOR};
    for (size_t i = 0; i < sizeof communications / sizeof communications[0]; i++)
        task.nccl = task.nccl || strncmp(event->name.at, communications[i], strlen(communications[i])) == 0;
    if (!read_span(reader, &task.start, &task.end))
        return false;
    VECTOR_PUSH(&reader->kineto->tasks, task);
    return true;
}

static bool read_operator(struct kineto_reader *reader, bool *kept)
{
    const struct kineto_event *event = &reader->event;
    struct kineto_operator made = {.external = event->external, .communication = TRACE_NONE};
    read_product(event, &made);
    if (event->flops > 0)
        made.flops = event->flops;
    if (event->gigabytes > 0)
        made.bytes = 1e9 * event->gigabytes;
    if ((*kept = reader->kineto->host))
        return read_host_operator(reader, &made);
    if (event->external < 0)
        return true;
    if (*event->collective.at)
        made.communication = read_communication(reader);
    *kept = made.flops > 0 || made.bytes > 0 || made.communication != TRACE_NONE;
    if (*kept)
        VECTOR_PUSH(&reader->kineto->operators, made);
    return true;
}

static bool read_annotation(struct kineto_reader *reader, bool *kept)
{
    struct kineto_step step;
    if (strncmp(reader->event.name.at, "ProfilerStep#", 13) != 0)
        return true;
    *kept = true;
    if (!read_span(reader, &step.start, &step.end))
        return false;
    VECTOR_PUSH(&reader->kineto->steps, step);
    return true;
}

/* By their names now and in older versions (libkineto/src/ActivityType.cpp). */
static const struct {
    const char *name;
    bool (*keep)(struct kineto_reader *reader, bool *kept);
} read_categories[] = {
    {"kernel", read_kernel},
    {"Kernel", read_kernel},
    {"gpu_memcpy", read_copy},
    {"Memcpy", read_copy},
    {"gpu_memset", read_set},
    {"Memset", read_set},
    {"cuda_runtime", read_call},
    {"cuda_driver", read_call},
    {"Runtime", read_call},
    {"xpu_runtime", read_call},
    {"privateuse1_runtime", read_call},
    {"privateuse1_driver", read_call},
    {"cuda_sync", read_wait},
    {"cpu_op", read_operator},
    {"Operator", read_operator},
    {"operator", read_operator},
    {"user_annotation", read_annotation},
};

/* An arrow's end that follows a kernel which does not say by which call it was launched: the arrow's number
 * is that of the call (libkineto/src/output_json.cpp, RoctracerActivity_inl.h). */
static bool read_arrow(struct kineto_reader *reader)
{
    const struct kineto_event *event = &reader->event;
    struct kineto *kineto = reader->kineto;
    struct kineto_task *task = kineto->tasks.count ? &kineto->tasks.at[kineto->tasks.count - 1] : NULL;
    if (event->phase != 'f' || !task || task->correlation >= 0 || task->start != event->ts ||
        strcmp(event->category, "ac2g") != 0)
        return false;
    task->correlation = event->id;
    return true;
}

static bool read_event(struct kineto_reader *reader)
{
    const struct kineto_event *event = &reader->event;
    struct kineto *kineto = reader->kineto;
    uint32_t numbers = kineto->numbers.count;
    if (!kineto_event_read(reader->stream, kineto, &reader->event))
        return false;
    bool kept = read_arrow(reader);
    for (size_t i = 0; event->phase == 'X' && i < sizeof read_categories / sizeof read_categories[0]; i++)
        if (strcmp(event->category, read_categories[i].name) == 0 && !read_categories[i].keep(reader, &kept))
            return false;
    if (!kept) {
        kineto->numbers.count = numbers;
        if (event->category[0])
            kineto_count(&kineto->unused, names_add(reader->names, event->category), 1);
    }
    return true;
}

static bool read_events(struct kineto_reader *reader)
{
    enum json_stream_token token = json_stream_next(reader->stream);
    if (token != JSON_STREAM_LIST)
        return json_stream_error(reader->stream, "expected a list of events in 'traceEvents'");
    while ((token = json_stream_next(reader->stream)) == JSON_STREAM_MAP)
        if (!read_event(reader))
            return false;
    if (token == JSON_STREAM_LIST_END || token == JSON_STREAM_WRONG)
        return token == JSON_STREAM_LIST_END;
    return json_stream_error(reader->stream, "expected an event, which is a map");
}

/* {"pg_name": "0", "ranks": [0, 1], …} */
static bool read_group(struct kineto_reader *reader)
{
    struct json_stream *stream = reader->stream;
    struct kineto_group group = {0};
    enum json_stream_token token;
    bool cut = false;
    while ((token = json_stream_next(stream)) == JSON_STREAM_KEY) {
        bool name = strcmp(stream->text.at, "pg_name") == 0, ranks = strcmp(stream->text.at, "ranks") == 0;
        token = json_stream_next(stream);
        if (name && (token == JSON_STREAM_STRING || token == JSON_STREAM_NUMBER))
            group.name = names_add(reader->names, stream->text.at);
        bool well = ranks ? kineto_event_numbers(stream, token, reader->kineto, &group.first_rank,
                                                 &group.rank_count, &cut)
                          : json_stream_skip(stream, token);
        if (!well)
            return false;
    }
    if (group.name && !cut)
        VECTOR_PUSH(&reader->kineto->groups, group);
    return token == JSON_STREAM_MAP_END;
}

static bool read_groups(struct kineto_reader *reader)
{
    enum json_stream_token token = json_stream_next(reader->stream);
    if (token != JSON_STREAM_LIST)
        return json_stream_skip(reader->stream, token);
    while ((token = json_stream_next(reader->stream)) != JSON_STREAM_LIST_END)
        if (!(token == JSON_STREAM_MAP ? read_group(reader) : json_stream_skip(reader->stream, token)))
            return false;
    return true;
}

/* {"backend": "nccl", "rank": 0, "world_size": 2, "pg_config": […], …} */
static bool read_distributed(struct kineto_reader *reader)
{
    struct json_stream *stream = reader->stream;
    enum json_stream_token token = json_stream_next(stream);
    if (token != JSON_STREAM_MAP)
        return json_stream_skip(stream, token);
    while ((token = json_stream_next(stream)) == JSON_STREAM_KEY) {
        bool rank = strcmp(stream->text.at, "rank") == 0, world = strcmp(stream->text.at, "world_size") == 0;
        if (strcmp(stream->text.at, "pg_config") == 0) {
            if (!read_groups(reader))
                return false;
            continue;
        }
        token = json_stream_next(stream);
        if (rank)
            reader->kineto->rank = kineto_event_integer(stream, token);
        if (world)
            reader->kineto->world = kineto_event_integer(stream, token);
        if (!json_stream_skip(stream, token))
            return false;
    }
    return token == JSON_STREAM_MAP_END;
}

static bool read_document(struct kineto_reader *reader)
{
    struct json_stream *stream = reader->stream;
    enum json_stream_token token = json_stream_next(stream);
    bool events = false;
    if (token != JSON_STREAM_MAP)
        return token != JSON_STREAM_WRONG && json_stream_error(stream, "expected a map with 'traceEvents'");
    while ((token = json_stream_next(stream)) == JSON_STREAM_KEY) {
        bool well, event = strcmp(stream->text.at, "traceEvents") == 0;
        events = events || event;
        if (event)
            well = read_events(reader);
        else if (strcmp(stream->text.at, "distributedInfo") == 0)
            well = read_distributed(reader);
        else
            well = json_stream_skip(stream, json_stream_next(stream));
        if (!well)
            return false;
    }
    if (token != JSON_STREAM_MAP_END || json_stream_next(stream) != JSON_STREAM_END)
        return false;
    return events || json_stream_error(stream, "there are no 'traceEvents': expected a profile of PyTorch");
}

static bool read_stream(const struct kineto_source *source, bool host, struct kineto *kineto)
{
    struct json_stream stream;
    struct kineto_reader reader = {.stream = &stream, .kineto = kineto, .names = source->names};
    *kineto = (struct kineto){.path = source->path, .rank = KINETO_NONE, .world = KINETO_NONE, .host = host};
    if (source->bytes)
        json_stream_over(&stream, source->input, source->path, source->bytes, source->length);
    else if (!json_stream_open(&stream, source->input, source->path, source->from))
        return false;
    bool good = read_document(&reader);
    kineto_event_fini(&reader.event);
    json_stream_close(&stream);
    return good;
}

/* A profile without kernels is read again for what the host did: only then are all operators kept, which in
 * other profiles are many and of no use. */
static bool read_source(const struct kineto_source *source, struct kineto *kineto)
{
    if (!read_stream(source, false, kineto))
        return false;
    if (!kineto->tasks.count) {
        kineto_fini(kineto);
        if (!read_stream(source, true, kineto))
            return false;
        kineto_host_outermost(kineto);
    }
    return kineto->tasks.count > 0 ||
           report_error(&source->input->report, (struct place){source->path, 0, 0},
                        "this profile has neither a kernel of a GPU nor an operator of the host: expected "
                        "what torch.profiler records with ProfilerActivity.CPU and ProfilerActivity.CUDA");
}

bool kineto_read(struct input *input, struct names *names, const char *path, struct place from,
                 struct kineto *kineto)
{
    struct kineto_source source = {input, names, path, from, NULL, 0};
    return read_source(&source, kineto);
}

bool kineto_read_bytes(struct input *input, struct names *names, const char *path, const void *bytes,
                       size_t length, struct kineto *kineto)
{
    struct kineto_source source = {input, names, path, {0}, bytes, length};
    return read_source(&source, kineto);
}

static bool read_finds_events(struct json_stream *stream)
{
    if (json_stream_next(stream) != JSON_STREAM_MAP)
        return false;
    while (json_stream_next(stream) == JSON_STREAM_KEY) {
        if (strcmp(stream->text.at, "traceEvents") == 0)
            return true;
        if (!json_stream_skip(stream, json_stream_next(stream)))
            return false;
    }
    return false;
}

bool kineto_read_is(const char *path)
{
    struct input input;
    struct json_stream stream;
    input_init(&input, NULL);
    bool is = json_stream_open(&stream, &input, path, (struct place){0});
    stream.quiet = true;
    is = is && read_finds_events(&stream);
    json_stream_close(&stream);
    input_fini(&input);
    return is;
}
