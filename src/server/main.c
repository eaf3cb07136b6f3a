/* narthex: flags, limits of the process, then the server. */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "base/log.h"
#include "base/version.h"
#include "server/feature_flags.h"
#include "server/flags.h"
#include "server/server.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_MODE = 3 };

/* Thousands of targets need as many descriptors as we may have. */
static void raise_file_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
            log_warn(NULL, "The limit of open files could not be raised");
        }
    }
}

static void print_version(void) {
    printf("narthex, version %s (API of Prometheus %s)\n", VERSION_NARTHEX, VERSION_PROMETHEUS);
}

static void log_flags(void) {
    size_t n;
    const Flag *all = flags_all(&n);
    for (size_t i = 0; i < n; i++) {
        if (all[i].given && (all[i].notes & FLAG_NOOP)) {
            log_warn(NULL, "Flag has no effect", L_CSTR("flag", all[i].name),
                     L_CSTR("reason", all[i].help));
        }
    }
    if (flag_bool("agent")) {
        log_warn(NULL,
                 "This version has no agent mode: it runs as a server and stores samples itself");
    }
}

int main(int argc, char **argv) {
    Problem p = {0};
    char text[2048];
    FlagsOutcome outcome = flags_parse(argc, argv, &p);
    if (outcome == FLAGS_HELP) {
        flags_print_help(stdout);
        return 0;
    }
    if (outcome == FLAGS_VERSION) {
        print_version();
        return 0;
    }
    if (outcome != FLAGS_OK) {
        fprintf(stderr, "narthex: error: %s\n", p.text);
        return outcome == FLAGS_MODE ? EXIT_MODE : EXIT_USAGE;
    }
    log_setup((LogLevel)flag_int("log.level"), (LogFormat)flag_int("log.format"));
    /* Few arenas keep the heap of many threads small; freed pages go back early. */
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_TRIM_THRESHOLD, 16 << 20);
    /* Pages of targets come and go: mapped apart, they leave no holes among the slabs of the head
     * (with 4 MiB here 200 targets held 20 MB more); receive buffers lie below it. */
    mallopt(M_MMAP_THRESHOLD, 80 << 10);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file at its limit of size is an error code, as a full disk is */
    raise_file_limit();
    log_info(NULL, "Starting Narthex", L_CSTR("version", VERSION_NARTHEX));
    log_flags();
    features_log();
    Server *server;
    if (server_new(&server, &p) < 0) {
        log_error(NULL, "Error loading config",
                  L_CSTR("err", problem_format(&p, text, sizeof(text))));
        return p.line == -1 ? EXIT_FAILED : EXIT_USAGE;
    }
    int code = server_run(server);
    server_free(server);
    log_info(NULL, "See you next time!");
    return code;
}
