/* Ring attention: what a member works on, passes on and holds, against counting and closed forms. That
 * blocks which go round give what whole sequences do is what the executor finds. */
#include "attention_models.h"
#include "plan_case.h"

#include "plan/causal.h"
#include "plan/emit.h"
#include "plan/state.h"
#include "plan/streamed.h"

enum { BATCH = 2, SEQUENCE = 16, GROUPS = 4, SIZE = 3, WAYS = 4 };
static const char model[] = ATTENTION_GROUPED;

static void ring_case(struct plan_case *c, const char *axes, uint32_t balanced, enum plan_attention attention)
{
    case_init(c, model, BATCH);
    case_stage(c, 0, axes);
    c->plan.stages.at[0].balanced = balanced;
    c->plan.attention = attention;
    assert_true(case_derive(c));
}

static const struct step_loop *ring_loop(const struct plan_case *c, bool backward)
{
    const struct derivation *d = c->derivations;
    assert_int_equal(backward ? d->backward_loops.count : d->forward_loops.count, 1);
    const struct step_loop *loop = backward ? d->backward_loops.at : d->forward_loops.at;
    assert_true(loop->ring);
    assert_int_equal(loop->steps, layout_places(d->stage, loop->axes));
    return loop;
}

/* Elements that a member passes on in all steps of a list's streamed actions of a kind. */
static double passed(const struct plan_case *c, bool backward, int collective, uint32_t member)
{
    const struct derivation *d = c->derivations;
    double elements = 0;
    for (uint32_t i = 0; i < (backward ? d->backward.count : d->forward.count); i++) {
        const struct action *action = backward ? &d->backward.at[i] : &d->forward.at[i];
        bool gradients = collective == REDUCE_SCATTER;
        if (!action->streamed || action->collective != collective)
            continue;
        for (uint32_t step = gradients; step + !gradients < layout_places(d->stage, action->axes); step++)
            elements += streamed_elements(d, action, member, step);
    }
    return elements;
}

/* N - 1 blocks of keys and as many of values forward; both again, and their gradients, backward: as much as
 * the gathers and reduce-scatters would. */
static void blocks_are_passed_on_p_minus_one_times(void **state)
{
    (void)state;
    struct plan_case c;
    ring_case(&c, "s:4", WAYS, ATTENTION_RING);
    double block = BATCH * (SEQUENCE / WAYS) * GROUPS * SIZE;
    ring_loop(&c, false);
    ring_loop(&c, true);
    for (uint32_t m = 0; m < WAYS; m++) {
        ASSERT_NEAR(passed(&c, false, ALL_GATHER, m), 2 * (WAYS - 1) * block, 0);
        ASSERT_NEAR(passed(&c, true, ALL_GATHER, m), 2 * (WAYS - 1) * block, 0);
        ASSERT_NEAR(passed(&c, true, REDUCE_SCATTER, m), 2 * (WAYS - 1) * block, 0);
    }
    case_fini(&c);
}

/* Shares that do not divide: every member passes on all blocks but one, the others' sizes among them. */
static void uneven_blocks_are_all_passed_on(void **state)
{
    (void)state;
    struct plan_case c;
    ring_case(&c, "s:3", 0, ATTENTION_RING);
    static const double blocks[] = {5, 5, 6};
    for (uint32_t m = 0; m < 3; m++)
        ASSERT_NEAR(passed(&c, false, ALL_GATHER, m),
                    2 * BATCH * GROUPS * SIZE * (SEQUENCE - blocks[(m + 1) % 3]), 0);
    case_fini(&c);
}

