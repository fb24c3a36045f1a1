/* Schedules by themselves: `partita schedule` and `partita plot schedules`. */
#include "partita.h"

#include "base/nearest.h"
#include "figure/gantt.h"
#include "plan/schedule_csv.h"
#include "study/rehearsal.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Orders, and what is needed to run them. */
struct by_itself {
    const struct schedule *schedule;
    struct schedule_shape shape;
    struct schedule_times times;
    struct orders orders;
    struct rehearsal result;
    double *whole, *weight; /* per stage, in micro-batches of a device */
    struct input input;
    struct arena arena;
};

/* "1,1,2": F, I and W of a device; 1 each without a text. */
static bool schedule_times(struct by_itself *s, const char *text, uint32_t chunks, FILE *err)
{
    double pass[3] = {1, 1, 1};
    char after;
    if (text && (sscanf(text, "%lf,%lf,%lf%c", &pass[0], &pass[1], &pass[2], &after) != 3 ||
                 !(pass[0] >= 0 && pass[1] >= 0 && pass[2] >= 0 && isfinite(pass[0] + pass[1] + pass[2])))) {
        fprintf(err, "error: --times: expected seconds of F, I and W, such as 1,1,1; got '%s'\n", text);
        return false;
    }
    uint32_t stages = UINT16_MAX;
    double *seconds[3];
    for (int i = 0; i < 3; i++) {
        seconds[i] = ARENA_ARRAY(&s->arena, double, stages);
        for (uint32_t k = 0; k < stages; k++)
            seconds[i][k] = pass[i] / chunks;
    }
    s->times = (struct schedule_times){seconds[0], seconds[1], seconds[2], 0};
    s->whole = ARENA_ARRAY(&s->arena, double, stages);
    s->weight = ARENA_ARRAY(&s->arena, double, stages);
    for (uint32_t k = 0; k < stages; k++) {
        s->whole[k] = s->schedule->training ? 1.0 / chunks : 0;
        s->weight[k] = s->whole[k] / 2;
    }
    return true;
}

static bool schedule_file(struct by_itself *s, const char *path, const char *times, FILE *err)
{
    s->schedule = &schedule_csv_file;
    struct orders *orders = &s->orders;
    bool good = schedule_csv_read(&s->input, path, true, (struct place){0}, orders);
    report_print(&s->input.report, err);
    if (!good)
        return false;
    s->shape = (struct schedule_shape){.devices = orders->devices, .micro_batches = orders->micro_batches};
    s->shape.chunks = orders->stages / orders->directions / orders->devices;
    s->shape.chunks += s->shape.chunks == 0;
    return schedule_times(s, times, s->shape.chunks, err);
}

static bool schedule_named(struct by_itself *s, const struct partita_schedule_options *options, FILE *err)
{
    char text[128];
    s->schedule = schedule_find(options->schedule);
    if (!s->schedule) {
        const char *known[64];
        uint32_t count = 0;
        for (; count < 64 && schedule_table[count]; count++)
            known[count] = schedule_table[count]->name;
        nearest_unknown("schedule", options->schedule, known, count, err);
        return false;
    }
    uint32_t fewest = s->schedule->fewest_chunks ? s->schedule->fewest_chunks : 1;
    s->shape = (struct schedule_shape){.devices = options->devices ? (uint32_t)options->devices : 4,
                                       .micro_batches =
                                           options->micro_batches ? (uint32_t)options->micro_batches : 8,
                                       .chunks = options->chunks ? (uint32_t)options->chunks : fewest,
                                       .limit = (uint32_t)options->in_flight};
    const char *problem = schedule_problem(s->schedule, &s->shape, text, sizeof text);
    if (!problem && (uint64_t)s->shape.devices * s->shape.chunks * 2 > UINT16_MAX)
        problem = "would have more than 65535 stages";
    if (problem) {
        fprintf(err, "error: schedule %s %s; there are %u devices and %u micro-batches\n", s->schedule->name,
                problem, s->shape.devices, s->shape.micro_batches);
        return false;
    }
    if (!schedule_times(s, options->times, s->shape.chunks, err))
        return false;
    s->shape.times = &s->times;
    orders_make(s->schedule, &s->shape, &s->orders);
    return true;
}

