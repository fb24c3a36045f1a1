/* Sections that recur: the same run as with all of it written out, bit for bit. The jobs are texts that are
 * generated: a line of ranks, each token comes back from the last one to the first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "job.h"

#include <string.h>

enum { RANKS = 4, TOKENS = 11, MOST_COSTS = 1 << 14 };
enum { FIRST, SECOND, REPEATED, LAST, SECTIONS }; /* which tokens the sections make: 0, 1, 2 …, the last */
enum { COMPUTE, FORTH, FROM, BACK, FED, ALL, STREAMS };

struct text {
    uint64_t seed;
    uint32_t micro_batches;
    bool rendezvous, collective, grows;
    bool folded;
    uint32_t slots[RANKS][TOKENS + 1]; /* where each token that is written begins */
    struct test_job *job;
};

static uint32_t draw(uint64_t *seed, uint32_t below)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return (uint32_t)(*seed >> 20) % below;
}

/* Writes a token. `place`: among those that are written; `token`: what it costs. */
static void add_token(struct text *text, uint32_t place, uint32_t token, bool last)
{
    struct test_job *job = text->job;
    uint64_t seed = text->seed;
    for (uint32_t r = 0; r < RANKS; r++)
        text->slots[r][place] = job->programs[r].ops.count;
    for (uint32_t m = 0; m < text->micro_batches; m++) {
        double bytes = 10 + draw(&seed, 5) + (text->grows ? 0.3 * token : 0);
        for (uint32_t r = 0; r < RANKS; r++) {
            uint32_t match = place * text->micro_batches + m, gate = PROGRAM_NONE;
            double seconds = draw(&seed, 4) + draw(&seed, 2) * 0.37 * token;
            if (r)
                gate = job_message(job, r, FROM, OP_RECEIVE, r - 1, match, 10, NULL);
            else if (token)
                gate = job_message(job, r, FED, OP_RECEIVE, RANKS - 1, match - text->micro_batches, 4, NULL);
            uint32_t work = job_compute(job, r, COMPUTE, seconds, AFTER(gate));
            if (r + 1 < RANKS)
                job_message(job, r, FORTH, OP_SEND, r, match, 10, AFTER(work));
            else if (!last)
                job_message(job, r, BACK, OP_SEND, RANKS - 1, match, 4, AFTER(work));
            if (!text->collective)
                continue;
            uint32_t met = job_collective(job, r, ALL, ALL_REDUCE, RANKS, match, bytes, AFTER(work));
            job_compute(job, r, COMPUTE, 0.25, AFTER(met));
        }
    }
}

/* Costs of the repeated section: as if each token were written out. */
static void add_costs(struct text *text, const struct text *whole)
{
    struct job *job = &text->job->job;
    uint32_t times = TOKENS - 3, next = 0;
    job->costs = ARENA_ARRAY(&job->arena, struct op_cost, MOST_COSTS);
    for (uint32_t r = 0; r < RANKS; r++)
        for (uint32_t i = text->slots[r][REPEATED]; i < text->slots[r][LAST]; i++) {
            job->programs[r].ops[i].costs = next + 1;
            for (uint32_t t = 0; t < times; t++) {
                const struct op *op =
                    &whole->job->programs[r].ops.at[whole->slots[r][2 + t] + i - text->slots[r][REPEATED]];
                job->costs[next++] = (struct op_cost){.seconds = op->seconds, .bytes = op->bytes};
            }
        }
    assert_true(next <= MOST_COSTS);
}

static void add_sections(struct text *text)
{
    struct job *job = &text->job->job;
    job->section_count = SECTIONS;
    job->section_times = ARENA_ARRAY(&job->arena, uint32_t, SECTIONS);
    for (uint32_t s = 0; s < SECTIONS; s++)
        job->section_times[s] = s == REPEATED ? TOKENS - 3 : 1;
    for (uint32_t r = 0; r < RANKS; r++)
        job->programs[r].sections =
            arena_copy(&job->arena, text->slots[r], (SECTIONS + 1) * sizeof(uint32_t));
}

static void write_text(struct text *text)
{
    static const uint32_t all[RANKS] = {0, 1, 2, 3};
    uint32_t written = text->folded ? SECTIONS : TOKENS;
    text->job = job_new(RANKS, 10, 0.25);
    for (uint32_t r = 0; r < RANKS; r++)
        job_pair(text->job, r, (r + 1) % RANKS, written * text->micro_batches, text->rendezvous);
    job_group(text->job, "all", RANKS, all, written * text->micro_batches);
    for (uint32_t t = 0; t < written; t++) {
        bool last = t + 1 == written;
        add_token(text, t, last ? TOKENS - 1 : t, last);
    }
    for (uint32_t r = 0; r < RANKS; r++)
        text->slots[r][written] = text->job->programs[r].ops.count;
}

/* What is seen of a folded run, compared with the whole one. */
struct comparison {
    const struct text *whole, *folded;
    uint32_t passes;
};

static void same_bits(double a, double b)
{
    if (memcmp(&a, &b, sizeof a) != 0)
        fail_msg("%.17g instead of %.17g", b, a);
}

