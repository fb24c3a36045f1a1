/* The plans that a bare model is given: the bound by which plans are left out against plans that were made.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "partita.h"
#include "plan/recompute.h"
#include "study/default_plan.h"
#include "study/scenario.h"

#include <math.h>
#include <stdio.h>

/* Eight devices of 80 GB, four of them in a node. */
static struct default_facts facts_of(double parameters, double kept)
{
    return (struct default_facts){.devices = 8,
                                  .neighbours = 4,
                                  .units = 16,
                                  .memory = 80e9,
                                  .parameters = parameters,
                                  .kept = {kept, kept / 10, kept / 2},
                                  .tokens = 1024,
                                  .precision = BF16,
                                  .training = true};
}

static const struct default_given nothing = {.zero = -1, .recompute = -1};

static struct default_choice first_of(const struct default_facts *facts, const struct default_given *given)
{
    struct default_choice_list choices = {0};
    struct default_choice least, first = {0};
    default_plan_list(facts, given, &choices, &least);
    if (choices.count)
        first = choices.at[0];
    VECTOR_FREE(&choices);
    return first;
}

static void a_small_model_is_divided_over_the_batch_alone(void **state)
{
    (void)state;
    struct default_facts facts = facts_of(1e9, 1e9);
    struct default_choice first = first_of(&facts, &nothing);
    assert_int_equal(first.tensor * first.pipeline, 1);
    assert_int_equal(first.data, 8);
    assert_int_equal(first.micro, 8);
    assert_int_equal(first.recompute, RECOMPUTE_NONE);
}

/* 2 + 4 + 12/8 bytes of each of 20 billion parameters are 150 GB, over two devices 75 + 12/4 − 12/8 more. */
static void states_decide_how_far_a_model_is_split(void **state)
{
    (void)state;
    struct default_facts facts = facts_of(20e9, 1e6);
    struct default_choice one = {1, 1, 1, 8, 1, 1, 1, RECOMPUTE_FULL}, two = one;
    two.tensor = 2;
    two.data = 4;
    assert_float_equal(default_plan_bound(&facts, &nothing, &one), 150e9, 1e6);
    assert_float_equal(default_plan_bound(&facts, &nothing, &two), 90e9, 1e6);
    struct default_choice first = first_of(&facts, &nothing);
    assert_int_equal(first.tensor, 4);
    assert_int_equal(first.pipeline, 1);
}

static void what_is_given_is_kept_to(void **state)
{
    (void)state;
    struct default_facts facts = facts_of(1e9, 1e9);
    struct default_given given = nothing;
    struct default_choice_list choices = {0};
    struct default_choice least;
    given.pipeline = 2;
    given.global = 24;
    given.recompute = RECOMPUTE_FULL;
    default_plan_list(&facts, &given, &choices, &least);
    assert_true(choices.count > 0);
    for (uint32_t i = 0; i < choices.count; i++) {
        assert_int_equal(choices.at[i].pipeline, 2);
        assert_int_equal(choices.at[i].recompute, RECOMPUTE_FULL);
        assert_int_equal(24 % (choices.at[i].data * choices.at[i].micro), 0);
    }
    VECTOR_FREE(&choices);
}

static void experts_lie_in_a_node_before_they_lie_on_all(void **state)
{
    (void)state;
    struct default_facts facts = facts_of(12e9, 1e6);
    facts.experts = 16;
    facts.expert_parameters = 11e9;
    struct default_choice first = first_of(&facts, &nothing);
    assert_int_equal(first.tensor * first.pipeline, 1);
    assert_int_equal(first.expert, 4);
    facts.parameters = 33e9;
    facts.expert_parameters = 32e9;
    facts.units = 1;
    struct default_given one = nothing;
    one.tensor = 1;
    assert_int_equal(first_of(&facts, &one).expert, 8);
}

/* 16-bit weights of a mixture of 70 billion parameters lie on two of eight devices; there is nobody to share
 * the experts with. */
static void an_inference_splits_a_mixture_like_any_model(void **state)
{
    (void)state;
    struct default_facts facts = facts_of(70e9, 1e9);
    facts.training = false;
    facts.experts = 16;
    facts.expert_parameters = 60e9;
    struct default_choice first = first_of(&facts, &nothing);
    assert_int_equal(first.tensor, 2);
    assert_int_equal(first.pipeline, 1);
    assert_int_equal(first.expert, 1);
}

