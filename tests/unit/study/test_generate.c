/* Generated text against published sizes of caches and closed forms of FLOPs, bytes and time. */
#include "generated.h"

static const double KIB = 1024;

/* What one more token of a sequence takes in all layers, all devices together. */
static double per_token(const char *body)
{
    struct generated g;
    double bytes = 0;
    generated_plan(&g, body);
    for (uint32_t r = 0; r < g.scenario.job.rank_count; r++)
        bytes += generated_cache(&g, r, false);
    double positions = (double)g.scenario.plan.prompt + g.scenario.plan.tokens - 1;
    bytes /= positions * (double)g.scenario.plan.global_batch;
    generated_fini(&g);
    return bytes;
}

/* Llama-2: 2 · 32 layers · 4,096 · 2 bytes. Llama-3 70B: 2 · 80 · 8 groups · 128 · 2. DeepSeek-V3 (arXiv
 * 2412.19437): 61 · (512 + 64) · 2, where multi-head attention would keep 2 · 61 · 128 · 128 · 2. */
static void caches_take_what_is_published_per_token(void **state)
{
    (void)state;
    ASSERT_NEAR(per_token("model: {name: llama2-7b, flash: yes}\nprecision: fp16\n"
                          "batch: {global: 1, sequence: 100, generate: 5}\nplan: {data: 1}\n"),
                512 * KIB, 0);
    ASSERT_NEAR(per_token("model: {name: llama3-70b, flash: yes}\nprecision: fp16\n"
                          "batch: {global: 2, sequence: 100, generate: 5}\nplan: {data: 1}\n"),
                320 * KIB, 0);
    ASSERT_NEAR(per_token("model: {name: deepseek-v3, flash: yes}\nprecision: bf16\n"
                          "batch: {global: 1, sequence: 64, generate: 3}\nplan: {data: 1}\n"),
                70272, 0);
    ASSERT_NEAR(
        per_token("model: {name: llama3-70b, flash: yes}\nprecision: {activations: bf16, cache: fp8}\n"
                  "batch: {global: 2, sequence: 100, generate: 5}\nplan: {data: 1}\n"),
        160 * KIB, 0);
}

/* A device's part of the cache of 67 positions of 4 sequences of two blocks with 4 groups of 2 heads of 8. */
static void splits_divide_the_cache_as_they_divide_attention(void **state)
{
    (void)state;
    static const char model[] = "model: {name: llama2-7b, layers: 2, hidden: 64, heads: 8, groups: 4, inner: "
                                "96, vocabulary: 50, flash: yes}\n"
                                "batch: {global: 4, micro: 1, sequence: 64, generate: 4}\n";
    static const struct {
        const char *plan;
        double part; /* of all, on the first device */
    } cases[] = {
        {"data: 1", 1},
        {"tensor: 2", 1.0 / 2},
        {"tensor: 4", 1.0 / 4},
        {"tensor: 8", 1.0 / 4}, /* more devices than groups: two have the same */
        {"data: 4", 1.0 / 4},
        {"pipeline: 2", 1.0 / 2},
        {"context: 2", 34.0 / 67},
        {"context: 5", 13.0 / 67}, /* rounded, as the share of 68 with the newest */
        {"context: 2, convert: {attention: ring}", 34.0 / 67},
        {"context: 4, convert: {attention: ulysses}", 1.0 / 4},
        {"tensor: 2, data: 2, pipeline: 2", 1.0 / 8},
        {"tensor: 4, sequence-parallel: yes", 1.0 / 4},
    };
    double all = 4 * 67 * 2.0 * 2 * 4 * 8 * 4;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[1024];
        struct generated g;
        snprintf(body, sizeof body, "set: {chips: 8}\n%splan: {%s}\n", model, cases[i].plan);
        generated_run(&g, body);
        print_message("%s\n", cases[i].plan);
        ASSERT_NEAR(generated_cache(&g, 0, false), all * cases[i].part, 1e-12);
        for (uint32_t r = 0; r < g.scenario.job.rank_count; r++) /* and all of it is given back */
            ASSERT_NEAR(generated_cache(&g, r, true) + 1, 1, 1e-9);
        generated_fini(&g);
    }
}

/* Every second block of Gemma 2 2B sees 4,096 positions: 13 of 26 layers of 2 · 4 heads of 256 in bf16. */
static void a_window_bounds_the_cache_of_its_layers(void **state)
{
    (void)state;
    struct generated g;
    generated_plan(&g,
                   "model:\n  name: " PARTITA_SOURCE "/tests/unit/study/ideal/gemma2.json\nprecision: bf16\n"
                   "batch: {global: 1, sequence: 6000, generate: 5}\nplan: {data: 1}\n");
    double layer = 2 * 4 * 256 * 2.0;
    ASSERT_NEAR(generated_cache(&g, 0, false), 13 * layer * (6004 + 4095), 0);
    generated_fini(&g);
}

