#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/test.h"

static TestCase *cases;
static char tmpdir[64];

void test_register(TestCase *c) {
    TestCase **at = &cases;
    while (*at) {
        at = &(*at)->next;
    }
    *at = c;
}

void test_fail(const char *file, int line, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    /* To stderr, which Meson shows of a failed program. */
    fprintf(stderr, "# %s:%d: ", file, line);
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    fflush(stdout);
    _exit(1);
}

const char *test_tmpdir(void) { return tmpdir; }

const char *test_data(const char *name) {
    static char path[4096];
    const char *root = getenv("NARTHEX_TESTDATA");
    snprintf(path, sizeof(path), "%s/%s", root ? root : "testdata", name);
    return path;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

/* Runs one case in a child; leaks are checked there too, since exit() runs the sanitizers' last
 * words. */
static bool run_case(TestCase *c) {
    snprintf(tmpdir, sizeof(tmpdir), "/tmp/narthex-test-XXXXXX");
    if (!mkdtemp(tmpdir)) {
        fprintf(stderr, "# no temporary folder: %s\n", strerror(errno));
        return false;
    }
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        c->run();
        fflush(stdout);
        exit(0);
    }
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    nftw(tmpdir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    if (WIFSIGNALED(status)) {
        fprintf(stderr, "# %s: ended by signal %d\n", c->name, WTERMSIG(status));
    }
    return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv) {
    int number = 0, failed = 0, planned = 0;
    for (TestCase *c = cases; c; c = c->next) {
        planned += argc < 2 || strcmp(argv[1], c->name) == 0;
    }
    printf("1..%d\n", planned);
    for (TestCase *c = cases; c; c = c->next) {
        if (argc > 1 && strcmp(argv[1], c->name) != 0) {
            continue;
        }
        bool ok = run_case(c);
        failed += !ok;
        printf("%sok %d - %s\n", ok ? "" : "not ", ++number, c->name);
    }
    return failed != 0 || planned == 0;
}
