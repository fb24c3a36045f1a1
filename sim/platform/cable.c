/* Cable: one entry of `links:` with `from` and `to` is a pattern that stands for many cables. Each new name
 * among the indices of `from`, then of `to`, is a variable that runs over that dimension of the array named;
 * `*` is one without a name. Every combination of the variables is one cable, except where `where` is false
 * and where both ends are the same node (the wrap-around of a ring of one). A cable is called after its entry
 * and its variables: "nvlink[3,5]". `for:` declares further variables, before those of `from`. In a part, the
 * indices of its instances are variables without a name, before all others.
 *
 * With mode: shared, all cables of equal `channel` are one link, called after it: "wifi[2]".
 *
 * O(combinations); an index that is just a variable costs nothing, any other is evaluated as an expression.
 */
#include "input/fields.h"
#include "platform/graph.h"
#include "platform/links.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

enum { CABLE_MOST = 1 << 24, CABLE_SCRATCH = 1024, CABLE_CHANNELS = 1 << 20 };

/* One index of an end: a variable, or an expression of the variables. */
struct cable_index {
    uint32_t variable; /* UINT32_MAX: evaluate `text` */
    const char *text;
    struct place place;
};

struct cable_end {
    const struct array *array; /* of one instance */
    const char *text;
    struct cable_index index[ARRAY_RANK];
};

struct cable_channel {
    uint32_t number, instance, link;
};

struct cable {
    struct draft *draft;
    const struct entry *entry;
    const struct links_entry *read;
    struct cable_end from, to;
    const char *where; /* NULL: always */
    struct place where_place;
    struct array variables; /* an array of cables: a dimension per instance index and variable */
    const char *channel;    /* NULL: each cable has a capacity of its own */
    struct place channel_place;
    VECTOR(struct cable_channel) channels;
    const char *reverse; /* what messages call the other direction */
    uint32_t group;      /* the interned name of the entry; UINT32_MAX: no cable yet */
    uint32_t value[ARRAY_RANK];
    struct scope scope; /* binding i is variable i; then the parameters */
};

static bool cable_is_word(const char *text)
{
    if (!isalpha((unsigned char)*text) && *text != '_')
        return false;
    while (isalnum((unsigned char)*text) || *text == '_')
        text++;
    return !*text;
}

/* Declares a variable, or finds the one of this name. UINT32_MAX when the text is an expression. */
static uint32_t cable_variable(struct cable *cable, const char *text, uint32_t size)
{
    struct array *variables = &cable->variables;
    bool named = strcmp(text, "*") != 0;
    for (uint32_t v = 0; v < cable->scope.bindings.count && named; v++)
        if (strcmp(cable->scope.bindings.at[v].name, text) == 0)
            return v;
    if (named && (!cable_is_word(text) || scope_find(&cable->scope, text)))
        return UINT32_MAX;
    if (variables->rank < ARRAY_RANK) {
        variables->size[variables->rank] = size;
        if (!named) /* a name that no expression can say */
            text = arena_format(&cable->draft->input->arena, "*%u", variables->rank);
        scope_bind(&cable->scope, text, (struct quantity){0});
    }
    return variables->rank++;
}

/* The variables that `for:` declares. */
static bool cable_loops(struct cable *cable, const struct value *loops)
{
    struct input *input = cable->draft->input;
    if (!loops)
        return true;
    if (!fields_want_map(input, loops, loops->place, "the variables (for)"))
        return false;
    for (uint32_t i = 0; i < loops->count; i++) {
        const struct entry *loop = &loops->entries[i];
        const struct field field = {.key = loop->key, .kind = FIELD_INTEGER, .low = 0, .high = CABLE_MOST};
        int64_t size;
        if (!cable_is_word(loop->key) || scope_find(&cable->scope, loop->key))
            return report_error(&input->report, loop->place,
                                "expected a new name, of letters, digits and '_', for a variable; got '%s'",
                                loop->key);
        if (!fields_read_one(input, loop->value, &field, &cable->draft->scope, &size))
            return false;
        cable_variable(cable, loop->key, (uint32_t)size);
        if (cable->variables.rank > ARRAY_RANK)
            return report_error(&input->report, loop->place, "a pattern of links has at most %d variables",
                                ARRAY_RANK);
    }
    return true;
}

