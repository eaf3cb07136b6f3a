#include "nartool/screen.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/compiler.h"
#include "base/numtext.h"

static Screen the_screen = {80, 24, false, false};

static unsigned from_environment(const char *name, unsigned otherwise) {
    uint64_t v;
    const char *text = getenv(name);
    return text && uint_parse(str_of(text), &v) && v >= 20 && v <= 1000 ? (unsigned)v : otherwise;
}

/* The first of these variables that is set and not empty counts. */
static bool locale_is_utf8(void) {
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *v = getenv(names[i]);
        if (v && *v) {
            return strcasestr(v, "utf-8") || strcasestr(v, "utf8");
        }
    }
    return false;
}

static bool wants_color(Str choice) {
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    if (choice.p && !str_eqc(choice, "auto")) {
        return str_eqc(choice, "always");
    }
    return output_is_terminal() && !(no && *no) && !(term && strcmp(term, "dumb") == 0);
}

void screen_setup(Args *a) {
    struct winsize size = {0};
    if (output_is_terminal()) {
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    }
    the_screen = (Screen){from_environment("COLUMNS", size.ws_col ? size.ws_col : 80),
                          from_environment("LINES", size.ws_row ? size.ws_row : 24),
                          wants_color(args_flag(a, "--color")), locale_is_utf8()};
}

const Screen *screen(void) { return &the_screen; }

const char *screen_style(ScreenStyle s) {
    static const char *const codes[] = {"\033[1m", "\033[2m", "\033[31m", "\033[32m", "\033[33m"};
    return the_screen.color ? codes[s] : "";
}

const char *screen_plain(void) { return the_screen.color ? "\033[0m" : ""; }

const char *screen_series(size_t i) {
    static const char *const codes[SCREEN_SERIES] = {
        "\033[38;5;33m",  "\033[38;5;208m", "\033[38;5;35m",  "\033[38;5;161m",
        "\033[38;5;135m", "\033[38;5;37m",  "\033[38;5;178m", "\033[38;5;244m"};
    return the_screen.color ? codes[i % SCREEN_SERIES] : "";
}
