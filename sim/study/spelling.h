/* Short forms of a workload's keys: `model: NAME` is short for `model: {name: NAME}`. */
#ifndef PARTITA_STUDY_SPELLING_H
#define PARTITA_STUDY_SPELLING_H

#include "input/document.h"

/* Writes the short forms of model and trace out as maps, which is how the rest reads them. */
void spelling_read(struct input *input, struct value *document);
/* Writes the short form out that stands where `path`, of a --set such as batch.micro, needs a map. */
void spelling_set(struct input *input, struct value *document, const char *path);

#endif
