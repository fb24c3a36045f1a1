/* Expand: an item is a layer (its first key is a kind), a use of a block (its first key is the block's name),
 * or an anonymous block (it has a list `layers`). A skipped item (`when` 0) is an identity: its name means
 * its input. Costs a few look-ups per layer; everything that an item's repetitions share is read once. */
#include "model/expand.h"

#include "model/parameter.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { EXPAND_DEPTH = 64, EXPAND_ITEMS = 1000000, EXPAND_NAME = FRAME_NAME - 64, EXPAND_KEYS = 512 };

const char *const expand_item_keys[] = {"from",   "when",   "repeat", "name", "layers",
                                        "result", "inputs", "i",      NULL};

/* One item, as far as all of its repetitions share it. */
struct item {
    const struct value *value;
    struct place place;
    const struct layer_kind *kind; /* or NULL: a block */
    uint32_t kind_index;
    struct block *block; /* or NULL: anonymous */
    const struct value *layers, *when;
    const char *name, *result;
    int64_t repeat;
    bool repeated;
    uint32_t inputs[OPERATOR_OPERANDS], input_count;
};

static struct report *expand_report(struct expand *expand)
{
    return &expand->builder.input->report;
}

bool expand_check_name(struct input *input, const struct value *name, const char *what)
{
    bool good = name->kind == VALUE_SCALAR && *name->text && strlen(name->text) < 128;
    for (const char *at = name->text; good && *at; at++)
        good = isalnum((unsigned char)*at) || *at == '_' || *at == '-';
    return good || report_error(&input->report, name->place,
                                "expected a name of letters, digits, '_' and '-' for %s; got %s", what,
                                value_describe(name, &input->arena));
}

/* ---- reading an item ---- */

static bool expand_find_kind(const char *name, uint32_t *index)
{
    for (*index = 0; build_kinds[*index]; ++*index)
        if (strcmp(build_kinds[*index]->name, name) == 0)
            return true;
    return false;
}

static struct block *expand_find_block(struct expand *expand, const char *name)
{
    for (uint32_t i = 0; i < expand->blocks.count; i++)
        if (strcmp(expand->blocks.at[i].name, name) == 0)
            return &expand->blocks.at[i];
    return NULL;
}

static bool expand_unknown_kind(struct expand *expand, const struct entry *head)
{
    VECTOR(const char *) known = {0};
    for (uint32_t i = 0; i < expand->blocks.count; i++)
        VECTOR_PUSH(&known, expand->blocks.at[i].name);
    for (uint32_t i = 0; build_kinds[i]; i++)
        VECTOR_PUSH(&known, build_kinds[i]->name);
    fields_no_such(expand->builder.input, head->place, "layer kind or block", head->key, known.at,
                   known.count);
    VECTOR_FREE(&known);
    return false;
}

/* What the item is and what it is called. */
static bool expand_read_head(struct expand *expand, struct item *item)
{
    const struct entry *head = &item->value->entries[0];
    const struct value *name = head->value;
    const char *fallback = head->key;
    item->place = head->place;
    if (expand_find_kind(head->key, &item->kind_index)) {
        item->kind = build_kinds[item->kind_index];
    } else if ((item->block = expand_find_block(expand, head->key))) {
        item->layers = item->block->layers;
        item->result = item->block->result;
    } else {
        const struct value *result = value_get(item->value, "result");
        item->layers = value_get(item->value, "layers");
        if (!item->layers || item->layers->kind != VALUE_LIST)
            return expand_unknown_kind(expand, head);
        if (result && result->kind != VALUE_SCALAR)
            return expand_check_name(expand->builder.input, result, "`result`");
        name = value_get(item->value, "name");
        item->result = result ? result->text : NULL;
        fallback = "block";
    }
    item->name = name && name->kind == VALUE_SCALAR ? name->text : fallback;
    return !name || name->kind == VALUE_NULL || expand_check_name(expand->builder.input, name, "a layer");
}

