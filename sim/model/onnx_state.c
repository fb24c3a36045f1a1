/* Follows the names that an input, cut and turned, goes by. Names of subgraphs are taken to be other than
 * those around them, as the format demands. */
#include "model/onnx_state.h"

#include "base/names.h"

#include <string.h>

/* Operators that give their first input (Concat: any) in pieces or another shape. */
static const char *const state_arranging[] = {"Identity",  "Cast",   "Reshape", "Squeeze",
                                              "Unsqueeze", "Slice",  "Split",   "Transpose",
                                              "Gather",    "Expand", "Concat"};

static bool state_arranges(const struct onnx_node *node)
{
    for (size_t i = 0; i < sizeof state_arranging / sizeof *state_arranging; i++)
        if (strcmp(node->kind, state_arranging[i]) == 0)
            return true;
    return false;
}

static bool state_has(const struct names *state, const struct onnx_node *node, uint32_t input)
{
    return input < node->inputs.count && *node->inputs.at[input] &&
           names_find(state, node->inputs.at[input]) != UINT32_MAX;
}

static void state_give(struct names *state, const struct onnx_node *node, uint32_t output)
{
    if (output < node->outputs.count && *node->outputs.at[output])
        names_add(state, node->outputs.at[output]);
}

static bool state_graph(struct names *state, const struct onnx_graph *graph);

/* The branches of an If, or the body of a loop; an If gives what its branches give. */
static bool state_inner(struct names *state, const struct onnx_node *node)
{
    for (uint32_t i = 0; i < node->attributes.count; i++) {
        const struct onnx_graph *graph = node->attributes.at[i].g;
        if (graph && state_graph(state, graph))
            return true;
        for (uint32_t k = 0; graph && strcmp(node->kind, "If") == 0 && k < graph->outputs.count; k++)
            if (names_find(state, graph->outputs.at[k].name) != UINT32_MAX)
                state_give(state, node, k);
    }
    return false;
}

/* Whether a recurrent layer begins with one of the names. Adds the names that stand for them. */
static bool state_graph(struct names *state, const struct onnx_graph *graph)
{
    for (uint32_t n = 0; n < graph->nodes.count; n++) {
        const struct onnx_node *node = &graph->nodes.at[n];
        bool recurrent = strcmp(node->kind, "LSTM") == 0 || strcmp(node->kind, "GRU") == 0 ||
                         strcmp(node->kind, "RNN") == 0;
        if ((recurrent && (state_has(state, node, 5) || state_has(state, node, 6))) ||
            state_inner(state, node))
            return true;
        uint32_t data = !state_arranges(node)               ? 0
                        : strcmp(node->kind, "Concat") == 0 ? node->inputs.count
                                                            : 1;
        for (uint32_t i = 0; i < data; i++)
            for (uint32_t k = 0; state_has(state, node, i) && k < node->outputs.count; k++)
                state_give(state, node, k);
    }
    return false;
}

bool onnx_state_is(const struct onnx_file *file, const char *input)
{
    struct names state;
    names_init(&state);
    names_add(&state, input);
    bool is = state_graph(&state, &file->graph);
    names_fini(&state);
    return is;
}
