/* Partitioned models compute what unpartitioned ones do, with exactly the derived communication. */
#include "executor_backward.h"
#include "families.h"
#include "fused_families.h"

#include "base/communication.h"
#include "plan/stages.h"

static uint32_t cases_per_family(void)
{
    const char *text = getenv("PARTITA_CASES");
    return text ? (uint32_t)strtoul(text, NULL, 10) : 20;
}

/* Of those whose communications are left out one by one. */
static uint32_t removals_per_family(void)
{
    const char *text = getenv("PARTITA_REMOVALS");
    return text ? (uint32_t)strtoul(text, NULL, 10) : (cases_per_family() + 9) / 10;
}

/* Some families can be singled out by number while a bug is looked for. */
static bool family_wanted(uint32_t f)
{
    const char *text = getenv("PARTITA_FAMILY");
    return !text || strtoul(text, NULL, 10) == f;
}

static uint64_t first_seed(void)
{
    const char *text = getenv("PARTITA_SEED");
    return text ? strtoull(text, NULL, 10) : 1;
}

/* Exchanges that coordinators pass on. */
static uint32_t relayed(const struct plan_case *c, bool backward)
{
    uint32_t count = 0;
    for (uint32_t s = 0; s < c->plan.stages.count; s++) {
        const struct derivation *d = &c->derivations[s];
        for (uint32_t i = 0; i < (backward ? d->backward.count : d->forward.count); i++)
            count += (backward ? &d->backward.at[i] : &d->forward.at[i])->leg == EXCHANGE_FROM_ROOT;
    }
    return count;
}

static void partitioned_models_compute_what_whole_ones_do(void **state)
{
    (void)state;
    uint32_t bad = 0, total = 0, passed_on[2] = {0};
    for (uint32_t f = 0; f < FAMILIES; f++)
        for (uint32_t n = 0; n < cases_per_family() && family_wanted(f); n++) {
            uint64_t seed = (first_seed() + n) * 1000 + f, random = seed;
            struct plan_case c;
            struct executor x;
            if (getenv("PARTITA_VERBOSE"))
                fprintf(stderr, "family %u seed %llu\n", f, (unsigned long long)first_seed() + n);
            random_case(&c, &families[f], &random);
            random_derive(&c, &families[f]);
            executor_run(&x, &c, seed, MODEL_NONE, false, MODEL_NONE);
            total += x.checked;
            for (int backward = 0; backward < 2; backward++)
                passed_on[backward] += relayed(&c, backward);
            if (x.wrong && bad++ < 40)
                fprintf(stderr, "%s, seed %llu%s (%s): %u of %u wrong, first: %s\n", families[f].name,
                        (unsigned long long)(first_seed() + n), case_describe(&c),
                        c.plan.training ? "training" : "inference", x.wrong, x.checked, x.first_wrong);
            executor_fini(&x);
            case_fini(&c);
        }
    assert_true(total > 0);
    assert_true((passed_on[0] && passed_on[1]) || getenv("PARTITA_FAMILY"));
    assert_int_equal(bad, 0);
}

/* Whether an operator's shares along an axis are all empty but one, wherever on the other axes. */
static bool one_is_busy(const struct derivation *d, uint32_t layer_op, uint32_t axis)
{
    const struct assignment *assignment = &d->operators.at[layer_op].assignment;
    uint32_t busy[64] = {0}, most = 0; /* per group along the axis, at its first member */
    assert_true(d->member_count <= 64);
    for (uint32_t m = 0; m < d->member_count; m++) {
        struct coordinates at = layout_coordinates(d->stage, m), first = at;
        struct interval share = assign_share(d->stage, state_operator(d, layer_op), assignment,
                                             (uint32_t)assignment->split[axis], at);
        first.at[axis] = 0;
        uint32_t *group = &busy[layout_member(d->stage, first)];
        *group += share.low < share.high;
        most = *group > most ? *group : most;
    }
    return most <= 1;
}

