#include "nartool/nartool.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "nartool/cli.h"

int fail(const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    fflush(stdout);
    fprintf(stderr, "error: ");
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    return EXIT_FAILED;
}

bool output_is_terminal(void) { return isatty(STDOUT_FILENO); }

/* Called by a link of that name, or as `nartool promtool ...`. */
static bool is_promtool(const char *name) {
    Str path = str_of(name);
    return str_eqc(path, "promtool") || str_ends(path, STR("/promtool"));
}

int main(int argc, char **argv) {
    log_setup(LOG_LEVEL_ERROR, LOG_FORMAT_LOGFMT);
    bool word = argc > 1 && str_eqc(STR("promtool"), argv[1]);
    return cli_run(argc - word, argv + word, word || (argc > 0 && is_promtool(argv[0])));
}
