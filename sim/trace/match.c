#include "trace/match.h"

#include "platform/worker_array.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One end of a communication. */
struct entry {
    uint32_t group; /* of a collective: index into the match's groups; of a message: source */
    uint32_t other; /* of a message: target */
    uint32_t rank, sequence, node, name;
    int64_t tag, kind;
    double size;
    bool receives;
};
struct entry_list {
    struct entry *at;
    uint32_t count, room;
};

struct matcher {
    struct trace *trace;
    const uint32_t *first;
    struct match *match;
    struct report *report;
    struct entry_list collectives, messages;
    uint32_t dimensions, size[ARRAY_RANK]; /* of the array of devices, the innermost first; 0: none */
};

#define COMPARE(a, b)                                                                                        \
    if ((a) != (b))                                                                                          \
    return (a) < (b) ? -1 : 1

/* What members of one collective have in common. */
static int entry_alike(const struct entry *a, const struct entry *b)
{
    COMPARE(a->name, b->name);
    COMPARE(a->kind, b->kind);
    COMPARE(a->tag, b->tag);
    COMPARE(a->size, b->size);
    return 0;
}

static int entry_by_name(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    COMPARE(a->group, b->group);
    COMPARE(a->rank, b->rank);
    int order = entry_alike(a, b);
    if (order)
        return order;
    COMPARE(a->sequence, b->sequence);
    return 0;
}

static int entry_by_turn(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    COMPARE(a->rank, b->rank);
    COMPARE(a->sequence, b->sequence);
    return 0;
}

static int entry_same_message(const struct entry *a, const struct entry *b)
{
    COMPARE(a->group, b->group);
    COMPARE(a->other, b->other);
    COMPARE(a->tag, b->tag);
    return 0;
}

static int entry_by_message(const void *left, const void *right)
{
    const struct entry *a = left, *b = right;
    int order = entry_same_message(a, b);
    if (order)
        return order;
    COMPARE(a->receives, b->receives);
    COMPARE(a->sequence, b->sequence);
    return 0;
}

static const struct trace_node *match_node(const struct matcher *m, const struct entry *entry)
{
    return &m->trace->ranks.at[entry->rank].nodes.at[entry->node - m->first[entry->rank]];
}

static const char *match_text(const struct matcher *m, const struct entry *entry)
{
    return trace_node_text(m->trace, &m->trace->ranks.at[entry->rank], match_node(m, entry));
}

static struct place match_place(const struct matcher *m, const struct entry *entry)
{
    return (struct place){m->trace->ranks.at[entry->rank].path, 0, 0};
}

static bool match_is_all(const struct matcher *m, uint32_t pg)
{
    return !pg || (strcmp(names_text(m->trace->names, pg), "0") == 0 && !trace_group_find(m->trace, pg));
}

static const char *match_kind(const struct entry *entry)
{
    return communication_names[trace_collectives[entry->kind]];
}

/* The ranks that share all places of `rank` along the dimensions in which a collective does not go. */
static void match_along(const struct matcher *m, uint32_t without, uint32_t rank, struct index_list *members)
{
    for (uint32_t r = 0; r < m->trace->ranks.count; r++) {
        bool same = true;
        for (uint32_t d = 0, stride = 1; d < m->dimensions; stride *= m->size[d++])
            same = same && (!(without >> d & 1) || r / stride % m->size[d] == rank / stride % m->size[d]);
        if (same)
            VECTOR_PUSH(members, r);
    }
}

/* What reports call the group of a collective that names none of its own. */
static const char *match_name(const struct matcher *m, const struct trace_node *node, bool all)
{
    struct arena *arena = &m->trace->arena;
    const char *text = "all ranks";
    if (!all)
        return arena_format(arena, "group %s", names_text(m->trace->names, node->pg));
    for (uint32_t d = 0; d < m->dimensions; d++)
        if (node->without >> d & 1)
            text = arena_format(arena, "%s %u", strchr(text, ',') ? text : "all ranks, without dimension", d);
    return text;
}

static bool match_is_group(const struct match_group *group, uint32_t name, const struct index_list *members)
{
    bool same = group->name == name && group->members.count == members->count;
    for (uint32_t i = 0; same && i < members->count; i++)
        same = group->members.at[i] == members->at[i];
    return same;
}