/* Whether on some operator one member of a weighted axis, or of one that splits shares further, has all of
 * what the axis splits: then nobody else needs what is exchanged there. */
static bool one_has_all(const struct derivation *d, const struct action *a)
{
    uint32_t axis = a->axis;
    if (a->kind != ACTION_COLLECTIVE || (!d->stage->axes[axis].weights && !d->stage->axes[axis].nests))
        return false;
    for (uint32_t o = 0; o < d->operators.count; o++)
        if (d->operators.at[o].assignment.split[axis] >= 0 && one_is_busy(d, o, axis))
            return true;
    return false;
}

/* Whether anything goes wrong without a communication. A maximum may by chance be the same without some
 * members' numbers: then others are drawn. */
static bool goes_wrong_without(struct plan_case *c, uint64_t seed, uint32_t stage, bool backward,
                               uint32_t action)
{
    bool wrong = false;
    for (uint64_t draw = 0; draw < 4 && !wrong; draw++) {
        struct executor x;
        executor_run(&x, c, seed + draw, stage, backward, action);
        wrong = x.wrong > 0;
        executor_fini(&x);
    }
    return wrong;
}

/* Leaves out one communication after the other. Returns how many made no difference. */
static uint32_t remove_each(struct plan_case *c, const struct family *family, uint64_t seed,
                            uint32_t *removed)
{
    uint32_t needless = 0;
    for (uint32_t s = 0; s < c->plan.stages.count; s++) {
        const struct derivation *d = &c->derivations[s];
        for (uint32_t i = 0; i < d->forward.count + d->backward.count; i++) {
            bool backward = i >= d->forward.count;
            uint32_t index = backward ? i - d->forward.count : i;
            const struct action *a = backward ? &d->backward.at[index] : &d->forward.at[index];
            bool nothing = a->kind == ACTION_RECEIVE && !a->message_count; /* it is all there already */
            if (a->kind == ACTION_KERNEL || a->kind == ACTION_SEND || nothing || one_has_all(d, a))
                continue;
            ++*removed;
            if (!goes_wrong_without(c, seed, s, backward, index)) {
                needless++;
                fprintf(stderr,
                        "%s, seed %llu%s: %s %s of %s (kind %u, %s, axis %u, stage %u) is not needed\n",
                        family->name, (unsigned long long)seed, case_describe(c),
                        backward ? "backward" : "forward", derive_reasons[a->reason],
                        names_text(&c->names, c->model.tensors.at[a->tensor].name), a->kind,
                        a->kind == ACTION_COLLECTIVE ? communication_names[a->collective] : "", a->axis, s);
            }
        }
    }
    return needless;
}

static void no_derived_communication_can_be_left_out(void **state)
{
    (void)state;
    uint32_t needless = 0, removed = 0;
    for (uint32_t f = 0; f < FAMILIES; f++)
        for (uint32_t n = 0; n < removals_per_family() && family_wanted(f); n++) {
            uint64_t seed = (first_seed() + n) * 1000 + 500 + f, random = seed;
            struct plan_case c;
            random_case(&c, &families[f], &random);
            random_derive(&c, &families[f]);
            needless += remove_each(&c, &families[f], seed, &removed);
            case_fini(&c);
        }
    assert_true(removed > 0);
    assert_int_equal(needless, 0);
}

/* Cases, by their printed seeds, in which something was communicated for nobody, or for an action that is
 * none.
 */
static void what_was_once_communicated_for_nobody_is_not_derived(void **state)
{
    (void)state;
    static const uint64_t seeds[] = {
        15513,    /* shares of a gradient were gathered just to be sent to another stage */
        40005508, /* the same of a sum that was scattered first */
        40062511, /* a position was selected where it is, but all of the sequence gathered */
        40037517, /* devices of two stages had all of a tensor, and exchanged shares of it */
        41005527, /* shares were completed with what the next operator does not read */
        40216520, /* the list of forms had grown while one was read */
    };
    uint32_t removed = 0;
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        uint64_t random = seeds[i];
        const struct family *family = &families[seeds[i] % 500];
        struct plan_case c;
        random_case(&c, family, &random);
        random_derive(&c, family);
        assert_int_equal(remove_each(&c, family, seeds[i], &removed), 0);
        case_fini(&c);
    }
    assert_true(removed > 0);
}

