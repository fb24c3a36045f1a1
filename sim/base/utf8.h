/* Utf8: texts that come from elsewhere, made fit for people and databases. */
#ifndef PARTITA_BASE_UTF8_H
#define PARTITA_BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the well-formed, printable character of UTF-8 that begins at `at`, of which `left` > 0 bytes are
 * there; 0: there is none. */
size_t utf8_length(const uint8_t *at, size_t left);

/* Replaces each byte that is no part of such a character by a question mark. */
void utf8_mend(char *text, size_t length);

/* Writes a code point as 1 to 4 bytes; returns how many. */
size_t utf8_encode(uint32_t code, char *out);

#endif
