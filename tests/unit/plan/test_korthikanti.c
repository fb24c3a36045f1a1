/* Memory and communication of a transformer's layer against the formulas of Korthikanti et al. 2022 (Reducing
 * activation recomputation in large transformer models), and against the rows of the published measurements
 * when they are at hand. */
#include "plan_case.h"

#include "base/communication.h"
#include "plan/memory.h"

/* One block as in Megatron-LM; the second of two is looked at. */
static const char block[] =
    "name: m\nlayers:\n  - {input: t, dims: {s: %u}, discrete: yes}\n"
    "  - {embedding: e, vocabulary: 1024, out: %u, positions: %u}\n"
    "  - name: block\n    repeat: 2\n    layers:\n"
    "      - {norm: n1}\n      - {fc: q, out: {g: %u, d: %u}}\n      - {fc: k, from: n1, out: {g: %u, d: "
    "%u}}\n"
    "      - {fc: v, from: n1, out: {g: %u, d: %u}}\n      - {attention: a, from: [q, k, v], dropout: yes}\n"
    "      - {fc: p, over: [g, d], out: {h: %u}}\n      - {dropout: d1}\n"
    "      - {add: r1, from: [d1, input]}\n      - {norm: n2}\n      - {fc: u, out: {f: %u}, act: gelu}\n"
    "      - {fc: w, over: f, out: {h: %u}}\n      - {dropout: d2}\n      - {add: r2, from: [d2, r1]}\n"
    "  - {norm: z}\n";

struct transformer {
    uint32_t hidden, heads, sequence, batch, tensor;
    bool sequence_parallel;
    enum plan_recompute recompute;
};

/* Bytes that one layer keeps for the backward pass on a device, and bytes of its parameters' states. */
struct layer_bytes {
    double activations, states;
};

static uint32_t transformer_case(struct plan_case *c, const struct transformer *t)
{
    char text[2048], axes[32];
    uint32_t d = t->hidden / t->heads;
    snprintf(text, sizeof text, block, t->sequence, t->hidden, t->sequence, t->heads, d, t->heads, d,
             t->heads, d, t->hidden, 4 * t->hidden, t->hidden);
    case_init(c, text, t->batch);
    plan_precisions(&c->plan, FP16);
    c->plan.recompute = t->recompute;
    c->plan.save_produced = t->sequence_parallel;
    snprintf(axes, sizeof axes, "%s:%u", t->sequence_parallel ? "g,r,f,v,s" : "g,r,f,v", t->tensor);
    case_stage(c, 0, axes);
    assert_true(case_derive(c));
    return model_find_unit(&c->model, "block[1]");
}

static struct layer_bytes transformer_layer(const struct transformer *t)
{
    struct plan_case c;
    uint32_t unit = transformer_case(&c, t);
    const struct derivation *d = c.derivations;
    struct layer_bytes bytes = {.activations = memory_saved(d, unit, true, 0)};
    for (uint32_t p = 0; p < d->parameters.count; p++)
        if (d->parameters.at[p].unit == unit)
            bytes.states +=
                memory_state(d, p, 0) + memory_parameter(d, p, 0) * (memory_gradient_bytes(&c.plan) + 2);
    case_fini(&c);
    return bytes;
}

/* The paper's table 2, per layer. */
static double published_activations(const struct transformer *t)
{
    double s = t->sequence, b = t->batch, h = t->hidden, a = t->heads, n = t->tensor;
    if (t->recompute == RECOMPUTE_FULL)
        return 2 * s * b * h / (t->sequence_parallel ? n : 1);
    double core = t->recompute == RECOMPUTE_SELECTIVE ? 0 : 5 * a * s / h;
    return t->sequence_parallel ? s * b * h / n * (34 + core) : s * b * h * (10 + 24 / n + core / n);
}

static void a_layer_keeps_what_was_published(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= 8; n *= 2)
        for (int mode = 0; mode < RECOMPUTE_COUNT; mode++)
            for (int sequence = 0; sequence < 2; sequence++) {
                struct transformer t = {256, 8, 64, 2, n, sequence && n > 1, (enum plan_recompute)mode};
                ASSERT_NEAR(transformer_layer(&t).activations, published_activations(&t), 1e-12);
            }
}

/* A line of the table cut at its commas; quoted fields may have some of their own. */
static uint32_t table_cut(char *line, char **fields, uint32_t most)
{
    uint32_t count = 0;
    bool quoted = false;
    fields[count++] = line;
    for (char *at = line; *at; at++) {
        quoted ^= *at == '"';
        if (*at != ',' || quoted || count == most)
            continue;
        *at = 0;
        fields[count++] = at + 1;
    }
    return count;
}

enum { TABLE_FIELDS = 40 };

struct table {
    char header[2048];
    char *names[TABLE_FIELDS], *fields[TABLE_FIELDS];
    uint32_t columns;
};