/* Where positions are split, all devices together have each position once. */
static void positions_of_a_split_sequence_are_kept_once(void **state)
{
    (void)state;
    for (int sequence = 13; sequence < 20; sequence++) {
        char body[512];
        struct generated g;
        double bytes = 0;
        snprintf(body, sizeof body,
                 "model: {name: llama2-7b, layers: 1, hidden: 64, heads: 8, inner: 96, vocabulary: 50, "
                 "flash: yes}\n"
                 "batch: {global: 1, sequence: %d, generate: 6}\nplan: {context: 3, data: 1}\n",
                 sequence);
        generated_run(&g, body);
        for (uint32_t r = 0; r < 3; r++) {
            bytes += generated_cache(&g, r, false);
            ASSERT_NEAR(generated_cache(&g, r, true) + 1, 1, 1e-9);
        }
        ASSERT_NEAR(bytes, (sequence + 5) * 2 * 64 * 4.0, 1e-12);
        generated_fini(&g);
    }
}

/* 2 per parameter that is multiplied, and 4 · positions · hidden in each layer for the two products of
 * attention (Kaplan et al. 2020, arXiv 2001.08361, table 1). */
static void a_token_takes_two_flops_per_parameter_and_its_attention(void **state)
{
    (void)state;
    static const char *const plans[] = {"data: 1", "tensor: 4", "pipeline: 4", "context: 4",
                                        "data: 1, context: 2, tensor: 2"};
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        char body[512];
        struct generated g;
        snprintf(body, sizeof body,
                 "model: {name: llama2-7b, flash: yes}\nbatch: {global: 1, sequence: 200, generate: "
                 "4}\nplan: {%s}\n",
                 plans[i]);
        generated_plan(&g, body);
        double multiplied = 6738415616.0 - 32000 * 4096.0 - 65 * 4096.0; /* but for the table and the norms */
        double copies = strcmp(plans[i], "context: 4") == 0 ? 4
                        : i == 4                            ? 2
                                                            : 1; /* who splits positions does all else */
        for (uint32_t t = 1; t < 4; t++) {
            double attention = 4 * (200.0 + t) * 4096 * 32;
            ASSERT_NEAR(generated_flops(&g, t), copies * 2 * multiplied + attention, 1e-12);
        }
        generated_fini(&g);
    }
}

/* Sum over the tokens of a text of 1, 2, … n keys each is the causal triangle, so token by token a text takes
 * the FLOPs of its prompt at once, but for the logits, which are made each time. */
static void a_text_token_by_token_takes_the_flops_of_a_causal_pass(void **state)
{
    (void)state;
    static const char *const models[] = {"gpt2, attention: causal, layers: 3",
                                         "gpt2, attention: causal, layers: 3, flash: yes",
                                         "llama3-70b, attention: causal, layers: 2"};
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        char body[512];
        struct generated whole, steps;
        enum { LENGTH = 37 };
        snprintf(body, sizeof body,
                 "model: {name: %s}\nbatch: {global: 3, sequence: %d, generate: 1}\nplan: {data: 1}\n",
                 models[i], LENGTH);
        generated_plan(&whole, body);
        snprintf(body, sizeof body,
                 "model: {name: %s}\nbatch: {global: 3, sequence: 1, generate: %d}\nplan: {data: 1}\n",
                 models[i], LENGTH);
        generated_plan(&steps, body);
        double hidden = i < 2 ? 768 : 8192, vocabulary = i < 2 ? 50257 : 128256;
        double logits = 3 * 2 * hidden * vocabulary;
        ASSERT_NEAR(generated_flops(&steps, PROGRAM_NONE) - (LENGTH - 1) * logits,
                    generated_flops(&whole, PROGRAM_NONE), 1e-12);
        generated_fini(&whole);
        generated_fini(&steps);
    }
}

/* On a chip that only its memory slows down a token takes as long as reading the weights and the cache; what
 * else is read and written (activations of one position of 8 samples) is less than 1 %. */
