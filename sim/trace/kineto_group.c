#include "trace/kineto_group.h"

#include <string.h>

enum { GROUP_HIGHEST = 16777215, GROUP_NAMES = 4096, GROUP_CONTINUED = 1 << 17, GROUP_ALL_TO_ALL = 6 };
enum { GROUP_MEMBERS = 1 << 22 }; /* of all groups: a few words of a file can say that a group is large */

/* Ranks of a group, from wherever they are known. */
struct ranks {
    const int64_t *at;
    uint32_t count;
};

/* A group of `distributedInfo`; NULL: it is not there. */
static const struct kineto_group *group_listed(const struct kineto *kineto, uint32_t name)
{
    for (uint32_t i = 0; name && i < kineto->groups.count; i++)
        if (kineto->groups.at[i].name == name)
            return &kineto->groups.at[i];
    return NULL;
}

static struct ranks group_ranks(const struct kineto *kineto, const struct kineto_communication *of)
{
    const struct kineto_group *listed = group_listed(kineto, of->group);
    if (of->rank_count && !of->cut)
        return (struct ranks){kineto->numbers.at + of->first_rank, of->rank_count};
    return listed && listed->rank_count
               ? (struct ranks){kineto->numbers.at + listed->first_rank, listed->rank_count}
               : (struct ranks){0};
}

/* A list of ranks that is cut off goes on as it began, when it is one of equal steps. */
static struct ranks group_continued(struct arena *arena, const struct kineto *kineto,
                                    const struct kineto_communication *of)
{
    if (!of->cut || of->rank_count < 2 || of->group_size < of->rank_count || of->group_size > GROUP_CONTINUED)
        return (struct ranks){0};
    const int64_t *known = &kineto->numbers.at[of->first_rank];
    int64_t step = known[1] - known[0];
    if (step < -GROUP_HIGHEST || step > GROUP_HIGHEST)
        return (struct ranks){0};
    for (uint32_t i = 2; i < of->rank_count; i++)
        if (known[i] - known[i - 1] != step)
            return (struct ranks){0};
    int64_t *all = ARENA_ARRAY(arena, int64_t, (size_t)of->group_size);
    for (int64_t i = 0; i < of->group_size; i++)
        all[i] = known[0] + i * step;
    return (struct ranks){all, (uint32_t)of->group_size};
}

static bool group_is(const struct trace_group *group, struct ranks ranks)
{
    bool same = group->members.count == ranks.count;
    for (uint32_t i = 0; same && i < ranks.count; i++)
        same = group->members.at[i] == ranks.at[i];
    return same;
}

static uint64_t group_members(const struct trace *trace)
{
    uint64_t members = 0;
    for (uint32_t g = 0; g < trace->groups.count; g++)
        members += trace->groups.at[g].members.count;
    return members;
}

/* Two groups of one name on different ranks are two groups: the second is called after its first rank.
 * TRACE_NONE: there are too many members in all. */
static uint32_t group_add(struct trace *trace, const struct kineto *kineto, uint32_t name, struct ranks ranks)
{
    const char *text = names_text(trace->names, name);
    for (uint32_t again = 0; again < GROUP_NAMES; again++) {
        const struct trace_group *known = trace_group_find(trace, name);
        if (known && group_is(known, ranks))
            return name;
        if (!known && group_members(trace) + ranks.count > GROUP_MEMBERS)
            return TRACE_NONE;
        if (!known) {
            struct trace_group group = {.name = name, .path = kineto->path};
            for (uint32_t i = 0; i < ranks.count; i++)
                VECTOR_PUSH(&group.members, (uint32_t)ranks.at[i]);
            VECTOR_PUSH(&trace->groups, group);
            return name;
        }
        name = names_add(trace->names, arena_format(&trace->arena, again ? "%.100s@%lld.%u" : "%.100s@%lld",
                                                    text, (long long)ranks.at[0], again));
    }
    return name;
}

/* Whether a communication is one of all ranks: of the default group, of as many ranks as there are, or of a
 * group that is listed without ranks, as PyTorch lists those of all of them. */
static bool group_is_all(const struct trace *trace, const struct kineto *kineto,
                         const struct kineto_communication *of)
{
    const struct kineto_group *listed = group_listed(kineto, of->group);
    return strcmp(names_text(trace->names, of->description), "default_pg") == 0 ||
           (of->group_size > 0 && of->group_size == kineto->world) || (listed && !listed->rank_count);
}

static bool group_unknown(struct input *input, const struct trace *trace, const struct kineto *kineto,
                          const struct kineto_communication *of)
{
    return report_error(&input->report, (struct place){kineto->path, 0, 0},
                        "rank %lld: '%.100s' of process group '%.100s' does not say which ranks are in it, "
                        "nor does 'distributedInfo'; `trace.groups` can",
                        (long long)kineto->rank, names_text(trace->names, of->name),
                        names_text(trace->names, of->group));
}

/* The group of these ranks, made at its first use. False after reporting one that can be none. */
static bool group_of(struct input *input, struct trace *trace, const struct kineto *kineto,
                     const struct kineto_communication *of, struct ranks ranks, uint32_t *name)
{
    for (uint32_t i = 0; i < ranks.count; i++)
        if (ranks.at[i] < 0 || ranks.at[i] > GROUP_HIGHEST)
            return report_error(&input->report, (struct place){kineto->path, 0, 0},
                                "rank %lld: process group '%.100s' has rank %lld", (long long)kineto->rank,
                                names_text(trace->names, of->group), (long long)ranks.at[i]);
    *name = group_add(trace, kineto, of->group ? of->group : names_add(trace->names, "group"), ranks);
    return *name != TRACE_NONE ||
           report_error(&input->report, (struct place){kineto->path, 0, 0},
                        "rank %lld: with process group '%.100s', of %u ranks, all groups have more than %d",
                        (long long)kineto->rank, names_text(trace->names, of->group), ranks.count,
                        GROUP_MEMBERS);
}