/* The group of a rank's collective, made at its first use; TRACE_NONE: nobody says who is in it. */
static uint32_t match_group(struct matcher *m, const struct trace_node *node, uint32_t rank)
{
    bool all = match_is_all(m, node->pg);
    const struct trace_group *known = all ? NULL : trace_group_find(m->trace, node->pg);
    struct index_list members = {0};
    if (!all && !known)
        return TRACE_NONE;
    uint32_t name = node->label ? node->label : names_add(m->trace->names, match_name(m, node, all)), g = 0;
    if (all)
        match_along(m, node->without, rank, &members);
    for (uint32_t i = 0; known && i < known->members.count; i++)
        VECTOR_PUSH(&members, known->members.at[i]);
    while (g < m->match->groups.count && !match_is_group(&m->match->groups.at[g], name, &members))
        g++;
    if (g == m->match->groups.count)
        VECTOR_PUSH(&m->match->groups, ((struct match_group){.name = name, .members = members}));
    else
        VECTOR_FREE(&members);
    return g;
}

/* Whether a rank is in a group, once. */
static bool match_member(struct matcher *m, const struct entry *entry)
{
    const struct match_group *group = &m->match->groups.at[entry->group];
    uint32_t times = 0;
    for (uint32_t i = 0; i < group->members.count; i++)
        times += group->members.at[i] == entry->rank;
    return times == 1 ||
           report_error(m->report, match_place(m, entry), "%s: rank %u is %s in process group '%s'",
                        match_text(m, entry), entry->rank, times ? "more than once" : "not",
                        names_text(m->trace->names, match_node(m, entry)->pg));
}

static bool match_collective(struct matcher *m, struct entry entry, const struct trace_node *node)
{
    entry.group = match_group(m, node, entry.rank);
    if (entry.group == TRACE_NONE)
        return report_error(m->report, match_place(m, &entry),
                            "%s: no file and no metadata lists the ranks of process group '%s'%s",
                            match_text(m, &entry), names_text(m->trace->names, node->pg),
                            m->trace->groups_path ? "" : "; a file PREFIX.json or `trace.groups` can");
    if (!match_member(m, &entry))
        return false;
    if (node->without && match_is_all(m, node->pg) && !m->dimensions)
        return report_error(
            m->report, match_place(m, &entry),
            "%s leaves out dimensions of the devices, but those of this topology are no array "
            "that has any",
            match_text(m, &entry));
    VECTOR_PUSH(&m->collectives, entry);
    return true;
}

/* A message to oneself is nothing but a wait. */
static bool match_message(struct matcher *m, struct entry entry, const struct trace_node *node)
{
    bool receives = node->type == TRACE_RECEIVE;
    int64_t other = receives ? node->source : node->target, own = receives ? node->target : node->source;
    const char *key = receives ? "comm_src" : "comm_dst";
    if (other < 0 || other >= m->trace->ranks.count)
        return other < 0 ? report_error(m->report, match_place(m, &entry), "%s: '%s' is missing",
                                        match_text(m, &entry), key)
                         : report_error(m->report, match_place(m, &entry),
                                        "%s: '%s' is %lld, but there are %u ranks", match_text(m, &entry),
                                        key, (long long)other, m->trace->ranks.count);
    if (own >= 0 && own != entry.rank)
        return report_error(m->report, match_place(m, &entry), "%s: '%s' is %lld, which is not this rank",
                            match_text(m, &entry), receives ? "comm_dst" : "comm_src", (long long)own);
    entry.receives = receives;
    entry.group = receives ? (uint32_t)other : entry.rank;
    entry.other = receives ? entry.rank : (uint32_t)other;
    VECTOR_PUSH(&m->messages, entry);
    return true;
}

static bool match_collect(struct matcher *m, const uint32_t *order)
{
    bool good = true;
    uint32_t count = m->first[m->trace->ranks.count];
    uint32_t *rank_of = NULL;
    struct index_list ranks = {0};
    for (uint32_t r = 0; r < m->trace->ranks.count; r++)
        for (uint32_t i = m->first[r]; i < m->first[r + 1]; i++)
            VECTOR_PUSH(&ranks, r);
    rank_of = ranks.at;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t rank = rank_of[order[i]];
        const struct trace_node *node = &m->trace->ranks.at[rank].nodes.at[order[i] - m->first[rank]];
        struct entry entry = {.rank = rank,
                              .sequence = i,
                              .node = order[i],
                              .name = node->name,
                              .tag = node->tag,
                              .kind = node->kind,
                              .size = node->size};
        bool message = node->type == TRACE_SEND || node->type == TRACE_RECEIVE;
        if (!message && node->type != TRACE_COLLECTIVE)
            continue;
        bool barrier = node->type == TRACE_COLLECTIVE && node->kind == 9;
        if (isnan(entry.size) && barrier)
            entry.size = 0;
        if (isnan(entry.size)) {
            good = report_error(m->report, match_place(m, &entry), "%s: 'comm_size' is missing",
                                match_text(m, &entry));
            continue;
        }
        good = (message ? match_message(m, entry, node) : match_collective(m, entry, node)) && good;
    }
    VECTOR_FREE(&ranks);
    return good;
}

