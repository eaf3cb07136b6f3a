#include "nartool/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"

#define BAR_WIDTH 32
#define EVERY_NS 100000000

void progress_show(void *progress, uint64_t done, uint64_t total) {
    Progress *p = progress;
    int64_t now = clock_mono_ns();
    if (!isatty(STDERR_FILENO) || (p->shown && now - p->last_ns < EVERY_NS)) {
        return;
    }
    p->last_ns = now;
    p->shown = true;
    if (total == 0) {
        fprintf(stderr, "\r\033[K%s: %" PRIu64, p->what, done);
        return;
    }
    char bar[BAR_WIDTH + 1];
    uint64_t full = done >= total ? BAR_WIDTH : done * BAR_WIDTH / total;
    for (unsigned i = 0; i < BAR_WIDTH; i++) {
        bar[i] = i < full ? '=' : ' ';
    }
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\r\033[K%s: [%s] %3.0f %%  %" PRIu64 " of %" PRIu64, p->what, bar,
            100.0 * (double)done / (double)total, done, total);
}

void progress_end(Progress *p) {
    if (p->shown) {
        fprintf(stderr, "\r\033[K");
        p->shown = false;
    }
}