/* Makes and runs it. schedule_close() also after false. */
static bool schedule_open(struct by_itself *s, const struct partita_schedule_options *options, FILE *err)
{
    size_t length = strlen(options->schedule);
    const char *error = NULL;
    *s = (struct by_itself){0};
    arena_init(&s->arena);
    input_init(&s->input, partita_data_folder());
    bool file = length > 4 && strcmp(options->schedule + length - 4, ".csv") == 0;
    if (!(file ? schedule_file(s, options->schedule, options->times, err) : schedule_named(s, options, err)))
        return false;
    if (rehearsal_run(&s->orders, &s->times, s->whole, s->weight, &s->result, &s->arena, &error))
        return true;
    fprintf(err, "error: %s\n", error);
    return false;
}

static void schedule_close(struct by_itself *s)
{
    orders_fini(&s->orders);
    input_fini(&s->input);
    arena_fini(&s->arena);
}

static void schedule_text(const struct by_itself *s, FILE *out)
{
    double form = s->schedule->makespan ? s->schedule->makespan(&s->shape, &s->times) : NAN;
    double bound = orders_bound(&s->orders, &s->times);
    fprintf(out, "schedule    %s: %u devices, %u micro-batches\n", s->schedule->name, s->orders.devices,
            s->orders.micro_batches);
    fprintf(out, "makespan    %.6g s", s->result.makespan);
    if (!isnan(form))
        fprintf(out, " (closed form %.6g s)", form);
    fprintf(out, "\nat least    %.6g s in any order of these passes: %.1f %% are left on the table\n\n",
            bound, s->result.makespan > 0 ? 100 * (1 - bound / s->result.makespan) : 0);
    fprintf(out, "device        span        busy      bubble  activations\n");
    for (uint32_t d = 0; d < s->result.device_count; d++) {
        const struct rehearsal_device *device = &s->result.devices[d];
        double span = device->end - device->start;
        fprintf(out, "%6u  %10.6g  %10.6g  %10.6g  %11.6g\n", d, span, device->busy, span - device->busy,
                device->peak);
    }
}

static void schedule_json(const struct by_itself *s, FILE *out)
{
    json_t *devices = json_array();
    for (uint32_t d = 0; d < s->result.device_count; d++) {
        const struct rehearsal_device *device = &s->result.devices[d];
        json_array_append_new(devices,
                              json_pack("{s:f, s:f, s:f, s:f}", "start", device->start, "end", device->end,
                                        "busy", device->busy, "activations", device->peak));
    }
    json_t *all = json_pack("{s:s, s:i, s:f, s:f, s:o}", "schedule", s->schedule->name, "micro_batches",
                            (int)s->orders.micro_batches, "makespan", s->result.makespan, "bound",
                            orders_bound(&s->orders, &s->times), "devices", devices);
    json_dumpf(all, out, JSON_INDENT(1));
    fputc('\n', out);
    json_decref(all);
}

enum partita_status partita_schedule(const struct partita_schedule_options *options, FILE *out, FILE *err)
{
    static const char *const formats[] = {"text", "csv", "transfers"};
    const char *format = options->format ? options->format : "text";
    int kind = 0;
    while (kind < 3 && strcmp(formats[kind], format) != 0)
        kind++;
    if (kind == 3) {
        nearest_unknown("format of a schedule", format, formats, 3, err);
        return PARTITA_BAD_INPUT;
    }
    struct by_itself s;
    bool good = schedule_open(&s, options, err);
    if (good && kind > 0)
        schedule_csv_write(&s.orders, kind == 2, out);
    else if (good && options->json)
        schedule_json(&s, out);
    else if (good)
        schedule_text(&s, out);
    schedule_close(&s);
    return good ? PARTITA_OK : PARTITA_BAD_INPUT;
}