static void a_token_takes_as_long_as_reading_weights_and_cache(void **state)
{
    (void)state;
    struct generated g;
    generated_run(&g,
                  "model: {name: llama2-7b, flash: yes}\nbatch: {global: 8, sequence: 1000, generate: 9}\n"
                  "plan: {data: 1}\n");
    for (uint32_t t = 1; t < 9; t++) {
        double weights = 4 * (6738415616.0 - 32000 * 4096.0), cache = 8 * (1000.0 + t) * 1024 * KIB;
        double seconds = g.metrics.tokens.at.at[t].mean - g.metrics.tokens.at.at[t - 1].mean;
        ASSERT_NEAR(seconds, (weights + cache) / 1e12, 1e-2);
        assert_true(seconds > (weights + cache) / 1e12);
    }
    ASSERT_NEAR(g.metrics.tokens_per_s * g.metrics.window, 8 * 9, 1e-12);
    generated_fini(&g);
}

/* What the first device reads and writes for the third token of 8 sequences after 3,000 positions. */
static double bytes_of_third_token(const char *plan, const char *per_head)
{
    char body[512];
    struct generated g;
    double bytes = 0;
    snprintf(body, sizeof body,
             "set: {chips: 16}\nmodel: {name: llama2-7b, groups: 8, flash: yes, per-head: %s}\n"
             "batch: {global: 8, sequence: 3000, generate: 3}\nplan: {%s}\n",
             per_head, plan);
    generated_plan(&g, body);
    const struct program *program = &g.scenario.job.programs[0];
    for (uint32_t i = 0; i < program->op_count; i++)
        bytes += program->ops[i].token == 2 ? program->ops[i].memory_bytes : 0;
    generated_fini(&g);
    return bytes;
}

/* Llama-2 7B with 8 groups of 4 heads. A tensor degree of 16 gives each device two heads of a group. */
static void heads_on_their_own_each_read_what_their_group_has(void **state)
{
    (void)state;
    static const struct {
        const char *plan;
        double groups, heads; /* of a device; of a group there */
    } cases[] = {{"data: 1", 8, 4}, {"tensor: 4", 2, 4}, {"tensor: 16", 1, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double together = bytes_of_third_token(cases[i].plan, "no");
        double alone = bytes_of_third_token(cases[i].plan, "yes");
        double once = 2 * 32 * cases[i].groups * 128 * 4.0 * 3002 * 8;
        ASSERT_NEAR(alone - together, (cases[i].heads - 1) * once, 1e-12);
    }
}

/* Stages of equal layers (the few rows of the table and the vocabulary of 1 weigh nothing). */
static double seconds_per_token(uint32_t stages, uint32_t samples)
{
    char body[512];
    struct generated g;
    snprintf(body, sizeof body,
             "model: {name: llama2-7b, layers: 8, vocabulary: 1, flash: yes}\n"
             "batch: {global: %u, micro: 1, sequence: 4, generate: 33}\nplan: {pipeline: %u, data: 1}\n",
             samples, stages);
    generated_run(&g, body);
    double seconds = g.metrics.tokens.per_token;
    generated_fini(&g);
    return seconds;
}

/* One sample passes all stages in turn; as many samples as stages keep all of them busy: each has a token in
 * the time that one sample takes alone. With fewer or more, max(samples, stages) stages' times. */
static void samples_in_flight_fill_a_pipeline_of_stages(void **state)
{
    (void)state;
    double alone = seconds_per_token(1, 1);
    ASSERT_NEAR(seconds_per_token(4, 1), alone, 1e-3);
    ASSERT_NEAR(seconds_per_token(4, 3), alone, 1e-3);
    ASSERT_NEAR(seconds_per_token(4, 4), alone, 1e-3);
    ASSERT_NEAR(seconds_per_token(4, 8), 2 * alone, 5e-2); /* prompts fill the pipeline as well */
    ASSERT_NEAR(seconds_per_token(1, 4), 4 * alone, 5e-2);
}

/* The chosen token goes from the last stage to the first: 4 bytes of each sample, for every token but the
 * last. */
static void a_chosen_token_returns_to_the_first_stage(void **state)
{
    (void)state;
    struct generated g;
    generated_run(
        &g,
        "model: {name: llama2-7b, layers: 2, hidden: 64, heads: 8, inner: 96, vocabulary: 50, flash: yes}\n"
        "batch: {global: 6, micro: 3, sequence: 8, generate: 5}\nplan: {pipeline: 2, data: 1}\n");
    double back = 0, forth = 0;
    for (uint32_t i = 0; i < g.result.transfer_count; i++) {
        const struct engine_transfer *transfer = &g.result.transfers[i];
        const struct group *group = &g.scenario.job.groups[transfer->group];
        bool returns =
            g.scenario.job.members[group->first_member] > g.scenario.job.members[group->first_member + 1];
        *(returns ? &back : &forth) += transfer->bytes;
    }
    ASSERT_NEAR(back, 6 * 4.0 * 4, 0);
    ASSERT_NEAR(forth, 6 * (8 + 4) * 64 * 4.0, 0); /* activations of the prompt and of four tokens */
    generated_fini(&g);
}

/* Several texts one after the other: each is like the first, and nothing is left of the one before. */
static void a_step_leaves_no_cache_behind(void **state)
{
    (void)state;
    double peak[2];
    for (int i = 0; i < 2; i++) {
        struct generated g;
        char body[512];
        snprintf(body, sizeof body,
                 "steps: %d\nmodel: {name: llama2-7b, layers: 2, flash: yes}\n"
                 "batch: {global: 4, micro: 2, sequence: 8, generate: 200}\nplan: {pipeline: 2, data: 1}\n",
                 i ? 3 : 1);
        generated_run(&g, body);
        peak[i] = g.scenario.plan.stages.at[0].memory.total;
        assert_true(g.metrics.peak_memory < 1.01 * peak[i]); /* stages meet in buffers of messages */
        ASSERT_NEAR(g.scenario.plan.stages.at[0].memory.cache, 4 * 207 * 2 * 4096 * 4.0, 1e-2);
        generated_fini(&g);
    }
    ASSERT_NEAR(peak[1], peak[0], 0);
}

/* Remedies are planned with the last token only: their memory is that of the whole. */
static void a_glance_at_the_last_token_finds_the_memory_of_all(void **state)
{
    (void)state;
    static const char *const plans[] = {"data: 1", "tensor: 2, pipeline: 2", "context: 4"};
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        char body[512];
        struct plan_memory memory[2];
        snprintf(body, sizeof body,
                 "model: {name: llama2-7b, layers: 4, flash: no}\n"
                 "batch: {global: 4, micro: 2, sequence: 9, generate: 300}\nplan: {%s}\n",
                 plans[i]);
        for (int glance = 0; glance < 2; glance++) {
            struct generated g;
            generated_plan_as(&g, body, glance);
            memory[glance] = g.scenario.plan.stages.at[0].memory;
            generated_fini(&g);
        }
        for (int c = 0; c < MEMORY_CATEGORY_COUNT; c++)
            ASSERT_NEAR(memory[1].of[c], memory[0].of[c], 1e-12);
        assert_true(memory[0].cache > 0);
    }
}

