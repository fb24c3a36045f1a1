#include "model/parameter.h"

#include "input/fields.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* -1: no flag. */
static int parameter_flag(const char *text)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};
    for (int i = 0; i < 6; i++)
        if (strcasecmp(text, words[i]) == 0)
            return i % 2;
    return -1;
}

/* Whether a scalar is meant as a text: it is quoted, names a text, or is a word that names nothing. */
static bool parameter_is_text(const struct value *value, const struct scope *scope)
{
    const char *text = value->text;
    const struct binding *binding = scope_find(scope, text);
    if (value->quoted || (binding && binding->text))
        return true;
    if (binding || !isalpha((unsigned char)*text) || parameter_flag(text) >= 0)
        return false;
    while (isalnum((unsigned char)*text) || *text == '_' || *text == '-')
        text++;
    return !*text;
}

static bool parameter_bind_value(struct input *input, struct scope *to, const char *name,
                                 const struct value *value, const struct scope *from, bool text)
{
    const struct binding *binding = scope_find(from, value->text);
    struct quantity quantity = {.unit = UNIT_NONE};
    int flag = value->quoted ? -1 : parameter_flag(value->text);
    if (text)
        scope_bind_text(to, name, binding && binding->text ? binding->text : value->text);
    else if (flag >= 0)
        scope_bind(to, name, (struct quantity){.number = flag});
    else if (!expression_evaluate(input, value->text, value->place, from, &quantity))
        return false;
    else
        scope_bind(to, name, quantity);
    return true;
}

/* Every item is an expression. */
static bool parameter_bind_list(struct input *input, struct scope *to, const char *name,
                                const struct value *value, const struct scope *from)
{
    double *list = ARENA_ARRAY(&input->arena, double, value->count + 1);
    bool well = true;
    for (uint32_t i = 0; i < value->count; i++) {
        const struct value *item = value->entries[i].value;
        struct quantity quantity = {.unit = UNIT_NONE};
        if (item->kind != VALUE_SCALAR)
            well = report_error(&input->report, item->place, "expected a number in parameter '%s'; got %s",
                                name, value_describe(item, &input->arena));
        else
            well = expression_evaluate(input, item->text, item->place, from, &quantity) && well;
        list[i] = quantity.number;
    }
    scope_bind_list(to, name, list, value->count);
    return well;
}

static bool parameter_bind_entry(struct input *input, struct scope *to, const struct entry *entry,
                                 const struct value *override, const struct scope *from, struct place where)
{
    const struct value *value = override ? override : entry->value;
    if (value->kind == VALUE_NULL)
        return report_error(&input->report, where, "parameter '%s' has no default and needs a value",
                            entry->key);
    bool list = entry->value->kind == VALUE_LIST;
    if (value->kind != (list ? VALUE_LIST : VALUE_SCALAR))
        return report_error(&input->report, value->place, "expected %s for parameter '%s'; got %s",
                            list ? "a list of numbers" : "a number or a text", entry->key,
                            value_describe(value, &input->arena));
    if (list)
        return parameter_bind_list(input, to, entry->key, value, override ? from : to);
    bool typed = entry->value->kind == VALUE_SCALAR;
    bool text = typed ? parameter_is_text(entry->value, to) : parameter_is_text(value, from);
    return parameter_bind_value(input, to, entry->key, value, override ? from : to, text);
}

bool parameter_bind(struct input *input, struct scope *to, const struct value *declared,
                    const struct value *overrides, const struct scope *from, struct place where)
{
    bool well = true;
    for (uint32_t i = 0; declared && i < declared->count; i++) {
        const struct entry *entry = &declared->entries[i];
        well = parameter_bind_entry(input, to, entry, value_get(overrides, entry->key), from, where) && well;
    }
    return well;
}

static bool parameter_known(const struct value *declared, const char *const others[], const char *key)
{
    for (int i = 0; others[i]; i++)
        if (strcmp(others[i], key) == 0)
            return true;
    return value_get(declared, key) != NULL;
}

bool parameter_check(struct input *input, const struct value *declared, const struct value *overrides,
                     const char *const others[], const char *what)
{
    bool well = true;
    for (uint32_t i = 0; overrides && i < overrides->count; i++) {
        if (parameter_known(declared, others, overrides->entries[i].key))
            continue;
        VECTOR(const char *) known = {0};
        for (uint32_t k = 0; declared && k < declared->count; k++)
            VECTOR_PUSH(&known, declared->entries[k].key);
        for (int k = 0; others[k]; k++)
            VECTOR_PUSH(&known, others[k]);
        well = fields_unknown(input, &overrides->entries[i], what, known.at, known.count);
        VECTOR_FREE(&known);
    }
    return well;
}
