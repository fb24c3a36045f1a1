#include "study/remedy.h"

#include "base/unit.h"
#include "plan/generate.h"
#include "platform/route.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { REMEDY_SETS = 2, REMEDY_SHOWN = 3 };

/* Settings that trade memory for work, communication or devices. "x2": twice what it is now. */
static const char *const remedies[][REMEDY_SETS] = {
    {"plan.zero=1", NULL},
    {"plan.zero=2", NULL},
    {"plan.zero=3", NULL},
    {"plan.recompute=selective", NULL},
    {"plan.recompute=full", NULL},
    {"plan.zero=1", "plan.recompute=selective"},
    {"plan.zero=1", "plan.recompute=full"},
    {"plan.zero=3", "plan.recompute=selective"},
    {"plan.zero=3", "plan.recompute=full"},
    {"batch.micro=1", NULL},
    {"plan.offload.optimizer=host", NULL},
    {"plan.zero=2", "plan.offload.optimizer=host"},
    {"plan.recompute=full", "plan.offload.optimizer=host"},
    {"plan.recompute=full", "plan.offload.activations=host"},
    {"plan.tensor=x2", NULL},
    {"plan.tensor=x2", "plan.recompute=full"},
    {"precision.cache=fp8", NULL},
    {"plan.pipeline=x2", NULL},
    {"topology.nodes=x2", NULL},
    {"topology.nodes=x4", NULL},
    {"topology.nodes=x2", "plan.zero=1"},
};
enum { REMEDIES = sizeof remedies / sizeof remedies[0] };

struct remedy {
    const char *sets[REMEDY_SETS];
    double total, capacity; /* bytes of the device that is fullest against what it has */
    double seconds;         /* predicted work and communication of its slowest device, per sample */
    bool fits;
};

/* Seconds that a rank computes and, at the narrowest link between two neighbours of each group, sends in one
 * step: without waiting and overlap, a measure to order plans by. */
static double remedy_seconds(struct scenario *s, uint32_t rank)
{
    const struct job *job = &s->job;
    const struct program *program = &job->programs[job->ranks[rank].program];
    double seconds = 0;
    for (uint32_t i = 0; i < program->op_count; i++) {
        const struct op *op = &program->ops[i];
        double times = s->plan.glance && op->token ? op->token : 1; /* it stands for those before it */
        seconds += op->kind == OP_COMPUTE ? times * op->seconds : 0;
        if (op->kind == OP_COMPUTE || op->kind == OP_RECEIVE)
            continue;
        const struct group *group = &job->groups[job->group_table[job->ranks[rank].first_group + op->group]];
        uint32_t count, from = job->ranks[job->members[group->first_member]].device;
        uint32_t to = job->ranks[job->members[group->first_member + 1 % group->member_count]].device;
        const uint32_t *links = route_links(&s->platform, from, to, &count);
        double narrowest = INFINITY;
        for (uint32_t l = 0; count != UINT32_MAX && l < count; l++)
            narrowest = fmin(narrowest, s->platform.links.at[links[l]].bandwidth);
        seconds += times * op->bytes / narrowest;
    }
    return seconds / job->steps;
}

/* A host or drive that is over its memory counts as a device; what hosts do takes its time besides. */
static void remedy_stores(struct scenario *s, struct remedy *remedy)
{
    double most = 0;
    for (uint32_t i = 0; i < s->plan.stores.count; i++) {
        const struct plan_memory *m = &s->plan.stores.at[i].memory;
        most = fmax(most, remedy_seconds(s, s->plan.stores.at[i].rank));
        if (m->total - m->capacity > fmax(0, remedy->total - remedy->capacity)) {
            remedy->total = m->total;
            remedy->capacity = m->capacity;
        }
    }
    remedy->seconds += most / (double)s->workload.global_batch;
}

