/* Search: the conversion of a tensor from one layout to another that takes the fewest predicted seconds: a
 * shortest path over layouts, whose edges are collectives along one axis (priced, price.h) and slices (free).
 * Conversions that were looked for once are remembered by stage. What runs along the pieces of one axis of a
 * mesh (mesh.h), or of one axis to the user, may go along them together, and what follows one another along
 * them becomes one collective. */
#ifndef PARTITA_PLAN_SEARCH_H
#define PARTITA_PLAN_SEARCH_H

#include "plan/convert.h"
#include "plan/price.h"

struct search;

/* Of one stage, in the arena; what it finds is kept as long. */
struct search *search_new(const struct plan *plan, const struct plan_stage *stage, struct arena *arena);

/* The cheapest collectives that turn `from` into `to` (which has partial sums only where `from` has them),
 * how many they are, and their predicted seconds (`seconds` may be NULL). Of equally cheap sequences it is
 * that of convert_steps(). */
uint32_t search_steps(struct search *search, const struct tensor *tensor, double element_bytes,
                      struct layout from, struct layout to, struct convert_step steps[CONVERT_STEPS],
                      double *seconds);

/* Predicted seconds of one collective of a conversion. Shares of a dimension that does not divide count as
 * the largest. */
double search_step_seconds(struct search *search, const struct tensor *tensor, double element_bytes,
                           const struct convert_step *step);

#endif