static void more_tokens_than_can_be_written_out_are_refused(void **state)
{
    (void)state;
    struct scenario scenario;
    struct scenario_options options = {
        .workload = "long",
        .data_root = PARTITA_SOURCE,
        .text = "topology: single-device\nmodel: {name: llama2-7b, flash: yes}\nstep: inference\n"
                "batch: {global: 64, micro: 1, sequence: 16, generate: 50000}\nplan: {data: 1}\n"};
    assert_false(scenario_load(&scenario, &options));
    assert_int_equal(scenario.input.report.errors, 1);
    assert_non_null(strstr(scenario.input.report.list.at[0].text, "more than can be written out"));
    scenario_fini(&scenario);
}

/* The hidden state of a recurrent layer, and the cell of an LSTM, do not grow. */
static void recurrent_layers_keep_a_state_that_does_not_grow(void **state)
{
    (void)state;
    struct generated g;
    generated_run(&g, "model:\n  name: " PARTITA_SOURCE "/tests/unit/study/ideal/lstm\n"
                      "batch: {global: 3, sequence: 20, generate: 30}\nplan: {data: 1}\n");
    ASSERT_NEAR(generated_cache(&g, 0, false), 3 * 2 * (16 + 16) * 4.0, 0);
    generated_fini(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(caches_take_what_is_published_per_token),
        cmocka_unit_test(splits_divide_the_cache_as_they_divide_attention),
        cmocka_unit_test(a_window_bounds_the_cache_of_its_layers),
        cmocka_unit_test(positions_of_a_split_sequence_are_kept_once),
        cmocka_unit_test(a_token_takes_two_flops_per_parameter_and_its_attention),
        cmocka_unit_test(a_text_token_by_token_takes_the_flops_of_a_causal_pass),
        cmocka_unit_test(a_token_takes_as_long_as_reading_weights_and_cache),
        cmocka_unit_test(heads_on_their_own_each_read_what_their_group_has),
        cmocka_unit_test(samples_in_flight_fill_a_pipeline_of_stages),
        cmocka_unit_test(a_chosen_token_returns_to_the_first_stage),
        cmocka_unit_test(a_step_leaves_no_cache_behind),
        cmocka_unit_test(more_tokens_than_can_be_written_out_are_refused),
        cmocka_unit_test(a_glance_at_the_last_token_finds_the_memory_of_all),
        cmocka_unit_test(recurrent_layers_keep_a_state_that_does_not_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
