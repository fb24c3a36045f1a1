/* Kineto_event: one event of a profile as it stands in the file, before anybody knows what it is for. */
#ifndef PARTITA_TRACE_KINETO_EVENT_H
#define PARTITA_TRACE_KINETO_EVENT_H

#include "input/json_stream.h"
#include "trace/kineto.h"

enum { KINETO_SHAPES = 4, KINETO_DIMENSIONS = 4, KINETO_WORD = 64 };

struct kineto_text {
    char *at; /* with a NUL; NULL: never given */
    uint32_t count, room;
};

/* Numbers that were not given are KINETO_NONE. */
struct kineto_event {
    char category[KINETO_WORD];
    char phase;
    struct kineto_text name;
    int64_t ts, dur; /* nanoseconds; INT64_MIN: not given */
    int64_t id;      /* of an arrow between two events */
    int64_t tid, pid, stream, device, correlation, external, bytes;
    double flops, gigabytes; /* NAN: not given */
    int64_t in, group_size, sequence, source, target, rank_start, rank_stride;
    int64_t wait_stream, wait_record;
    struct kineto_text collective, dtype, group, description, sync_kind;
    uint32_t first_rank, rank_count, first_split, split_count; /* in kineto->numbers */
    bool cut;                                                  /* ranks end in dots */
    int64_t shapes[KINETO_SHAPES][KINETO_DIMENSIONS];
    uint32_t dimensions[KINETO_SHAPES]; /* more than there is room for: KINETO_DIMENSIONS + 1 */
    double element;                     /* bytes of one of the first operand; 0: not given */
};

void kineto_event_fini(struct kineto_event *event);

/* Reads the event whose JSON_STREAM_MAP was the last token. False after reporting. */
bool kineto_event_read(struct json_stream *stream, struct kineto *kineto, struct kineto_event *event);

/* A list of whole numbers, given as a list or as a text with one: appended to kineto->numbers. `token` is
 * the last one. *cut: the text ends in dots. */
bool kineto_event_numbers(struct json_stream *stream, enum json_stream_token token, struct kineto *kineto,
                          uint32_t *first, uint32_t *count, bool *cut);

/* The token as a whole number; KINETO_NONE: it is none. */
int64_t kineto_event_integer(const struct json_stream *stream, enum json_stream_token token);

/* Bytes of an element by PyTorch's name of the type ("BFloat16", "c10::BFloat16", "float"); 0: unknown. */
double kineto_event_element(const char *type);

#endif
