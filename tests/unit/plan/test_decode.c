/* Tokens one by one on real numbers: a token that reads caches gives what its position of the whole sequence
 * gives, and its partitions compute what one device does, with exactly the derived communication. */
#include "executor_backward.h"

#include "model/decode.h"
#include "plan/boundary.h"

#define MODEL(body)                                                                                          \
    "name: m\nsample: sequence\nattention: causal\nparameters: {sequence: 6}\nlayers:\n"                     \
    "  - {input: x, dims: {s: sequence, h: 6}}\n" body

#define PLAIN(x, n)                                                                                          \
    "  - {fc: q" n ", from: " x ", out: {g: 3, d: 2}}\n  - {fc: k" n ", from: " x ", out: {g: 3, d: 2}}\n"   \
    "  - {fc: v" n ", from: " x ", out: {g: 3, d: 2}}\n"                                                     \
    "  - {attention: a" n ", from: [q" n ", k" n ", v" n "], mask: causal}\n"                                \
    "  - {fc: p" n ", over: [g, d], out: {h: 6}}\n  - {add: r" n ", from: [" x ", p" n "]}\n"

/* Latent vectors of 5, of 4 heads of 3 with values of 2, and keys of positions of 2. `i`: before each line.
 */
#define LATENT(i, x, n)                                                                                      \
    i "- {fc: q" n ", from: " x ", out: {g: 4, d: 3}, bias: no}\n" i "- {fc: z" n ", from: " x               \
      ", out: {l: 5}, bias: no}\n" i "- {norm: nz" n ", type: rms}\n" i "- {fc: k" n ", from: nz" n          \
      ", out: {g: 4, d: 3}, bias: no}\n" i "- {fc: v" n ", from: nz" n ", out: {g: 4, d: 2}, bias: no}\n" i  \
      "- {fc: qp" n ", from: " x ", out: {g: 4, p: 2}, bias: no}\n" i "- {fc: kp" n ", from: " x             \
      ", out: {p: 2}, bias: no}\n" i "- {attention: a" n ", from: [q" n ", k" n ", v" n ", qp" n ", kp" n    \
      "], mask: causal, cache: [nz" n ", kp" n "]}\n" i "- {fc: p" n ", over: [g, d], out: {h: 6}}\n" i      \
      "- {add: r" n ", from: [" x ", p" n "]}\n"

#define BLOCK(n) "  - name: one" n "\n    layers:\n"

static const struct {
    const char *name, *text;
} models[] = {
    {"two layers of attention", MODEL(PLAIN("x", "1") "  - {norm: n, type: rms}\n" PLAIN("n", "2"))},
    {"grouped queries in one kernel",
     MODEL("  - {fc: q, from: x, out: {g: 2, r: 3, d: 2}}\n  - {fc: k, from: x, out: {g: 2, d: 2}}\n"
           "  - {fc: v, from: x, out: {g: 2, d: 4}}\n"
           "  - {attention: a, from: [q, k, v], mask: causal, flash: yes}\n"
           "  - {fc: p, over: [g, r, d], out: {f: 5}, act: gelu}\n  - {fc: w, out: {h: 6}}\n")},
    {"a window, and the same keys without one",
     MODEL("  - {fc: q, from: x, out: {g: 3, d: 2}}\n  - {fc: k, from: x, out: {g: 3, d: 2}}\n"
           "  - {fc: v, from: x, out: {g: 3, d: 2}}\n"
           "  - {attention: a, from: [q, k, v], mask: causal, window: 3}\n"
           "  - {fc: p, over: [g, d], out: {h: 6}}\n  - {add: r, from: [x, p]}\n"
           "  - {fc: k2, from: r, out: {g: 3, d: 2}}\n  - {fc: q2, from: r, out: {g: 3, d: 2}}\n"
           "  - {attention: a2, from: [q2, k2, k2], mask: causal, window: 4}\n"
           "  - {fc: p2, over: [g, d], out: {h: 6}}\n")},
    {"latent attention in two layers",
     MODEL(BLOCK("1") LATENT("      ", "input", "1") BLOCK("2") LATENT("      ", "input", "2"))},
    {"latent attention in layers of their own", MODEL(LATENT("  ", "x", "1"))}, /* expanded */
    {"latent attention without its heads' values",
     MODEL("  - {fc: q, from: x, out: {g: 3, d: 2}}\n  - {fc: z, from: x, out: {l: 4}}\n"
           "  - {fc: k, from: z, out: {g: 3, d: 2}}\n  - {fc: v, from: x, out: {g: 3, d: 2}}\n"
           "  - {attention: a, from: [q, k, v], mask: causal, cache: [z, v]}\n"
           "  - {fc: p, over: [g, d], out: {h: 6}}\n")}, /* expanded: only the keys are products of it */
};
enum { MODELS = sizeof models / sizeof models[0], BATCH = 2, LENGTH = 6 };

