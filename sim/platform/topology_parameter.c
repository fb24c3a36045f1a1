#include "platform/topology_parameter.h"

#include "input/fields.h"
#include "platform/reference.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool parameter_flag(const char *text, double *number)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};
    for (size_t i = 0; i < 6; i++)
        if (strcasecmp(text, words[i]) == 0) {
            *number = i % 2 == 1;
            return true;
        }
    return false;
}

/* Whether a value without quotes is meant as arithmetic: it starts like a number, or its first word is bound
 * to a number. ("a100-sxm4-80gb" and "ring" are texts.) */
static bool parameter_is_arithmetic(const struct value *value, const struct scope *scope)
{
    const char *text = value->text;
    if (value->quoted || !*text)
        return false;
    if (!isalpha((unsigned char)*text))
        return true;
    char word[ARRAY_NAME + 1];
    size_t length = 0;
    while (length < ARRAY_NAME && (isalnum((unsigned char)text[length]) || text[length] == '_'))
        length++;
    memcpy(word, text, length);
    word[length] = '\0';
    const struct binding *binding = scope_find(scope, word);
    return (binding && !binding->text) || text[length] == '(';
}

/* Whether a value for a text parameter is a name that only looks like a number ("5g-mmwave-downlink"). */
static bool parameter_is_file_name(const struct value *value)
{
    bool letter = false;
    if (value->kind != VALUE_SCALAR || !isdigit((unsigned char)*value->text))
        return false;
    for (const char *c = value->text; *c; c++) {
        letter = letter || isalpha((unsigned char)*c);
        if (!isalnum((unsigned char)*c) && !strchr("-_.", *c))
            return false;
    }
    return letter;
}

/* A value as the binding of a name. A text that names an earlier text parameter stands for its text. */
static bool parameter_value(struct input *input, const struct value *value, const struct scope *scope,
                            struct binding *out)
{
    if (value->kind != VALUE_SCALAR)
        return report_error(&input->report, value->place, "expected a number or a text for '%s'; got %s",
                            out->name, value_describe(value, &input->arena));
    if (!value->quoted && parameter_flag(value->text, &out->quantity.number))
        return true;
    if (parameter_is_arithmetic(value, scope))
        return expression_evaluate(input, value->text, value->place, scope, &out->quantity);
    const struct binding *bound = scope_find(scope, value->text);
    out->text = bound && bound->text ? bound->text : value->text;
    return true;
}

static const char *parameter_kind(const struct binding *binding)
{
    return binding->text ? "a text" : unit_name(binding->quantity.unit);
}

static bool parameter_bind_one(struct input *input, const struct entry *entry, const struct value *set,
                               const struct scope *set_scope, struct scope *scope)
{
    struct binding standard = {.name = entry->key}, chosen = {.name = entry->key};
    if (!reference_is_name(entry->key))
        return report_error(
            &input->report, entry->place,
            "expected a parameter's name: a letter, then letters, digits, '_' or '-'; got '%s'", entry->key);
    if (!parameter_value(input, entry->value, scope, &standard))
        return false;
    chosen = standard;
    const struct value *value = value_get(set, entry->key);
    if (value) {
        chosen = (struct binding){.name = entry->key};
        if (standard.text && parameter_is_file_name(value))
            chosen.text = value->text;
        else if (!parameter_value(input, value, set_scope ? set_scope : scope, &chosen))
            return false;
        if (!chosen.text != !standard.text || chosen.quantity.unit != standard.quantity.unit)
            return report_error(&input->report, value->place,
                                "parameter '%s' is %s, by default '%s'; got '%s'", entry->key,
                                parameter_kind(&standard), entry->value->text, value->text);
    }
    if (chosen.text)
        scope_bind_text(scope, chosen.name, chosen.text);
    else
        scope_bind(scope, chosen.name, chosen.quantity);
    return true;
}

/* Whether a name stands in the text as a whole word. */
static bool parameter_in(const char *name, const char *text)
{
    size_t length = strlen(name);
    for (const char *at = text; (at = strstr(at, name)); at++)
        if ((at == text || (!isalnum((unsigned char)at[-1]) && at[-1] != '_')) &&
            !isalnum((unsigned char)at[length]) && at[length] != '_')
            return true;
    return false;
}

/* "arity = 5, hosts = 3" of the parameters in a condition. */
static const char *parameter_values(struct input *input, const char *condition, const struct scope *scope)
{
    const char *list = "";
    for (uint32_t i = 0; i < scope->bindings.count; i++) {
        const struct binding *binding = &scope->bindings.at[i];
        char buffer[64];
        if (parameter_in(binding->name, condition) && !binding->text)
            list = arena_format(
                &input->arena, "%s%s%s = %s", list, *list ? ", " : "", binding->name,
                unit_format(binding->quantity.number, binding->quantity.unit, buffer, sizeof buffer));
    }
    return list;
}

bool topology_parameter_require(struct input *input, const struct value *section, const struct value *set,
                                const struct scope *scope)
{
    bool well = true;
    if (!section || section->kind == VALUE_NULL)
        return true;
    if (!fields_want_map(input, section, section->place, "require"))
        return false;
    for (uint32_t i = 0; i < section->count; i++) {
        const struct entry *entry = &section->entries[i];
        struct place place = entry->place;
        struct quantity truth;
        if (entry->value->kind != VALUE_SCALAR) {
            well = report_error(&input->report, entry->value->place, "expected a sentence; got %s",
                                value_describe(entry->value, &input->arena));
            continue;
        }
        if (!expression_evaluate(input, entry->key, entry->place, scope, &truth)) {
            well = false;
            continue;
        }
        if (truth.unit == UNIT_NONE && truth.number != 0)
            continue;
        for (uint32_t k = 0; set && k < set->count; k++)
            if (parameter_in(set->entries[k].key, entry->key))
                place = set->entries[k].value->place;
        well = report_error(&input->report, place, "%s (%s, with %s)", entry->value->text, entry->key,
                            parameter_values(input, entry->key, scope));
    }
    return well;
}

bool topology_parameter_bind(struct input *input, const struct value *declared, const struct value *set,
                             const struct scope *set_scope, struct scope *scope)
{
    bool well = true;
    uint32_t count = 0;
    const char **names = NULL;
    if (declared && declared->kind != VALUE_NULL) {
        if (!fields_want_map(input, declared, declared->place, "parameters"))
            return false;
        count = declared->count;
        names = ARENA_ARRAY(&input->arena, const char *, count);
        for (uint32_t i = 0; i < count; i++) {
            names[i] = declared->entries[i].key;
            well = parameter_bind_one(input, &declared->entries[i], set, set_scope, scope) && well;
        }
    }
    if (!set || set->kind == VALUE_NULL)
        return well;
    if (!fields_want_map(input, set, set->place, "the values set for the topology's parameters"))
        return false;
    for (uint32_t i = 0; i < set->count; i++)
        if (!value_get(declared, set->entries[i].key))
            well = fields_no_such(input, set->entries[i].place, "parameter of the topology",
                                  set->entries[i].key, names, count);
    return well;
}