static bool cable_end(struct cable *cable, const struct value *value, const char *what, struct cable_end *end)
{
    struct draft *draft = cable->draft;
    struct reference reference;
    if (!reference_read(draft->input, value, what, &reference))
        return false;
    end->text = reference.text;
    end->array = reference_find(draft->input, &reference, "device or switch", draft->arrays.at,
                                draft->arrays.count, false);
    if (!end->array)
        return false;
    for (uint32_t i = 0; i < reference.rank; i++) {
        struct cable_index *index = &end->index[i];
        index->text = reference.index[i];
        index->place = reference.index_place[i];
        index->variable = cable_variable(cable, index->text, end->array->size[i]);
        if (cable->variables.rank > ARRAY_RANK)
            return report_error(&draft->input->report, index->place,
                                "a pattern of links has at most %d variables", ARRAY_RANK);
    }
    return true;
}

static char *cable_name(struct cable *cable, const char *suffix, char *text)
{
    return array_text(&cable->variables, cable->value, suffix, text);
}

/* The value of an index for the cable at hand; reports one that is no element of the array. */
static bool cable_index(struct cable *cable, const struct cable_end *end, uint32_t dimension, uint32_t *out)
{
    const struct cable_index *index = &end->index[dimension];
    struct input *input = cable->draft->input;
    char name[ARRAY_TEXT];
    struct quantity result;
    double size = end->array->size[dimension];
    if (index->variable != UINT32_MAX) {
        result = (struct quantity){.number = cable->value[index->variable]};
    } else if (!expression_evaluate(input, index->text, index->place, &cable->scope, &result)) {
        return false;
    }
    if (result.unit != UNIT_NONE || result.number != floor(result.number))
        return report_error(&input->report, index->place,
                            "expected a whole number as an index; '%s' is %g for link '%s'", index->text,
                            result.number, cable_name(cable, "", name));
    if (result.number < 0 || result.number >= size) {
        const char *link = arena_format(&input->arena, "link '%s' (%s = %.15g)", cable_name(cable, "", name),
                                        index->text, result.number);
        return reference_out_of_range(input, index->place, end->text, end->array, dimension, link);
    }
    *out = (uint32_t)result.number;
    return true;
}

static bool cable_node(struct cable *cable, const struct cable_end *end, uint32_t *node)
{
    uint32_t indices[ARRAY_RANK];
    for (uint32_t i = 0; i < end->array->rank; i++)
        if (!cable_index(cable, end, i, &indices[i]))
            return false;
    uint32_t instance = cable->draft->outer ? array_element(&cable->draft->part, cable->value) : 0;
    *node = end->array->first + instance * end->array->count + array_element(end->array, indices);
    return true;
}

static bool cable_wanted(struct cable *cable, bool *wanted)
{
    struct quantity result = {.number = 1};
    if (cable->where &&
        !expression_evaluate(cable->draft->input, cable->where, cable->where_place, &cable->scope, &result))
        return false;
    if (result.unit != UNIT_NONE)
        return report_error(&cable->draft->input->report, cable->where_place,
                            "expected a condition such as 'i < j'; '%s' is %s", cable->where,
                            unit_name(result.unit));
    *wanted = result.number != 0;
    return true;
}

/* The channel of the cable at hand. */
static bool cable_channel_number(struct cable *cable, uint32_t *number)
{
    struct input *input = cable->draft->input;
    struct quantity result;
    if (!expression_evaluate(input, cable->channel, cable->channel_place, &cable->scope, &result))
        return false;
    if (result.unit != UNIT_NONE || result.number != floor(result.number) || result.number < 0 ||
        result.number >= CABLE_CHANNELS)
        return report_error(&input->report, cable->channel_place,
                            "expected a channel, a whole number from 0 on; '%s' is %.15g", cable->channel,
                            result.number);
    *number = (uint32_t)result.number;
    return true;
}

