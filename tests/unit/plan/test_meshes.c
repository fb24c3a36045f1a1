/* Several factorisations of one stage's devices: numbers come out as without them, with exactly the derived
 * communication; their names, their errors. */
#include "executor_backward.h"
#include "families.h"

#include "plan/mesh.h"
#include "plan/split.h"

static uint32_t cases(void)
{
    const char *text = getenv("PARTITA_CASES");
    return text ? (uint32_t)strtoul(text, NULL, 10) : 25;
}

static uint64_t first_seed(void)
{
    const char *text = getenv("PARTITA_SEED");
    return text ? strtoull(text, NULL, 10) : 1;
}

/* Families whose layers are split in different ways, and what is matched in them. */
static const struct {
    const char *family, *match[6];
} mixed[] = {
    {"mixture of experts", {"m.experts", "p", "q", "m"}},
    {"mixture of experts that drops tokens", {"m.experts", "p", "r"}},
    {"fully connected chain", {"a", "b", "c", "d", "g"}},
    {"convolutions by rows", {"a", "b", "p", "c", "d"}},
    {"transformer block", {"*.q", "*.u", "*.a", "*.n2", "e"}},
    {"latent attention", {"q*", "z", "c", "w"}},
    {"tables and pairs of features", {"t", "z", "p", "a", "y"}},
    {"language model with tied logits", {"e", "u", "l", "loss"}},
};
enum { MIXED = sizeof mixed / sizeof mixed[0] };

static const struct family *family_called(const char *name)
{
    for (uint32_t f = 0; f < FAMILIES; f++)
        if (strcmp(families[f].name, name) == 0)
            return &families[f];
    fail_msg("there is no family '%s'", name);
    return NULL;
}

/* Groups neighbouring factors into axes, each of which splits something of the family: "{a0: {shares: 4, of:
 * [e, f]}, …}". */
static const char *random_split(struct plan_case *c, const struct family *family, const uint32_t *factors,
                                uint32_t count, uint64_t *random)
{
    const char *text = "{";
    uint32_t used = 0;
    for (uint32_t i = 0, axis = 0; i < count; axis++) {
        uint32_t size = factors[i++], pick = case_between(random, 0, family_axes(family) - 1);
        while (i < count && case_between(random, 0, 1))
            size *= factors[i++];
        for (uint32_t tries = 0; used >> pick & 1 && tries < 20; tries++)
            pick = case_between(random, 0, family_axes(family) - 1);
        used |= 1u << pick;
        text = arena_format(&c->arena, "%s%sa%u: {shares: %u, of: [%s]}", text, axis ? ", " : "", axis, size,
                            family->axes[pick]);
    }
    return arena_format(&c->arena, "%s}", text);
}

static bool random_meshes(struct plan_case *c, uint32_t which, uint64_t *random, const char **text)
{
    static const uint32_t twos[] = {2, 2, 2}, six[] = {3, 2}, other[] = {2, 3};
    const uint32_t *const factors[] = {twos, six, other, twos};
    static const uint32_t counts[] = {3, 2, 2, 2};
    const struct family *family = family_called(mixed[which].family);
    uint32_t shape = case_between(random, 0, 3), devices = 1;
    for (uint32_t i = 0; i < counts[shape]; i++)
        devices *= factors[shape][i];
    case_init(c, family->model, devices);
    struct plan_stage stage = {.unit_count = c->model.units.count};
    for (uint32_t i = 0; i < devices; i++)
        VECTOR_PUSH(&stage.devices, case_device(c));
    bool well = true;
    *text = "-";
    if (case_between(random, 0, 3)) {
        *text = random_split(c, family, factors[shape], counts[shape], random);
        well = split_read(&c->input, case_parse(c, "split", *text), &c->plan, &stage);
        for (uint32_t a = 0; a < stage.axis_count; a++)
            stage.axes[a].combiner = case_between(random, 0, 3) == 0;
    }
    stage.lazy = case_between(random, 0, 1);
    VECTOR_PUSH(&c->plan.stages, stage);
    const char *list = "layers:\n";
    for (uint32_t m = 0; m < 6 && mixed[which].match[m]; m++)
        if (case_between(random, 0, 1) || m == 0)
            list = arena_format(&c->arena, "%s  - {match: \"%s\", split: %s}\n", list, mixed[which].match[m],
                                random_split(c, family, factors[shape], counts[shape], random));
    *text = arena_format(&c->arena, "%s\n%s", *text, list);
    well = well && mesh_layers(&c->input, value_get(case_parse(c, "layers", list), "layers"), &c->plan);
    c->plan.zero = case_between(random, 0, 3);
    const struct plan_stage *meshed = &c->plan.stages.at[0];
    for (uint32_t m = 0; meshed->meshes && m < meshed->mesh_count;
         m++) /* any axis can share out what is kept */
        for (uint32_t a = 0; a < meshed->meshes[m].axis_count; a++)
            meshed->meshes[m].axes[a].shards = case_between(random, 0, 1);
    return well && case_derive(c);
}

