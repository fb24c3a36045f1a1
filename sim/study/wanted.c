#include "study/wanted.h"

struct scenario_options wanted_scenario(const struct partita_options *options)
{
    return (struct scenario_options){.workload = options->workload,
                                     .topology = options->topology,
                                     .sets = options->sets,
                                     .set_count = options->set_count,
                                     .data_root = partita_data_folder(),
                                     .seed = options->seed};
}
