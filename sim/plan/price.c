#include "plan/price.h"

#include "plan/layout.h"
#include "plan/mesh.h"
#include "plan/workload.h"
#include "platform/protocol.h"

#include <math.h>
#include <string.h>

/* What may carry one kind of collective along one axis; their links are not kept. */
struct price_list {
    struct activity *at;
    uint32_t count;
    bool known;
};

struct prices {
    const struct plan *plan;
    const struct plan_stage *stage;
    struct arena *arena;                                         /* not owned */
    struct price_list of[1 << PLAN_AXES][COLLECTIVE_KIND_COUNT]; /* by bit set of axes */
};

struct prices *price_new(const struct plan *plan, const struct plan_stage *stage, struct arena *arena)
{
    struct prices *prices = ARENA_NEW(arena, struct prices);
    prices->plan = plan;
    prices->stage = stage;
    prices->arena = arena;
    return prices;
}

static uint32_t price_members(const struct plan_stage *stage, uint32_t axes)
{
    uint32_t members = 1;
    for (uint32_t a = 0; a < stage->axis_count; a++)
        members *= axes >> a & 1 ? stage->axes[a].size : 1;
    return members;
}

const struct algorithm *price_algorithm(const struct plan *plan, const struct plan_stage *stage, int kind,
                                        uint32_t axes)
{
    char name[128];
    mesh_name(stage, axes, plan->platform->names, name, sizeof name);
    for (uint32_t i = 0; i < plan->carrier_count; i++) {
        const struct workload_carrier *carrier = &plan->carriers[i];
        bool group = !carrier->group || strcmp(carrier->group, name) == 0;
        if (group && (carrier->kind == COLLECTIVE_KIND_COUNT || carrier->kind == kind))
            return carrier->algorithm->kinds >> kind & 1 ? carrier->algorithm : collective_usual(kind);
    }
    return collective_usual(kind);
}

static bool price_add_protocol(struct prices *prices, int kind, uint32_t axes,
                               const struct algorithm *algorithm, uint32_t protocol)
{
    const struct plan_stage *stage = prices->stage;
    uint32_t count = price_members(stage, axes);
    struct index_list devices = {0};
    for (uint32_t m = 0; m < stage->devices.count && devices.count < count; m++) {
        struct coordinates at = layout_coordinates(stage, m);
        bool first = true;
        for (uint32_t a = 0; a < stage->axis_count; a++)
            first &= (axes >> a & 1) || at.at[a] == 0;
        if (first)
            VECTOR_PUSH(&devices, stage->devices.at[m]);
    }
    const struct collective_request asked = {.algorithm = algorithm,
                                             .kind = kind,
                                             .platform = prices->plan->platform,
                                             .devices = devices.at,
                                             .count = count,
                                             .protocol = protocol};
    struct activity activity;
    const char *problem;
    bool good = collective_activity(&asked, &activity, prices->arena, &problem);
    VECTOR_FREE(&activity.usage);
    VECTOR_FREE(&activity.path);
    VECTOR_FREE(&activity.sent);
    VECTOR_FREE(&devices);
    struct price_list *list = &prices->of[axes][kind];
    if (good)
        list->at[list->count++] = activity;
    return good;
}

/* By every protocol that the links have in common, or else on the bare wire. */
static bool price_add(struct prices *prices, int kind, uint32_t axes, const struct algorithm *algorithm)
{
    const struct index_list *names = &prices->plan->platform->protocol_names;
    bool any = false;
    for (uint32_t i = 0; i < names->count && !algorithm->loads; i++)
        any = price_add_protocol(prices, kind, axes, algorithm, names->at[i]) || any;
    return any || price_add_protocol(prices, kind, axes, algorithm, PROTOCOL_NONE);
}

static void price_fill(struct prices *prices, int kind, uint32_t axes)
{
    struct price_list *list = &prices->of[axes][kind];
    const struct algorithm *wanted = price_algorithm(prices->plan, prices->stage, kind, axes);
    uint32_t count = 0;
    while (collective_algorithms[count])
        count++;
    list->known = true;
    if (!prices->plan->platform->links.count)
        return;
    uint32_t protocols = prices->plan->platform->protocol_names.count;
    list->at = ARENA_ARRAY(prices->arena, struct activity, count * (protocols + 1));
    if (wanted != &collective_automatic) {
        if (!price_add(prices, kind, axes, wanted) && wanted != collective_usual(kind))
            price_add(prices, kind, axes, collective_usual(kind));
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct algorithm *algorithm = collective_algorithms[i];
        bool many =
            algorithm->most && price_members(prices->stage, axes) > algorithm->most && kind != ALL_TO_ALL;
        if (algorithm->kinds >> kind & 1 && (!many || algorithm == collective_usual(kind)))
            price_add(prices, kind, axes, algorithm);
    }
}

double price_seconds(struct prices *prices, int kind, uint32_t axes, double bytes)
{
    struct price_list *list = &prices->of[axes][kind];
    if (!list->known)
        price_fill(prices, kind, axes);
    if (!list->count)
        return bytes * collective_factor(kind, price_members(prices->stage, axes));
    double least = INFINITY, latency, cap;
    double pieces = collective_piece_count(bytes, prices->plan->chunk, prices->plan->pieces);
    for (uint32_t i = 0; i < list->count; i++)
        least = fmin(least, collective_pieces(&list->at[i], bytes, pieces, &latency, &cap));
    return least;
}

const struct activity *price_activity(struct prices *prices, int kind, uint32_t axes, double bytes)
{
    double least = price_seconds(prices, kind, axes, bytes), latency, cap;
    const struct price_list *list = &prices->of[axes][kind];
    double pieces = collective_piece_count(bytes, prices->plan->chunk, prices->plan->pieces);
    for (uint32_t i = 0; i < list->count; i++)
        if (collective_pieces(&list->at[i], bytes, pieces, &latency, &cap) <= least)
            return &list->at[i];
    return NULL;
}