/* What two devices cannot share is divided over five all the same. */
static void stages_are_any_divisor_of_the_devices(void **state)
{
    (void)state;
    struct default_facts facts = facts_of(10e9, 1e6);
    facts.devices = facts.neighbours = 5;
    facts.memory = 60e9;
    struct default_choice first = first_of(&facts, &nothing);
    assert_int_equal(first.tensor, 1);
    assert_int_equal(first.pipeline, 5);
    assert_int_equal(first.data, 1);
}

static void where_nothing_fits_the_least_is_named(void **state)
{
    (void)state;
    struct default_facts facts = facts_of(400e9, 1e9);
    struct default_choice_list choices = {0};
    struct default_choice least;
    default_plan_list(&facts, &nothing, &choices, &least);
    assert_int_equal(choices.count, 0);
    assert_int_equal(least.recompute, RECOMPUTE_FULL);
    assert_int_equal(least.micro, 1);
}

/* Plans a shipped model with everything of `choice` given, on two nodes of eight A100s, and compares. `away`:
 * a further setting by which something is left with the host, as `given` says; NULL: none. */
static void compare_given(const char *model, const struct default_choice *choice,
                          const struct default_given *given, const char *away)
{
    enum { SETS = 8 };
    char texts[SETS][48];
    const char *sets[SETS];
    struct scenario scenario;
    double most = 0;
    for (int i = 0; i < SETS; i++)
        sets[i] = texts[i];
    snprintf(texts[0], sizeof texts[0], "plan.tensor=%u", choice->tensor);
    snprintf(texts[1], sizeof texts[1], "plan.pipeline=%u", choice->pipeline);
    snprintf(texts[2], sizeof texts[2], "plan.zero=%u", choice->zero);
    snprintf(texts[3], sizeof texts[3], "plan.recompute=%s", recompute_names[choice->recompute]);
    snprintf(texts[4], sizeof texts[4], "batch.micro=%u", choice->micro);
    snprintf(texts[5], sizeof texts[5], "topology.nodes=2");
    uint32_t count = 6;
    if (choice->expert > 1)
        snprintf(texts[count++], sizeof texts[0], "plan.expert=%u", choice->expert);
    if (away)
        snprintf(texts[count++], sizeof texts[0], "%s", away);
    struct scenario_options options = {.workload = model,
                                       .topology = "dgx-a100",
                                       .sets = sets,
                                       .set_count = count,
                                       .data_root = partita_data_folder()};
    assert_true(scenario_load(&scenario, &options));
    struct default_facts facts = {.devices = 16, .precision = BF16, .training = true};
    default_plan_measure(&scenario.model, &facts, &scenario.arena);
    for (uint32_t s = 0; s < scenario.plan.stages.count; s++)
        most = fmax(most, scenario.plan.stages.at[s].memory.total);
    double bound = default_plan_bound(&facts, given, choice);
    if (most < bound || (!away && most > 3 * bound))
        fail_msg("%s, tensor %u x pipeline %u, zero %u: needs %g bytes, the bound is %g", model,
                 choice->tensor, choice->pipeline, choice->zero, most, bound);
    scenario_fini(&scenario);
}

static void compare(const char *model, const struct default_choice *choice)
{
    compare_given(model, choice, &nothing, NULL);
}

/* A plan must not need less than the bound by which it would have been left out; nor so much more that the
 * bound says nothing. */
static void no_plan_needs_less_than_its_bound(void **state)
{
    (void)state;
    static const struct default_choice choices[] = {{1, 1, 1, 16, 1, 2, 1, RECOMPUTE_NONE},
                                                    {4, 1, 1, 4, 1, 2, 1, RECOMPUTE_SELECTIVE},
                                                    {1, 4, 1, 4, 1, 2, 1, RECOMPUTE_FULL},
                                                    {2, 2, 1, 4, 1, 1, 1, RECOMPUTE_NONE},
                                                    {1, 1, 1, 16, 1, 1, 3, RECOMPUTE_NONE}};
    for (size_t i = 0; i < sizeof choices / sizeof choices[0]; i++) {
        compare("gpt2-xl", &choices[i]);
        compare("llama2-7b", &choices[i]);
        struct default_choice experts = choices[i];
        experts.expert = 4;
        compare("mixtral-8x7b", &experts);
        if (choices[i].tensor == 1)
            compare("resnet50", &choices[i]);
    }
}

