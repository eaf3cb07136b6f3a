/*
 * Gives every file of the folders named on the command line to a fuzz target, and then every prefix
 * of those that are small: the corpus replayed without a fuzzer.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PREFIXES_UP_TO = 4096 };

static int replay_file(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f)
        return 1;
    size_t n = 0, cap = 1 << 16;
    uint8_t *data = malloc(cap);
    for (size_t got; data && (got = fread(data + n, 1, cap - n, f)) > 0;) {
        n += got;
        if (n == cap)
            data = realloc(data, cap *= 2);
    }
    (void)fclose(f); /* it was only read */
    for (size_t cut = n <= PREFIXES_UP_TO ? 0 : n; data && cut <= n; cut++) {
        /* Its own allocation, so that a sanitizer sees a read behind the end. */
        uint8_t *input = malloc(cut ? cut : 1);
        memcpy(input, data, cut);
        (void)LLVMFuzzerTestOneInput(input, cut); /* the result says only "keep in the corpus" */
        free(input);
    }
    free(data);
    return data == NULL;
}

int main(int argc, char **argv) {
    int failed = 0;
    size_t files = 0;
    for (int i = 1; i < argc; i++) {
        DIR *d = opendir(argv[i]);
        for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
            char path[4096];
            if (e->d_name[0] == '.')
                continue;
            (void)snprintf(path, sizeof(path), "%s/%s", argv[i], e->d_name);
            failed |= replay_file(path);
            files++;
        }
        if (d)
            closedir(d);
    }
    printf("%zu files replayed\n", files);
    return failed || files == 0;
}
