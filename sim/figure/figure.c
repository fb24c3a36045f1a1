#include "figure/figure.h"

#include "figure/draw.h"

const struct figure_kind *const figure_kinds[] = {&timeline_figure, &memory_figure, NULL};