/* What is left with the host does not count; what has to be on the device in passing does, and is little. */
static void what_a_host_keeps_is_not_in_the_bound(void **state)
{
    (void)state;
    static const struct default_choice shared = {2, 2, 1, 4, 1, 2, 3, RECOMPUTE_FULL},
                                       whole = {2, 2, 1, 4, 1, 2, 1, RECOMPUTE_SELECTIVE};
    struct default_given given = nothing;
    given.no_optimizer = true;
    compare_given("llama2-7b", &shared, &given, "plan.offload.optimizer=host");
    compare_given("llama2-7b", &whole, &given, "plan.offload.optimizer=host");
    given = nothing;
    given.no_activations = true;
    compare_given("llama2-7b", &whole, &given, "plan.offload.activations=host");
    given = nothing;
    given.no_parameters = true;
    compare_given("llama2-7b", &shared, &given, "plan.offload.parameters=host");
}

/* The fullest device. */
static double needs(const struct scenario *scenario)
{
    double most = 0;
    for (uint32_t s = 0; s < scenario->plan.stages.count; s++)
        most = fmax(most, scenario->plan.stages.at[s].memory.total);
    return most;
}

/* With the schedules whose peak is that of a few micro-batches it even needs as much. */
static void a_probe_needs_no_more_than_the_whole(void **state)
{
    (void)state;
    static const struct {
        const char *schedule, *more;
        bool same;
    } cases[] = {{"1f1b", "plan.zero=1", true},
                 {"1f1b", "plan.zero=3", true},
                 {"1f1b", "plan.offload.optimizer=host", false},
                 {"1f1b", "plan.offload.activations=host", false},
                 {"eager-1f1b", "plan.zero=2", true},
                 {"gpipe", "plan.zero=1", true},
                 {"zb-h1", "plan.zero=0", true},
                 {"dualpipev", "plan.zero=0", true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char schedule[48];
        snprintf(schedule, sizeof schedule, "plan.schedule=%s", cases[i].schedule);
        const char *sets[] = {"topology.nodes=1", "plan.tensor=1",   "plan.pipeline=4", schedule,
                              cases[i].more,      "batch.global=64", "batch.micro=1"};
        struct scenario_options options = {.workload = "gpt2-medium",
                                           .topology = "dgx-a100",
                                           .sets = sets,
                                           .set_count = sizeof sets / sizeof sets[0],
                                           .data_root = partita_data_folder()};
        struct scenario whole, probe;
        assert_true(scenario_load(&whole, &options));
        char *text = value_write(whole.document, &whole.arena);
        struct scenario_options again = {.workload = "probe",
                                         .topology = "dgx-a100",
                                         .text = text,
                                         .data_root = partita_data_folder(),
                                         .probe = true};
        assert_true(scenario_load(&probe, &again));
        assert_true(probe.unfinished);
        assert_true(4 * probe.job.programs[0].op_count < 3 * whole.job.programs[0].op_count);
        if (needs(&probe) > needs(&whole) || (cases[i].same && needs(&probe) != needs(&whole)))
            fail_msg("%s, %s: a probe needs %g bytes, the whole %g", cases[i].schedule, cases[i].more,
                     needs(&probe), needs(&whole));
        assert_true(scenario_finish(&probe, &again));
        assert_float_equal(needs(&probe), needs(&whole), 0);
        assert_int_equal(probe.job.programs[0].op_count, whole.job.programs[0].op_count);
        assert_int_equal(probe.job.steps, whole.job.steps);
        scenario_fini(&probe);
        scenario_fini(&whole);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_model_is_divided_over_the_batch_alone),
        cmocka_unit_test(states_decide_how_far_a_model_is_split),
        cmocka_unit_test(what_is_given_is_kept_to),
        cmocka_unit_test(experts_lie_in_a_node_before_they_lie_on_all),
        cmocka_unit_test(an_inference_splits_a_mixture_like_any_model),
        cmocka_unit_test(stages_are_any_divisor_of_the_devices),
        cmocka_unit_test(where_nothing_fits_the_least_is_named),
        cmocka_unit_test(no_plan_needs_less_than_its_bound),
        cmocka_unit_test(what_a_host_keeps_is_not_in_the_bound),
        cmocka_unit_test(a_probe_needs_no_more_than_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