static bool expand_input(struct expand *expand, struct item *item, const struct value *name)
{
    if (name->kind != VALUE_SCALAR)
        return report_error(expand_report(expand), name->place,
                            "expected the name of a layer for 'from'; got %s",
                            value_describe(name, &expand->builder.input->arena));
    if (item->input_count == OPERATOR_OPERANDS)
        return report_error(expand_report(expand), name->place, "`from` names more than %d layers",
                            (int)OPERATOR_OPERANDS);
    struct named found = frame_find(&expand->builder, name->text);
    if (found.tensor == MODEL_NONE)
        return frame_unknown(&expand->builder, name->place, "from", name->text);
    item->inputs[item->input_count++] = found.tensor;
    return true;
}

static bool expand_read_from(struct expand *expand, const struct frame *frame, struct item *item)
{
    const struct value *from = value_get(item->value, "from");
    if (!from) {
        if (frame->previous != MODEL_NONE)
            item->inputs[item->input_count++] = frame->previous;
        return true;
    }
    if (from->kind != VALUE_LIST)
        return expand_input(expand, item, from);
    for (uint32_t i = 0; i < from->count; i++)
        if (!expand_input(expand, item, from->entries[i].value))
            return false;
    return true;
}

static bool expand_read_item(struct expand *expand, const struct frame *frame, const struct value *value,
                             struct item *item)
{
    static const struct field repeat = {.key = "repeat", .kind = FIELD_INTEGER, .low = 0, .high = 1e9};
    struct input *input = expand->builder.input;
    *item = (struct item){.value = value, .repeat = 1};
    expand->builder.frame = frame;
    if (!fields_want_map(input, value, value->place, "a layer"))
        return false;
    if (!value->count)
        return report_error(&input->report, value->place, "expected a layer; got an empty map");
    if (!expand_read_head(expand, item) || !expand_read_from(expand, frame, item))
        return false;
    const struct value *count = value_get(value, "repeat");
    item->when = value_get(value, "when");
    item->repeated = count != NULL;
    return !count || fields_read_one(input, count, &repeat, frame->scope, &item->repeat);
}

/* ---- one layer ---- */

/* The fields of a kind after those of every item: the kind itself, from, when, repeat. */
static const struct field *expand_table(struct expand *expand, uint32_t kind_index)
{
    enum { SHARED = 4 };
    if (expand->tables[kind_index])
        return expand->tables[kind_index];
    const struct layer_kind *kind = build_kinds[kind_index];
    const char *shared[SHARED] = {kind->name, "from", "when", "repeat"};
    struct field *table =
        ARENA_ARRAY(&expand->builder.input->arena, struct field, SHARED + kind->field_count);
    if (kind->field_count)
        memcpy(table, kind->fields, kind->field_count * sizeof *table);
    for (uint32_t i = 0; i < SHARED; i++) /* read elsewhere: here they only must be known */
        table[kind->field_count + i] =
            (struct field){.key = shared[i], .kind = FIELD_VALUE, .offset = EXPAND_KEYS};
    return expand->tables[kind_index] = table;
}

/* The place with a file name that lives as long as the model. */
static struct place expand_place(struct expand *expand, struct place place)
{
    if (place.file && place.file != expand->file[0]) {
        expand->file[0] = place.file;
        expand->file[1] = arena_text(&expand->builder.model->arena, place.file);
    }
    place.file = place.file ? expand->file[1] : NULL;
    return place;
}

static void expand_new_layer(struct expand *expand, const struct item *item, const char *full_name)
{
    struct model *model = expand->builder.model;
    struct layer layer = {.name = names_add(model->names, full_name),
                          .kind = names_add(model->names, item->kind->name),
                          .unit = model->units.count - 1,
                          .first_operator = model->operators.count,
                          .output = MODEL_NONE,
                          .place = expand_place(expand, item->place)};
    layer.part = expand->part ? expand->part : layer.name;
    model->units.at[layer.unit].layer_count++;
    expand->builder.layer = model->layers.count;
    expand->builder.place = item->place;
    expand->builder.failed = false;
    VECTOR_PUSH(&model->layers, layer);
}

