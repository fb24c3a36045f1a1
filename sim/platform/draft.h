/* Draft: what the readers of a topology's sections share while the platform is being built. A part (a
 * topology inside the topology) is read by a draft of its own, once for all its instances: whatever it
 * declares is made for each of them. Its arrays are those of one instance; draft_full() gives them their path
 * and the indices of the instances. */
#ifndef PARTITA_PLATFORM_DRAFT_H
#define PARTITA_PLATFORM_DRAFT_H

#include "input/expression.h"
#include "platform/pattern.h"
#include "platform/platform.h"

/* One entry of `overrides:`: changes the elements of an array of devices, switches or links that match. */
struct override {
    struct pattern pattern;
    const struct value *changes;
    const struct scope *scope; /* of the file that says it */
    bool met;                  /* an entry has this name */
    bool applied;              /* … and the pattern matched one of its elements, or an error was reported */
};

struct draft {
    struct input *input;
    struct platform *platform;
    struct draft *outer; /* the draft whose part this is; NULL: the whole topology */
    const char *path;    /* of the file of a part */
    struct array part;   /* all its instances, with those of the parts around it; count 1 for the whole */
    struct scope scope;  /* the parameters */
    VECTOR(struct array) arrays; /* devices, switches and those of parts; `first` is the first node */
    bool routes;                 /* the topology has routes by links: a link may have no ends */
    VECTOR(struct entry) names;  /* every name given so far, for duplicates */
    struct draft_all *all;       /* what parts and whole have in common */
};

/* A table of protocols that has been read: many links share it. */
struct draft_protocols {
    const struct value *value;
    uint32_t first, count; /* in the platform's `protocols` */
    bool well;             /* false: an error was reported */
};

struct draft_all {
    VECTOR(struct draft_protocols) protocols;
    VECTOR(struct override) overrides; /* later ones win: those of a part stand before those around it */
    VECTOR(const char *) paths;        /* of every entry, for suggestions */
    VECTOR(uint32_t) failed;           /* nodes */
};

/* Checks the name of an entry of devices, switches, links or parts: well formed and not used yet. `what` is
 * "device". */
bool draft_name(struct draft *draft, const struct entry *entry, const char *what);

/* "a device array 'gpu'" and the like, for messages. */
const char *draft_what(struct draft *draft, const char *kind, const char *name);

/* An array of this draft as that of all instances, with its path. Reports too many indices or levels. */
bool draft_full(struct draft *draft, const struct array *own, struct array *full);

/* Whether an error was reported where the node was made: what needs it says nothing more. */
bool draft_node_failed(const struct draft *draft, uint32_t node);

#endif
