/* Json_stream: a JSON text (RFC 8259) of any size, one token after the other, from a file that may be
 * compressed by gzip. Memory is a buffer, the longest text and a byte per open list or map, whatever the
 * file's size: for what is too large to be read into values (read_json.h) at once.
 *
 * More generous than the standard where profilers are: NaN, Infinity and inf are numbers, control characters
 * may stand in texts (they and bytes that are no UTF-8 become question marks), a key may come twice. Of a
 * text only the first JSON_STREAM_TEXT bytes are kept. */
#ifndef PARTITA_INPUT_JSON_STREAM_H
#define PARTITA_INPUT_JSON_STREAM_H

#include "input/document.h"
#include "input/read_yaml.h"

enum { JSON_STREAM_TEXT = 1 << 20 };

enum json_stream_token {
    JSON_STREAM_WRONG, /* reported, or stream->quiet */
    JSON_STREAM_END,   /* of the whole text */
    JSON_STREAM_MAP,
    JSON_STREAM_MAP_END,
    JSON_STREAM_LIST,
    JSON_STREAM_LIST_END,
    JSON_STREAM_KEY,
    JSON_STREAM_STRING,
    JSON_STREAM_NUMBER,
    JSON_STREAM_WORD /* true, false, null */
};

struct json_stream {
    struct input *input;
    void *file;               /* zlib's; NULL: all bytes are in memory */
    const uint8_t *at, *end;  /* bytes that are read and not used */
    struct place place;       /* of `at`; columns count bytes */
    struct place start;       /* of the token */
    bool quiet;               /* nothing is reported: for looking into files of unknown kind */
    bool begun, key_is_known; /* something was read; a value must follow */
    bool wrong;               /* reading has ended */
    bool first;               /* of its list or map */
    uint32_t depth;
    struct {
        uint8_t closer;
        uint32_t line; /* where it begins */
    } open[READ_DEPTH];
    struct {
        char *at; /* key, string, number, word: its text, with a NUL */
        uint32_t count, room;
    } text;
    struct {
        uint8_t *at;
        uint32_t count, room;
    } buffer;
};

/* False after reporting at `from` that the file cannot be read. */
bool json_stream_open(struct json_stream *stream, struct input *input, const char *path, struct place from);
/* Over bytes in memory, which must outlive the stream; `name` is what messages call them. */
void json_stream_over(struct json_stream *stream, struct input *input, const char *name, const void *bytes,
                      size_t length);
void json_stream_close(struct json_stream *stream);

/* The next token. After JSON_STREAM_WRONG or JSON_STREAM_END it is the same again. */
enum json_stream_token json_stream_next(struct json_stream *stream);

/* Reads the rest of the value whose first token was `token`. False if it is not well formed. */
bool json_stream_skip(struct json_stream *stream, enum json_stream_token token);

/* Reports at the last token; returns false. */
bool json_stream_error(struct json_stream *stream, const char *what);

#endif