static void compare_pass(void *state, const struct engine_pass *pass)
{
    struct comparison *c = state;
    const struct engine_result *whole = &c->whole->job->result;
    uint32_t token = pass->section == LAST ? TOKENS - 1 : pass->section + pass->time;
    assert_int_equal(token, c->passes++);
    for (uint32_t r = 0; r < RANKS; r++) {
        uint32_t first = c->folded->slots[r][pass->section], end = c->folded->slots[r][pass->section + 1];
        assert_int_equal(end - first, c->whole->slots[r][token + 1] - c->whole->slots[r][token]);
        for (uint32_t i = first; i < end; i++) {
            const struct engine_record *a = &pass->records[(uint32_t)(pass->first_record[r] + i)];
            const struct engine_record *b =
                &whole->records[whole->first_record[r] + c->whole->slots[r][token] + i - first];
            same_bits(b->ready, a->ready);
            same_bits(b->start, a->start);
            same_bits(b->end, a->end);
            assert_int_equal(b->cause, a->cause);
            const struct op *op = &c->folded->job->programs[r].ops.at[i];
            if (op->kind != OP_RECEIVE)
                continue;
            uint32_t flow = pass->flows[(uint32_t)(pass->first_flow[op->group] + op->match)];
            assert_true(flow != PROGRAM_NONE && pass->transfers[flow].end <= a->end);
        }
    }
}

static void a_section_that_recurs_is_as_if_written_out(void **state)
{
    (void)state;
    for (uint64_t c = 0; c < 96; c++) {
        struct text whole = {.seed = (c + 1) * 0x9e3779b97f4a7c15u,
                             .micro_batches = 1 + (uint32_t)c % 3,
                             .rendezvous = c / 3 % 2,
                             .collective = c / 6 % 2,
                             .grows = c / 12 % 2};
        struct text folded = whole;
        struct comparison comparison = {&whole, &folded, 0};
        struct engine_options options = {.level = c / 24 % 2 ? ENGINE_STEPS : ENGINE_FLUID};
        folded.folded = true;
        write_text(&whole);
        write_text(&folded);
        if (!job_run(whole.job, options.level))
            fail_msg("case %u: %s", (unsigned)c, whole.job->error);
        job_finish(folded.job);
        add_sections(&folded);
        add_costs(&folded, &whole);
        options.observer = (struct engine_observer){&comparison, compare_pass};
        if (!engine_run(&folded.job->platform, &folded.job->job, &options, &folded.job->result,
                        &folded.job->error))
            fail_msg("case %u: %s", (unsigned)c, folded.job->error);
        assert_int_equal(comparison.passes, TOKENS);
        same_bits(whole.job->result.makespan, folded.job->result.makespan);
        assert_true(whole.job->result.events == folded.job->result.events);
        for (uint32_t l = 0; l < 2 * RANKS; l++)
            same_bits(whole.job->result.link_bytes[l], folded.job->result.link_bytes[l]);
        for (uint32_t r = 0; r < RANKS; r++)
            for (uint32_t s = 0; s < STREAMS; s++)
                for (int cause = 0; cause < 4; cause++)
                    same_bits(job_waits(whole.job, r, s)[cause], job_waits(folded.job, r, s)[cause]);
        job_free(whole.job);
        job_free(folded.job);
    }
}

/* Runs a folded text that `spoil` has made wrong, and says what the engine reports. */
static void expect_error(void (*spoil)(struct text *text), bool rendezvous, const char *error)
{
    struct text text = {.seed = 5, .micro_batches = 1, .folded = true, .rendezvous = rendezvous};
    write_text(&text);
    job_finish(text.job);
    add_sections(&text);
    spoil(&text);
    assert_false(engine_run(&text.job->platform, &text.job->job, NULL, &text.job->result, &text.job->error));
    if (!strstr(text.job->error, error))
        fail_msg("%s", text.job->error);
    job_free(text.job);
}

static struct op *find(struct text *text, uint32_t rank, uint32_t section, enum op_kind kind)
{
    struct program *program = &text->job->job.programs[rank];
    for (uint32_t i = program->sections[section]; i < program->sections[section + 1]; i++)
        if (program->ops[i].kind == kind)
            return &program->ops[i];
    fail_msg("there is no such operation");
    return NULL;
}

static void skip_a_section(struct text *text)
{
    find(text, RANKS - 1, FIRST, OP_SEND)->match = 2;
}

static void begin_late(struct text *text)
{
    for (uint32_t s = FIRST; s <= SECOND; s++) { /* the stream of the sends begins in the repeated section */
        struct op *op = find(text, 1, s, OP_SEND);
        op->stream = STREAMS - 1;
    }
    find(text, 1, REPEATED, OP_SEND)->dependency_count = 0;
}

static void send_nothing_back(struct text *text)
{
    struct op *op = find(text, RANKS - 1, REPEATED, OP_SEND);
    *op = (struct op){.kind = OP_COMPUTE, .group = PROGRAM_NONE, .stream = op->stream};
}

static void broken_sections_are_reported(void **state)
{
    (void)state;
    expect_error(skip_a_section, false, "is sent to another section than the next");
    expect_error(begin_late, false, "waits for nothing");
    for (int rendezvous = 0; rendezvous < 2; rendezvous++)
        expect_error(send_nothing_back, rendezvous, "no operation that sends it");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_section_that_recurs_is_as_if_written_out),
        cmocka_unit_test(broken_sections_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