/* In every step each block is worked on by one member; in all, each member works on each block. */
static void the_parts_of_all_steps_are_the_whole_work(void **state)
{
    (void)state;
    static const uint32_t dealt[] = {0, WAYS};
    for (uint32_t n = 0; n < 2; n++) {
        struct plan_case c;
        ring_case(&c, "s:4", dealt[n], ATTENTION_RING);
        const struct derivation *d = c.derivations;
        for (uint32_t o = 0; o < d->operators.count; o++)
            for (uint32_t m = 0; m < WAYS && state_operator(d, o)->attends; m++) {
                double all = 0, rows = SEQUENCE / WAYS, whole = 0;
                for (uint32_t step = 0; step < WAYS; step++) {
                    uint32_t block = (m + WAYS - step) % WAYS;
                    struct interval q = {m * SEQUENCE / WAYS, (m + 1) * SEQUENCE / WAYS};
                    struct interval k = {block * SEQUENCE / WAYS, (block + 1) * SEQUENCE / WAYS};
                    double counted = 0;
                    for (uint64_t i = q.low; i < q.high; i++)
                        for (uint64_t j = 0; j < SEQUENCE; j++) {
                            bool seen = causal_position(j, SEQUENCE, dealt[n]) <=
                                        causal_position(i, SEQUENCE, dealt[n]);
                            whole += seen && step == 0;
                            counted += seen && j >= k.low && j < k.high;
                        }
                    ASSERT_NEAR(streamed_share(d, o, 1, m, step), counted / whole, 1e-12);
                    if (dealt[n] && step) /* as much as every other block: half of it is masked */
                        ASSERT_NEAR(counted, rows * rows / 2, 0);
                    all += streamed_share(d, o, 1, m, step);
                }
                ASSERT_NEAR(all, 1, 1e-12);
            }
        case_fini(&c);
    }
}

/* What is kept for the backward pass is the member's own share; gathered, it would be the whole sequence.
 * Besides, the block at work and the one on its way. */
static void a_member_holds_blocks_and_not_the_sequence(void **state)
{
    (void)state;
    double block = BATCH * (SEQUENCE / WAYS) * GROUPS * SIZE * 4.0;
    for (int ring = 0; ring < 2; ring++) {
        struct plan_case c;
        ring_case(&c, "s:4", WAYS, ring ? ATTENTION_RING : ATTENTION_GATHER);
        const struct derivation *d = c.derivations;
        double kept = 0;
        for (uint32_t i = 0; i < d->saved.count; i++) {
            const char *name = names_text(&c.names, state_tensor(d, d->saved.at[i].tensor)->name);
            struct box box = derive_box(d, d->saved.at[i].tensor, d->saved.at[i].form, 1);
            if ((name[0] == 'k' || name[0] == 'v') && d->saved.at[i].kept && d->saved.at[i].extra <= 0)
                kept += layout_elements(&box, state_tensor(d, d->saved.at[i].tensor)->rank) * 4;
        }
        ASSERT_NEAR(kept, ring ? 2 * block : 2 * WAYS * block, 0);
        if (ring) {
            ASSERT_NEAR(streamed_buffer(d, false, 0, 1), 2 * 2 * block, 0);
            ASSERT_NEAR(streamed_buffer(d, true, 0, 1), 2 * 4 * block, 0);
        }
        case_fini(&c);
    }
}

/* A product that is itself a partial sum within each block (d is split too) is added up between the kernels:
 * nothing can be streamed around that, and nothing claims to be. */
static void what_cannot_be_streamed_is_gathered(void **state)
{
    (void)state;
    struct plan_case c;
    ring_case(&c, "s:2 d:3", 0, ATTENTION_RING);
    const struct derivation *d = c.derivations;
    assert_int_equal(d->forward_loops.count, 0);
    for (uint32_t i = 0; i < d->forward.count; i++)
        assert_false(d->forward.at[i].streamed);
    for (uint32_t i = 0; i < d->backward.count; i++)
        assert_false(d->backward.at[i].streamed);
    assert_int_equal(c.input.report.warnings, 1); /* said, not done silently */
    assert_string_equal(c.input.report.list.at[0].text,
                        "the keys and values of 'a' are gathered, not passed round: its products are partial "
                        "sums, which are added up before the next one");
    case_fini(&c);
}

