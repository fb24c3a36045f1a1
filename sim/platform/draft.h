/* Draft: what the readers of a topology's sections share while the platform is being built. */
#ifndef PARTITA_PLATFORM_DRAFT_H
#define PARTITA_PLATFORM_DRAFT_H

#include "input/expression.h"
#include "platform/pattern.h"
#include "platform/platform.h"

/* One entry of `overrides:`: changes the elements of an array of devices or links that match. */
struct override {
    struct pattern pattern;
    const struct value *changes;
    bool met;     /* a device or link entry has this name */
    bool applied; /* … and the pattern matched one of its elements, or an error was reported */
};

struct draft {
    struct input *input;
    struct platform *platform;
    struct scope scope;                /* the parameters */
    VECTOR(struct array) arrays;       /* devices, then switches; `first` is the first node */
    VECTOR(struct override) overrides; /* in the order of the document: later ones win */
    bool routes;                       /* the topology has routes: a link may have no ends */
    VECTOR(struct entry) names;        /* every name given so far, for duplicates */
};

/* Checks the name of an entry of devices, switches or links: well formed and not used yet. `what` is
 * "device". */
bool draft_name(struct draft *draft, const struct entry *entry, const char *what);

/* "a device array 'gpu'" and the like, for messages. */
const char *draft_what(struct draft *draft, const char *kind, const char *name);

#endif