/* What would be missing of a member's sum without a step of its reduction: what others give in that step. */
static double step_brings(const struct stage_run *s, uint32_t p, enum run_step step, uint32_t member,
                          size_t at)
{
    struct shard_reduction how = shard_reduction(&s->d->parameters.at[p]);
    double brings = 0;
    for (uint32_t m = 0; m < s->d->member_count; m++) /* that are added in the second step ... */
        for (uint32_t o = 0; o < s->d->member_count && run_in_group(s, how.sum, member, m); o++)
            if (run_in_group(s, how.scatter, m, o) && (step == STEP_SCATTER ? o != m : m != member))
                brings += s->parameter_gradient[p][o][at]; /* ... of what is added in the first one */
    return brings;
}

/* Whether a step of a parameter's reduction or gather has anything to do. A bias of keys shifts all scores of
 * a query alike: its gradient is rounding, wherever parts of it are added.
 */
static bool step_matters(const struct executor *x, const struct stage_run *s, uint32_t p, enum run_step step)
{
    const struct stage_parameter *parameter = &s->d->parameters.at[p];
    for (uint32_t m = 0; m < s->d->member_count; m++)
        for (size_t i = 0; i < run_elements(x, parameter->tensor); i++) {
            bool mine = run_owns(x, s, parameter, m, i);
            if (step != STEP_GATHER && mine && fabs(step_brings(s, p, step, m, i)) > 1e-9)
                return true;
            for (uint32_t o = 0; step == STEP_GATHER && !mine && o < s->d->member_count; o++)
                if (run_in_group(s, parameter->shard_axes, m, o) && run_owns(x, s, parameter, o, i))
                    return true;
        }
    return false;
}

static void no_reduction_or_gather_of_a_parameter_can_be_left_out(void **state)
{
    (void)state;
    uint32_t needless = 0, removed = 0;
    for (uint32_t f = 0; f < FAMILIES; f++)
        for (uint32_t n = 0; n < removals_per_family() && family_wanted(f); n++) {
            uint64_t seed = (first_seed() + n) * 1000 + 700 + f, random = seed;
            struct plan_case c;
            struct executor all;
            random_case(&c, &families[f], &random);
            random_derive(&c, &families[f]);
            executor_run(&all, &c, seed, MODEL_NONE, false, MODEL_NONE);
            for (uint32_t k = 0; c.plan.training && k < c.plan.stages.count; k++)
                for (uint32_t i = 0; i < STEP_COUNT * c.derivations[k].parameters.count; i++) {
                    uint32_t p = i / STEP_COUNT, t = c.derivations[k].parameters.at[p].tensor;
                    enum run_step step = (enum run_step)(i % STEP_COUNT);
                    if (!step_matters(&all, &all.stages[k], p, step))
                        continue;
                    struct executor x = {.removed_stage = MODEL_NONE,
                                         .skipped_stage = k,
                                         .skipped_parameter = p,
                                         .skipped_step = step};
                    executor_start(&x, &c, seed);
                    removed++;
                    if (!x.wrong && needless++ < 20)
                        fprintf(stderr, "%s, seed %llu%s: step %d of %s is not needed\n", families[f].name,
                                (unsigned long long)seed, case_describe(&c), (int)step,
                                names_text(&c.names, c.model.tensors.at[t].name));
                    executor_fini(&x);
                }
            executor_fini(&all);
            case_fini(&c);
        }
    assert_true(removed > 0);
    assert_int_equal(needless, 0);
}

