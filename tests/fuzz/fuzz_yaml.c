/* Any bytes as a file of Partita's: read as YAML, written and read again; a trace in it is read and linked.
 */
#include "input/document.h"
#include "trace/trace_yaml.h"

#include "fuzz.h"

static void fuzz_trace(struct input *input, const struct value *trace)
{
    struct names names;
    struct trace read;
    names_init(&names);
    trace_init(&read, &names);
    const struct value *groups = value_get(trace, "groups"), *ranks = value_get(trace, "ranks");
    bool good = (!groups || trace_yaml_groups(input, groups, &read)) &&
                (!ranks || trace_yaml_read(input, ranks, &read)) && trace_link(&read, &input->report);
    fuzz_said(good, &input->report);
    trace_fini(&read);
    names_fini(&names);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct input input;
    input_init(&input, NULL);
    const struct value *root = document_parse(&input, "fuzzed.yaml", (const char *)bytes, length, false);
    fuzz_said(root, &input.report);
    if (root) {
        const char *text = value_write(root, &input.arena);
        root = document_parse(&input, "written.yaml", text, strlen(text), false);
    }
    if (value_get(root, "trace"))
        fuzz_trace(&input, value_get(root, "trace"));
    input_fini(&input);
    return 0;
}
