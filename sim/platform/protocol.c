#include "platform/protocol.h"

const struct protocol *protocol_find(const struct platform *platform, const struct link *link, uint32_t name)
{
    for (uint32_t i = 0; i < link->protocol_count; i++) {
        const struct protocol *protocol = &platform->protocols.at[link->first_protocol + i];
        if (protocol->name == name && !protocol->in_switch)
            return protocol;
    }
    return NULL;
}

const struct protocol *protocol_in_switch(const struct platform *platform, const struct link *link)
{
    for (uint32_t i = 0; i < link->protocol_count; i++)
        if (platform->protocols.at[link->first_protocol + i].in_switch)
            return &platform->protocols.at[link->first_protocol + i];
    return NULL;
}