/* Whether a part of a tied gradient has anything in it: rows of a table that no token asked for are 0. */
static bool flow_matters(const struct executor *x, const struct tied_sum *sum, const struct tied_flow *flow)
{
    for (size_t i = 0; i < run_elements(x, sum->tensor); i++)
        if (run_has(x, flow->source, sum->tensor, flow->from, i) &&
            run_has(x, flow->target, sum->tensor, flow->to, i) &&
            fabs(run_own_sum(x, flow->source, sum->tensor, flow->from, i)) > 1e-9)
            return true;
    return false;
}

static void no_part_of_a_tied_gradient_can_be_left_out(void **state)
{
    (void)state;
    uint32_t needless = 0, removed = 0, family = 0;
    while (strcmp(families[family].name, "language model with tied logits") != 0)
        family++;
    for (uint32_t n = 0; n < 4 * cases_per_family(); n++) {
        uint64_t seed = (first_seed() + n) * 1000 + 800, random = seed;
        struct plan_case c;
        struct executor all;
        struct tied_sum sum = {0};
        random_case(&c, &families[family], &random);
        random_derive(&c, &families[family]);
        executor_run(&all, &c, seed, MODEL_NONE, false, MODEL_NONE);
        for (uint32_t t = 0; t < c.model.tensors.count && c.plan.training; t++) {
            if (run_holders(&all, t) < 2 || !tied_find(c.derivations, t, &sum))
                continue;
            for (uint32_t f = 0; f < sum.flows.count; f++) {
                struct executor x = {.removed_stage = MODEL_NONE,
                                     .skipped_stage = MODEL_NONE,
                                     .skipped_tied = t,
                                     .skipped_flow = f};
                if (!flow_matters(&all, &sum, &sum.flows.at[f]))
                    continue;
                executor_start(&x, &c, seed);
                removed++;
                if (!x.wrong && needless++ < 20)
                    fprintf(stderr, "seed %llu%s: flow %u is not needed\n", (unsigned long long)seed,
                            case_describe(&c), f);
                executor_fini(&x);
            }
            tied_fini(&sum);
        }
        executor_fini(&all);
        case_fini(&c);
    }
    assert_true(removed > 0);
    assert_int_equal(needless, 0);
}

/* Blocks that are no chains are refused; the others compute what the whole model does. */
static void fused_blocks_compute_what_whole_models_do(void **state)
{
    (void)state;
    uint32_t bad = 0, good = 0, refused = 0;
    for (uint32_t f = 0; f < FUSED_FAMILIES; f++)
        for (uint32_t n = 0; n < 4 * cases_per_family(); n++) {
            uint64_t seed = (first_seed() + n) * 1000 + 900 + f, random = seed;
            struct plan_case c;
            struct executor x;
            random_fused_case(&c, &fused_families[f], &random);
            if (!case_derive(&c)) {
                refused++;
                case_fini(&c);
                continue;
            }
            good++;
            executor_run(&x, &c, seed, MODEL_NONE, false, MODEL_NONE);
            if (x.wrong && bad++ < 20)
                fprintf(stderr, "%s, seed %llu%s (%s): %u of %u wrong, first: %s\n", fused_families[f].name,
                        (unsigned long long)(first_seed() + n), case_describe(&c),
                        c.plan.training ? "training" : "inference", x.wrong, x.checked, x.first_wrong);
            executor_fini(&x);
            case_fini(&c);
        }
    if (getenv("PARTITA_VERBOSE"))
        fprintf(stderr, "fused blocks: %u run, %u refused\n", good, refused);
    assert_true(good > refused);
    assert_int_equal(bad, 0);
}

static void nothing_that_fused_blocks_communicate_can_be_left_out(void **state)
{
    (void)state;
    uint32_t needless = 0, removed = 0;
    for (uint32_t f = 0; f < FUSED_FAMILIES; f++)
        for (uint32_t n = 0; n < (cases_per_family() + 4) / 5; n++) {
            uint64_t seed = (first_seed() + n) * 1000 + 950 + f, random = seed;
            struct plan_case c;
            random_fused_case(&c, &fused_families[f], &random);
            if (case_derive(&c))
                needless += remove_each(&c, &fused_families[f], seed, &removed);
            case_fini(&c);
        }
    assert_true(removed > 0);
    assert_int_equal(needless, 0);
}

