#include "trace/kineto_event.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What an argument is; offsets are in struct kineto_event. */
static const struct kineto_argument {
    const char *key;
    enum {
        ARGUMENT_INTEGER,
        ARGUMENT_NUMBER,
        ARGUMENT_TEXT,
        ARGUMENT_RANKS,
        ARGUMENT_SPLIT,
        ARGUMENT_SHAPES,
        ARGUMENT_TYPES
    } kind;
    size_t offset;
} kineto_arguments[] = {
#define AT(member) offsetof(struct kineto_event, member)
    {"stream", ARGUMENT_INTEGER, AT(stream)},
    {"device", ARGUMENT_INTEGER, AT(device)},
    {"correlation", ARGUMENT_INTEGER, AT(correlation)},
    {"External id", ARGUMENT_INTEGER, AT(external)},
    {"external id", ARGUMENT_INTEGER, AT(external)},
    {"bytes", ARGUMENT_INTEGER, AT(bytes)},
    {"flops", ARGUMENT_NUMBER, AT(flops)},
    {"kernel_flop", ARGUMENT_NUMBER, AT(flops)},
    {"kernel_num_gb", ARGUMENT_NUMBER, AT(gigabytes)},
    {"In msg nelems", ARGUMENT_INTEGER, AT(in)},
    {"Group size", ARGUMENT_INTEGER, AT(group_size)},
    {"Global rank start", ARGUMENT_INTEGER, AT(rank_start)},
    {"Global rank stride", ARGUMENT_INTEGER, AT(rank_stride)},
    {"Seq", ARGUMENT_INTEGER, AT(sequence)},
    {"Src Rank", ARGUMENT_INTEGER, AT(source)},
    {"Dst Rank", ARGUMENT_INTEGER, AT(target)},
    {"wait_on_stream", ARGUMENT_INTEGER, AT(wait_stream)},
    {"wait_on_cuda_event_record_corr_id", ARGUMENT_INTEGER, AT(wait_record)},
    {"Collective name", ARGUMENT_TEXT, AT(collective)},
    {"dtype", ARGUMENT_TEXT, AT(dtype)},
    {"Process Group Name", ARGUMENT_TEXT, AT(group)},
    {"Process Group Description", ARGUMENT_TEXT, AT(description)},
    {"cuda_sync_kind", ARGUMENT_TEXT, AT(sync_kind)},
    {"Process Group Ranks", ARGUMENT_RANKS, 0},
    {"In split size", ARGUMENT_SPLIT, 0},
    {"Input Dims", ARGUMENT_SHAPES, 0},
    {"Input type", ARGUMENT_TYPES, 0},
#undef AT
};
enum { KINETO_ARGUMENTS = sizeof kineto_arguments / sizeof kineto_arguments[0] };

/* c10/core/ScalarType.h, and the names of C++ that operators' inputs have. */
static const struct {
    const char *name;
    uint8_t bytes;
} kineto_types[] = {
    {"Float", 4},
    {"BFloat16", 2},
    {"Half", 2},
    {"Double", 8},
    {"Byte", 1},
    {"Char", 1},
    {"Short", 2},
    {"Int", 4},
    {"Long", 8},
    {"Bool", 1},
    {"ComplexHalf", 4},
    {"ComplexFloat", 8},
    {"ComplexDouble", 16},
    {"QInt8", 1},
    {"QUInt8", 1},
    {"QInt32", 4},
    {"UInt16", 2},
    {"UInt32", 4},
    {"UInt64", 8},
    {"Float8_e5m2", 1},
    {"Float8_e4m3fn", 1},
    {"Float8_e5m2fnuz", 1},
    {"Float8_e4m3fnuz", 1},
    {"float", 4},
    {"double", 8},
    {"c10::BFloat16", 2},
    {"c10::Half", 2},
    {"unsigned char", 1},
    {"signed char", 1},
    {"short", 2},
    {"int", 4},
    {"long", 8},
    {"long int", 8},
    {"bool", 1},
    {"c10::Float8_e4m3fn", 1},
    {"c10::Float8_e5m2", 1},
};

double kineto_event_element(const char *type)
{
    for (size_t i = 0; i < sizeof kineto_types / sizeof kineto_types[0]; i++)
        if (strcmp(kineto_types[i].name, type) == 0)
            return kineto_types[i].bytes;
    return 0;
}

void kineto_event_fini(struct kineto_event *event)
{
    struct kineto_text *const texts[] = {&event->name,  &event->collective,  &event->dtype,
                                         &event->group, &event->description, &event->sync_kind};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        VECTOR_FREE(texts[i]);
}

