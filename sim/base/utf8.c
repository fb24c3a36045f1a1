#include "base/utf8.h"

#include <stdbool.h>
#include <string.h>

/* U+0080 to U+009F, the ends of lines and paragraphs, the mark of byte order, and what is no character: none
 * of them may stand in a text of YAML as it is. */
static bool utf8_is_control(const uint8_t *at)
{
    static const char *const three[] = {"\xe2\x80\xa8", "\xe2\x80\xa9", "\xef\xbb\xbf", "\xef\xbf\xbe",
                                        "\xef\xbf\xbf"};
    bool is = at[0] == 0xc2 && at[1] < 0xa0;
    for (size_t i = 0; at[0] >= 0xe0 && i < sizeof three / sizeof three[0]; i++)
        is = is || memcmp(at, three[i], 3) == 0;
    return is;
}

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
    return overlong || surrogate || beyond || utf8_is_control(at) ? 0 : length;
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
