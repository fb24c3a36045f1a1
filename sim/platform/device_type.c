#include "platform/device_type.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* The tables read into this: texts first, numbers straight into the type. */
struct device_type_text {
    const char *name, *kind, *about;
    const struct value *peak, *efficiency, *power;
    struct device_type type;
};

#define TEXT(member) offsetof(struct device_type_text, member)
#define TYPE(member) offsetof(struct device_type, member)

const struct field device_type_fields[] = {
    {.key = "name",
     .kind = FIELD_TEXT,
     .offset = TEXT(name),
     .about = "name for people; default: the file's"},
    {.key = "kind",
     .kind = FIELD_TEXT,
     .offset = TEXT(kind),
     .about = "its class: gpu, tpu, asic, cpu, edge, phone, mcu, drive"},
    {.key = "about", .kind = FIELD_TEXT, .offset = TEXT(about), .about = "one sentence"},
    {.key = "peak",
     .kind = FIELD_VALUE,
     .offset = TEXT(peak),
     .about = "dense peak rate per data type; a type that is absent is not supported natively"},
    {.key = "memory",
     .kind = FIELD_QUANTITY,
     .offset = TEXT(type.memory),
     .unit = UNIT_BYTES,
     .high = INFINITY,
     .about = "memory that a model may fill"},
    {.key = "memory-bandwidth",
     .kind = FIELD_QUANTITY,
     .offset = TEXT(type.memory_bandwidth),
     .unit = UNIT_BYTES_PER_SECOND,
     .high = INFINITY,
     .about = "peak rate of that memory"},
    {.key = "launch",
     .kind = FIELD_QUANTITY,
     .offset = TEXT(type.launch),
     .unit = UNIT_SECONDS,
     .high = 3600,
     .about = "overhead of starting one kernel; default 0"},
    {.key = "efficiency",
     .kind = FIELD_VALUE,
     .offset = TEXT(efficiency),
     .about = "the share of the peak that large kernels reach, per kind of kernel; default 1"},
    {.key = "power", .kind = FIELD_VALUE, .offset = TEXT(power), .about = "electric power; absent: unknown"},
};
const size_t device_type_field_count = FIELDS_COUNT(device_type_fields);

#define PEAK(name, precision, text)                                                                          \
    {                                                                                                        \
        .key = name, .kind = FIELD_QUANTITY, .offset = TYPE(peak[precision]), .unit = UNIT_FLOPS,            \
        .high = INFINITY, .about = text                                                                      \
    }
const struct field device_type_peak[] = {
    PEAK("fp64", FP64, "64-bit floating point"),
    PEAK("fp32", FP32, "32-bit floating point"),
    PEAK("tf32", TF32, "32-bit stored, 19 bits multiplied"),
    PEAK("fp16", FP16, "16-bit floating point"),
    PEAK("bf16", BF16, "16-bit floating point with the range of fp32"),
    PEAK("fp8", FP8, "8-bit floating point"),
    PEAK("int8", INT8, "8-bit integers"),
    PEAK("fp4", FP4, "4-bit floating point"),
    PEAK("int4", INT4, "4-bit integers"),
};
const size_t device_type_peak_count = FIELDS_COUNT(device_type_peak);
static_assert(FIELDS_COUNT(device_type_peak) == PRECISION_COUNT, "every precision has a peak rate");

#define EFFICIENCY(name, kernel, text)                                                                       \
    {                                                                                                        \
        .key = name, .kind = FIELD_NUMBER, .offset = TYPE(efficiency[kernel]), .low = 0, .high = 1,          \
        .about = text                                                                                        \
    }
const struct field device_type_efficiency[] = {
    EFFICIENCY("matmul", KERNEL_MATMUL, "of the peak rate: matrix products of fully connected layers"),
    EFFICIENCY("conv", KERNEL_CONV, "of the peak rate: convolutions"),
    EFFICIENCY("depthwise", KERNEL_DEPTHWISE, "of the peak rate: depthwise convolutions"),
    EFFICIENCY("attention", KERNEL_ATTENTION, "of the peak rate: the two products of attention"),
    EFFICIENCY("memory", KERNEL_MEMORY, "of the memory bandwidth: everything that only moves data"),
};
const size_t device_type_efficiency_count = FIELDS_COUNT(device_type_efficiency);
static_assert(FIELDS_COUNT(device_type_efficiency) == KERNEL_COUNT, "every kernel kind has an efficiency");

