#include "study/explain.h"

#include "base/nearest.h"
#include "base/unit.h"
#include "model/build.h"
#include "model/model_file.h"
#include "plan/generate.h"
#include "plan/wavefront.h"
#include "study/explain_derivation.h"
#include "study/explain_einsum.h"
#include "study/explain_json.h"
#include "study/explain_layer.h"
#include "study/explain_offload.h"
#include "study/scenario.h"

#include <stdlib.h>
#include <string.h>

/* The layer asked for, or MODEL_NONE; false after printing that there is none. */
static bool explain_wanted(const struct model *model, const char *name, uint32_t *layer, FILE *err)
{
    *layer = MODEL_NONE;
    if (!name)
        return true;
    *layer = model_find_layer(model, name);
    if (*layer != MODEL_NONE)
        return true;
    uint32_t room = 0;
    const char **known = NULL;
    for (uint32_t l = 0; l < model->layers.count; l++) {
        if (l == room)
            known = vector_grow(known, &room, sizeof *known);
        known[l] = names_text(model->names, model->layers.at[l].name);
    }
    const char *nearest = nearest_name(name, known, model->layers.count);
    fprintf(err, "error: the model has no layer '%s'", name);
    fprintf(err, nearest ? "; did you mean '%s'?\n" : "\n", nearest);
    vector_release(known);
    return false;
}

static void explain_totals(const struct model *model, FILE *out)
{
    double macs = model_macs(model) / (double)model->batch;
    uint64_t all = model_parameters(model), active = model_active_parameters(model);
    fprintf(out, "%s: %llu parameters", names_text(model->names, model->name), (unsigned long long)all);
    if (active < all)
        fprintf(out, " (%llu active for a token)", (unsigned long long)active);
    fprintf(out, ", %.0f MACs forward per %s (attention counted %s)\n", macs, model->sample,
            model->causal ? "causal" : "full");
}

static json_t *explain_model_json(const struct model *model)
{
    return json_pack("{s:s, s:I, s:I, s:f, s:s, s:s}", "model", names_text(model->names, model->name),
                     "parameters", (json_int_t)model_parameters(model), "active_parameters",
                     (json_int_t)model_active_parameters(model), "macs_forward",
                     model_macs(model) / (double)model->batch, "attention", model->causal ? "causal" : "full",
                     "sample", model->sample);
}

static void explain_dump(json_t *object, FILE *out)
{
    json_dumpf(object, out, JSON_INDENT(1) | JSON_REAL_PRECISION(17));
    fputc('\n', out);
    json_decref(object);
}

/* A bare model: a table of its layers. */
static void explain_model(const struct model *model, uint32_t only, bool json, FILE *out)
{
    if (json) {
        json_t *object = explain_model_json(model), *layers = json_array();
        for (uint32_t l = 0; l < model->layers.count; l++)
            if (only == MODEL_NONE || only == l)
                json_array_append_new(layers, explain_json_layer(model, NULL, l));
        json_object_set_new(object, "layers", layers);
        explain_dump(object, out);
        return;
    }
    explain_totals(model, out);
    fprintf(out, "  %-36s %-14s %-22s %14s %18s\n", "layer", "kind", "output", "parameters", "MACs");
    for (uint32_t l = 0; l < model->layers.count; l++) {
        const struct layer *layer = &model->layers.at[l];
        if (only != MODEL_NONE && only != l)
            continue;
        char *shape = NULL;
        size_t length = 0;
        FILE *memory = open_memstream(&shape, &length);
        explain_layer_shape(model, &model->tensors.at[layer->output], memory);
        fclose(memory);
        fprintf(out, "  %-36s %-14s %-22s %14llu %18.0f\n", names_text(model->names, layer->name),
                names_text(model->names, layer->kind), shape,
                (unsigned long long)model_layer_parameters(model, l),
                model_layer_macs(model, l) / (double)model->batch);
        free(shape);
        for (uint32_t o = 0; only != MODEL_NONE && o < layer->operator_count; o++) {
            fprintf(out, "      ");
            explain_einsum_text(model, &model->operators.at[layer->first_operator + o], out);
            fprintf(out, "   ");
            explain_einsum_sizes(model, &model->operators.at[layer->first_operator + o], out);
            fprintf(out, "\n");
        }
    }
}

/* The text of one unit, with the unit's own name left out of the layers' names, so that equal units give
 * equal texts. */
static char *explain_unit(const struct explain_stage *stage, uint32_t unit)
{
    char *text = NULL;
    size_t length = 0;
    FILE *memory = open_memstream(&text, &length);
    const struct model *model = stage->d->plan->model;
    const struct model_unit *u = &model->units.at[unit];
    size_t prefix = strlen(names_text(model->names, u->name));
    for (uint32_t l = u->first_layer; l < u->first_layer + u->layer_count; l++)
        explain_layer_text(stage, l, prefix, memory);
    fclose(memory);
    return text;
}

