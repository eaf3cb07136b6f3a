#include "base/utf8.h"

uint32_t utf8_decode(Str s, size_t *ret_size) {
    const unsigned char *p = (const unsigned char *)s.p;
    *ret_size = 1;
    if (p[0] < 0x80) {
        return p[0];
    }
    size_t n = p[0] >= 0xC2 && p[0] <= 0xDF   ? 2
               : (p[0] & 0xF0) == 0xE0        ? 3
               : p[0] >= 0xF0 && p[0] <= 0xF4 ? 4
                                              : 0;
    if (n == 0 || s.n < n) {
        return UTF8_ERROR;
    }
    uint32_t rune = p[0] & (0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return UTF8_ERROR;
        }
        rune = rune << 6 | (p[i] & 0x3Fu);
    }
    bool overlong = (n == 3 && rune < 0x800) || (n == 4 && rune < 0x10000);
    if (overlong || rune > 0x10FFFF || (rune >= 0xD800 && rune <= 0xDFFF)) {
        return UTF8_ERROR;
    }
    *ret_size = n;
    return rune;
}

bool utf8_valid(Str s) {
    while (s.n) {
        size_t n;
        if (utf8_decode(s, &n) == UTF8_ERROR && n == 1) {
            return false;
        }
        s = str_from(s, n);
    }
    return true;
}

size_t utf8_encode(uint32_t rune, char dst[4]) {
    unsigned char *d = (unsigned char *)dst;
    if (rune > 0x10FFFF || (rune >= 0xD800 && rune <= 0xDFFF)) {
        rune = UTF8_ERROR;
    }
    if (rune < 0x80) {
        d[0] = (unsigned char)rune;
        return 1;
    }
    if (rune < 0x800) {
        d[0] = (unsigned char)(0xC0 | rune >> 6);
        d[1] = (unsigned char)(0x80 | (rune & 0x3F));
        return 2;
    }
    if (rune < 0x10000) {
        d[0] = (unsigned char)(0xE0 | rune >> 12);
        d[1] = (unsigned char)(0x80 | (rune >> 6 & 0x3F));
        d[2] = (unsigned char)(0x80 | (rune & 0x3F));
        return 3;
    }
    d[0] = (unsigned char)(0xF0 | rune >> 18);
    d[1] = (unsigned char)(0x80 | (rune >> 12 & 0x3F));
    d[2] = (unsigned char)(0x80 | (rune >> 6 & 0x3F));
    d[3] = (unsigned char)(0x80 | (rune & 0x3F));
    return 4;
}

size_t utf8_count(Str s) {
    size_t count = 0;
    while (s.n) {
        size_t n;
        utf8_decode(s, &n);
        s = str_from(s, n);
        count++;
    }
    return count;
}