static void event_clear(struct kineto_event *event, const struct kineto *kineto)
{
    struct kineto_text *const texts[] = {&event->name,  &event->collective,  &event->dtype,
                                         &event->group, &event->description, &event->sync_kind};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        texts[i]->count = 0;
        VECTOR_PUSH(texts[i], '\0');
    }
    for (uint32_t i = 0; i < KINETO_ARGUMENTS; i++) {
        char *at = (char *)event + kineto_arguments[i].offset;
        if (kineto_arguments[i].kind == ARGUMENT_INTEGER)
            *(int64_t *)(void *)at = KINETO_NONE;
        else if (kineto_arguments[i].kind == ARGUMENT_NUMBER)
            *(double *)(void *)at = NAN;
    }
    event->category[0] = event->phase = '\0';
    event->ts = event->dur = INT64_MIN;
    event->id = event->tid = event->pid = KINETO_NONE;
    event->first_rank = event->first_split = kineto->numbers.count;
    event->rank_count = event->split_count = 0;
    event->cut = false;
    event->element = 0;
    memset(event->dimensions, 0, sizeof event->dimensions);
}

static void event_text(struct kineto_text *text, const struct json_stream *stream)
{
    text->count = 0;
    for (uint32_t i = 0; i < stream->text.count; i++)
        VECTOR_PUSH(text, stream->text.at[i]);
    VECTOR_PUSH(text, '\0');
}

int64_t kineto_event_integer(const struct json_stream *stream, enum json_stream_token token)
{
    if (token != JSON_STREAM_NUMBER && token != JSON_STREAM_STRING)
        return KINETO_NONE;
    char *end;
    long long number = strtoll(stream->text.at, &end, 10);
    return end != stream->text.at && (!*end || *end == '.') ? number : KINETO_NONE;
}

/* Bounds of times in microseconds, so that every difference of two ends fits into whole nanoseconds: the year
 * 2096, and what a program may have made of a time before its origin. */
static const int64_t event_most = INT64_C(4000000000000000), event_least = INT64_C(-400000000000000);

/* Microseconds with an exponent, as a program may write them that has had the profile in its hands. */
static bool event_time_real(struct json_stream *stream, int64_t *time)
{
    double number = strtod(stream->text.at, NULL);
    if (!(number >= (double)event_least && number <= (double)event_most))
        return json_stream_error(stream, "this time in microseconds is too large");
    *time = (int64_t)floor(number * 1e3 + 0.5);
    return true;
}

/* Microseconds as whole nanoseconds: digit by digit, as a double has too few for absolute times. */
static bool event_time(struct json_stream *stream, enum json_stream_token token, int64_t *time)
{
    const char *text = stream->text.at;
    bool before = token == JSON_STREAM_NUMBER && *text == '-';
    text += before;
    size_t whole = token == JSON_STREAM_NUMBER ? strspn(text, "0123456789") : 0;
    if (!whole)
        return json_stream_error(stream, "expected a time in microseconds");
    if (text[whole + strcspn(text + whole, "eE")])
        return event_time_real(stream, time);
    int64_t number = 0;
    for (size_t i = 0; i < whole; i++) {
        number = number * 10 + (text[i] - '0');
        if (number > (before ? -event_least : event_most))
            return json_stream_error(stream, "this time in microseconds is too large");
    }
    const char *part = text[whole] == '.' ? text + whole + 1 : "";
    for (int i = 0; i < 3; i++)
        number = number * 10 + (*part ? *part++ - '0' : 0);
    *time = before ? -number : number;
    return true;
}

/* Ranks and sizes; sums of those that are beyond all reason must not overflow. */
static void event_number(struct kineto *kineto, int64_t number)
{
    const int64_t most = INT64_C(1) << 40;
    VECTOR_PUSH(&kineto->numbers, number > most ? most : number < -most ? -most : number);
}

/* Numbers of a text "[0, 1, 2, ...]". */
static uint32_t event_numbers_of(const char *text, struct kineto *kineto, bool *cut)
{
    uint32_t count = 0;
    while (*text) {
        char *end;
        long long number = strtoll(text, &end, 10);
        if (end != text) {
            event_number(kineto, number);
            count++;
        }
        *cut = *cut || strncmp(end, "...", 3) == 0;
        text = end != text ? end : text + 1;
    }
    return count;
}

bool kineto_event_numbers(struct json_stream *stream, enum json_stream_token token, struct kineto *kineto,
                          uint32_t *first, uint32_t *count, bool *cut)
{
    *first = kineto->numbers.count;
    *count = 0;
    if (token == JSON_STREAM_STRING)
        *count = event_numbers_of(stream->text.at, kineto, cut);
    if (token != JSON_STREAM_LIST)
        return json_stream_skip(stream, token);
    while ((token = json_stream_next(stream)) != JSON_STREAM_LIST_END) {
        int64_t number = kineto_event_integer(stream, token);
        if (!json_stream_skip(stream, token))
            return false;
        if (number == KINETO_NONE) {
            *cut = true; /* dots, or whatever else is no rank */
            continue;
        }
        event_number(kineto, number);
        ++*count;
    }
    return true;
}