/* Adds the link of a channel of this instance of the part, with the overrides of that channel; UINT32_MAX
 * when it failed. */
static bool cable_channel_add(struct cable *cable, struct cable_channel *channel)
{
    struct draft *draft = cable->draft;
    struct platform *platform = draft->platform;
    const struct array own = {.name = cable->entry->key,
                              .place = cable->entry->place,
                              .rank = 1,
                              .size = {CABLE_CHANNELS},
                              .count = CABLE_CHANNELS};
    struct array named;
    struct links_entry read = *cable->read;
    struct override *override;
    uint32_t indices[ARRAY_RANK];
    char text[ARRAY_TEXT];
    if (!draft_full(draft, &own, &named))
        return false;
    memcpy(indices, cable->value, sizeof indices);
    indices[named.rank - 1] = channel->number;
    for (uint32_t next = 0; (override = override_next(draft, &named, &next));)
        if (pattern_matches(&override->pattern, named.rank, indices) &&
            !links_override(draft, override, &read))
            return false;
    uint32_t name = names_add(platform->names, array_text(&named, indices, "", text));
    uint32_t group = names_add(platform->names, named.name);
    channel->link = UINT32_MAX;
    if (!read.failed)
        channel->link = graph_add_link(platform, links_capacity(draft, &read, &read.link, name, group));
    VECTOR_PUSH(&cable->channels, *channel);
    return true;
}

/* A cable of a channel: both ways over the link that it shares with the others. */
static bool cable_share(struct cable *cable, uint32_t from, uint32_t to)
{
    struct platform *platform = cable->draft->platform;
    struct cable_channel channel = {.link = UINT32_MAX};
    uint32_t known = 0;
    if (!cable_channel_number(cable, &channel.number))
        return false;
    if (cable->draft->outer)
        channel.instance = array_element(&cable->draft->part, cable->value);
    while (known < cable->channels.count && (cable->channels.at[known].number != channel.number ||
                                             cable->channels.at[known].instance != channel.instance))
        known++;
    if (known == cable->channels.count && !cable_channel_add(cable, &channel))
        return false;
    uint32_t link = cable->channels.at[known].link;
    if (link == UINT32_MAX)
        return true;
    graph_add_arc(platform, from, to, link);
    graph_add_arc(platform, to, from, link);
    return true;
}

/* One capacity for both directions, or one each. */
static bool cable_add(struct cable *cable, const struct links_entry *read, uint32_t from, uint32_t to)
{
    struct draft *draft = cable->draft;
    struct platform *platform = draft->platform;
    bool duplex = read->link.mode == LINK_FULL_DUPLEX;
    struct link_type back;
    char text[ARRAY_TEXT];
    if (cable->group == UINT32_MAX)
        cable->group = names_add(platform->names, cable->variables.name);
    uint32_t group = cable->group;
    uint32_t name = names_add(platform->names, cable_name(cable, duplex ? ">" : "", text));
    uint32_t there = graph_add_link(platform, links_capacity(draft, read, &read->link, name, group));
    uint32_t again = there;
    if (duplex) {
        if (!link_type_reverse(draft->input, &read->link, &draft->scope, &back) ||
            !link_type_check(draft->input, &back, cable->reverse, cable->entry->place))
            return false;
        name = names_add(platform->names, cable_name(cable, "<", text));
        again = graph_add_link(platform, links_capacity(draft, read, &back, name, group));
    } else if (read->link.reverse && !link_type_reverse(draft->input, &read->link, &draft->scope, &back)) {
        return false;
    }
    graph_add_arc(platform, from, to, there);
    graph_add_arc(platform, to, from, again);
    return true;
}

