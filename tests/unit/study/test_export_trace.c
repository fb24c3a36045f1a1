/* What Partita plans, written as Chakra traces and replayed, happens at the same times; and traces with wrong
 * bytes in them are refused, not obeyed. */
#define _GNU_SOURCE /* mkdtemp */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "traces.h"

#include "played.h"

/* The record of an operation by what it is: slots differ, names and streams do not. The trace's nodes keep
 * the order of each stream, so the n-th of a stream here is the n-th of the stream of that name there. */
static const struct engine_record *nth_of_stream(const struct played *played, uint32_t rank,
                                                 const char *stream, uint32_t n, const struct op **op)
{
    const struct program *program = program_of(&played->scenario.job, rank);
    for (uint32_t slot = 0; slot < program->op_count; slot++) {
        uint32_t name = program->streams[program->ops[slot].stream].name;
        if (strcmp(names_text(&played->scenario.names, name), stream) != 0 || n--)
            continue;
        *op = &program->ops[slot];
        return &played->result.records[played->result.first_record[rank] + slot];
    }
    fail_msg("rank %u has no such operation on stream %s", rank, stream);
    return NULL;
}

static void assert_same_time(double got, double wanted, double makespan, const char *what)
{
    if (!(fabs(got - wanted) <= 1e-12 * makespan))
        fail_msg("%s: %.17g, expected %.17g", what, got, wanted);
}

/* Of two streams with one name, the second is written with its number. */
static void stream_name(const struct played *played, const struct program *program, uint32_t stream,
                        char *name, size_t size)
{
    bool again = false;
    for (uint32_t i = 0; i < stream; i++)
        again = again || program->streams[i].name == program->streams[stream].name;
    snprintf(name, size, "%s", names_text(&played->scenario.names, program->streams[stream].name));
    if (again)
        snprintf(name + strlen(name), size - strlen(name), " %u", stream);
}

static void compare_rank(const struct played *was, const struct played *is, uint32_t rank)
{
    const struct program *program = program_of(&was->scenario.job, rank);
    uint32_t *seen = calloc(program->stream_count, sizeof *seen);
    assert_int_equal(program->op_count, program_of(&is->scenario.job, rank)->op_count);
    for (uint32_t slot = 0; slot < program->op_count; slot++) {
        const struct op *op = &program->ops[slot], *other = NULL;
        char stream[128];
        stream_name(was, program, op->stream, stream, sizeof stream);
        const struct engine_record *record = &was->result.records[was->result.first_record[rank] + slot];
        const struct engine_record *replayed = nth_of_stream(is, rank, stream, seen[op->stream]++, &other);
        assert_int_equal(other->kind, op->kind);
        assert_int_equal(other->pass, op->pass);
        assert_string_equal(names_text(&is->scenario.names, other->label),
                            names_text(&was->scenario.names, op->label));
        assert_same_time(replayed->ready, record->ready, was->result.makespan, "ready");
        assert_same_time(replayed->start, record->start, was->result.makespan, "start");
        assert_same_time(replayed->end, record->end, was->result.makespan, "end");
    }
    free(seen);
}

static void round_trip(const char *workload, const char *topology, const char *const *sets, uint32_t count)
{
    struct played was = {0}, is = {0};
    char prefix[512];
    empty_folder();
    snprintf(prefix, sizeof prefix, "%s/plan", folder);
    struct partita_options options = {
        .workload = workload, .topology = topology, .sets = sets, .set_count = count};
    assert_int_equal(partita_export_trace(&options, 0, prefix, stderr), PARTITA_OK);
    play(&was, workload, topology, sets, count);
    const char *kept[16]; /* what is set of the topology and its network */
    uint32_t kept_count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (strncmp(sets[i], "topology.", 9) == 0 || strncmp(sets[i], "network.", 8) == 0)
            kept[kept_count++] = sets[i];
    play(&is, prefix, topology, kept, kept_count);
    assert_int_equal(is.scenario.job.rank_count, was.scenario.job.rank_count);
    assert_same_time(is.result.makespan, was.result.makespan, was.result.makespan, "makespan");
    for (uint32_t rank = 0; rank < was.scenario.job.rank_count; rank++)
        compare_rank(&was, &is, rank);
    played_fini(&was);
    played_fini(&is);
}

static void halo_exchanges_and_gathers_come_back_the_same(void **state)
{
    (void)state;
    round_trip("vgg16-four-pis", "raspberry-pi-wifi", (const char *const[]){"topology.devices=4"}, 1);
}

static void pipelines_tensors_and_data_come_back_the_same(void **state)
{
    (void)state;
    static const char *const sets[] = {"topology.nodes=2", "plan.pipeline=2", "plan.tensor=4",
                                       "model.layers=4",   "batch.global=8",  "steps=2"};
    static const char *const stepwise[] = {"topology.nodes=2", "plan.pipeline=2",
                                           "plan.tensor=4",    "model.layers=4",
                                           "batch.global=8",   "network.collectives=steps"};
    round_trip("gpt3-175b-64gpu", "dgx-a100", sets, 6);
    round_trip("gpt3-175b-64gpu", "dgx-a100", stepwise, 6);
}

