#include "study/convert_trace.h"

#include "study/scenario_trace.h"
#include "study/spelling.h"
#include "trace/trace_file.h"
#include "trace/trace_yaml.h"

#include <string.h>

/* A workload file that has a trace. */
static struct value *convert_workload(struct input *input, const char *name)
{
    const char *path = document_look(input, "workloads", name);
    bool yaml = path && (trace_file_ends(path, ".yaml") || trace_file_ends(path, ".yml"));
    struct value *document = yaml ? document_load(input, path) : NULL;
    return value_get(document, "trace") ? document : NULL;
}

static bool convert_set(struct input *input, struct value *document, const char *const *sets, uint32_t count)
{
    bool good = true;
    for (uint32_t i = 0; i < count; i++) {
        const char *equals = strchr(sets[i], '=');
        good = equals && equals != sets[i]
                   ? document_set(input, document,
                                  arena_format(&input->arena, "%.*s", (int)(equals - sets[i]), sets[i]),
                                  equals + 1) &&
                         good
                   : report_error(&input->report, (struct place){"--set", 0, 0},
                                  "expected key=value; got '%s'", sets[i]);
    }
    return good;
}

struct value *convert_trace_find(struct input *input, const char *name, const char *const *sets,
                                 uint32_t count, bool *wrong)
{
    struct value *document = scenario_trace_document(input, name);
    *wrong = false;
    if (!document)
        document = convert_workload(input, name);
    if (!document)
        return NULL;
    spelling_read(input, document);
    *wrong = !convert_set(input, document, sets, count);
    return *wrong ? NULL : document;
}

bool convert_trace_read(struct input *input, const struct value *workload, struct trace *trace)
{
    struct scenario_trace_said said;
    return scenario_trace_read(input, value_get(workload, "trace"), 0, trace, &said);
}

/* The other keys of a workload, a line or block each. */
static void convert_others(struct input *input, const struct value *workload, FILE *out)
{
    for (uint32_t i = 0; i < workload->count; i++) {
        const struct entry *entry = &workload->entries[i];
        if (strcmp(entry->key, "trace") == 0)
            continue;
        struct value *alone = value_new(&input->arena, workload->place, VALUE_MAP);
        value_put(&input->arena, alone, entry->key, entry->place, entry->value);
        char *text = value_write(alone, &input->arena);
        size_t length = strlen(text);
        length -= length && text[length - 1] == '\n';
        bool flow = length > 1 && text[0] == '{' && text[length - 1] == '}';
        fprintf(out, "%.*s\n", (int)length - (flow ? 2 : 0), text + flow);
    }
}

void convert_trace_write(struct input *input, const struct value *workload, const struct trace *trace,
                         FILE *out)
{
    const struct value *compute = value_get(value_get(workload, "trace"), "compute");
    convert_others(input, workload, out);
    fputs("trace:\n", out);
    if (compute)
        fprintf(out, "  compute: %s\n", compute->text);
    trace_yaml_write(trace, input, out);
}