static void decode_case(struct plan_case *c, const char *text, uint64_t past)
{
    case_init_from(c, NULL, text, "{sequence: 1}", BATCH);
    decode_step(&c->model);
    decode_past(&c->model, past);
    c->plan.training = false;
    c->plan.past = true;
    c->plan.schedule = &inference_schedule;
}

static double *array_of(struct arena *arena, const struct tensor *tensor)
{
    return ARENA_ARRAY(arena, double, evaluation_elements(tensor) + 1);
}

/* Copies positions [from, …) of a tensor of the whole sequence to one that has fewer. */
static void copy_positions(const struct model *model, const struct tensor *whole, const double *values,
                           const struct tensor *part, uint64_t from, double *out)
{
    uint32_t s = names_find(model->names, "s");
    for (size_t i = 0; i < evaluation_elements(part); i++) {
        size_t at = 0;
        for (uint32_t d = 0; d < part->rank; d++)
            at = at * whole->dims[d].size + run_index(part, i, d) + (part->dims[d].label == s ? from : 0);
        out[i] = values[at];
    }
}

static uint64_t positions_of(const struct model *model, const struct tensor *tensor)
{
    for (uint32_t d = 0; d < tensor->rank; d++)
        if (tensor->dims[d].label == names_find(model->names, "s"))
            return tensor->dims[d].size;
    return 0;
}

static void evaluate_all(const struct model *model, double **values, struct arena *arena)
{
    for (uint32_t l = 0; l < model->layers.count; l++) {
        const struct layer *layer = &model->layers.at[l];
        for (uint32_t o = layer->first_operator; o < layer->first_operator + layer->operator_count; o++) {
            struct evaluation e = {.model = model, .op = &model->operators.at[o], .adds = true};
            for (uint32_t d = 0; d < e.op->dim_count; d++)
                e.share[d] = (struct interval){0, e.op->dims[d].size};
            for (uint32_t i = 0; i < e.op->operand_count; i++)
                e.in[i] = e.statistics[i] = values[e.op->operands[i].tensor];
            evaluation_prepare(&e);
            e.out = values[e.op->output.tensor] = array_of(arena, &model->tensors.at[e.op->output.tensor]);
            evaluation_forward(&e);
        }
    }
}

static void a_token_that_reads_caches_is_the_last_position_of_the_sequence(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < MODELS; k++) {
        struct plan_case whole, token;
        uint64_t random = k + 1;
        case_init_from(&whole, NULL, models[k].text, NULL, BATCH);
        decode_case(&token, models[k].text, LENGTH - 1);
        const struct model *a = &whole.model, *b = &token.model;
        double **all = ARENA_ARRAY(&whole.arena, double *, a->tensors.count);
        double **one = ARENA_ARRAY(&token.arena, double *, b->tensors.count);
        for (uint32_t t = 0; t < a->tensors.count; t++) {
            all[t] = array_of(&whole.arena, &a->tensors.at[t]);
            for (size_t i = 0; i < evaluation_elements(&a->tensors.at[t]); i++)
                all[t][i] = (double)case_between(&random, 0, 2000) / 1000 - 1;
        }
        evaluate_all(a, all, &whole.arena);
        for (uint32_t t = 0; t < b->tensors.count; t++) {
            const struct tensor *tensor = &b->tensors.at[t];
            uint32_t of = tensor->past ? tensor->cache : t;
            one[t] = array_of(&token.arena, tensor);
            if (tensor->role == TENSOR_PARAMETER)
                one[t] = all[t];
            else if (tensor->role == TENSOR_INPUT)
                copy_positions(b, &a->tensors.at[of], all[of], tensor,
                               LENGTH - 1 - (tensor->past ? positions_of(b, tensor) : 0), one[t]);
        }
        evaluate_all(b, one, &token.arena);
        uint32_t last = a->layers.at[a->layers.count - 1].output;
        double *wanted = array_of(&token.arena, &b->tensors.at[last]);
        copy_positions(b, &a->tensors.at[last], all[last], &b->tensors.at[last], LENGTH - 1, wanted);
        print_message("%s\n", models[k].name);
        for (size_t i = 0; i < evaluation_elements(&b->tensors.at[last]); i++)
            ASSERT_NEAR(one[last][i], wanted[i], 1e-12);
        case_fini(&whole);
        case_fini(&token);
    }
}

