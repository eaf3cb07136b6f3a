#include "nartool/watch.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>

#include "base/clock.h"
#include "nartool/screen.h"
#include "nartool/tsdb_folder.h"

static unsigned count_lines(Str s) {
    unsigned n = 0;
    for (size_t i = 0; i < s.n; i++) {
        n += s.p[i] == '\n';
    }
    return n;
}

/* Over what stood there: up so many lines, and nothing below. */
static void go_back(unsigned lines) {
    if (lines >= screen()->height) {
        printf("\033[H\033[2J");
    } else if (lines) {
        printf("\033[%uA\033[J", lines);
    }
}

int watch_run(int64_t every_ms, int (*print)(void *arg, FILE *out), void *arg) {
    bool terminal = output_is_terminal();
    unsigned lines = 0;
    int code = EXIT_OK;
    watch_interrupt();
    while (!atomic_load(&interrupted)) {
        char *text = NULL;
        size_t n = 0;
        FILE *out = open_memstream(&text, &n);
        code = print(arg, out);
        fclose(out);
        if (terminal) {
            go_back(lines);
            lines = count_lines(str_n(text, n));
        }
        printf("%.*s", (int)n, text);
        fflush(stdout);
        free(text);
        poll(NULL, 0, (int)every_ms);
    }
    return code;
}
