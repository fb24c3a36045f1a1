#include "base/report.h"

#include <string.h>

void report_init(struct report *report)
{
    *report = (struct report){0};
    arena_init(&report->texts);
}

void report_fini(struct report *report)
{
    arena_fini(&report->texts);
    VECTOR_FREE(&report->list);
}

static bool report_known(const struct report *report, struct place place, const char *text)
{
    for (uint32_t i = 0; i < report->list.count; i++) {
        const struct message *old = &report->list.at[i];
        bool same_file = old->place.file == place.file ||
                         (old->place.file && place.file && strcmp(old->place.file, place.file) == 0);
        if (same_file && old->place.line == place.line && old->place.column == place.column &&
            strcmp(old->text, text) == 0)
            return true;
    }
    return false;
}

static void report_add(struct report *report, struct place place, bool warning, const char *format,
                       va_list arguments)
{
    const char *text = arena_vformat(&report->texts, format, arguments);
    if (report_known(report, place, text))
        return;
    if (place.file)
        place.file = arena_text(&report->texts, place.file);
    VECTOR_PUSH(&report->list, ((struct message){.place = place, .warning = warning, .text = text}));
    *(warning ? &report->warnings : &report->errors) += 1;
}

bool report_error(struct report *report, struct place place, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    report_add(report, place, false, format, arguments);
    va_end(arguments);
    return false;
}

void report_warning(struct report *report, struct place place, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    report_add(report, place, true, format, arguments);
    va_end(arguments);
}

void report_print(const struct report *report, FILE *to)
{
    for (uint32_t i = 0; i < report->list.count; i++) {
        const struct message *message = &report->list.at[i];
        if (message->place.file && message->place.line)
            fprintf(to, "%s:%u:%u: ", message->place.file, message->place.line, message->place.column);
        else if (message->place.file)
            fprintf(to, "%s: ", message->place.file);
        fprintf(to, "%s: %s\n", message->warning ? "warning" : "error", message->text);
    }
}