/* Sends and receives of one rank's program that carry blocks, and their bytes. */
static void programs_pass_blocks_to_the_next_and_take_them_from_the_one_before(void **state)
{
    (void)state;
    struct plan_case c;
    struct job job = {0};
    ring_case(&c, "s:4", WAYS, ATTENTION_RING);
    case_connect(&c, 1e9, 0);
    arena_init(&job.arena);
    job.names = &c.names;
    assert_true(emit_job(&c.plan, c.derivations, &job, &c.input.report));
    double block = BATCH * (SEQUENCE / WAYS) * GROUPS * SIZE * 4.0;
    for (uint32_t r = 0; r < job.rank_count; r++) {
        const struct program *program = &job.programs[job.ranks[r].program];
        uint32_t sends = 0, receives = 0;
        for (uint32_t i = 0; i < program->op_count; i++) {
            const struct op *op = &program->ops[i];
            if (op->kind != OP_SEND && op->kind != OP_RECEIVE)
                continue;
            const struct group *group = &job.groups[job.group_table[job.ranks[r].first_group + op->group]];
            const uint32_t *members = &job.members[group->first_member];
            assert_string_equal(names_text(&c.names, group->name), "ring");
            assert_int_equal(members[op->kind == OP_SEND ? 0 : 1], r);
            assert_int_equal(members[op->kind == OP_SEND ? 1 : 0],
                             (r + (op->kind == OP_SEND ? 1 : WAYS - 1)) % WAYS);
            ASSERT_NEAR(op->bytes, block, 0);
            *(op->kind == OP_SEND ? &sends : &receives) += 1;
        }
        assert_int_equal(sends, 6 * (WAYS - 1));
        assert_int_equal(receives, 6 * (WAYS - 1));
    }
    arena_fini(&job.arena);
    case_fini(&c);
}

/* A context in two pieces, as where other layers cut the same devices in another way: one ring through all of
 * its members, in the order of the mesh, with the same blocks as with one axis. */
static void a_ring_goes_through_all_pieces_of_an_axis(void **state)
{
    (void)state;
    struct plan_case whole, cut;
    ring_case(&whole, "s:4", WAYS, ATTENTION_RING);
    case_init(&cut, model, BATCH);
    case_stage(&cut, 0, "s:2 s:2");
    cut.plan.stages.at[0].axes[1].joined = true;
    cut.plan.stages.at[0].balanced = WAYS;
    cut.plan.attention = ATTENTION_RING;
    assert_true(case_derive(&cut));
    assert_int_equal(ring_loop(&cut, false)->axes, 3);
    ring_loop(&cut, true);
    for (uint32_t m = 0; m < WAYS; m++) {
        assert_int_equal(streamed_member(cut.derivations->stage, m, 3, 1), (m + 1) % WAYS);
        for (int kind = 0; kind < 3; kind++)
            ASSERT_NEAR(passed(&cut, kind > 0, kind > 1 ? REDUCE_SCATTER : ALL_GATHER, m),
                        passed(&whole, kind > 0, kind > 1 ? REDUCE_SCATTER : ALL_GATHER, m), 0);
        ASSERT_NEAR(streamed_buffer(cut.derivations, true, 0, m),
                    streamed_buffer(whole.derivations, true, 0, m), 0);
        for (uint32_t step = 0; step < WAYS; step++)
            for (uint32_t o = 0; o < cut.derivations->operators.count; o++)
                if (state_operator(cut.derivations, o)->attends)
                    ASSERT_NEAR(streamed_share(cut.derivations, o, 3, m, step),
                                streamed_share(whole.derivations, o, 1, m, step), 0);
    }
    assert_int_equal(cut.input.report.warnings, 0);
    case_fini(&whole);
    case_fini(&cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_passed_on_p_minus_one_times),
        cmocka_unit_test(uneven_blocks_are_all_passed_on),
        cmocka_unit_test(the_parts_of_all_steps_are_the_whole_work),
        cmocka_unit_test(a_member_holds_blocks_and_not_the_sequence),
        cmocka_unit_test(what_cannot_be_streamed_is_gathered),
        cmocka_unit_test(a_ring_goes_through_all_pieces_of_an_axis),
        cmocka_unit_test(programs_pass_blocks_to_the_next_and_take_them_from_the_one_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
