/*
 * Unicode classes out of RE2's tables, so that no second copy of them is linked. The scripts met
 * most are answered by ranges.
 */
#include <re2/re2.h>

extern "C" {
#include "base/gotext.h"
#include "base/utf8.h"
}

namespace {

bool in_class(uint32_t rune, const RE2 &re) {
    char t[4];
    size_t n = utf8_encode(rune, t);
    return RE2::FullMatch(re2::StringPiece(t, n), re);
}

bool is_common_letter(uint32_t r) {
    return (r >= 0xc0 && r <= 0x24f && r != 0xd7 && r != 0xf7) || (r >= 0x400 && r <= 0x481) ||
           (r >= 0x4e00 && r <= 0x9fff) || (r >= 0xac00 && r <= 0xd7a3) ||
           (r >= 0x3041 && r <= 0x3096);
}

} // namespace

extern "C" {

bool rune_is_print(uint32_t rune) {
    if (rune < 0x80) {
        return rune >= 0x20 && rune < 0x7f;
    }
    static const RE2 printable("[\\pL\\pM\\pN\\pP\\pS]");
    return is_common_letter(rune) || (rune <= 0x10ffff && in_class(rune, printable));
}

bool rune_is_word(uint32_t rune) {
    if (rune < 0x80) {
        return (rune >= '0' && rune <= '9') || ((rune | 0x20) >= 'a' && (rune | 0x20) <= 'z') ||
               rune == '_';
    }
    static const RE2 word("[\\pL\\p{Nd}]");
    return is_common_letter(rune) || in_class(rune, word);
}

} // extern "C"
