#include "engine/network_model.h"

#include <string.h>

const double network_model_mtu = 4096, network_model_buffer = 262144;
const uint64_t network_model_packet_limit = 100000000;

const struct network_model *const network_model_table[] = {&alpha_beta_ideal, &alpha_beta_model, &fluid_model,
                                                           &packet_model, NULL};

const struct network_model *network_model_find(const char *name)
{
    for (const struct network_model *const *model = network_model_table; *model; model++)
        if (!strcmp((*model)->name, name))
            return *model;
    return NULL;
}