/* Attention whose keys and values go round rings: with causal masks, shares dealt out and in order, that do
 * not divide, or are empty, beside other axes, and whatever is recomputed. */
static void random_ring(struct plan_case *c, uint64_t *random)
{
    static const char *const meshes[] = {"s:2",       "s:3",           "s:4",           "s:5",
                                         "b:2 s:3",   "s:2 g,r,f:2",   "g,r,f:2 s:3",   "s:3/1/0/2",
                                         "s:3 r,f:2", "s:2 g,r,f,s:2", "b:2 s:2 g,r:2", "s:9",
                                         "s:2 s:2",   "s:2 s:3",       "s:3 s:2"};
    const char *name = case_between(random, 0, 1) ? "causal attention" : "grouped queries";
    uint32_t family = 0;
    while (!strstr(families[family].name, name))
        family++;
    case_init(c, families[family].model, 2);
    const char *mesh = meshes[case_between(random, 0, sizeof meshes / sizeof meshes[0] - 1)];
    case_stage(c, 0, mesh);
    c->plan.stages.at[0].axes[1].joined = !strncmp(mesh, "s:", 2) && !strncmp(mesh + 3, " s:", 3);
    c->plan.attention = ATTENTION_RING;
    c->plan.stages.at[0].balanced = case_between(random, 0, 4);
    c->plan.save_produced = case_between(random, 0, 1);
    c->plan.recompute = (enum plan_recompute)case_between(random, 0, RECOMPUTE_COUNT - 1);
}

static void blocks_that_go_round_give_what_whole_sequences_do(void **state)
{
    (void)state;
    uint32_t bad = 0, rings = 0, needless = 0, removed = 0;
    const struct family ring = {.name = "ring attention"};
    for (uint32_t n = 0; n < 2 * cases_per_family(); n++) {
        uint64_t seed = (first_seed() + n) * 1000 + 980, random = seed;
        struct plan_case c;
        struct executor x;
        random_ring(&c, &random);
        random_derive(&c, &ring);
        executor_run(&x, &c, seed, MODEL_NONE, false, MODEL_NONE);
        if (x.wrong && bad++ < 20)
            fprintf(stderr, "ring attention, seed %llu%s: %u of %u wrong, first: %s\n",
                    (unsigned long long)(first_seed() + n), case_describe(&c), x.wrong, x.checked,
                    x.first_wrong);
        rings += c.derivations->forward_loops.count && c.derivations->backward_loops.count;
        if (n % 8 == 0)
            needless += remove_each(&c, &ring, seed, &removed);
        executor_fini(&x);
        case_fini(&c);
    }
    assert_true(2 * rings > 3 * cases_per_family());
    assert_true(removed > 0);
    assert_int_equal(bad, 0);
    assert_int_equal(needless, 0);
}

/* Attention by heads in stages that split the sequence, one to three of them on meshes of their own, beside
 * axes that split heads or the batch, with heads that do not divide, shares in proportions, ZeRO. */