static void remedy_judge(struct scenario *s, struct remedy *remedy)
{
    remedy->fits = s->plan.fits;
    remedy->total = 0;
    remedy->capacity = 0;
    for (uint32_t i = 0; i < s->plan.stages.count; i++) {
        const struct plan_memory *m = &s->plan.stages.at[i].memory;
        if (i == 0 || m->total - m->capacity > remedy->total - remedy->capacity) {
            remedy->total = m->total;
            remedy->capacity = m->capacity;
        }
        double seconds = remedy_seconds(s, s->plan.stages.at[i].ranks[0]);
        remedy->seconds = fmax(remedy->seconds, seconds / (double)s->workload.global_batch);
    }
    remedy_stores(s, remedy);
}

static uint32_t remedy_tensor(const struct scenario *s)
{
    const struct plan_stage *stage = &s->plan.stages.at[0];
    for (uint32_t a = 0; a < stage->axis_count; a++)
        if (stage->axes[a].role == AXIS_TENSOR)
            return stage->axes[a].size;
    return 1;
}

/* The topology's parameter `nodes`, as the workload sets it or the topology does; 0: it has no such number.
 */
static uint32_t remedy_nodes(const struct scenario *s)
{
    const struct value *set = value_get(s->document, "set");
    const struct value *parameters = value_get(s->topology_document, "parameters");
    const struct value *nodes = set ? value_get(set, "nodes") : NULL;
    if (!nodes)
        nodes = parameters ? value_get(parameters, "nodes") : NULL;
    return nodes && nodes->kind == VALUE_SCALAR ? (uint32_t)strtoul(nodes->text, NULL, 10) : 0;
}

/* Stages of a text's tokens and of its prompt are the same devices. Of other steps stages are left as they
 * are: which schedule would go with more is not for this list. */
static uint32_t remedy_pipeline(const struct scenario *s)
{
    return s->plan.tokens ? generate_prompt_stages(&s->plan) : 0;
}

/* Keys and values in fewer bytes, where a text is generated. */
static const char *remedy_cache(const struct scenario *s, const char *setting)
{
    bool wider = precision_bytes(s->plan.cache_precision) > precision_bytes(FP8);
    return s->plan.tokens && wider ? setting : NULL;
}

/* What can be multiplied, and how much of it there is now; 0: nothing to multiply. */
static const struct remedy_scaled {
    const char *key;
    uint32_t (*now)(const struct scenario *);
} remedy_scaled[] = {{"plan.tensor=x", remedy_tensor},
                     {"plan.pipeline=x", remedy_pipeline},
                     {"topology.nodes=x", remedy_nodes}};

/* A setting with "x2" replaced by a number; NULL where there is nothing to multiply. */
static const char *remedy_setting(const struct scenario *s, const char *setting, struct arena *arena)
{
    if (strncmp(setting, "precision", 9) == 0)
        return remedy_cache(s, setting);
    for (size_t i = 0; i < sizeof remedy_scaled / sizeof remedy_scaled[0]; i++) {
        size_t length = strlen(remedy_scaled[i].key);
        if (strncmp(setting, remedy_scaled[i].key, length) != 0)
            continue;
        uint32_t now = remedy_scaled[i].now(s), times = (uint32_t)strtoul(setting + length, NULL, 10);
        return now ? arena_format(arena, "%.*s%u", (int)length - 1, setting, times * now) : NULL;
    }
    return setting;
}

/* Plans once more with further settings; false when they do not go with the workload, or cannot be over the
 * memory by less than `over` bytes. */
static bool remedy_try(const struct scenario *s, const struct scenario_options *options,
                       struct remedy *remedy, double over, struct arena *arena)
{
    const char **sets = ARENA_ARRAY(arena, const char *, options->set_count + REMEDY_SETS);
    struct scenario_options tried = *options;
    for (uint32_t i = 0; i < options->set_count; i++)
        sets[i] = options->sets[i];
    for (uint32_t i = 0; i < REMEDY_SETS && remedy->sets[i]; i++) {
        remedy->sets[i] = remedy_setting(s, remedy->sets[i], arena);
        if (!remedy->sets[i])
            return false;
        sets[tried.set_count++] = remedy->sets[i];
    }
    tried.sets = sets;
    tried.brief = tried.glance = tried.nearer = true;
    tried.over = over;
    struct scenario other;
    bool good = scenario_load(&other, &tried);
    if (good)
        remedy_judge(&other, remedy);
    scenario_fini(&other);
    return good;
}

