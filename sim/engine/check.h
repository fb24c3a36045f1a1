/* Check: the books of a finished run, recomputed from its records. */
#ifndef PARTITA_ENGINE_CHECK_H
#define PARTITA_ENGINE_CHECK_H

#include "engine/engine.h"

/* See engine_check(). The message is allocated in `arena`. */
bool check_result(struct arena *arena, const struct platform *platform, const struct job *job,
                  const struct engine_result *result, const char **error);

#endif