bool kineto_group_find(struct input *input, struct trace *trace, const struct kineto *kineto,
                       const struct kineto_communication *communication, uint32_t *name)
{
    struct arena scratch;
    arena_init(&scratch);
    struct ranks ranks = group_ranks(kineto, communication);
    bool good = true;
    *name = 0;
    if (!ranks.count)
        ranks = group_continued(&scratch, kineto, communication);
    if (ranks.count)
        good = group_of(input, trace, kineto, communication, ranks, name);
    else if (trace_group_find(trace, communication->group))
        *name = communication->group; /* as the user, or another rank's file, says */
    else if (!group_is_all(trace, kineto, communication))
        good = group_unknown(input, trace, kineto, communication);
    arena_fini(&scratch);
    return good;
}

/* The n-th exchange of a rank in a group; NULL: it has no more. */
static struct trace_node *exchange_node(struct trace_rank *rank, uint32_t group, uint32_t *from)
{
    for (; *from < rank->nodes.count; ++*from) {
        struct trace_node *node = &rank->nodes.at[*from];
        if (node->type == TRACE_COLLECTIVE && node->kind == GROUP_ALL_TO_ALL && node->pg == group)
            return &rank->nodes.at[(*from)++];
    }
    return NULL;
}

static struct trace_rank *exchange_rank(struct trace *trace, uint32_t number)
{
    for (uint32_t r = 0; r < trace->ranks.count; r++)
        if (trace->ranks.at[r].rank == number)
            return &trace->ranks.at[r];
    return NULL;
}

/* What a member sends to another, in bytes. */
static double exchange_bytes(const struct trace_rank *rank, const struct trace_node *node, uint32_t members,
                             uint32_t to)
{
    return node->share_count == members ? rank->shares.at[node->first_share + to] : node->size / members;
}

/* One exchange of all members: every one gets the same size, that of the largest row, and the same shares. */
static void exchange_join(struct trace_rank **ranks, struct trace_node **nodes, uint32_t members)
{
    double most = 0;
    bool unequal = false;
    for (uint32_t from = 0; from < members; from++) {
        double row = 0;
        for (uint32_t to = 0; to < members; to++)
            row += exchange_bytes(ranks[from], nodes[from], members, to);
        most = row > most ? row : most;
        unequal = unequal || nodes[from]->share_count;
    }
    if (!unequal)
        return;
    struct arena arena;
    arena_init(&arena);
    double *shares = ARENA_ARRAY(&arena, double, (size_t)members *members);
    for (uint32_t from = 0; from < members; from++)
        for (uint32_t to = 0; to < members; to++)
            shares[from * members + to] =
                most > 0 ? exchange_bytes(ranks[from], nodes[from], members, to) / most : 0;
    for (uint32_t m = 0; m < members; m++) {
        nodes[m]->first_share = ranks[m]->shares.count;
        nodes[m]->share_count = members * members;
        nodes[m]->size = most;
        for (uint32_t i = 0; i < members * members; i++)
            VECTOR_PUSH(&ranks[m]->shares, shares[i]);
    }
    arena_fini(&arena);
}

static void exchange_group(struct trace *trace, uint32_t name, const struct index_list *members)
{
    enum { MEMBERS_MOST = 4096 };
    struct arena arena;
    uint32_t count = members ? members->count : trace->ranks.count;
    bool complete = count > 0 && count <= MEMBERS_MOST;
    arena_init(&arena);
    struct trace_rank **ranks = ARENA_ARRAY(&arena, struct trace_rank *, count + 1);
    struct trace_node **nodes = ARENA_ARRAY(&arena, struct trace_node *, count + 1);
    uint32_t *next = ARENA_ARRAY(&arena, uint32_t, count + 1);
    for (uint32_t m = 0; m < count && complete; m++) {
        ranks[m] = exchange_rank(trace, members ? members->at[m] : m);
        complete = ranks[m] != NULL;
    }
    while (complete) {
        for (uint32_t m = 0; m < count && complete; m++) {
            nodes[m] = exchange_node(ranks[m], name, &next[m]);
            complete = nodes[m] != NULL;
        }
        if (complete)
            exchange_join(ranks, nodes, count);
    }
    arena_fini(&arena);
}

/* Whether any rank says in which parts it sends. */
static bool exchange_is_unequal(const struct trace *trace)
{
    for (uint32_t r = 0; r < trace->ranks.count; r++)
        for (uint32_t i = 0; i < trace->ranks.at[r].nodes.count; i++)
            if (trace->ranks.at[r].nodes.at[i].share_count)
                return true;
    return false;
}

/* Rows that were not joined, of members that are not there, mean nothing. */
static void exchange_forget(struct trace *trace)
{
    for (uint32_t r = 0; r < trace->ranks.count; r++)
        for (uint32_t i = 0; i < trace->ranks.at[r].nodes.count; i++) {
            struct trace_node *node = &trace->ranks.at[r].nodes.at[i];
            const struct trace_group *group = trace_group_find(trace, node->pg);
            uint64_t members = group ? group->members.count : trace->ranks.count;
            if (node->share_count != members * members)
                node->share_count = 0;
        }
}

void kineto_group_exchange(struct trace *trace)
{
    if (!exchange_is_unequal(trace))
        return;
    exchange_group(trace, 0, NULL);
    for (uint32_t g = 0; g < trace->groups.count; g++)
        exchange_group(trace, trace->groups.at[g].name, &trace->groups.at[g].members);
    exchange_forget(trace);
}
