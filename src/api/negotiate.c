#include "api/negotiate.h"

#include "base/numtext.h"
#include "base/utf8.h"
#include "model/labels.h"

static const struct {
    const char *name, *content_type;
} schemes[] = {
#define TEXT "text/plain; version=0.0.4; charset=utf-8; escaping="
    [ESCAPE_UNDERSCORES] = {"underscores", TEXT "underscores"},
    [ESCAPE_DOTS] = {"dots", TEXT "dots"},
    [ESCAPE_VALUES] = {"values", TEXT "values"},
    [ESCAPE_NONE] = {"allow-utf-8", TEXT "allow-utf-8"},
#undef TEXT
};

/* One entry of the list, "text/plain;version=0.0.4;q=0.2": its weight, or 0 when it is no text that
 * we write. */
static double read_entry(Str entry, Escaping *ret) {
    Str part;
    double weight = 1;
    *ret = ESCAPE_UNDERSCORES;
    if (!str_split_next(&entry, ';', &part) || !str_eq_nocase(str_trim(part), STR("text/plain"))) {
        return 0;
    }
    while (str_split_next(&entry, ';', &part)) {
        size_t equals = str_find(part, '=');
        Str key = str_trim(str_upto(part, equals));
        Str value = equals < part.n ? str_trim(str_from(part, equals + 1)) : STR("");
        if (str_eqc(key, "q")) {
            weight = number_parse_go(value, &weight) ? weight : 0;
        } else if (str_eqc(key, "version") && !str_eqc(value, "0.0.4") &&
                   !str_eqc(value, "1.0.0")) {
            return 0;
        }
        for (size_t i = 0; str_eqc(key, "escaping") && i < ARRAY_LEN(schemes); i++) {
            *ret = str_eqc(value, schemes[i].name) ? (Escaping)i : *ret;
        }
    }
    return weight;
}

Escaping escaping_accepted(Str accept) {
    Str entry;
    double best = 0;
    Escaping chosen = ESCAPE_UNDERSCORES, e;
    while (str_split_next(&accept, ',', &entry)) {
        double weight = read_entry(entry, &e);
        if (weight > best) {
            best = weight;
            chosen = e;
        }
    }
    return chosen;
}

const char *escaping_content_type(Escaping e) { return schemes[e].content_type; }

static bool is_classic(Str rune, bool first) {
    char c = rune.p[0];
    return rune.n == 1 && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                           c == ':' || (c >= '0' && c <= '9' && !first));
}

static void write_rune(Escaping e, Str rune, uint32_t code, bool first, Buf *out) {
    if (e != ESCAPE_UNDERSCORES && rune.p[0] == '_') {
        buf_add_cstr(out, "__");
    } else if (is_classic(rune, first)) {
        buf_add_str(out, rune);
    } else if (e == ESCAPE_UNDERSCORES) {
        buf_add_char(out, '_');
    } else if (e == ESCAPE_DOTS) {
        buf_add_cstr(out, rune.p[0] == '.' ? "_dot_" : "__");
    } else {
        buf_addf(out, "_%x_", code);
    }
}

void escaping_write(Escaping e, Str name, Buf *out) {
    if (e == ESCAPE_NONE || (e != ESCAPE_DOTS && metric_name_valid_legacy(name))) {
        buf_add_str(out, name);
        return;
    }
    if (e == ESCAPE_VALUES) {
        buf_add_cstr(out, "U__");
    }
    for (size_t i = 0; i < name.n;) {
        size_t n;
        uint32_t code = utf8_decode(str_from(name, i), &n);
        write_rune(e, (Str){name.p + i, n}, code, i == 0, out);
        i += n;
    }
}
