/* SimGrid: what an XML platform of SimGrid (version 4.1) says, between its reading (simgrid_read.c,
 * simgrid_cluster.c), the search of its routes (simgrid_route.c) and the topology document made of it
 * (import_simgrid.c).
 *
 * Hosts, routers and zones are points; each stands in a zone, the outermost one in none. A link is one
 * capacity, or two (UP and DOWN) if split-duplex. A hop is a link and a direction: link * 2 + (1 if DOWN).
 * Routes lead from point to point of one zone; between zones from a gateway to a gateway. Lists of hops are
 * pieces of one pool. */
#ifndef PARTITA_PLATFORM_SIMGRID_H
#define PARTITA_PLATFORM_SIMGRID_H

#include "base/names.h"
#include "input/document.h"

enum simgrid_sharing { SIMGRID_SHARED, SIMGRID_SPLIT, SIMGRID_FATPIPE };
enum simgrid_point_kind { SIMGRID_HOST, SIMGRID_ROUTER, SIMGRID_ZONE };
enum simgrid_routing { SIMGRID_FULL, SIMGRID_SHORTEST, SIMGRID_STAR, SIMGRID_NONE };

struct simgrid_hops {
    uint32_t first, count; /* in the pool */
};

struct simgrid_link {
    struct place place;
    double bandwidth, latency; /* bytes per second, seconds */
    enum simgrid_sharing sharing;
};

struct simgrid_point {
    struct place place;
    enum simgrid_point_kind kind;
    uint32_t zone;                /* that it stands in; UINT32_MAX for the outermost */
    double speed;                 /* of a host: FLOP per second, all cores */
    struct simgrid_hops up, down; /* in a star: to and from everyone */
    bool leg;                     /* … which were said */
};

struct simgrid_zone {
    enum simgrid_routing routing;
    uint32_t point, depth;
    uint32_t backbone; /* link of a star; UINT32_MAX: none */
    uint32_t members;  /* points that stand in it */
    uint32_t *last;    /* SIMGRID_SHORTEST, once asked: member × member -> last route of the way, + 1 */
};

struct simgrid_route {
    uint32_t from, to; /* points of one zone */
    uint32_t gate,
        gate_to; /* where it starts and ends: the same points, or gateways in them if they are zones */
    struct simgrid_hops hops;
    struct place place;
};

struct simgrid {
    struct input *input;
    struct arena arena;                   /* of the tables below */
    struct names point_names, link_names; /* identity n + 1 is point (link) n */
    struct names said;                    /* warnings given */
    VECTOR(struct simgrid_point) points;
    VECTOR(struct simgrid_link) links;
    VECTOR(struct simgrid_zone) zones;
    VECTOR(struct simgrid_route) routes; /* simgrid_route_sort: by (from, to) */
    VECTOR(struct simgrid_route) bypasses;
    struct index_list hops; /* the pool */
    uint32_t *member;       /* point -> its number in its zone */
};

/* Reads the file. False after reporting. */
bool simgrid_read(struct simgrid *simgrid, const char *path, const char *text, size_t length);

/* Quantities as SimGrid writes them: "1.5Gf", "125MBps", "50us". `what` is for messages: "speed of host 'a'".
 */
bool simgrid_unit_speed(struct simgrid *simgrid, struct place place, const char *text, const char *what,
                        double *out);
bool simgrid_unit_bandwidth(struct simgrid *simgrid, struct place place, const char *text, const char *what,
                            double *out);
bool simgrid_unit_time(struct simgrid *simgrid, struct place place, const char *text, const char *what,
                       double *out);

/* Warns once per `kind`. */
void simgrid_note(struct simgrid *simgrid, struct place place, const char *kind, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Adds an element; UINT32_MAX after reporting that the name is taken. */
uint32_t simgrid_add_point(struct simgrid *simgrid, const char *name, struct simgrid_point point);
uint32_t simgrid_add_link(struct simgrid *simgrid, const char *name, struct simgrid_link link);

/* Adds a zone in `parent` (UINT32_MAX: outermost); returns its index, also after reporting that its name is
 * taken. */
uint32_t simgrid_add_zone(struct simgrid *simgrid, const char *name, uint32_t parent, struct place place,
                          enum simgrid_routing routing);

/* The names of elements. */
const char *simgrid_point_name(const struct simgrid *simgrid, uint32_t point);
const char *simgrid_link_name(const struct simgrid *simgrid, uint32_t link);

/* The hosts of <cluster> (with a zone of their own) and of <cabinet>. `attributes` as expat gives them. */
void simgrid_cluster(struct simgrid *simgrid, uint32_t zone, struct place place, const char **attributes);
void simgrid_cluster_cabinet(struct simgrid *simgrid, uint32_t zone, struct place place,
                             const char **attributes);

/* An attribute's text; NULL when it is absent. */
const char *simgrid_attribute(const char **attributes, const char *name);
bool simgrid_sharing(struct simgrid *simgrid, struct place place, const char *text,
                     enum simgrid_sharing *sharing);

/* Appends the reverse of a list of hops to the pool. */
struct simgrid_hops simgrid_reverse(struct simgrid *simgrid, struct simgrid_hops hops);

/* Prepares the search; reports pairs with two routes. */
bool simgrid_route_sort(struct simgrid *simgrid);

/* Appends the hops from one host to another; false when there is no route (or gateways lead in a circle). */
bool simgrid_route_find(struct simgrid *simgrid, uint32_t from, uint32_t to, struct index_list *out);

#endif