static void explain_units(const struct scenario *s, const struct explain_stage *explained, FILE *out)
{
    const struct plan_stage *stage = explained->d->stage;
    char *before = NULL;
    uint32_t same = 0, end = stage->first_unit + stage->unit_count;
    for (uint32_t u = stage->first_unit; u <= end; u++) {
        char *now = u < end ? explain_unit(explained, u) : NULL;
        if (now && before && strcmp(now, before) == 0) {
            same++;
            free(now);
            continue;
        }
        if (same)
            fprintf(out, "  ... and the same for the next %u, to %s\n", same,
                    names_text(&s->names, s->model.units.at[u - 1].name));
        same = 0;
        free(before);
        before = now;
        if (now && *now)
            fprintf(out, "  %s\n%s", names_text(&s->names, s->model.units.at[u].name), now);
    }
    free(before);
}

/* The layer of that name in the model of another pass, which may have another order. */
static uint32_t explain_same(const struct scenario *s, const struct model *model, uint32_t layer)
{
    return model_find_layer(model, names_text(&s->names, s->model.layers.at[layer].name));
}

static void explain_stage(const struct scenario *s, uint32_t index, uint32_t only, FILE *out)
{
    const struct plan_stage *stage = &s->plan.stages.at[index];
    char text[64];
    uint32_t prompts = generate_prompt_stages(&s->plan);
    fprintf(out, "\nstage %u%s: %u device%s", index % prompts,
            index >= prompts ? ", a token after the prompt"
            : s->plan.tokens ? ", the prompt"
                             : "",
            stage->devices.count, stage->devices.count == 1 ? "" : "s");
    for (uint32_t a = 0; a < stage->axis_count; a++)
        fprintf(out, ", %s %u", names_text(&s->names, stage->axes[a].name), stage->axes[a].size);
    for (uint32_t a = 0; a < stage->tile_axis_count; a++)
        fprintf(out, "%s%s %u", a ? " x " : ", tiles dealt in turn ",
                names_text(&s->names, stage->tile_axes[a].name), stage->tile_axes[a].size);
    for (uint32_t i = 0; i < stage->fused_count; i++)
        fprintf(
            out, ", %s..%s fused", names_text(&s->names, s->model.units.at[stage->fused[i].first_unit].name),
            names_text(&s->names,
                       s->model.units.at[stage->fused[i].first_unit + stage->fused[i].unit_count - 1].name));
    uint32_t whole;
    struct wavefront wave = wavefront_stage(&s->derivations[index], &whole);
    if (wave.chunks > 1)
        fprintf(out, ", %u time steps in %u chunks", wave.steps, wave.chunks);
    else if (whole != MODEL_NONE)
        fprintf(out, ", its sequence whole because of %s",
                names_text(&s->names, s->model.layers.at[s->model.operators.at[whole].layer].name));
    fprintf(out, "; memory %s", unit_format(stage->memory.total, UNIT_BYTES, text, sizeof text));
    const char *separator = ":";
    for (uint32_t c = 0; c < MEMORY_CATEGORY_COUNT; c++)
        if (stage->memory.of[c] > 0) {
            fprintf(out, "%s %s %s", separator, program_memory_names[c],
                    unit_format(stage->memory.of[c], UNIT_BYTES, text, sizeof text));
            separator = ",";
        }
    fputc('\n', out);
    explain_offload_stage(s, index, out);
    struct explain_stage explained;
    explain_stage_init(&explained, &s->derivations[index]);
    if (only == MODEL_NONE)
        explain_units(s, &explained, out);
    else
        explain_derivation_text(&explained, explain_same(s, explained.d->plan->model, only), out);
    explain_layer_boundary(&explained,
                           only == MODEL_NONE ? only : explain_same(s, explained.d->plan->model, only), out);
    explain_stage_fini(&explained);
}