static bool expand_layer(struct expand *expand, const struct item *item, const char *full_name,
                         const struct scope *scope, uint32_t *output)
{
    struct builder *builder = &expand->builder;
    const struct layer_kind *kind = item->kind;
    const struct field *table = expand_table(expand, item->kind_index);
    assert(kind->keys_size <= EXPAND_KEYS);
    expand_new_layer(expand, item, full_name);
    builder->scope = scope;
    memset(expand->keys, 0, EXPAND_KEYS);
    if (kind->defaults)
        memcpy(expand->keys, kind->defaults, kind->keys_size);
    if (!fields_read(builder->input, item->value, item->place, kind->name, table, kind->field_count + 4,
                     scope, expand->keys))
        return false;
    if (!kind->build(builder, expand->keys) || builder->failed)
        return false;
    struct layer *layer = &builder->model->layers.at[builder->layer];
    if (layer->operator_count) {
        layer->output = builder_newest(builder);
        builder->model->tensors.at[layer->output].name = layer->name;
    }
    *output = layer->output;
    return frame_define(builder, item->place, full_name, (struct named){*output, builder->layer});
}

/* ---- one block ---- */

static bool expand_block_inputs(struct expand *expand, const struct item *item, struct frame *frame)
{
    const struct value *names = item->block ? item->block->inputs : NULL;
    uint32_t wanted = names ? names->count : 1;
    if (item->input_count > wanted || (names && item->input_count < wanted))
        return report_error(
            expand_report(expand), item->place, "block '%s' has %u input%s, but `from` gives %u",
            item->block ? item->block->name : item->name, wanted, wanted == 1 ? "" : "s", item->input_count);
    for (uint32_t i = 0; i < item->input_count; i++) {
        frame->input_names[i] = names ? names->entries[i].value->text : "input";
        frame->inputs[i] = item->inputs[i];
    }
    frame->input_count = item->input_count;
    frame->previous = item->input_count ? item->inputs[0] : MODEL_NONE;
    return true;
}

/* What the block gives: the layer that it says, or its last. */
static bool expand_result(struct expand *expand, const struct item *item, const struct frame *frame,
                          uint32_t *output)
{
    *output = frame->previous;
    if (!item->result)
        return true;
    expand->builder.frame = frame;
    struct named found = frame_find(&expand->builder, item->result);
    *output = found.tensor;
    return found.tensor != MODEL_NONE || frame_unknown(&expand->builder, item->place, "result", item->result);
}

static bool expand_block(struct expand *expand, const struct frame *outer, const struct item *item,
                         const char *full_name, const struct scope *scope, uint32_t *output)
{
    char prefix[FRAME_NAME + 2];
    struct frame frame = {.outer = outer, .prefix = prefix, .scope = scope};
    uint32_t part = expand->part;
    snprintf(prefix, sizeof prefix, "%s.", full_name);
    if (!expand_block_inputs(expand, item, &frame))
        return false;
    if (++expand->depth > EXPAND_DEPTH)
        return report_error(expand_report(expand), item->place, "blocks nest deeper than %d", EXPAND_DEPTH);
    expand->part = names_add(expand->builder.model->names, full_name);
    bool well = expand_items(expand, &frame, item->layers) && expand_result(expand, item, &frame, output);
    expand->part = part;
    expand->depth--;
    if (!well || *output == MODEL_NONE)
        return well;
    return frame_define(&expand->builder, item->place, full_name, (struct named){*output, MODEL_NONE});
}

/* Binds the block's parameters, from the item where it says them. */
static bool expand_named_block(struct expand *expand, const struct frame *outer, const struct item *item,
                               const char *full_name, struct scope *caller, uint32_t *output)
{
    struct input *input = expand->builder.input;
    struct block *block = item->block;
    struct scope scope = {.outer = expand->parameters};
    const char *known[] = {block->name, "from", "when", "repeat", NULL};
    const char *what = arena_format(&input->arena, "block '%s'", block->name);
    const struct binding *i = item->repeated ? scope_find(caller, "i") : NULL;
    if (block->active)
        return report_error(&input->report, item->place, "block '%s' contains itself", block->name);
    if (i)
        scope_bind(&scope, "i", i->quantity);
    bool well = parameter_check(input, block->parameters, item->value, known, what) &&
                parameter_bind(input, &scope, block->parameters, item->value, caller, item->place);
    block->active = true;
    well = well && expand_block(expand, outer, item, full_name, &scope, output);
    expand_find_block(expand, known[0])->active = false;
    scope_fini(&scope);
    return well;
}

