#include "base/utf8.h"

#include <stdbool.h>

size_t utf8_length(const uint8_t *at, size_t left)
{
    size_t length = *at < 0x80 ? 1 : *at >= 0xc2 && *at < 0xe0 ? 2 : (*at & 0xf0) == 0xe0 ? 3 : 4;
    if (*at < 0x20 || *at == 0x7f || *at > 0xf4 || (*at >= 0x80 && *at < 0xc2) || length > left)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (*at == 0xe0 && at[1] < 0xa0) || (*at == 0xf0 && at[1] < 0x90);
    bool surrogate = *at == 0xed && at[1] > 0x9f, beyond = *at == 0xf4 && at[1] > 0x8f;
    return overlong || surrogate || beyond ? 0 : length;
}

void utf8_mend(char *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        size_t good = utf8_length((const uint8_t *)text + i, length - i);
        if (!good)
            text[i] = '?';
        i += good ? good : 1;
    }
}

size_t utf8_encode(uint32_t code, char *out)
{
    static const uint8_t leads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length; i-- > 1; code >>= 6)
        out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(leads[length] | code);
    return length;
}