static void generated_text_comes_back_the_same(void **state)
{
    (void)state;
    static const char *const sets[] = {"plan.pipeline=4", "plan.tensor=2",    "model.layers=8",
                                       "batch.micro=4",   "batch.generate=5", "batch.sequence=64"};
    round_trip("llama3-70b-chat", "dgx-h100", sets, 6);
}

/* Shards of tables, experts, waves of a recurrent network, fused tiles, a grid of a CNN, what is left with a
 * host. */
#define PIS "topology.devices=4", "topology.device=raspberry-pi-3b-1core-early"
static void shipped_workloads_come_back_the_same(void **state)
{
    (void)state;
    static const struct {
        const char *workload, *topology, *sets[3];
        uint32_t count;
    } cases[] = {{"dlrm-16gpu", "dgx-a100", {"topology.nodes=2"}, 1},
                 {"gnmt-8-wavefront", "dgx-1-v100", {NULL}, 0},
                 {"mixtral-8x7b-32gpu", "dgx-h100", {"topology.nodes=4", "model.layers=4"}, 2},
                 {"deepthings-yolov2", "raspberry-pi-wifi", {PIS}, 2},
                 {"modnn-yolov2", "raspberry-pi-wifi", {PIS}, 2},
                 {"vgg16-8gpu-grid", "dgx-a100", {"topology.nodes=1"}, 1},
                 {"zero-offload-10b", "offload-box", {"model.layers=4", "batch.global=16"}, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        round_trip(cases[i].workload, cases[i].topology, cases[i].sets, cases[i].count);
}

/* Bytes of a good trace: two ranks with everything in them. */
static void good_rank(uint32_t rank)
{
    struct wire_buffer values = {0}, shares = {0};
    static const char list[] = "[{\"pg_name\": \"7\", \"ranks\": [0, 1]}]";
    begin_rank();
    begin_node(1, TRACE_METADATA, "process groups");
    wire_put_bytes(&values, CHAKRA_VALUES, list, sizeof list - 1);
    wire_put_bytes(&node_message, CHAKRA_INPUTS, values.at, values.count);
    compute(2, "work", 10);
    collective(3, "sum", 0, 1000);
    waits_for(1);
    waits_for(2);
    text("pg_name", "7");
    message(4, "word", rank, !rank, 3, 500);
    wire_put_bytes(&node_message, CHAKRA_CONTROL_DEPENDENCIES, "\x03", 1);
    collective(5, "parts", 2, 1000);
    for (int i = 0; i < 2; i++)
        wire_put_double(&shares, 1, 0.5);
    wire_put_bytes(&values, CHAKRA_DOUBLES, shares.at, shares.count);
    values.count = 0;
    wire_put_bytes(&values, CHAKRA_DOUBLES, shares.at, shares.count);
    put_attribute("partita_shares", &values);
    end_node();
    VECTOR_FREE(&values);
    VECTOR_FREE(&shares);
}

static uint32_t dice = 12345;

static uint32_t roll(uint32_t sides)
{
    dice = dice * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(dice >> 8) * sides >> 24);
}

/* Bit flips, truncations, wrong lengths, nonsense: each is replayed (when it still means something) or
 * refused with a message that names the file; the sanitizers watch. */
static void two_hundred_corrupted_traces_are_refused_or_replayed(void **state)
{
    (void)state;
    uint32_t refused = 0;
    print_message("seed %u\n", dice);
    for (uint32_t k = 0; k < 200; k++) {
        empty_folder();
        good_rank(1);
        end_rank(1);
        good_rank(0);
        uint32_t count = rank_file.count, at = roll(count);
        if (k % 4 == 0)
            rank_file.at[at] ^= (uint8_t)(1u << roll(8));
        else if (k % 4 == 1)
            rank_file.count = at;
        else if (k % 4 == 2)
            rank_file.at[at] = (uint8_t)(0x80 | roll(128));
        else
            for (uint32_t i = at; i < count && i < at + 16; i++)
                rank_file.at[i] = (uint8_t)roll(256);
        node_message.count = 0;
        end_rank(0);
        rank_file.count = count;
        enum partita_status status = replay(NULL, "star", NULL, 0);
        if (status == PARTITA_OK)
            continue;
        refused++;
        if (!strstr(complaints, "error: "))
            fail_msg("case %u is refused without a word", k);
        if (status == PARTITA_BAD_INPUT && !strstr(complaints, folder))
            fail_msg("case %u: the file is not named: %s", k, complaints);
    }
    print_message("%u of 200 refused\n", refused);
    assert_true(refused > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halo_exchanges_and_gathers_come_back_the_same),
        cmocka_unit_test(pipelines_tensors_and_data_come_back_the_same),
        cmocka_unit_test(generated_text_comes_back_the_same),
        cmocka_unit_test(shipped_workloads_come_back_the_same),
        cmocka_unit_test(two_hundred_corrupted_traces_are_refused_or_replayed),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
