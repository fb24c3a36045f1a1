#include "input/json_stream.h"

#include "base/utf8.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { STREAM_BUFFER = 1 << 17 };

bool json_stream_open(struct json_stream *stream, struct input *input, const char *path, struct place from)
{
    *stream = (struct json_stream){.input = input, .place = {path, 1, 1}};
    stream->file = gzopen(path, "rb");
    if (!stream->file)
        return report_error(&input->report, from, "cannot read '%s': %s", path, strerror(errno));
    gzbuffer(stream->file, STREAM_BUFFER);
    VECTOR_RESERVE(&stream->buffer, STREAM_BUFFER);
    return true;
}

void json_stream_over(struct json_stream *stream, struct input *input, const char *name, const void *bytes,
                      size_t length)
{
    *stream = (struct json_stream){
        .input = input, .place = {name, 1, 1}, .at = bytes, .end = (const uint8_t *)bytes + length};
}

void json_stream_close(struct json_stream *stream)
{
    if (stream->file)
        gzclose(stream->file);
    VECTOR_FREE(&stream->buffer);
    VECTOR_FREE(&stream->text);
    stream->file = NULL;
}

bool json_stream_error(struct json_stream *stream, const char *what)
{
    return !stream->quiet && report_error(&stream->input->report, stream->start, "%s", what);
}

/* The byte that comes next, without using it; -1: there is none. */
static int stream_peek(struct json_stream *stream)
{
    if (stream->at < stream->end)
        return *stream->at;
    int count = stream->file ? gzread(stream->file, stream->buffer.at, STREAM_BUFFER) : 0;
    stream->at = stream->buffer.at;
    stream->end = count > 0 ? stream->at + count : stream->at;
    return count > 0 ? *stream->at : -1;
}

static void stream_step(struct json_stream *stream)
{
    if (*stream->at++ == '\n') {
        stream->place.line++;
        stream->place.column = 1;
    } else {
        stream->place.column++;
    }
}

/* The text ends too early, or its compression is damaged. */
static enum json_stream_token stream_cut(struct json_stream *stream)
{
    int code = Z_OK;
    const char *why = stream->file ? gzerror(stream->file, &code) : "";
    stream->start = stream->place;
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        json_stream_error(stream, arena_format(&stream->input->arena, "cannot be unpacked: %s", why));
    else if (stream->depth)
        json_stream_error(stream,
                          arena_format(&stream->input->arena,
                                       "the file is cut short: a %s that begins at line %u is not closed",
                                       stream->open[stream->depth - 1].closer == '}' ? "map" : "list",
                                       stream->open[stream->depth - 1].line));
    else
        json_stream_error(stream, "the file is cut short");
    return JSON_STREAM_WRONG;
}

static enum json_stream_token stream_unexpected(struct json_stream *stream, const char *expected)
{
    int byte = stream_peek(stream);
    if (byte < 0)
        return stream_cut(stream);
    stream->start = stream->place;
    const char *got = byte > 0x20 && byte < 0x7f ? arena_format(&stream->input->arena, "'%c'", byte)
                                                 : arena_format(&stream->input->arena, "byte %d", byte);
    json_stream_error(stream, arena_format(&stream->input->arena, "expected %s; got %s", expected, got));
    return JSON_STREAM_WRONG;
}

static void stream_keep(struct json_stream *stream, const char *bytes, size_t count)
{
    for (size_t i = 0; i < count && stream->text.count < JSON_STREAM_TEXT; i++)
        VECTOR_PUSH(&stream->text, bytes[i]);
}

static void stream_text_end(struct json_stream *stream)
{
    utf8_mend(stream->text.at, stream->text.count);
    VECTOR_PUSH(&stream->text, '\0');
    stream->text.count--;
}

