#include "plan/schedule_csv.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

const struct schedule schedule_csv_file = {
    .name = "file",
    .about = "the order of a file",
    .training = true,
};

enum csv_kind { CSV_F, CSV_I, CSV_W, CSV_B, CSV_SEND_F, CSV_RECV_F, CSV_SEND_B, CSV_RECV_B, CSV_IGNORED };

static const struct {
    const char *name;
    enum csv_kind kind;
} csv_actions[] = {
    {"SEND_F", CSV_SEND_F},
    {"RECV_F", CSV_RECV_F},
    {"SEND_B", CSV_SEND_B},
    {"RECV_B", CSV_RECV_B},
    {"UNSHARD", CSV_IGNORED},
    {"RESHARD", CSV_IGNORED},
    {"REDUCE_GRAD", CSV_IGNORED},
    {"F", CSV_F},
    {"I", CSV_I},
    {"W", CSV_W},
    {"B", CSV_B},
};

struct csv_action {
    enum csv_kind kind;
    uint32_t stage, micro_batch;
    bool overlapped;
    struct place place;
    uint32_t item; /* of a pass: its index in the device's list */
};

struct csv_row {
    struct csv_action *at;
    uint32_t count, room;
};

struct csv_reader {
    struct input *input;
    const char *path;
    VECTOR(struct csv_row) rows;
    uint32_t stages, micro_batches;
};

static bool csv_number(const char **at, uint32_t *out)
{
    if (!isdigit((unsigned char)**at))
        return false;
    uint64_t number = 0;
    for (; isdigit((unsigned char)**at) && number < UINT16_MAX; ++*at)
        number = number * 10 + (uint64_t)(**at - '0');
    *out = (uint32_t)number;
    return number < UINT16_MAX;
}

static bool csv_wrong(struct csv_reader *reader, struct place place, const char *at)
{
    return report_error(
        &reader->input->report, place,
        "'%.*s' is not an action; expected STAGE, one of F I W B SEND_F RECV_F SEND_B RECV_B, "
        "and MICRO-BATCH, such as 0F1, or two passes such as (0F3;1B2)OVERLAP_F_B",
        (int)strcspn(at, ",\r\n"), at);
}

/* "0F1". Advances *at behind it. */
static bool csv_action(struct csv_reader *reader, const char **at, struct place place,
                       struct csv_action *action)
{
    const char *begin = *at;
    *action = (struct csv_action){.kind = CSV_IGNORED, .place = place};
    if (!csv_number(at, &action->stage))
        return csv_wrong(reader, place, begin);
    size_t i = 0, known = sizeof csv_actions / sizeof csv_actions[0];
    while (i < known && strncmp(*at, csv_actions[i].name, strlen(csv_actions[i].name)) != 0)
        i++;
    if (i == known)
        return csv_wrong(reader, place, begin);
    *at += strlen(csv_actions[i].name);
    action->kind = csv_actions[i].kind;
    if (csv_number(at, &action->micro_batch) || action->kind == CSV_IGNORED)
        return true;
    return csv_wrong(reader, place, begin);
}

static void csv_keep(struct csv_reader *reader, struct csv_row *row, struct csv_action action)
{
    if (action.kind == CSV_IGNORED)
        return;
    if (action.stage >= reader->stages)
        reader->stages = action.stage + 1;
    if (action.micro_batch >= reader->micro_batches)
        reader->micro_batches = action.micro_batch + 1;
    VECTOR_PUSH(row, action);
}

/* One field, up to the comma or the end of the line. */
static bool csv_field(struct csv_reader *reader, const char **at, struct place place, struct csv_row *row)
{
    static const char overlap[] = "OVERLAP_F_B";
    const char *begin = *at;
    struct csv_action action, second;
    bool pair = **at == '(';
    *at += pair;
    if (!csv_action(reader, at, place, &action))
        return false;
    if (pair) {
        bool good = *(*at)++ == ';' && csv_action(reader, at, place, &second) && *(*at)++ == ')' &&
                    strncmp(*at, overlap, sizeof overlap - 1) == 0 && action.kind == CSV_F &&
                    (second.kind == CSV_B || second.kind == CSV_I || second.kind == CSV_W);
        if (!good)
            return csv_wrong(reader, place, begin);
        *at += sizeof overlap - 1;
        action.overlapped = true;
    }
    while (**at == ' ' || **at == '\t')
        ++*at;
    if (**at && !strchr(",\r\n", **at))
        return csv_wrong(reader, place, begin);
    csv_keep(reader, row, action);
    if (pair)
        csv_keep(reader, row, second);
    return true;
}

static bool csv_line(struct csv_reader *reader, const char *line, uint32_t number)
{
    struct csv_row row = {0};
    bool good = true;
    for (const char *at = line; good; at++) {
        while (*at == ' ' || *at == '\t')
            at++;
        if (*at && !strchr(",\r\n", *at))
            good =
                csv_field(reader, &at, (struct place){reader->path, number, (uint32_t)(at - line) + 1}, &row);
        if (good && *at != ',')
            break;
    }
    VECTOR_PUSH(&reader->rows, row);
    return good;
}

