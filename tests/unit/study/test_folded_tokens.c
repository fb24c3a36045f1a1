/* Tokens that are folded against all of them written out: the same numbers, of many models and plans. Times,
 * work, bytes and FLOPs to the bit; sums of what is held in another order of equal moments to 1e-12. */
#include "generated.h"

#include "record/gather.h"
#include "record/tally.h"

#define DECODER                                                                                              \
    "model: {name: hf/decoder, layers: 2, hidden: 64, heads: 8, vocabulary: 64, inner: 96, attention: "      \
    "causal, "

static const struct {
    const char *name, *text;
    uint32_t sequence;
} models[] = {
    {"attention of single heads", DECODER "flash: yes}\n", 12},
    {"grouped queries", DECODER "groups: 2, flash: yes}\n", 12},
    {"grouped queries, scores in memory", DECODER "groups: 4, flash: no}\n", 12},
    {"a window that fills on the way", DECODER "window: 18, flash: yes}\n", 12},
    {"windows in every second block", DECODER "window: 16, window-period: 2, flash: no}\n", 9},
    {"experts",
     "model: {name: mixtral-8x7b, layers: 2, hidden: 64, heads: 8, groups: 4, inner: 96, vocabulary: 64, "
     "flash: yes}\n",
     16},
    {"latent attention",
     "model: {name: deepseek-v2-lite, layers: 2, hidden: 64, heads: 8, inner: 96, expert: 16, experts: 8, "
     "vocabulary: "
     "64, flash: yes}\n",
     16},
    {"recurrent layers", "model:\n  name: " PARTITA_SOURCE "/tests/unit/study/ideal/lstm\n", 10},
};

static const char *const plans[] = {
    "batch: {global: 2, sequence: %u, generate: 13}\nplan: {data: 1}\n",
    "batch: {global: 4, micro: 1, sequence: %u, generate: 13}\nplan: {data: 1}\n",
    "batch: {global: 4, micro: 2, sequence: %u, generate: 12}\nplan: {data: 2}\n",
    "batch: {global: 2, sequence: %u, generate: 13}\nplan: {tensor: 2}\n",
    "batch: {global: 3, micro: 1, sequence: %u, generate: 11}\nplan: {tensor: 4}\n",
    "batch: {global: 5, micro: 1, sequence: %u, generate: 13}\nplan: {pipeline: 2, data: 1}\n",
    "batch: {global: 1, sequence: %u, generate: 13}\nplan: {pipeline: 2, tensor: 2}\n",
    "batch: {global: 8, micro: 2, sequence: %u, generate: 9}\nplan: {tensor: 2, data: 2, pipeline: 2}\n",
    "batch: {global: 2, sequence: %u, generate: 14}\nplan: {context: 3, data: 1}\n",
    "batch: {global: 6, micro: 1, sequence: %u, generate: 13}\nplan: {context: 2, pipeline: 2, data: 1}\n",
    "batch: {global: 2, sequence: %u, generate: 6}\nplan: {tensor: 2, sequence-parallel: yes}\n",
    "batch: {global: 4, micro: 1, sequence: %u, generate: 9}\nplan: {pipeline: 2, input: 'chip[7]'}\n",
};

enum { MODELS = sizeof models / sizeof models[0], PLANS = sizeof plans / sizeof plans[0] };

/* A run as it goes without a database, and with one. */
struct folded {
    struct scenario scenario;
    struct engine_result result;
    struct metrics metrics;
    struct gather gather;
};