/* The entries of each member stand together, in the members' order of rank: whether they fit as they stand.
 */
static const struct entry *match_misfit(const struct entry *at, uint32_t each, uint32_t count, bool names)
{
    for (uint32_t i = each; i < count; i++) {
        const struct entry *as = &at[i % each];
        if (names ? entry_alike(&at[i], as) != 0 : at[i].kind != as->kind || at[i].size != as->size)
            return &at[i];
    }
    return NULL;
}

/* Whether all members join as many collectives; reports who does not. */
static bool match_count(struct matcher *m, struct entry *at, uint32_t count, uint32_t *each)
{
    const struct match_group *group = &m->match->groups.at[at->group];
    uint32_t *times = ARENA_ARRAY(&m->trace->arena, uint32_t, m->trace->ranks.count), most = 0;
    for (uint32_t i = 0; i < count; i++)
        times[at[i].rank]++;
    for (uint32_t i = 0; i < group->members.count; i++)
        most = times[group->members.at[i]] > times[group->members.at[most]] ? i : most;
    *each = times[group->members.at[most]];
    for (uint32_t i = 0; i < group->members.count; i++) {
        uint32_t member = group->members.at[i], k = 0;
        if (times[member] == *each)
            continue;
        qsort(at, count, sizeof *at, entry_by_turn);
        while (at[k].rank != group->members.at[most])
            k++;
        /* The first collective that the others have and this rank has not, as far as names tell. */
        uint32_t own = 0, lost = times[member];
        while (own < count && at[own].rank != member)
            own++;
        for (uint32_t j = 0; j < times[member] && lost == times[member]; j++)
            if (at[own + j].name != at[k + j].name)
                lost = j;
        return report_error(
            m->report, match_place(m, &at[k + lost]),
            "%s: only some ranks join this collective of %s: rank %u has %u collectives in that "
            "group, rank %u has %u",
            match_text(m, &at[k + lost]), names_text(m->trace->names, group->name), member, times[member],
            group->members.at[most], *each);
    }
    return true;
}

static bool match_group_entries(struct matcher *m, struct entry *at, uint32_t count)
{
    struct match_group *group = &m->match->groups.at[at->group];
    uint32_t each;
    if (!match_count(m, at, count, &each))
        return false;
    if (match_misfit(at, each, count, true)) {
        qsort(at, count, sizeof *at, entry_by_turn);
        const struct entry *misfit = match_misfit(at, each, count, false);
        if (misfit)
            return report_error(m->report, match_place(m, misfit),
                                "%s is joined with %s, which is of another kind or size: %s of %.17g bytes "
                                "beside %s of %.17g bytes",
                                match_text(m, misfit), match_text(m, &at[(misfit - at) % each]),
                                match_kind(misfit), misfit->size, match_kind(&at[(misfit - at) % each]),
                                at[(misfit - at) % each].size);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = at[i].node, leader = at[i % each].node;
        m->match->unit[node] = leader; /* numbered without gaps later */
        m->match->group[node] = at->group;
        m->match->number[node] = i % each;
    }
    group->communications = each;
    return true;
}

static uint32_t match_pair_group(struct matcher *m, const struct entry *send, bool rendezvous, uint32_t first)
{
    const struct trace_node *node = match_node(m, send);
    uint32_t name = node->label ? node->label : names_add(m->trace->names, "point-to-point");
    for (uint32_t g = first; g < m->match->groups.count; g++) {
        const struct match_group *group = &m->match->groups.at[g];
        if (group->name == name && group->rendezvous == rendezvous && group->members.at[0] == send->group &&
            group->members.at[1] == send->other)
            return g;
    }
    struct match_group group = {.name = name, .rendezvous = rendezvous};
    VECTOR_PUSH(&group.members, send->group);
    VECTOR_PUSH(&group.members, send->other);
    VECTOR_PUSH(&m->match->groups, group);
    return m->match->groups.count - 1;
}