/* An empty line ends the file only if nothing but empty lines follows. */
static bool csv_lines(struct csv_reader *reader, const char *text)
{
    bool good = true;
    for (uint32_t number = 1; *text; number++) {
        if (!text[strspn(text, " \t\r\n")])
            break;
        good = csv_line(reader, text, number) && good;
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return good;
}

static bool csv_pass(const struct csv_action *action)
{
    return action->kind <= CSV_B;
}

/* Two directions: the micro-batches of the first half of the stages and those of the second share none. */
static uint32_t csv_directions(const struct csv_reader *reader, struct arena *arena)
{
    uint8_t *halves = ARENA_ARRAY(arena, uint8_t, reader->micro_batches + 1);
    if (reader->stages % 2)
        return 1;
    for (uint32_t d = 0; d < reader->rows.count; d++)
        for (uint32_t i = 0; i < reader->rows.at[d].count; i++) {
            const struct csv_action *action = &reader->rows.at[d].at[i];
            halves[action->micro_batch] |= action->stage < reader->stages / 2 ? 1 : 2;
        }
    for (uint32_t m = 0; m < reader->micro_batches; m++)
        if (halves[m] == 3)
            return 1;
    return 2;
}

/* A micro-batch passes all stages, or half of them with two directions: fewer passes than that leave some
 * out, and are said before anything is as large as the numbers of the file. */
static bool csv_enough(struct csv_reader *reader)
{
    uint64_t passes = 0, wanted = (uint64_t)reader->stages * reader->micro_batches;
    struct place last = {reader->path, 0, 0};
    for (uint32_t d = 0; d < reader->rows.count; d++)
        for (uint32_t i = 0; i < reader->rows.at[d].count; i++) {
            const struct csv_action *action = &reader->rows.at[d].at[i];
            passes += csv_pass(action);
            if (action->stage + 1 == reader->stages || action->micro_batch + 1 == reader->micro_batches)
                last = action->place;
        }
    return passes * 2 >= wanted ||
           report_error(
               &reader->input->report, last,
               "actions up to stage %u and micro-batch %u need at least %llu passes, and there are %llu",
               reader->stages - 1, reader->micro_batches - 1, (unsigned long long)(wanted + 1) / 2,
               (unsigned long long)passes);
}

static void csv_orders(struct csv_reader *reader, struct orders *orders)
{
    static const uint8_t passes[] = {PASS_F, PASS_I, PASS_W, PASS_B};
    orders_init(orders, reader->rows.count, reader->stages);
    orders->micro_batches = reader->micro_batches;
    orders->directions = csv_directions(reader, &reader->input->arena);
    for (uint32_t d = 0; d < reader->rows.count; d++)
        for (uint32_t i = 0; i < reader->rows.at[d].count; i++) {
            struct csv_action *action = &reader->rows.at[d].at[i];
            if (!csv_pass(action))
                continue;
            orders->device_of[action->stage] = (uint16_t)d;
            action->item = orders->lists[d].count;
            VECTOR_PUSH(&orders->lists[d], ((struct schedule_item){.pass = passes[action->kind],
                                                                   .stage = (uint16_t)action->stage,
                                                                   .micro_batch = action->micro_batch,
                                                                   .overlapped = action->overlapped}));
        }
}

/* The place of an item in the file. */
static struct place csv_place(const struct csv_reader *reader, struct orders_place at)
{
    const struct csv_row *row = &reader->rows.at[at.device];
    for (uint32_t i = 0; i < row->count && at.index != UINT32_MAX; i++)
        if (csv_pass(&row->at[i]) && row->at[i].item == at.index)
            return row->at[i].place;
    return (struct place){reader->path, at.device + 1, 1};
}

/* The action of a stage and micro-batch on a device: its number, or UINT32_MAX. */
static uint32_t csv_find(const struct csv_row *row, uint32_t kinds, uint32_t stage, uint32_t micro_batch)
{
    for (uint32_t i = 0; i < row->count; i++)
        if (kinds >> row->at[i].kind & 1 && row->at[i].stage == stage &&
            row->at[i].micro_batch == micro_batch)
            return i;
    return UINT32_MAX;
}

/* A SEND stands behind the pass that makes what it sends and has its RECV, which stands before the pass that
 * needs it; and the other way round. */
static bool csv_transfer(struct csv_reader *reader, const struct orders *orders, uint32_t d, uint32_t i)
{
    const struct csv_row *row = &reader->rows.at[d];
    const struct csv_action *action = &row->at[i];
    struct report *report = &reader->input->report;
    bool sends = action->kind == CSV_SEND_F || action->kind == CSV_SEND_B;
    bool forward = action->kind == CSV_SEND_F || action->kind == CSV_RECV_F;
    const char *way = forward ? "F" : "B";
    uint32_t passes = forward ? 1u << CSV_F : 1u << CSV_I | 1u << CSV_B;
    uint32_t pass = csv_find(row, passes, action->stage, action->micro_batch);
    bool up = sends == forward; /* the other stage is the next one */
    uint32_t each = orders->stages / orders->directions, along = action->stage % each;
    if (up ? along + 1 == each : along == 0)
        return report_error(report, action->place, "stage %u has no stage %s it to %s", action->stage,
                            up ? "after" : "before", sends ? "send to" : "receive from");
    uint32_t other = up ? action->stage + 1 : action->stage - 1;
    uint32_t wanted = action->kind == CSV_SEND_F   ? CSV_RECV_F
                      : action->kind == CSV_RECV_F ? CSV_SEND_F
                      : action->kind == CSV_SEND_B ? CSV_RECV_B
                                                   : CSV_SEND_B;
    if (pass == UINT32_MAX || (sends ? pass > i : pass < i))
        return report_error(report, action->place, "%u%s%s%u stands %s its pass", action->stage,
                            sends ? "SEND_" : "RECV_", way, action->micro_batch, sends ? "before" : "behind");
    const struct csv_row *there = &reader->rows.at[orders->device_of[other]];
    return csv_find(there, 1u << wanted, other, action->micro_batch) != UINT32_MAX ||
           report_error(report, action->place, "%u%s%s%u has no %u%s%s%u", action->stage,
                        sends ? "SEND_" : "RECV_", way, action->micro_batch, other, sends ? "RECV_" : "SEND_",
                        way, action->micro_batch);
}

static bool csv_transfers(struct csv_reader *reader, const struct orders *orders)
{
    bool good = true;
    for (uint32_t d = 0; d < reader->rows.count; d++)
        for (uint32_t i = 0; i < reader->rows.at[d].count; i++)
            if (!csv_pass(&reader->rows.at[d].at[i]))
                good = csv_transfer(reader, orders, d, i) && good;
    return good;
}

bool schedule_csv_training(const struct orders *orders)
{
    for (uint32_t d = 0; d < orders->devices; d++)
        for (uint32_t i = 0; i < orders->lists[d].count; i++)
            if (orders->lists[d].at[i].pass != PASS_F)
                return true;
    return false;
}

bool schedule_csv_parse(struct input *input, const char *path, const char *text, bool training,
                        struct orders *orders)
{
    struct csv_reader reader = {.input = input, .path = path};
    *orders = (struct orders){0};
    bool good = csv_lines(&reader, text);
    if (good && (!reader.stages || !reader.micro_batches))
        good = report_error(&input->report, (struct place){path, 0, 0}, "there are no actions in this file");
    good = good && csv_enough(&reader);
    if (good) {
        csv_orders(&reader, orders);
        struct orders_place at = {0, UINT32_MAX};
        const char *error = orders_check(orders, training, &input->arena, &at);
        good = error ? report_error(&input->report, csv_place(&reader, at), "%s", error)
                     : csv_transfers(&reader, orders);
    }
    for (uint32_t d = 0; d < reader.rows.count; d++)
        VECTOR_FREE(&reader.rows.at[d]);
    VECTOR_FREE(&reader.rows);
    return good;
}

bool schedule_csv_read(struct input *input, const char *path, bool training, struct place from,
                       struct orders *orders)
{
    size_t length;
    *orders = (struct orders){0};
    const char *text = document_bytes(input, path, from, &length);
    return text && schedule_csv_parse(input, path, text, training, orders);
}

static void csv_write_item(const struct schedule_item *item, FILE *out)
{
    fprintf(out, "%u%s%u", item->stage, program_pass_names[item->pass], item->micro_batch);
}

/* What a pass receives (or sends) between stages of two devices; W has no transfers. */
static void csv_write_transfer(const struct orders *orders, const struct schedule_item *item, bool sends,
                               const char *before, const char *after, FILE *out)
{
    uint32_t each = orders->stages / orders->directions, along = item->stage % each;
    bool forward = item->pass == PASS_F, up = sends == forward;
    if (item->pass == PASS_W || (up ? along + 1 == each : along == 0))
        return;
    uint32_t other = up ? item->stage + 1u : item->stage - 1u;
    if (orders->device_of[other] != orders->device_of[item->stage])
        fprintf(out, "%s%u%s_%s%u%s", before, item->stage, sends ? "SEND" : "RECV", forward ? "F" : "B",
                item->micro_batch, after);
}

void schedule_csv_write(const struct orders *orders, bool transfers, FILE *out)
{
    for (uint32_t d = 0; d < orders->devices; d++) {
        const struct schedule_list *list = &orders->lists[d];
        for (uint32_t i = 0; i < list->count; i++) {
            const struct schedule_item *item = &list->at[i];
            uint32_t count = item->overlapped ? 2 : 1;
            fprintf(out, "%s", i ? "," : "");
            for (uint32_t k = 0; transfers && k < count; k++)
                csv_write_transfer(orders, &item[k], false, "", ",", out);
            fprintf(out, "%s", count == 2 ? "(" : "");
            csv_write_item(item, out);
            if (count == 2) {
                fprintf(out, ";");
                csv_write_item(&item[1], out);
                fprintf(out, ")OVERLAP_F_B");
            }
            for (uint32_t k = 0; transfers && k < count; k++)
                csv_write_transfer(orders, &item[k], true, ",", "", out);
            i += count - 1;
        }
        fprintf(out, "\n");
    }
}