/* The boxes of a schedule, and its bubbles between them. */
static void schedule_boxes(const struct by_itself *s, struct gantt_panel *panel, struct arena *arena)
{
    uint32_t each = s->orders.stages / s->orders.directions, count = 0;
    for (uint32_t d = 0; d < s->result.device_count; d++)
        count += 2 * s->result.devices[d].box_count;
    panel->boxes = ARENA_ARRAY(arena, struct gantt_box, count + 1);
    for (uint32_t d = 0; d < s->result.device_count; d++) {
        const struct rehearsal_device *device = &s->result.devices[d];
        double now = device->start;
        for (uint32_t i = 0; i < device->box_count; i++) {
            const struct rehearsal_box *box = &device->boxes[i];
            uint32_t shade =
                s->orders.directions == 2 ? box->item.stage / each : box->item.stage / s->orders.devices;
            bool pair = box->second || box->item.overlapped;
            if (box->start > now)
                panel->boxes[panel->box_count++] =
                    (struct gantt_box){.start = now, .end = box->start, .high = 1, .row = d};
            panel->boxes[panel->box_count++] = (struct gantt_box){box->start,
                                                                  box->end,
                                                                  box->second ? 0.5 : 0,
                                                                  pair && !box->second ? 0.5 : 1,
                                                                  d,
                                                                  box->item.micro_batch,
                                                                  shade,
                                                                  program_pass_names[box->item.pass]};
            now = box->end;
        }
    }
}

/* What each device holds, whenever that changes. */
static void schedule_memory(const struct by_itself *s, struct gantt_panel *panel, struct gantt *gantt,
                            struct arena *arena)
{
    panel->memory = ARENA_ARRAY(arena, struct gantt_point *, panel->rows);
    panel->memory_count = ARENA_ARRAY(arena, uint32_t, panel->rows);
    for (uint32_t d = 0; d < panel->rows; d++) {
        const struct rehearsal_device *device = &s->result.devices[d];
        panel->memory[d] = ARENA_ARRAY(arena, struct gantt_point, 2 * device->box_count + 1);
        for (uint32_t i = 0; i < 2 * device->box_count; i++) {
            const struct rehearsal_box *box = &device->boxes[i / 2];
            double time = i % 2 ? box->end : box->start;
            double amount = rehearsal_memory(device, time, s->whole, s->weight);
            panel->memory[d][panel->memory_count[d]++] = (struct gantt_point){time, amount};
            gantt->most = fmax(gantt->most, amount);
        }
    }
}

enum partita_status partita_schedule_plot(int64_t devices, int64_t micro_batches, const char *output,
                                          FILE *err)
{
    struct arena arena;
    struct gantt gantt = {.time_unit = "time (F = I = W = 1 per device and micro-batch)",
                          .memory_unit = "activations held, in micro-batches"};
    const char *error = NULL;
    arena_init(&arena);
    gantt.panels = ARENA_ARRAY(&arena, struct gantt_panel, 64);
    bool good = true;
    for (uint32_t i = 0; schedule_table[i] && i < 64; i++) {
        struct partita_schedule_options options = {
            .schedule = schedule_table[i]->name, .devices = devices, .micro_batches = micro_batches};
        struct by_itself s;
        struct gantt_panel *panel = &gantt.panels[gantt.panel_count];
        if (schedule_open(&s, &options, err)) { /* what cannot be made has said why, and is left out */
            double bound = orders_bound(&s.orders, &s.times);
            *panel = (struct gantt_panel){.title = schedule_table[i]->name, .rows = s.orders.devices};
            panel->note = arena_format(&arena, "makespan %.4g, at least %.4g", s.result.makespan, bound);
            schedule_boxes(&s, panel, &arena);
            schedule_memory(&s, panel, &gantt, &arena);
            gantt.last = fmax(gantt.last, s.result.makespan);
            gantt.title = arena_format(&arena, "Pipeline schedules: %u devices, %u micro-batches",
                                       s.orders.devices, s.orders.micro_batches);
            gantt.panel_count++;
        }
        schedule_close(&s);
    }
    good = gantt.panel_count > 0 &&
           gantt_draw(&gantt, output, arena_format(&arena, "%s/plot", partita_data_folder()), &arena, &error);
    if (!good && error)
        fprintf(err, "error: %s\n", error);
    arena_fini(&arena);
    return good ? PARTITA_OK : PARTITA_FAILED;
}