static bool match_pair(struct matcher *m, const struct entry *send, const struct entry *receive,
                       uint32_t first)
{
    if (send->size != receive->size)
        return report_error(m->report, match_place(m, receive),
                            "%s receives %.17g bytes, but %s sends %.17g bytes", match_text(m, receive),
                            receive->size, match_text(m, send), send->size);
    bool rendezvous = match_node(m, send)->rendezvous;
    if (rendezvous)
        m->match->unit[receive->node] = send->node;
    else
        m->match->after[receive->node] = send->node;
    if (send->group == send->other)
        return true;
    uint32_t g = match_pair_group(m, send, rendezvous, first);
    m->match->group[send->node] = m->match->group[receive->node] = g;
    m->match->number[send->node] = m->match->number[receive->node] = m->match->groups.at[g].communications++;
    return true;
}

/* Sends and receives between two ranks with one tag stand together, the sends first. */
static bool match_messages(struct matcher *m)
{
    struct entry *at = m->messages.at;
    uint32_t count = m->messages.count, first = m->match->groups.count;
    bool good = true;
    if (count)
        qsort(at, count, sizeof *at, entry_by_message);
    for (uint32_t i = 0, end; i < count; i = end) {
        uint32_t sends = 0;
        for (end = i; end < count && entry_same_message(&at[end], &at[i]) == 0; end++)
            sends += !at[end].receives;
        if (i && (at[i].group != at[i - 1].group || at[i].other != at[i - 1].other))
            first = m->match->groups.count; /* groups of other pairs need not be searched */
        uint32_t receives = end - i - sends, pairs = sends < receives ? sends : receives;
        for (uint32_t k = 0; k < pairs; k++)
            good = match_pair(m, &at[i + k], &at[i + sends + k], first) && good;
        for (uint32_t k = i + pairs; k < i + sends; k++)
            good = report_error(m->report, match_place(m, &at[k]),
                                "%s sends to rank %u with tag %lld, which has no receive for it",
                                match_text(m, &at[k]), at[k].other, (long long)at[k].tag);
        for (uint32_t k = i + sends + pairs; k < end; k++)
            good = report_error(m->report, match_place(m, &at[k]),
                                "%s receives from rank %u with tag %lld, which has no send for it",
                                match_text(m, &at[k]), at[k].group, (long long)at[k].tag);
    }
    return good;
}

static bool match_collectives(struct matcher *m)
{
    struct entry_list *list = &m->collectives;
    bool good = true;
    if (list->count)
        qsort(list->at, list->count, sizeof *list->at, entry_by_name);
    for (uint32_t i = 0, end; i < list->count; i = end) {
        for (end = i; end < list->count && list->at[end].group == list->at[i].group;)
            end++;
        good = match_group_entries(m, &list->at[i], end - i) && good;
    }
    return good;
}

/* Units get numbers without gaps; until now a unit is called by one of its nodes. */
static void match_number_units(struct match *match, uint32_t count, struct arena *arena)
{
    uint32_t *number = ARENA_ARRAY(arena, uint32_t, count + 1);
    for (uint32_t i = 0; i < count; i++)
        if (match->unit[i] == i)
            number[i] = match->unit_count++;
    for (uint32_t i = 0; i < count; i++)
        match->unit[i] = number[match->unit[i]];
}

bool match_find(struct trace *trace, const struct platform *platform, const uint32_t *first,
                const uint32_t *order, struct match *match, struct arena *arena, struct report *report)
{
    uint32_t count = first[trace->ranks.count];
    struct matcher m = {.trace = trace, .first = first, .match = match, .report = report};
    m.dimensions = worker_array_sizes(platform, m.size);
    *match = (struct match){.unit = ARENA_ARRAY(arena, uint32_t, count + 1),
                            .after = ARENA_ARRAY(arena, uint32_t, count + 1),
                            .group = ARENA_ARRAY(arena, uint32_t, count + 1),
                            .number = ARENA_ARRAY(arena, uint32_t, count + 1)};
    for (uint32_t i = 0; i < count; i++) {
        match->unit[i] = i;
        match->after[i] = match->group[i] = TRACE_NONE;
    }
    bool good = match_collect(&m, order);
    good = match_collectives(&m) && good;
    good = match_messages(&m) && good;
    match_number_units(match, count, arena);
    VECTOR_FREE(&m.collectives);
    VECTOR_FREE(&m.messages);
    return good;
}

void match_fini(struct match *match)
{
    for (uint32_t i = 0; i < match->groups.count; i++)
        VECTOR_FREE(&match->groups.at[i].members);
    VECTOR_FREE(&match->groups);
}