static const char *table_text(const struct table *table, const char *name)
{
    for (uint32_t i = 0; i < table->columns; i++)
        if (strcmp(table->names[i], name) == 0)
            return table->fields[i];
    fail_msg("the table has no column %s", name);
    return "";
}

static double table_number(const struct table *table, const char *name)
{
    return strtod(table_text(table, name), NULL);
}

static void check_row(const struct table *table)
{
    struct transformer t = {.hidden = (uint32_t)table_number(table, "hidden"),
                            .heads = (uint32_t)table_number(table, "heads"),
                            .sequence = (uint32_t)table_number(table, "seq"),
                            .batch = (uint32_t)table_number(table, "micro_batch"),
                            .tensor = (uint32_t)table_number(table, "tp")};
    t.sequence_parallel = strcmp(table_text(table, "seq_parallel"), "yes") == 0;
    t.recompute =
        strcmp(table_text(table, "recompute"), "selective") == 0 ? RECOMPUTE_SELECTIVE : RECOMPUTE_NONE;
    double layers = table_number(table, "layers"), p = table_number(table, "pp"),
           v = table_number(table, "vpp");
    struct layer_bytes bytes = transformer_layer(&t);
    /* 1F1B keeps as many micro-batches as there are stages after the first one; interleaved, a little more.
     */
    double kept = layers * (v > 1 ? 1 + (p - 1) / (p * v) : 1);
    bool states = strstr(table_text(table, "unit"), "params") != NULL;
    double expected = table_number(table, "value") * 1073741824.0;
    double actual = states ? bytes.states * layers / p : bytes.activations * kept;
    if (fabs(actual / expected - 1) > 1e-3)
        fail_msg("%s: %.17g bytes, published %.17g", table->fields[0], actual, expected);
}

static void the_published_memory_of_four_models_is_met_to_a_thousandth(void **state)
{
    (void)state;
    FILE *file = fopen(PARTITA_SOURCE "/../shared/validation/measurements.csv", "r");
    if (!file) {
        fprintf(stderr, "skipped: the published measurements are not at hand\n");
        skip();
        return;
    }
    struct table table;
    char line[4096];
    uint32_t rows = 0;
    assert_non_null(fgets(table.header, sizeof table.header, file));
    table.header[strcspn(table.header, "\r\n")] = 0;
    table.columns = table_cut(table.header, table.names, TABLE_FIELDS);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\r\n")] = 0;
        if (table_cut(line, table.fields, TABLE_FIELDS) != table.columns ||
            strcmp(table_text(&table, "family"), "korthikanti2022") != 0 ||
            strcmp(table_text(&table, "quantity"), "memory_GB") != 0)
            continue;
        check_row(&table);
        rows++;
    }
    fclose(file);
    assert_int_equal(rows, 12);
}

/* Collectives of one kind in the second block's unit. */
static uint32_t collectives(const struct derivation *d, bool backward, uint32_t unit, int kind, int reason)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < (backward ? d->backward.count : d->forward.count); i++) {
        const struct action *a = backward ? &d->backward.at[i] : &d->forward.at[i];
        count += a->kind == ACTION_COLLECTIVE && a->unit == unit && a->collective == kind &&
                 a->elements <= 0 && (reason < 0 || a->reason == reason);
    }
    return count;
}

/* Megatron-LM's communication per layer: four all-reduces; with sequence parallelism four all-gathers and
 * four reduce-scatters, and two more all-gathers of what was kept in shares. */
static void a_layer_communicates_as_published(void **state)
{
    (void)state;
    for (int sequence = 0; sequence < 2; sequence++) {
        struct transformer t = {256, 8, 64, 2, 8, sequence, RECOMPUTE_NONE};
        struct plan_case c;
        uint32_t unit = transformer_case(&c, &t);
        const struct derivation *d = c.derivations;
        for (int backward = 0; backward < 2; backward++) {
            assert_int_equal(collectives(d, backward, unit, ALL_REDUCE, -1), sequence ? 0 : 2);
            assert_int_equal(collectives(d, backward, unit, REDUCE_SCATTER, -1), sequence ? 2 : 0);
            assert_int_equal(collectives(d, backward, unit, ALL_GATHER, -1), sequence ? 2 + 2 * backward : 0);
            assert_int_equal(collectives(d, backward, unit, ALL_GATHER, REASON_SAVED),
                             sequence && backward ? 2 : 0);
            assert_int_equal(collectives(d, backward, unit, ALL_TO_ALL, -1), 0);
        }
        uint32_t synchronised =
            0; /* over the tensor group: the norms' scales and shifts, row-parallel biases */
        for (uint32_t p = 0; p < d->parameters.count; p++)
            synchronised += d->parameters.at[p].unit == unit && d->parameters.at[p].partial_axes;
        assert_int_equal(synchronised, sequence ? 2 * 2 + 2 : 0);
        case_fini(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_layer_keeps_what_was_published),
        cmocka_unit_test(the_published_memory_of_four_models_is_met_to_a_thousandth),
        cmocka_unit_test(a_layer_communicates_as_published),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
