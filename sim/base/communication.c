#include "base/communication.h"

const char *const communication_names[COLLECTIVE_KIND_COUNT + 1] = {"all-reduce",
                                                                    "reduce-scatter",
                                                                    "all-gather",
                                                                    "all-to-all",
                                                                    "broadcast",
                                                                    "reduce",
                                                                    "scatter",
                                                                    "gather",
                                                                    "barrier",
                                                                    "halo-exchange",
                                                                    0};
