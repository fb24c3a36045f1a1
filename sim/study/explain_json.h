/* Explain a layer as JSON. */
#ifndef PARTITA_STUDY_EXPLAIN_JSON_H
#define PARTITA_STUDY_EXPLAIN_JSON_H

#include "study/explain_stage.h"

#include <jansson.h>

/* One layer; `stage` NULL: of a bare model. */
json_t *explain_json_layer(const struct model *model, const struct explain_stage *stage, uint32_t layer);

#endif