static bool expand_anonymous_block(struct expand *expand, const struct frame *outer, const struct item *item,
                                   const char *full_name, const struct scope *scope, uint32_t *output)
{
    static const char *const known[] = {"layers", "name", "from", "when", "repeat", "result", NULL};
    return parameter_check(expand->builder.input, NULL, item->value, known, "a block") &&
           expand_block(expand, outer, item, full_name, scope, output);
}

/* ---- one item ---- */

/* Top-level items are units. One that turns out to be empty is taken back. */
static bool expand_as_unit(struct expand *expand, const struct frame *frame, const char *full_name)
{
    struct model *model = expand->builder.model;
    if (frame->outer)
        return false;
    struct model_unit unit = {.name = names_add(model->names, full_name), .first_layer = model->layers.count};
    VECTOR_PUSH(&model->units, unit);
    return true;
}

static bool expand_once(struct expand *expand, const struct frame *frame, const struct item *item,
                        const char *full_name, struct scope *scope, uint32_t *output)
{
    static const struct field when = {.key = "when", .kind = FIELD_FLAG};
    bool wanted = true, well;
    if (++expand->items > EXPAND_ITEMS)
        return report_error(expand_report(expand), item->place, "the model has more than %d layers",
                            EXPAND_ITEMS);
    if (item->when && !fields_read_one(expand->builder.input, item->when, &when, scope, &wanted))
        return false;
    if (!wanted) {
        *output = item->input_count ? item->inputs[0] : MODEL_NONE;
        return *output == MODEL_NONE ||
               frame_define(&expand->builder, item->place, full_name, (struct named){*output, MODEL_NONE});
    }
    bool unit = expand_as_unit(expand, frame, full_name);
    expand->builder.frame = frame;
    expand->builder.input_count = item->input_count;
    memcpy(expand->builder.inputs, item->inputs, sizeof item->inputs);
    if (item->kind)
        well = expand_layer(expand, item, full_name, scope, output);
    else if (item->block)
        well = expand_named_block(expand, frame, item, full_name, scope, output);
    else
        well = expand_anonymous_block(expand, frame, item, full_name, scope, output);
    struct model *model = expand->builder.model;
    if (unit && model->units.at[model->units.count - 1].layer_count == 0)
        model->units.count--;
    return well;
}

static bool expand_item(struct expand *expand, struct frame *frame, const struct value *value)
{
    struct item item;
    char full[FRAME_NAME];
    if (!expand_read_item(expand, frame, value, &item))
        return false;
    int length = snprintf(full, EXPAND_NAME, "%s%s", frame->prefix, item.name);
    if (length >= EXPAND_NAME)
        return report_error(expand_report(expand), item.place, "the full name of '%s' is too long",
                            item.name);
    uint32_t output = item.input_count ? item.inputs[0] : MODEL_NONE;
    for (int64_t i = 0; i < item.repeat; i++) {
        struct scope scope = {.outer = frame->scope};
        if (item.repeated) {
            snprintf(full + length, sizeof full - (size_t)length, "[%lld]", (long long)i);
            scope_bind(&scope, "i", (struct quantity){.number = (double)i});
        }
        bool well = expand_once(expand, frame, &item, full, &scope, &output);
        scope_fini(&scope);
        if (!well)
            return false;
        if (output != MODEL_NONE) { /* each repetition reads the one before */
            item.inputs[0] = output;
            item.input_count += item.input_count == 0;
        }
    }
    frame->previous = output != MODEL_NONE ? output : frame->previous;
    full[length] = '\0';
    return !item.repeated || output == MODEL_NONE ||
           frame_define(&expand->builder, item.place, full, (struct named){output, MODEL_NONE});
}

bool expand_items(struct expand *expand, struct frame *frame, const struct value *items)
{
    for (uint32_t i = 0; i < items->count; i++)
        if (!expand_item(expand, frame, items->entries[i].value))
            return false;
    return true;
}
