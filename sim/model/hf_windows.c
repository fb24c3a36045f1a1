/* Hf_windows: which blocks of a decoder attend to a window only. */
#include "model/hf.h"

#include <string.h>

/* Whether `layer_types` says that block `i` sees all positions. */
static bool read_layer_type(struct hf *hf, const struct value *type, bool *full)
{
    static const char *const known[] = {"full_attention", "sliding_attention"};
    const char *text = type->kind == VALUE_SCALAR ? type->text : value_describe(type, &hf->input->arena);
    *full = strcmp(text, known[0]) == 0;
    return *full || strcmp(text, known[1]) == 0 ||
           fields_no_such(hf->input, type->place, "supported kind of attention in layer_types", text, known,
                          2);
}

/* The blocks that see all positions, of `blocks`. */
static bool read_layer_types(struct hf *hf, const struct value *types, int64_t blocks, struct value *list)
{
    if (!fields_want_list(hf->input, types, types->place, "layer_types"))
        return false;
    if (types->count != blocks)
        return report_error(&hf->input->report, types->place,
                            "layer_types has %u entries, but num_hidden_layers is %lld", types->count,
                            (long long)blocks);
    for (uint32_t i = 0; i < types->count; i++) {
        bool full;
        if (!read_layer_type(hf, types->entries[i].value, &full))
            return false;
        if (full)
            hf_append(hf, list, i);
    }
    return true;
}

bool hf_windows(struct hf *hf, hf_windows_rule *full, int64_t limit)
{
    const struct value *types = hf_field(hf, "layer_types");
    struct value *list = value_new(&hf->input->arena, types ? types->place : hf->config->place, VALUE_LIST);
    int64_t blocks;
    if (!hf_number(hf, "num_hidden_layers", 0, &blocks) ||
        (types && !read_layer_types(hf, types, blocks, list)))
        return false;
    for (int64_t i = 0; !types && i < blocks; i++)
        if (full(i, limit))
            hf_append(hf, list, i);
    hf_set_value(hf, "full", list);
    return true;
}

bool hf_windows_if_used(struct hf *hf, hf_windows_rule *full)
{
    bool used;
    int64_t limit;
    if (!hf_flag(hf, "use_sliding_window", false, &used) || !hf_number(hf, "max_window_layers", 28, &limit))
        return false;
    if (used)
        return hf_windows(hf, full, limit);
    hf_set(hf, "window", "0");
    return true;
}