/* [[64, 32], [32], [], …]: of the first operands, of which lists of tensors are not understood. */
static bool event_shapes(struct json_stream *stream, enum json_stream_token token, struct kineto_event *event)
{
    uint32_t depth = stream->depth;
    if (token != JSON_STREAM_LIST)
        return json_stream_skip(stream, token);
    for (uint32_t operand = 0; (token = json_stream_next(stream)), stream->depth >= depth; operand++) {
        if (token != JSON_STREAM_LIST || operand >= KINETO_SHAPES) {
            if (!json_stream_skip(stream, token))
                return false;
            continue;
        }
        while ((token = json_stream_next(stream)) != JSON_STREAM_LIST_END) {
            int64_t size = kineto_event_integer(stream, token);
            if (!json_stream_skip(stream, token))
                return false;
            uint32_t *count = &event->dimensions[operand];
            if (*count < KINETO_DIMENSIONS && size >= 0)
                event->shapes[operand][(*count)++] = size;
            else
                *count = KINETO_DIMENSIONS + 1;
        }
    }
    return token == JSON_STREAM_LIST_END;
}

/* ["float", "float", …]: the first decides. */
static bool event_types(struct json_stream *stream, enum json_stream_token token, struct kineto_event *event)
{
    uint32_t depth = stream->depth;
    if (token != JSON_STREAM_LIST)
        return json_stream_skip(stream, token);
    for (uint32_t operand = 0; (token = json_stream_next(stream)), stream->depth >= depth; operand++) {
        if (token == JSON_STREAM_STRING && !(event->element > 0))
            event->element = kineto_event_element(stream->text.at);
        if (!json_stream_skip(stream, token))
            return false;
    }
    return token == JSON_STREAM_LIST_END;
}

static bool event_argument(struct json_stream *stream, const struct kineto_argument *argument,
                           struct kineto *kineto, struct kineto_event *event)
{
    char *at = (char *)event + argument->offset;
    enum json_stream_token token = json_stream_next(stream);
    bool cut = false;
    switch (argument->kind) {
    case ARGUMENT_RANKS:
        return kineto_event_numbers(stream, token, kineto, &event->first_rank, &event->rank_count,
                                    &event->cut);
    case ARGUMENT_SPLIT:
        if (!kineto_event_numbers(stream, token, kineto, &event->first_split, &event->split_count, &cut))
            return false;
        event->split_count = cut ? 0 : event->split_count;
        return true;
    case ARGUMENT_SHAPES:
        return event_shapes(stream, token, event);
    case ARGUMENT_TYPES:
        return event_types(stream, token, event);
    case ARGUMENT_TEXT:
        if (token == JSON_STREAM_STRING || token == JSON_STREAM_NUMBER)
            event_text((struct kineto_text *)(void *)at, stream);
        break;
    case ARGUMENT_INTEGER:
        *(int64_t *)(void *)at = kineto_event_integer(stream, token);
        break;
    case ARGUMENT_NUMBER:
        if (token == JSON_STREAM_NUMBER || token == JSON_STREAM_STRING)
            *(double *)(void *)at = strtod(stream->text.at, NULL);
        break;
    }
    return json_stream_skip(stream, token);
}

static bool event_arguments(struct json_stream *stream, struct kineto *kineto, struct kineto_event *event)
{
    enum json_stream_token token = json_stream_next(stream);
    if (token != JSON_STREAM_MAP)
        return json_stream_skip(stream, token);
    while ((token = json_stream_next(stream)) == JSON_STREAM_KEY) {
        uint32_t i = 0;
        while (i < KINETO_ARGUMENTS && strcmp(stream->text.at, kineto_arguments[i].key) != 0)
            i++;
        bool well = i < KINETO_ARGUMENTS ? event_argument(stream, &kineto_arguments[i], kineto, event)
                                         : json_stream_skip(stream, json_stream_next(stream));
        if (!well)
            return false;
    }
    return token == JSON_STREAM_MAP_END;
}

/* One of the keys that every event has. */
static bool event_key(struct json_stream *stream, struct kineto *kineto, struct kineto_event *event)
{
    char key[KINETO_WORD];
    snprintf(key, sizeof key, "%.60s", stream->text.at);
    if (strcmp(key, "args") == 0)
        return event_arguments(stream, kineto, event);
    enum json_stream_token token = json_stream_next(stream);
    if (strcmp(key, "ts") == 0)
        return event_time(stream, token, &event->ts);
    if (strcmp(key, "dur") == 0)
        return event_time(stream, token, &event->dur);
    if (strcmp(key, "id") == 0)
        event->id = kineto_event_integer(stream, token);
    else if (strcmp(key, "pid") == 0)
        event->pid = kineto_event_integer(stream, token);
    else if (strcmp(key, "tid") == 0)
        event->tid = kineto_event_integer(stream, token);
    else if (strcmp(key, "name") == 0 && token == JSON_STREAM_STRING)
        event_text(&event->name, stream);
    else if (strcmp(key, "ph") == 0 && token == JSON_STREAM_STRING)
        event->phase = stream->text.at[0];
    else if (strcmp(key, "cat") == 0 && token == JSON_STREAM_STRING)
        snprintf(event->category, sizeof event->category, "%.60s", stream->text.at);
    return json_stream_skip(stream, token);
}

bool kineto_event_read(struct json_stream *stream, struct kineto *kineto, struct kineto_event *event)
{
    enum json_stream_token token;
    event_clear(event, kineto);
    while ((token = json_stream_next(stream)) == JSON_STREAM_KEY)
        if (!event_key(stream, kineto, event))
            return false;
    return token == JSON_STREAM_MAP_END;
}