/* Four hexadecimal digits; false when there are none. */
static bool stream_hex(struct json_stream *stream, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++) {
        int c = stream_peek(stream), digit = c >= '0' && c <= '9'                 ? c - '0'
                                             : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                                                  : -1;
        if (c < 0 || digit < 0)
            return false;
        *code = *code * 16 + (uint32_t)digit;
        stream_step(stream);
    }
    return true;
}

/* \uXXXX, of which two may be one character. */
static bool stream_unicode(struct json_stream *stream)
{
    uint32_t code, low;
    char bytes[4];
    if (!stream_hex(stream, &code))
        return false;
    if (code >= 0xd800 && code < 0xdc00 && stream_peek(stream) == '\\') {
        stream_step(stream);
        if (stream_peek(stream) != 'u')
            return false;
        stream_step(stream);
        if (!stream_hex(stream, &low))
            return false;
        code = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00) : '?';
    }
    if (!code || (code >= 0xd800 && code < 0xe000))
        code = '?';
    stream_keep(stream, bytes, utf8_encode(code, bytes));
    return true;
}

static bool stream_escape(struct json_stream *stream)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    int c = stream_peek(stream);
    const char *found = c > 0 ? strchr(from, c) : NULL;
    if (c == 'u') {
        stream_step(stream);
        return stream_unicode(stream);
    }
    if (!found)
        return false;
    stream_keep(stream, &to[found - from], 1);
    stream_step(stream);
    return true;
}

static bool stream_string(struct json_stream *stream)
{
    stream->start = stream->place;
    stream->text.count = 0;
    stream_step(stream); /* the quote */
    for (;;) {
        int c = stream_peek(stream);
        if (c < 0)
            return stream_cut(stream) != JSON_STREAM_WRONG;
        char byte = (char)c;
        if (c != '\\' && c != '"')
            stream_keep(stream, &byte, 1);
        stream_step(stream);
        if (c == '"')
            break;
        if (c == '\\' && !stream_escape(stream))
            return stream_unexpected(stream, "an escape of JSON after the backslash") != JSON_STREAM_WRONG;
    }
    stream_text_end(stream);
    return true;
}

/* Whether a text is a number: digits, a fraction, an exponent. */
static bool stream_is_number(const char *text)
{
    text += *text == '-';
    size_t whole = strspn(text, "0123456789"), part = 0;
    if (!whole || (whole > 1 && *text == '0'))
        return false;
    text += whole;
    if (*text == '.') {
        part = strspn(text + 1, "0123456789");
        if (!part)
            return false;
        text += part + 1;
    }
    if ((*text | 32) == 'e') {
        text += text[1] == '-' || text[1] == '+' ? 2 : 1;
        part = strspn(text, "0123456789");
        if (!part)
            return false;
        text += part;
    }
    return !*text;
}

static bool stream_is_any(const char *text, const char *const *words)
{
    while (*words && strcmp(text, *words) != 0)
        words++;
    return *words;
}

/* A number or a word: everything up to what cannot be part of one. */
static enum json_stream_token stream_word(struct json_stream *stream)
{
    static const char *const numbers[] = {"NaN", "nan", "inf", "-inf", "Infinity", "-Infinity", NULL};
    static const char *const words[] = {"true", "false", "null", NULL};
    stream->start = stream->place;
    stream->text.count = 0;
    for (int c = stream_peek(stream); c > 0x20 && c < 0x7f && !strchr(",:]}[{\"", c);
         c = stream_peek(stream)) {
        char byte = (char)c;
        stream_keep(stream, &byte, 1);
        stream_step(stream);
    }
    stream_text_end(stream);
    if (!stream->text.count)
        return stream_unexpected(stream, "a value");
    if (stream_is_number(stream->text.at) || stream_is_any(stream->text.at, numbers))
        return JSON_STREAM_NUMBER;
    if (stream_is_any(stream->text.at, words))
        return JSON_STREAM_WORD;
    if (stream_peek(stream) < 0)
        return stream_cut(stream);
    json_stream_error(stream,
                      arena_format(&stream->input->arena, "expected a value; got '%.40s'", stream->text.at));
    return JSON_STREAM_WRONG;
}