static bool folded_run(struct folded *f, const char *text, bool brief)
{
    struct scenario_options options = {
        .workload = "generated", .text = text, .data_root = PARTITA_SOURCE, .brief = brief};
    const char *error = NULL;
    *f = (struct folded){.metrics = {.window = 0}};
    if (!scenario_load(&f->scenario, &options))
        return false; /* a plan that this model cannot have */
    const struct job *job = &f->scenario.job;
    struct engine_options engine = scenario_engine(&f->scenario);
    gather_init(&f->gather, &f->scenario.plan, job, &f->metrics);
    brief = job->section_count > 0;
    if (brief)
        engine.observer = (struct engine_observer){&f->gather, gather_pass};
    if (!engine_run(&f->scenario.platform, &f->scenario.job, &engine, &f->result, &error))
        fail_msg("%s%s", text, error);
    if (!brief)
        gather_result(&f->gather, &f->result);
    if (!metrics_gathered(&f->gather, &f->metrics, &error))
        fail_msg("%s%s", text, error);
    return true;
}

static void folded_fini(struct folded *f)
{
    gather_fini(&f->gather);
    metrics_fini(&f->metrics);
    engine_result_fini(&f->result);
    scenario_fini(&f->scenario);
}

static void same_tokens(const struct metrics *a, const struct metrics *b)
{
    assert_int_equal(a->tokens.at.count, b->tokens.at.count);
    for (uint32_t t = 0; t < a->tokens.at.count; t++) {
        ASSERT_NEAR(a->tokens.at.at[t].first, b->tokens.at.at[t].first, 0);
        ASSERT_NEAR(a->tokens.at.at[t].mean, b->tokens.at.at[t].mean, 0);
        ASSERT_NEAR(a->tokens.at.at[t].last, b->tokens.at.at[t].last, 0);
    }
    ASSERT_NEAR(a->tokens.to_first, b->tokens.to_first, 0);
    ASSERT_NEAR(a->tokens.per_token, b->tokens.per_token, 0);
    ASSERT_NEAR(a->tokens_per_s, b->tokens_per_s, 0);
}

static void same_ranks(const struct metrics *a, const struct metrics *b)
{
    assert_int_equal(a->ranks.count, b->ranks.count);
    for (uint32_t r = 0; r < a->ranks.count; r++) {
        const struct metrics_rank *x = &a->ranks.at[r], *y = &b->ranks.at[r];
        ASSERT_NEAR(x->first_start, y->first_start, 0);
        ASSERT_NEAR(x->last_end, y->last_end, 0);
        ASSERT_NEAR(x->compute, y->compute, 0);
        ASSERT_NEAR(x->bubble, y->bubble, 0);
        ASSERT_NEAR(x->idle, y->idle, 0);
        ASSERT_NEAR(x->flops, y->flops, 0);
        ASSERT_NEAR(x->energy, y->energy, 0);
        assert_int_equal(x->exposed.count, y->exposed.count);
        for (uint32_t i = 0; i < x->exposed.count; i++) {
            assert_int_equal(x->exposed.at[i].group, y->exposed.at[i].group);
            ASSERT_NEAR(x->exposed.at[i].seconds, y->exposed.at[i].seconds, 0);
            ASSERT_NEAR(x->exposed.at[i].bytes, y->exposed.at[i].bytes, 0);
        }
    }
}

static void same_memory(const struct folded *a, const struct folded *b)
{
    ASSERT_NEAR(a->metrics.peak_memory, b->metrics.peak_memory, 1e-12);
    for (uint32_t p = 0; p < a->scenario.job.program_count; p++)
        ASSERT_NEAR(a->gather.programs[p].held.most, b->gather.programs[p].held.most, 1e-12);
    for (uint32_t s = 0; s < a->scenario.plan.stages.count; s++) {
        const struct plan_memory *x = &a->scenario.plan.stages.at[s].memory;
        const struct plan_memory *y = &b->scenario.plan.stages.at[s].memory;
        ASSERT_NEAR(x->total, y->total, 1e-12);
        for (int c = 0; c < MEMORY_CATEGORY_COUNT; c++)
            ASSERT_NEAR(x->of[c] + x->total, y->of[c] + y->total, 1e-12);
        assert_int_equal(x->largest_count, y->largest_count);
        for (uint32_t i = 0; i < x->largest_count; i++)
            ASSERT_NEAR(x->largest[i].bytes, y->largest[i].bytes, 1e-12);
    }
}