/* The cable of one combination of the variables. */
static bool cable_instance(struct cable *cable, uint32_t combination)
{
    struct draft *draft = cable->draft;
    uint32_t from, to;
    bool wanted = false;
    array_indices(&cable->variables, combination, cable->value);
    for (uint32_t v = 0; v < cable->variables.rank; v++)
        cable->scope.bindings.at[v].quantity.number = cable->value[v];
    if (!cable_wanted(cable, &wanted))
        return false;
    if (!wanted)
        return true;
    if (!cable_node(cable, &cable->from, &from) || !cable_node(cable, &cable->to, &to))
        return false;
    if (from == to || draft_node_failed(draft, from) || draft_node_failed(draft, to))
        return true;
    if (cable->channel)
        return cable_share(cable, from, to);
    struct links_entry read = *cable->read;
    struct override *override;
    for (uint32_t next = 0; (override = override_next(draft, &cable->variables, &next));)
        if (pattern_matches(&override->pattern, cable->variables.rank, cable->value) &&
            !links_override(draft, override, &read))
            return false;
    return read.failed || cable_add(cable, &read, from, to);
}

/* Expressions leave texts in the input's arena; a scratch arena takes its place while cables are made. The
 * file names and texts of messages live elsewhere. */
static bool cable_expand(struct cable *cable)
{
    struct input *input = cable->draft->input;
    const struct arena kept = input->arena;
    bool well = true;
    arena_init(&input->arena);
    for (uint32_t i = 0; i < cable->variables.count && well; i++) {
        if (i % CABLE_SCRATCH == CABLE_SCRATCH - 1)
            arena_fini(&input->arena);
        well = cable_instance(cable, i);
    }
    arena_fini(&input->arena);
    input->arena = kept;
    return well;
}

/* The array of cables: a dimension per variable. */
static bool cable_count(struct cable *cable)
{
    uint64_t count = 1;
    for (uint32_t v = 0; v < cable->variables.rank && count <= CABLE_MOST; v++)
        count *= cable->variables.size[v];
    if (count > CABLE_MOST)
        return report_error(&cable->draft->input->report, cable->entry->place,
                            "link '%s' runs over more than %d combinations of its variables",
                            cable->entry->key, CABLE_MOST);
    cable->variables.count = (uint32_t)count;
    return true;
}

bool cable_read(struct draft *draft, const struct entry *entry, const struct links_entry *read)
{
    struct cable cable = {.draft = draft,
                          .entry = entry,
                          .read = read,
                          .reverse = draft_what(draft, "the reverse of link", entry->key),
                          .group = UINT32_MAX};
    const struct array own = {.name = entry->key, .place = entry->place, .count = 1};
    if (!draft_full(draft, &own, &cable.variables))
        return false;
    cable.scope.outer = &draft->scope;
    for (uint32_t i = 0; i < cable.variables.rank; i++)
        scope_bind(&cable.scope, arena_format(&draft->input->arena, "*%u", i), (struct quantity){0});
    bool well = cable_loops(&cable, read->loop) &&
                cable_end(&cable, read->from, "one end of the link (from)", &cable.from) &&
                cable_end(&cable, read->to, "the other end of the link (to)", &cable.to);
    const struct value *where = read->where;
    if (well && where) {
        const struct field field = {.key = "where", .kind = FIELD_TEXT};
        well = fields_read_one(draft->input, where, &field, NULL, &cable.where);
        cable.where_place = where->place;
        cable.where_place.column += where->quoted && where->place.line;
    }
    if (well && read->channel) {
        const struct field field = {.key = "channel", .kind = FIELD_TEXT};
        well = fields_read_one(draft->input, read->channel, &field, NULL, &cable.channel);
        cable.channel_place = read->channel->place;
        cable.channel_place.column += read->channel->quoted && read->channel->place.line;
    }
    well = well && cable_count(&cable) && cable_expand(&cable);
    VECTOR_FREE(&cable.channels);
    scope_fini(&cable.scope);
    return well;
}