static void layers_with_splits_of_their_own_compute_the_same(void **state)
{
    (void)state;
    for (uint32_t f = 0; f < MIXED; f++) {
        uint32_t good = 0;
        for (uint32_t n = 0; n < cases(); n++) {
            uint64_t seed = (first_seed() + n) * 100 + f, random = seed;
            struct plan_case c;
            struct executor x;
            const char *text;
            if (random_meshes(&c, f, &random, &text)) { /* else an axis splits nothing that is matched */
                executor_run(&x, &c, seed, MODEL_NONE, false, MODEL_NONE);
                if (x.wrong)
                    fail_msg("%s, seed %llu, %s: %u of %u wrong, first: %s", mixed[f].family,
                             (unsigned long long)(first_seed() + n), text, x.wrong, x.checked, x.first_wrong);
                good++;
                executor_fini(&x);
            }
            case_fini(&c);
        }
        if (good < cases() / 10)
            fail_msg("%s: only %u of %u cases could be derived", mixed[f].family, good, cases());
    }
}

/* Whether some member has nothing to do in some operator: what it is sent is then not missed. */
static bool somebody_idles(const struct derivation *d)
{
    for (uint32_t o = 0; o < d->operators.count; o++)
        for (uint32_t m = 0; m < d->member_count; m++)
            if (assign_points(d->stage, state_operator(d, o), &d->operators.at[o].assignment,
                              layout_coordinates(d->stage, m)) <= 0)
                return true;
    return false;
}

static void between_meshes_no_communication_can_be_left_out(void **state)
{
    (void)state;
    uint32_t removed = 0;
    for (uint32_t f = 0; f < MIXED; f++)
        for (uint32_t n = 0; n < (cases() + 1) / 2; n++) {
            uint64_t seed = (first_seed() + n) * 100 + 50 + f, random = seed;
            struct plan_case c;
            const char *text;
            bool good = random_meshes(&c, f, &random, &text);
            const struct derivation *d = good ? &c.derivations[0] : NULL;
            good = good && !somebody_idles(d);
            for (uint32_t i = 0; good && i < d->forward.count + d->backward.count; i++) {
                bool backward = i >= d->forward.count;
                uint32_t index = backward ? i - d->forward.count : i;
                const struct action *a = backward ? &d->backward.at[index] : &d->forward.at[index];
                struct executor x;
                if (a->kind == ACTION_KERNEL)
                    continue;
                executor_run(&x, &c, seed, 0, backward, index);
                removed++;
                if (!x.wrong)
                    fail_msg("%s, seed %llu, %s: %s %s of %s over axes %u is not needed", mixed[f].family,
                             (unsigned long long)(first_seed() + n), text, backward ? "backward" : "forward",
                             derive_reasons[a->reason],
                             names_text(&c.names, c.model.tensors.at[a->tensor].name), a->axes);
                executor_fini(&x);
            }
            case_fini(&c);
        }
    assert_true(removed > 4 * cases());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_with_splits_of_their_own_compute_the_same),
        cmocka_unit_test(between_meshes_no_communication_can_be_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
