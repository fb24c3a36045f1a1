/* Device type: what topologies/devices/NAME.yaml says about one kind of device. */
#ifndef PARTITA_PLATFORM_DEVICE_TYPE_H
#define PARTITA_PLATFORM_DEVICE_TYPE_H

#include "input/fields.h"
#include "platform/platform.h"

/* The keys of a device file, and of its maps `peak`, `efficiency` and `power`, for the manual. */
extern const struct field device_type_fields[], device_type_peak[], device_type_efficiency[],
    device_type_power[];
extern const size_t device_type_field_count, device_type_peak_count, device_type_efficiency_count,
    device_type_power_count;

/* Prepares a type that nothing was said about: efficiencies 1, everything else unknown. */
void device_type_init(struct names *names, const char *name, struct device_type *type);

/* Lays the named file over `type`. `place` is where the name stands. */
bool device_type_load(struct input *input, struct names *names, const char *name, struct place place,
                      struct device_type *type);

/* Lays a map of the same keys (a device's `with:`) over `type`; its name says so unless the map renames it.
 */
bool device_type_change(struct input *input, struct names *names, const struct value *with,
                        const struct scope *scope, struct device_type *type);

/* Reports a type that cannot do its work: no memory, no memory bandwidth, an efficiency of 0 or, unless it is
 * that of a drive, no peak rate. */
bool device_type_check(struct input *input, const struct names *names, const struct device_type *type,
                       bool drive, struct place place);

#endif