static void same_network(const struct folded *a, const struct folded *b)
{
    struct tally_list x, y;
    for (uint32_t l = 0; l < a->scenario.platform.links.count; l++)
        ASSERT_NEAR(a->result.link_bytes[l], b->result.link_bytes[l], 0);
    tally_collectives(&a->scenario.job, &a->result, &x);
    tally_collectives(&b->scenario.job, &b->result, &y);
    assert_int_equal(x.count, y.count);
    for (uint32_t i = 0; i < x.count; i++) {
        assert_int_equal(x.at[i].group, y.at[i].group);
        assert_int_equal(x.at[i].times, y.at[i].times);
    }
    VECTOR_FREE(&x);
    VECTOR_FREE(&y);
}

static void folded_tokens_are_those_written_out(void **state)
{
    (void)state;
    uint32_t compared = 0, even = 0;
    for (uint32_t k = 0; k < MODELS; k++)
        for (uint32_t p = 0; p < PLANS; p++) {
            char batch[512], text[2048];
            struct folded whole, folded;
            snprintf(batch, sizeof batch, plans[p], models[k].sequence);
            snprintf(text, sizeof text,
                     "name: generated\ntopology: %s/tests/unit/study/ideal/line\nset: {chips: 8}\nstep: "
                     "inference\n%s%s",
                     PARTITA_SOURCE, models[k].text, batch);
            bool possible = folded_run(&whole, text, false);
            if (!possible) {
                scenario_fini(&whole.scenario);
                continue;
            }
            print_message("%s, %s", models[k].name, strstr(batch, "plan"));
            assert_true(folded_run(&folded, text, true));
            even += folded.scenario.plan.folded;
            if (!folded.scenario.plan.folded)
                print_message("  written out\n");
            same_tokens(&folded.metrics, &whole.metrics);
            same_ranks(&folded.metrics, &whole.metrics);
            same_memory(&folded, &whole);
            same_network(&folded, &whole);
            ASSERT_NEAR(folded.scenario.plan.model_flops, whole.scenario.plan.model_flops, 0);
            ASSERT_NEAR(folded.metrics.window, whole.metrics.window, 0);
            ASSERT_NEAR(folded.metrics.bytes_sent, whole.metrics.bytes_sent, 0);
            ASSERT_NEAR(folded.result.makespan, whole.result.makespan, 0);
            assert_true(folded.result.events == whole.result.events);
            compared++;
            folded_fini(&folded);
            folded_fini(&whole);
        }
    assert_true(compared > MODELS * PLANS * 3 / 4 && even + 2 >= compared);
}

/* What is planned, and what the engine lays out, does not grow with the number of tokens but for their
 * series. */
static void a_program_of_a_thousand_tokens_is_that_of_ten(void **state)
{
    (void)state;
    uint32_t ops[2], changes[2];
    for (int more = 0; more < 2; more++) {
        char text[1024];
        struct scenario scenario;
        snprintf(text, sizeof text,
                 "name: generated\ntopology: %s/tests/unit/study/ideal/line\nstep: inference\n" DECODER
                 "groups: 2, flash: yes}\nbatch: {global: 4, micro: 1, sequence: 12, generate: %d}\n"
                 "plan: {pipeline: 2, tensor: 2}\n",
                 PARTITA_SOURCE, more ? 1000 : 10);
        struct scenario_options options = {
            .workload = "generated", .text = text, .data_root = PARTITA_SOURCE, .brief = true};
        assert_true(scenario_load(&scenario, &options));
        ops[more] = scenario.job.programs[0].op_count;
        changes[more] = scenario.job.programs[0].memory_count;
        scenario_fini(&scenario);
    }
    assert_int_equal(ops[0], ops[1]);
    assert_int_equal(changes[0], changes[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folded_tokens_are_those_written_out),
        cmocka_unit_test(a_program_of_a_thousand_tokens_is_that_of_ten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