static void explain_scenario(const struct scenario *s, uint32_t only, bool json, FILE *out)
{
    if (json) {
        json_t *object = explain_model_json(&s->model), *layers = json_array();
        for (uint32_t i = 0; i < s->plan.stages.count; i++) {
            const struct plan_stage *stage = &s->plan.stages.at[i];
            struct explain_stage explained;
            explain_stage_init(&explained, &s->derivations[i]);
            const struct model *model = generate_plan_of(&s->plan, i)->model;
            const struct model_unit *last = &model->units.at[stage->first_unit + stage->unit_count - 1];
            for (uint32_t l = model->units.at[stage->first_unit].first_layer;
                 l < last->first_layer + last->layer_count; l++)
                if (only == MODEL_NONE || s->model.layers.at[only].name == model->layers.at[l].name)
                    json_array_append_new(layers, explain_json_layer(model, &explained, l));
            explain_stage_fini(&explained);
        }
        json_object_set_new(object, "workload", json_string(s->workload.name));
        json_object_set_new(object, "fits", json_boolean(s->plan.fits));
        json_object_set_new(object, "layers", layers);
        explain_dump(object, out);
        return;
    }
    fprintf(out, "%s\n", s->workload.name);
    explain_totals(&s->model, out);
    fprintf(out,
            "shapes and bytes are those of one micro-batch (%llu %s%s per data-parallel member); 'a device' "
            "is the first of its stage\n",
            (unsigned long long)s->plan.micro_batch, s->model.sample, s->plan.micro_batch == 1 ? "" : "s");
    for (uint32_t i = 0; i < s->plan.stages.count; i++) {
        const struct plan_stage *stage = &s->plan.stages.at[i];
        uint32_t unit = only == MODEL_NONE ? stage->first_unit : s->model.layers.at[only].unit;
        if (unit >= stage->first_unit && unit - stage->first_unit < stage->unit_count)
            explain_stage(s, i, only, out);
    }
    if (s->plan.stores.count)
        fputc('\n', out);
    explain_offload_stores(s, out);
}

static void explain_no_subject(struct input *input, const char *name)
{
    uint32_t workloads, models;
    const char *const *workload = document_list(input, "workloads", &workloads);
    const char *const *model = document_list(input, "workloads/models", &models);
    const char **known = ARENA_ARRAY(&input->arena, const char *, workloads + models);
    for (uint32_t i = 0; i < workloads + models; i++)
        known[i] = i < workloads ? workload[i] : model[i - workloads];
    fields_no_such(input, (struct place){NULL, 0, 0}, "workload or model", name, known, workloads + models);
}

/* `--set model.KEY=VALUE` or `--set KEY=VALUE`: parameters of the model. */
static struct value *explain_model_set(struct input *input, const struct explain_options *options)
{
    struct value *set = value_new(&input->arena, (struct place){"--set", 0, 0}, VALUE_MAP);
    for (uint32_t i = 0; i < options->set_count; i++) {
        const char *text = options->sets[i], *equals = strchr(text, '=');
        if (!equals) {
            report_error(&input->report, (struct place){"--set", 0, 0}, "expected key=value; got '%s'", text);
            continue;
        }
        if (strncmp(text, "model.", 6) == 0)
            text += 6;
        document_set(input, set, arena_format(&input->arena, "%.*s", (int)(equals - text), text), equals + 1);
    }
    return set;
}

/* The document if the subject is a model; NULL if it is (or should be) a workload, or after reporting. */
static struct value *explain_as_model(struct input *input, const struct explain_options *options,
                                      struct value *set)
{
    static const char *const others[] = {"model",   "topology", "plan",  "batch", "step",
                                         "devices", "switches", "links", "peak",  "bandwidth"};
    const char *path = document_look(input, "workloads", options->subject);
    if (!path)
        path = document_look(input, "workloads/models", options->subject);
    if (!path)
        explain_no_subject(input, options->subject);
    struct value *document = path ? model_file_load(input, path, set) : NULL;
    if (!document || value_get(document, "layers"))
        return document;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (value_get(document, others[i]))
            return NULL;
    return document;
}

bool explain_run(const struct explain_options *options, FILE *out, FILE *err)
{
    struct input input;
    input_init(&input, options->data_root);
    struct value *set = explain_model_set(&input, options);
    struct value *document = explain_as_model(&input, options, set);
    bool good = input.report.errors == 0;
    uint32_t layer;
    if (!good) {
        report_print(&input.report, err);
    } else if (document) {
        struct names names;
        struct model model;
        names_init(&names);
        model_init(&model, &names);
        good = input.report.errors == 0 && build_model(&input, document, set, 1, &model);
        report_print(&input.report, err);
        good = good && explain_wanted(&model, options->layer, &layer, err);
        if (good)
            explain_model(&model, layer, options->json, out);
        model_fini(&model);
        names_fini(&names);
    } else {
        struct scenario s;
        struct scenario_options wanted = {.workload = options->subject,
                                          .topology = options->topology,
                                          .sets = options->sets,
                                          .set_count = options->set_count,
                                          .data_root = options->data_root};
        good = scenario_load(&s, &wanted);
        if (good && s.plan.replayed)
            good = report_error(&s.input.report, s.document->place,
                                "a trace has no layers to explain; `partita run` replays it");
        report_print(&s.input.report, err);
        good = good && explain_wanted(&s.model, options->layer, &layer, err);
        if (good)
            explain_scenario(&s, layer, options->json, out);
        scenario_fini(&s);
    }
    input_fini(&input);
    return good;
}
