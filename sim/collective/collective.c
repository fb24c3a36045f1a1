/* From transfers to activities. The bytes of all transfers are summed per link; the largest sum is the
 * busiest link, by which the others are divided. Sums are in a fixed order (by link, then by transfer), so
 * the bits do not depend on how a library sorts. */
#include "collective/collective.h"

#include "platform/route.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const struct algorithm *const collective_algorithms[] = {&ring_algorithm, NULL};

struct load {
    double bytes; /* per byte of payload */
    uint32_t link;
    uint32_t order; /* of entry, so that equal links keep it */
};

struct load_list {
    struct load *at;
    uint32_t count, room;
};

const struct algorithm *collective_find(const char *name)
{
    for (const struct algorithm *const *algorithm = collective_algorithms; *algorithm; algorithm++)
        if (!strcmp((*algorithm)->name, name))
            return *algorithm;
    return NULL;
}

static int compare_loads(const void *a, const void *b)
{
    const struct load *x = a, *y = b;
    if (x->link != y->link)
        return x->link < y->link ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

static void add_load(struct load_list *list, uint32_t link, double bytes)
{
    VECTOR_PUSH(list, ((struct load){bytes, link, list->count}));
}

/* One entry per link, by ascending link. */
static void merge(struct load_list *list)
{
    if (!list->count)
        return;
    qsort(list->at, list->count, sizeof *list->at, compare_loads);
    uint32_t last = 0;
    for (uint32_t i = 1; i < list->count; i++) {
        if (list->at[i].link == list->at[last].link)
            list->at[last].bytes += list->at[i].bytes;
        else
            list->at[++last] = list->at[i];
    }
    list->count = last + 1;
    for (uint32_t i = 0; i < list->count; i++)
        list->at[i].order = i;
}

/* Adds the links of one transfer; returns its latency, or -1 when there is no route. */
static double add_route(struct platform *platform, uint32_t from, uint32_t to, double bytes,
                        struct load_list *list)
{
    struct route route;
    if (!route_find(platform, from, to, &route))
        return -1;
    for (uint32_t i = 0; i < route.count; i++)
        add_load(list, route.links[i].link, bytes * route.links[i].share);
    return route.latency;
}

/* Seconds that these loads take on idle links, for a payload of one byte. */
static double longest(const struct platform *platform, const struct load_list *list)
{
    double seconds = 0;
    for (uint32_t i = 0; i < list->count; i++)
        seconds = fmax(seconds, list->at[i].bytes / platform->links.at[list->at[i].link].bandwidth);
    return seconds;
}

struct gathering {
    struct load_list round, total; /* of the present round; of all, merged now and then */
    uint32_t merged;               /* entries of `total` after its last merge */
    double seconds;                /* all rounds one after the other on idle links, payload of one byte */
};

static void finish_round(const struct platform *platform, struct gathering *gathering, double times)
{
    enum { MERGE_AT = 1 << 16 };
    merge(&gathering->round);
    gathering->seconds += times * longest(platform, &gathering->round);
    for (uint32_t i = 0; i < gathering->round.count; i++)
        add_load(&gathering->total, gathering->round.at[i].link, times * gathering->round.at[i].bytes);
    gathering->round.count = 0;
    if (gathering->total.count > 2 * gathering->merged + MERGE_AT) {
        merge(&gathering->total);
        gathering->merged = gathering->total.count;
    }
}

/* Divides by the busiest link, and caps the rate when no link explains the seconds of all rounds. */
static void normalise(const struct platform *platform, struct gathering *gathering, struct activity *out)
{
    merge(&gathering->total);
    const struct load_list *total = &gathering->total;
    for (uint32_t i = 0; i < total->count; i++)
        out->bytes_factor = fmax(out->bytes_factor, total->at[i].bytes);
    for (uint32_t i = 0; i < total->count; i++)
        VECTOR_PUSH(&out->usage, ((struct usage){total->at[i].link, total->at[i].bytes / out->bytes_factor}));
    double seconds = longest(platform, total);
    if (gathering->seconds > seconds * (1 + 1e-12) && gathering->seconds < INFINITY)
        out->cap = out->bytes_factor / gathering->seconds;
}

static bool gather(struct platform *platform, const struct transfer_list *list,
                   const struct index_list *times, const uint32_t *devices, struct gathering *gathering,
                   struct activity *out, uint32_t unreachable[2])
{
    for (uint32_t i = 0; i < list->count;) {
        uint32_t round = list->at[i].round;
        double repeats = times->count ? times->at[round] : 1, latency = 0;
        for (; i < list->count && list->at[i].round == round; i++) {
            uint32_t from = devices[list->at[i].from], to = devices[list->at[i].to];
            double seconds = add_route(platform, from, to, list->at[i].fraction, &gathering->round);
            if (seconds < 0) {
                unreachable[0] = from;
                unreachable[1] = to;
                return false;
            }
            latency = fmax(latency, seconds);
        }
        finish_round(platform, gathering, repeats);
        out->latency += repeats * latency;
        out->rounds += repeats;
    }
    return true;
}

bool collective_activity(struct platform *platform, const struct algorithm *algorithm, int kind,
                         const uint32_t *devices, uint32_t count, struct activity *out,
                         uint32_t unreachable[2])
{
    assert(algorithm->kinds >> kind & 1);
    *out = (struct activity){.cap = INFINITY};
    struct transfer_list list = {0};
    struct index_list times = {0};
    if (count > 1 && algorithm->pattern)
        algorithm->pattern(kind, count, &list, &times);
    else if (count > 1)
        algorithm->steps(kind, count, &list);
    struct gathering gathering = {0};
    bool reached = gather(platform, &list, &times, devices, &gathering, out, unreachable);
    if (reached)
        normalise(platform, &gathering, out);
    VECTOR_FREE(&list);
    VECTOR_FREE(&times);
    VECTOR_FREE(&gathering.round);
    VECTOR_FREE(&gathering.total);
    return reached;
}

bool collective_message(struct platform *platform, uint32_t from, uint32_t to, struct activity *out)
{
    *out = (struct activity){.bytes_factor = 1, .rounds = 1, .cap = INFINITY};
    struct load_list list = {0};
    out->latency = add_route(platform, from, to, 1, &list);
    bool reached = out->latency >= 0;
    merge(&list);
    for (uint32_t i = 0; reached && i < list.count; i++)
        VECTOR_PUSH(&out->usage, ((struct usage){list.at[i].link, list.at[i].bytes}));
    VECTOR_FREE(&list);
    return reached;
}

void collective_activity_fini(struct activity *activity)
{
    VECTOR_FREE(&activity->usage);
    *activity = (struct activity){0};
}