/* What fits first, then the least work; of what does not, the one that is least over. */
static int remedy_order(const void *left, const void *right)
{
    const struct remedy *a = left, *b = right;
    double x = a->fits ? a->seconds : a->total - a->capacity,
           y = b->fits ? b->seconds : b->total - b->capacity;
    if (a->fits != b->fits)
        return a->fits ? -1 : 1;
    return x < y ? -1 : x > y;
}

static void remedy_line(const struct remedy *remedy, double before, FILE *out)
{
    char text[2][32];
    fprintf(out, "            ");
    for (uint32_t i = 0; i < REMEDY_SETS && remedy->sets[i]; i++)
        fprintf(out, strchr(remedy->sets[i], ' ') ? "--set '%s' " : "--set %s ", remedy->sets[i]);
    fprintf(out, "needs %s of %s, %.2f x the work and communication per sample\n",
            unit_format(remedy->total, UNIT_BYTES, text[0], 32),
            unit_format(remedy->capacity, UNIT_BYTES, text[1], 32), remedy->seconds / before);
}

/* Of a bare model a remedy that cannot fit is passed over at first; `left` notes which. Where none fits, the
 * nearest of those is looked for: each then has to be nearer than those before. */
static uint32_t remedy_all(const struct scenario *s, const struct scenario_options *options,
                           const struct remedy *now, bool fits, bool left[REMEDIES], struct remedy *tried,
                           uint32_t count, struct arena *arena)
{
    const struct remedy *nearest = count ? &tried[0] : now;
    double over = fits ? 0 : nearest->total - nearest->capacity;
    for (uint32_t r = 0; r < REMEDIES; r++) {
        struct remedy remedy = {.seconds = 0};
        if (!left[r])
            continue;
        for (uint32_t i = 0; i < REMEDY_SETS; i++)
            remedy.sets[i] = remedies[r][i];
        left[r] = !remedy_try(s, options, &remedy, over, arena);
        bool good = !left[r] && remedy.total - remedy.capacity < now->total - now->capacity;
        for (uint32_t k = 0; k < count && good; k++) /* a further setting that changes nothing */
            good = tried[k].total != remedy.total || tried[k].seconds != remedy.seconds;
        if (!good)
            continue;
        tried[count++] = remedy;
        over = fits ? 0 : fmin(over, remedy.total - remedy.capacity);
    }
    qsort(tried, count, sizeof tried[0], remedy_order);
    return count;
}

void remedy_print(struct scenario *s, const struct scenario_options *options, FILE *out)
{
    struct arena arena;
    struct remedy tried[REMEDIES], now = {.seconds = 0};
    bool left[REMEDIES];
    arena_init(&arena);
    remedy_judge(s, &now);
    for (uint32_t r = 0; r < REMEDIES; r++)
        left[r] = true;
    uint32_t count = remedy_all(s, options, &now, true, left, tried, 0, &arena);
    if (s->chosen && (count == 0 || !tried[0].fits))
        count = remedy_all(s, options, &now, false, left, tried, count, &arena);
    if (count && tried[0].fits)
        fprintf(out, "          what would fit, the cheapest first:\n");
    else if (count)
        fprintf(out, "          nothing that was tried fits; the nearest:\n");
    for (uint32_t i = 0;
         i < count && i < (tried[0].fits ? REMEDY_SHOWN : 1) && tried[i].fits == tried[0].fits; i++)
        remedy_line(&tried[i], now.seconds, out);
    arena_fini(&arena);
}
