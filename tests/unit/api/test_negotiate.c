#include "api/negotiate.h"
#include "support/test.h"

static const char PROMETHEUS[] =
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/"
    "openmetrics-text;"
    "version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/"
    "plain;version=0.0.4;q=0.2,"
    "*/*;q=0.1";

TEST (names_are_escaped_with_underscores_unless_asked_otherwise) {
    CHECK_INT(escaping_accepted(STR("")), ESCAPE_UNDERSCORES);
    CHECK_INT(escaping_accepted(STR("*/*")), ESCAPE_UNDERSCORES);
    CHECK_INT(escaping_accepted(STR("text/plain;version=0.0.4")), ESCAPE_UNDERSCORES);
    CHECK_INT(escaping_accepted(str_of(PROMETHEUS)), ESCAPE_NONE);
    CHECK_INT(escaping_accepted(STR("text/plain; version=1.0.0; escaping=dots")), ESCAPE_DOTS);
    CHECK_INT(escaping_accepted(STR("text/plain;escaping=values;q=0.4, text/plain;q=0.2")),
              ESCAPE_VALUES);
    CHECK_INT(escaping_accepted(STR("text/plain;version=9;escaping=values")), ESCAPE_UNDERSCORES);
    CHECK_INT(escaping_accepted(STR("text/plain;escaping=nothing;q=x,;=,")), ESCAPE_UNDERSCORES);
}

static const char *escaped(Escaping e, const char *name) {
    static Buf b;
    buf_reset(&b);
    escaping_write(e, str_of(name), &b);
    return buf_cstr(&b);
}

TEST (each_scheme_writes_its_own_way) {
    CHECK_CSTR(escaped(ESCAPE_NONE, "http.status_code"), "http.status_code");
    CHECK_CSTR(escaped(ESCAPE_UNDERSCORES, "http.status_code"), "http_status_code");
    CHECK_CSTR(escaped(ESCAPE_UNDERSCORES, "1ü:x"), "__:x");
    CHECK_CSTR(escaped(ESCAPE_DOTS, "http.status_code ü"), "http_dot_status__code____");
    CHECK_CSTR(escaped(ESCAPE_DOTS, "a_b"), "a__b");
    CHECK_CSTR(escaped(ESCAPE_VALUES, "http.status_code"), "U__http_2e_status__code");
    CHECK_CSTR(escaped(ESCAPE_VALUES, "a_b"), "a_b");
    CHECK_CSTR(escaped(ESCAPE_VALUES, "ü\xff"), "U___fc__fffd_");
}