static void random_heads(struct plan_case *c, uint64_t *random)
{
    static const char *const models[] = {"transformer block", "grouped queries with rotary positions",
                                         "causal attention over shares of the sequence", "latent attention"};
    static const char *const meshes[] = {"s:2",         "s:3",           "s:4",           "b:2 s:2",
                                         "s:2 g,r,f:2", "g,r,f:2 s:2",   "s:3/1/0/2",     "s:2 g,r,f,s:2",
                                         "s:3 r,f:2",   "g,r,f,s:2 s:2", "b:2 s:2 g,r:2", "s:6"};
    const char *name = models[case_between(random, 0, sizeof models / sizeof models[0] - 1)];
    uint32_t family = 0, stages = case_between(random, 1, 3);
    while (strcmp(families[family].name, name) != 0)
        family++;
    case_init(c, families[family].model, 2);
    c->plan.attention = ATTENTION_ULYSSES;
    uint32_t left = c->model.units.count;
    for (uint32_t s = 0; s < stages; s++) {
        bool last = s + 1 == stages || left <= stages - s;
        uint32_t units = last ? 0 : case_between(random, 1, left - (stages - s - 1));
        case_stage(c, units, meshes[case_between(random, 0, sizeof meshes / sizeof meshes[0] - 1)]);
        stages_heads(&c->plan, &c->plan.stages.at[s]);
        left -= units;
        if (last)
            break;
    }
    c->plan.zero = case_between(random, 0, 3);
    shard_mark(&c->plan);
    c->plan.save_produced = case_between(random, 0, 1);
    c->plan.recompute = (enum plan_recompute)case_between(random, 0, RECOMPUTE_COUNT - 1);
}

/* Whether any operator of an attention's core splits its heads along an axis that splits the sequence. */
static bool goes_by_heads(const struct plan_case *c)
{
    for (uint32_t s = 0; s < c->plan.stages.count; s++)
        for (uint32_t o = 0; o < c->derivations[s].operators.count; o++)
            for (uint32_t a = 0; a < c->plan.stages.at[s].axis_count; a++) {
                const struct layer_op *layer_op = state_operator(&c->derivations[s], o);
                int split = c->derivations[s].operators.at[o].assignment.split[a];
                bool heads =
                    split >= 0 && layer_op->attends && split != layer_op->query && split != layer_op->key;
                if (heads && c->plan.stages.at[s].axes[a].late)
                    return true;
            }
    return false;
}

static void heads_in_place_of_positions_give_what_whole_sequences_do(void **state)
{
    (void)state;
    uint32_t bad = 0, by_heads = 0, needless = 0, removed = 0;
    const struct family heads = {.name = "attention by heads"};
    for (uint32_t n = 0; n < 2 * cases_per_family(); n++) {
        uint64_t seed = (first_seed() + n) * 1000 + 990, random = seed;
        struct plan_case c;
        struct executor x;
        random_heads(&c, &random);
        random_derive(&c, &heads);
        executor_run(&x, &c, seed, MODEL_NONE, false, MODEL_NONE);
        if (x.wrong && bad++ < 20)
            fprintf(stderr, "attention by heads, seed %llu%s: %u of %u wrong, first: %s\n",
                    (unsigned long long)(first_seed() + n), case_describe(&c), x.wrong, x.checked,
                    x.first_wrong);
        by_heads += goes_by_heads(&c);
        if (n % 8 == 0)
            needless += remove_each(&c, &heads, seed, &removed);
        executor_fini(&x);
        case_fini(&c);
    }
    assert_true(by_heads > cases_per_family());
    assert_true(removed > 0);
    assert_int_equal(bad, 0);
    assert_int_equal(needless, 0);
}

/* Fully connected layers on grids, of which every other device keeps another part of the weights: square and
 * not, with uneven and empty shares, beside other axes, with one or many panels. */
static void random_grid(struct plan_case *c, uint64_t *random)
{
    static const char *const models[] = {
        "name: m\nlayers:\n  - {input: x, dims: {h: 7}}\n  - {fc: a, out: 12}\n  - {fc: b, out: 10, act: "
        "relu}\n"
        "  - {fc: e, out: 9}\n",
        "name: m\nlayers:\n  - {input: x, dims: {s: 4, h: 6}}\n  - {fc: a, out: {h: 8}}\n  - {norm: n}\n"
        "  - {fc: b, out: {f: 11}, act: gelu}\n  - {fc: e, out: {h: 8}}\n  - {add: s, from: [e, a]}\n"
        "  - {fc: k, out: {g: 2, d: 4}}\n  - {fc: p, over: [g, d], out: {h: 5}}\n"};
    static const char *const meshes[] = {"b:2 o:2",       "b:2 o:3",     "b:3 o:2",         "o:2 b:3",
                                         "b:2/3/1 o:3",   "b:2 o:3/1/2", "b:4/1/0/2 o:2/1", "b:2 o:2 b:2",
                                         "b:2 s,b:2 o:2", "o:4 b:1",     "b:5 o:3",         "b:2 o:2 o:2"};
    case_init(c, models[case_between(random, 0, 1)], case_between(random, 3, 6));
    case_stage(c, 0, meshes[case_between(random, 0, sizeof meshes / sizeof meshes[0] - 1)]);
    c->plan.product = PRODUCT_SUMMA;
    c->plan.panels = case_between(random, 0, 5);
    c->plan.training = case_between(random, 0, 3) > 0;
    c->plan.save_produced = case_between(random, 0, 1);
    c->plan.recompute = (enum plan_recompute)case_between(random, 0, RECOMPUTE_COUNT - 1);
}