static const char *const splits[] = {
    "",
    "b:2",
    "g,r:2",
    "g,r:3",
    "s,k:2",
    "s,k:3",
    "b:2 s,k:2",
    "s,k:2 g,r,f:2",
    "f,g,r,v:4",
    "b:2 g,r:2",
    "f,g,r,v,s,k:3",
    "s,k:4 g:2",
    "b:2 s,k:2 g,f:2",
    "g:2 r:2",
};

static void decode_stages(struct plan_case *c, uint64_t *random)
{
    uint32_t stages = case_between(random, 1, 2);
    for (uint32_t s = 0; s < stages; s++) {
        case_stage(c, s + 1 < stages ? case_between(random, 1, c->model.units.count - 1) : 0,
                   splits[case_between(random, 0, sizeof splits / sizeof splits[0] - 1)]);
        struct plan_stage *stage = &c->plan.stages.at[s];
        stage->lazy = case_between(random, 0, 3) == 0;
        for (uint32_t a = 0; a < stage->axis_count; a++)
            stage->axes[a].combiner = case_between(random, 0, 5) == 0;
    }
}

static void decode_derive(struct plan_case *c, const char *name)
{
    if (!case_derive(c)) {
        report_print(&c->input.report, stderr);
        fail_msg("%s%s cannot be derived", name, case_describe(c));
    }
}

static void partitioned_tokens_compute_what_one_device_does(void **state)
{
    (void)state;
    uint32_t checked = 0;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        uint64_t random = seed;
        struct plan_case c;
        struct executor x;
        uint32_t k = (uint32_t)(seed % MODELS);
        decode_case(&c, models[k].text, case_between(&random, 1, 9));
        decode_stages(&c, &random);
        decode_derive(&c, models[k].name);
        executor_run(&x, &c, seed, MODEL_NONE, false, MODEL_NONE);
        checked += x.checked;
        if (x.wrong)
            fail_msg("%s, seed %llu%s: %u of %u wrong, first: %s", models[k].name, (unsigned long long)seed,
                     case_describe(&c), x.wrong, x.checked, x.first_wrong);
        executor_fini(&x);
        case_fini(&c);
    }
    assert_true(checked > 10000);
}

static void no_communication_of_a_token_can_be_left_out(void **state)
{
    (void)state;
    uint32_t removed = 0;
    for (uint32_t k = 0; k < MODELS; k++)
        for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
            struct plan_case c;
            decode_case(&c, models[k].text, 8);
            case_stage(&c, 0, splits[i]);
            decode_derive(&c, models[k].name);
            for (uint32_t a = 0; a < c.derivations->forward.count; a++) {
                struct executor x;
                if (c.derivations->forward.at[a].kind == ACTION_KERNEL)
                    continue;
                executor_run(&x, &c, 7, 0, false, a);
                removed++;
                if (!x.wrong)
                    fail_msg("%s, %s: action %u, %s, is not needed", models[k].name, splits[i], a,
                             derive_reasons[c.derivations->forward.at[a].reason]);
                executor_fini(&x);
            }
            case_fini(&c);
        }
    assert_true(removed > 100);
}

/* No partition sends what is cached: what a token costs in messages does not grow with the cache. */
static void what_is_sent_for_a_token_does_not_depend_on_the_cache(void **state)
{
    (void)state;
    for (uint32_t k = 0; k + 2 < MODELS; k++) /* the last two expand theirs */
        for (size_t i = 0; i < sizeof splits / sizeof splits[0]; i++) {
            double bytes[2] = {0};
            for (int longer = 0; longer < 2; longer++) {
                struct plan_case c;
                decode_case(&c, models[k].text, longer ? 1000 : 12);
                case_stage(&c, 0, splits[i]);
                decode_derive(&c, models[k].name);
                const struct derivation *d = c.derivations;
                for (uint32_t a = 0; a < d->forward.count; a++) {
                    const struct action *action = &d->forward.at[a];
                    for (uint32_t m = 0; m < d->member_count && action->kind == ACTION_COLLECTIVE; m++)
                        bytes[longer] += derive_payload(d, action, layout_coordinates(d->stage, m));
                    for (uint32_t m = 0; m < action->message_count; m++)
                        bytes[longer] +=
                            d->messages.at[action->first_message + m].elements * action->element_bytes;
                }
                case_fini(&c);
            }
            ASSERT_NEAR(bytes[1], bytes[0], 0);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_that_reads_caches_is_the_last_position_of_the_sequence),
        cmocka_unit_test(partitioned_tokens_compute_what_one_device_does),
        cmocka_unit_test(no_communication_of_a_token_can_be_left_out),
        cmocka_unit_test(what_is_sent_for_a_token_does_not_depend_on_the_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