#define POWER(name, member, text)                                                                            \
    {                                                                                                        \
        .key = name, .kind = FIELD_QUANTITY, .offset = TYPE(member), .unit = UNIT_WATTS, .high = INFINITY,   \
        .about = text                                                                                        \
    }
const struct field device_type_power[] = {
    POWER("busy", power_busy, "while computing"),
    POWER("idle", power_idle, "while waiting"),
};
const size_t device_type_power_count = FIELDS_COUNT(device_type_power);

void device_type_init(struct names *names, const char *name, struct device_type *type)
{
    memset(type, 0, sizeof *type);
    type->name = names_add(names, name);
    for (int kernel = 0; kernel < KERNEL_COUNT; kernel++)
        type->efficiency[kernel] = 1;
}

/* A map within the device map; absent, it leaves the type as it is. */
static bool device_type_part(struct input *input, const struct value *map, const char *what,
                             const struct field *table, size_t count, const struct scope *scope,
                             struct device_type *type)
{
    return !map || fields_read(input, map, map->place, what, table, count, scope, type);
}

static bool device_type_read(struct input *input, struct names *names, const struct value *map,
                             const struct scope *scope, struct device_type *type)
{
    struct device_type_text text = {.type = *type};
    bool well = fields_read(input, map, map->place, "a device type", device_type_fields,
                            device_type_field_count, scope, &text);
    well = device_type_part(input, text.peak, "the peak rates (peak)", device_type_peak,
                            device_type_peak_count, scope, &text.type) &&
           well;
    well = device_type_part(input, text.efficiency, "the efficiencies (efficiency)", device_type_efficiency,
                            device_type_efficiency_count, scope, &text.type) &&
           well;
    well = device_type_part(input, text.power, "the powers (power)", device_type_power,
                            device_type_power_count, scope, &text.type) &&
           well;
    *type = text.type;
    if (text.name)
        type->name = names_add(names, text.name);
    if (text.kind)
        type->kind = names_add(names, text.kind);
    return well;
}

bool device_type_load(struct input *input, struct names *names, const char *name, struct place place,
                      struct device_type *type)
{
    const char *path = document_find(input, "topologies/devices", name, place);
    const struct value *document = path ? document_load(input, path) : NULL;
    return document && device_type_read(input, names, document, NULL, type);
}

bool device_type_change(struct input *input, struct names *names, const struct value *with,
                        const struct scope *scope, struct device_type *type)
{
    const struct device_type before = *type;
    if (!device_type_read(input, names, with, scope, type))
        return false;
    if (type->name == before.name && memcmp(type, &before, sizeof before) != 0)
        type->name =
            names_add(names, arena_format(&input->arena, "%s (changed)", names_text(names, type->name)));
    return true;
}

bool device_type_check(struct input *input, const struct names *names, const struct device_type *type,
                       bool drive, struct place place)
{
    struct report *report = &input->report;
    const char *name = names_text(names, type->name);
    double best = 0;
    for (int precision = 0; precision < PRECISION_COUNT; precision++) {
        if (type->peak[precision] < 0)
            return report_error(report, place, "the peak rate of '%s' for %s is less than 0", name,
                                precision_names[precision]);
        best = type->peak[precision] > best ? type->peak[precision] : best;
    }
    if (best == 0 && !drive)
        return report_error(report, place,
                            "'%s' has no peak rate: it needs one data type under 'peak', such as "
                            "peak: {fp32: 10 TFLOP/s}",
                            name);
    if (type->memory <= 0)
        return report_error(report, place, "'%s' has no 'memory', such as memory: 16 GB", name);
    if (type->memory_bandwidth <= 0)
        return report_error(report, place,
                            "'%s' has no 'memory-bandwidth', such as memory-bandwidth: 100 GB/s", name);
    for (int kernel = 0; kernel < KERNEL_COUNT; kernel++)
        if (type->efficiency[kernel] <= 0)
            return report_error(report, place, "the efficiency of '%s' for %s must be more than 0", name,
                                kernel_names[kernel]);
    if (type->launch < 0 || type->power_busy < 0 || type->power_idle < 0)
        return report_error(report, place, "the launch overhead and the powers of '%s' must not be negative",
                            name);
    return true;
}