static void panels_that_go_along_grids_give_what_whole_products_do(void **state)
{
    (void)state;
    uint32_t bad = 0, grids = 0, needless = 0, removed = 0;
    const struct family grid = {.name = "products on grids"};
    for (uint32_t n = 0; n < 4 * cases_per_family(); n++) {
        uint64_t seed = (first_seed() + n) * 1000 + 970, random = seed;
        struct plan_case c;
        struct executor x;
        random_grid(&c, &random);
        random_derive(&c, &grid);
        executor_run(&x, &c, seed, MODEL_NONE, false, MODEL_NONE);
        if (x.wrong && bad++ < 20)
            fprintf(stderr, "product on a grid, seed %llu%s: %u of %u wrong, first: %s\n",
                    (unsigned long long)(first_seed() + n), case_describe(&c), x.wrong, x.checked,
                    x.first_wrong);
        for (uint32_t o = 0; o < c.derivations->operators.count; o++) /* both operands */
            grids += (c.derivations->operators.at[o].panels & 3) == 3;
        if (n % 8 == 0)
            needless += remove_each(&c, &grid, seed, &removed);
        executor_fini(&x);
        case_fini(&c);
    }
    assert_true(grids > 4 * cases_per_family());
    assert_true(removed > 0);
    assert_int_equal(bad, 0);
    assert_int_equal(needless, 0);
}

static void splitting_a_recurrent_layer_along_time_is_refused(void **state)
{
    (void)state;
    struct plan_case c;
    uint32_t family = 0;
    while (strcmp(families[family].name, "recurrent layer") != 0)
        family++;
    case_init(&c, families[family].model, 2);
    case_stage(&c, 0, "s:3");
    c.plan.stages.at[0].place = (struct place){"w.yaml", 3, 5};
    assert_false(case_derive(&c));
    assert_int_equal(c.input.report.errors, 1);
    assert_string_equal(c.input.report.list.at[0].text,
                        "recurrent layer 'l' cannot be split along 's': its time steps follow one another; "
                        "split b, o (hidden units), g (gates) or i (inputs), or give layers to stages and "
                        "set plan.time-chunks");
    assert_int_equal(c.input.report.list.at[0].place.line, 3);
    case_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(partitioned_models_compute_what_whole_ones_do),
        cmocka_unit_test(no_derived_communication_can_be_left_out),
        cmocka_unit_test(what_was_once_communicated_for_nobody_is_not_derived),
        cmocka_unit_test(no_reduction_or_gather_of_a_parameter_can_be_left_out),
        cmocka_unit_test(no_part_of_a_tied_gradient_can_be_left_out),
        cmocka_unit_test(fused_blocks_compute_what_whole_models_do),
        cmocka_unit_test(nothing_that_fused_blocks_communicate_can_be_left_out),
        cmocka_unit_test(blocks_that_go_round_give_what_whole_sequences_do),
        cmocka_unit_test(heads_in_place_of_positions_give_what_whole_sequences_do),
        cmocka_unit_test(panels_that_go_along_grids_give_what_whole_products_do),
        cmocka_unit_test(splitting_a_recurrent_layer_along_time_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