static enum json_stream_token stream_open(struct json_stream *stream, int byte)
{
    stream->start = stream->place;
    if (stream->depth == READ_DEPTH) {
        json_stream_error(
            stream, arena_format(&stream->input->arena, "lists and maps nest deeper than %d", READ_DEPTH));
        return JSON_STREAM_WRONG;
    }
    stream->open[stream->depth].closer = byte == '{' ? '}' : ']';
    stream->open[stream->depth++].line = stream->place.line;
    stream->first = true;
    stream_step(stream);
    return byte == '{' ? JSON_STREAM_MAP : JSON_STREAM_LIST;
}

static enum json_stream_token stream_value(struct json_stream *stream)
{
    int byte = stream_peek(stream);
    stream->first = false;
    if (byte == '{' || byte == '[')
        return stream_open(stream, byte);
    if (byte == '"')
        return stream_string(stream) ? JSON_STREAM_STRING : JSON_STREAM_WRONG;
    return stream_word(stream);
}

static void stream_space(struct json_stream *stream)
{
    for (int c = stream_peek(stream); c == ' ' || c == '\t' || c == '\n' || c == '\r';
         c = stream_peek(stream))
        stream_step(stream);
}

/* Inside a list or map: its end, or what comes after a comma. */
static enum json_stream_token stream_entry(struct json_stream *stream)
{
    uint8_t closer = stream->open[stream->depth - 1].closer;
    if (stream_peek(stream) == closer) {
        stream->start = stream->place;
        stream_step(stream);
        stream->depth--;
        stream->first = false;
        return closer == '}' ? JSON_STREAM_MAP_END : JSON_STREAM_LIST_END;
    }
    if (!stream->first) {
        if (stream_peek(stream) != ',')
            return stream_unexpected(stream, closer == '}' ? "',' or '}'" : "',' or ']'");
        stream_step(stream);
        stream_space(stream);
    }
    if (closer == ']')
        return stream_value(stream);
    if (stream_peek(stream) != '"')
        return stream_unexpected(stream, "a key in quotes");
    if (!stream_string(stream))
        return JSON_STREAM_WRONG;
    stream_space(stream);
    if (stream_peek(stream) != ':')
        return stream_unexpected(stream, "':' after a key");
    stream_step(stream);
    stream->key_is_known = true;
    return JSON_STREAM_KEY;
}

static enum json_stream_token stream_token(struct json_stream *stream)
{
    if (!stream->begun)
        for (const char *mark = "\xef\xbb\xbf"; *mark && stream_peek(stream) == (uint8_t)*mark; mark++)
            stream->at++;
    stream_space(stream);
    if (stream->key_is_known) {
        stream->key_is_known = false;
        return stream_value(stream);
    }
    if (stream->depth)
        return stream_entry(stream);
    if (!stream->begun)
        return stream_value(stream);
    if (stream_peek(stream) < 0)
        return JSON_STREAM_END;
    return stream_unexpected(stream, "nothing after the end of the value");
}

enum json_stream_token json_stream_next(struct json_stream *stream)
{
    if (stream->wrong)
        return JSON_STREAM_WRONG;
    enum json_stream_token token = stream_token(stream);
    stream->begun = true;
    stream->wrong = token == JSON_STREAM_WRONG;
    return token;
}

bool json_stream_skip(struct json_stream *stream, enum json_stream_token token)
{
    if (token != JSON_STREAM_MAP && token != JSON_STREAM_LIST)
        return token != JSON_STREAM_WRONG && token != JSON_STREAM_END;
    for (uint32_t depth = stream->depth; stream->depth >= depth;)
        if (json_stream_next(stream) == JSON_STREAM_WRONG)
            return false;
    return true;
}
