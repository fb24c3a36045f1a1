/* Generation: the second model and plan of a workload that generates tokens. */
#ifndef PARTITA_STUDY_GENERATION_H
#define PARTITA_STUDY_GENERATION_H

#include "study/scenario.h"

/* Why the scenario's model cannot generate tokens, for a message; NULL: it can. `document`: of the model. */
const char *generation_obstacle(struct scenario *scenario, const struct value *document);

/* Where `batch.generate` asks for tokens: makes the scenario's model a prompt and builds that of one token
 * from the same document, `set` being the model's parameters. Reports what cannot generate. */
bool generation_model(struct scenario *scenario, const struct value *document, struct value *set);

/* Adds the stages of a token to the scenario's plan. */
bool generation_plan(struct scenario *scenario);

#endif
