#include "platform/link_type.h"

#include <math.h>

const char *const link_type_modes[] = {"full-duplex", "half-duplex", "shared", NULL};

const struct field link_type_fields[] = {
    LINK_TYPE_PROPERTY(0, name, "name", "name for people; default: the file's", .kind = FIELD_TEXT),
    LINK_TYPE_PROPERTY(0, about, "about", "one sentence", .kind = FIELD_TEXT),
    LINK_TYPE_PROPERTIES(0),
};
const size_t link_type_field_count = FIELDS_COUNT(link_type_fields);

const struct field link_type_reverse_fields[] = {LINK_TYPE_NUMBERS(0)};
const size_t link_type_reverse_field_count = FIELDS_COUNT(link_type_reverse_fields);

void link_type_init(struct link_type *type)
{
    *type = (struct link_type){.bandwidth = NAN, .efficiency = 1, .mode = LINK_FULL_DUPLEX};
}

bool link_type_load(struct input *input, const char *name, struct place place, struct link_type *type)
{
    const char *path = document_find(input, "topologies/links", name, place);
    const struct value *document = path ? document_load(input, path) : NULL;
    if (!document)
        return false;
    type->name = name;
    return fields_read(input, document, document->place, "a link type", link_type_fields,
                       link_type_field_count, NULL, type);
}

bool link_type_reverse(struct input *input, const struct link_type *type, const struct scope *scope,
                       struct link_type *out)
{
    *out = *type;
    out->reverse = NULL;
    if (!type->reverse)
        return true;
    if (type->mode != LINK_FULL_DUPLEX)
        return report_error(
            &input->report, type->reverse->place,
            "'reverse' needs mode: full-duplex; a %s link has one capacity for every direction",
            link_type_modes[type->mode]);
    return fields_read(input, type->reverse, type->reverse->place, "the reverse direction (reverse)",
                       link_type_reverse_fields, link_type_reverse_field_count, scope, out);
}

double link_type_rate(const struct link_type *type)
{
    double payload = type->header > 0 ? type->payload / (type->payload + type->header) : 1;
    return type->bandwidth * type->efficiency * payload;
}

bool link_type_check(struct input *input, const struct link_type *type, const char *what, struct place place)
{
    if (isnan(type->bandwidth))
        return report_error(&input->report, place,
                            "%s has no bandwidth: it needs a 'type' or a 'bandwidth', such as 10 GB/s", what);
    if (type->bandwidth <= 0)
        return report_error(&input->report, place, "the bandwidth of %s must be more than 0; got %.4g B/s",
                            what, type->bandwidth);
    if (type->header > 0 && type->payload <= 0)
        return report_error(&input->report, place,
                            "%s has packets with a 'header' but no 'payload', such as payload: 1460 B", what);
    if (type->efficiency <= 0)
        return report_error(&input->report, place, "the efficiency of %s must be more than 0", what);
    return true;
}
