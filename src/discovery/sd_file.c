/*
 * file_sd_configs: target groups in JSON and YAML files, read again when their folder changes and
 * every refresh_interval besides. A file that does not read keeps its previous groups; one that is
 * gone takes them along. Files are read and parsed on the pool.
 */
#include "discovery/sd_provider.h"

#include <glob.h>
#include <stddef.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/metrics.h"
#include "base/vec.h"
#include "discovery/sd_group_file.h"
#include "discovery/sd_schemas.h"

static const SchemaField file_fields[] = {
    {"files", SCHEMA_STRS, offsetof(SdFileConfig, files)},
    {"refresh_interval", SCHEMA_DURATION, offsetof(SdFileConfig, refresh_interval_ms),
     SCHEMA_PRINT},
};

static void file_defaults(void *object) {
    ((SdFileConfig *)object)->refresh_interval_ms = 5 * MINUTE_MS;
}

/* `*` stands in the last element only, and the name tells the format. */
static bool pattern_valid(Str s) {
    size_t slash = s.n;
    while (slash > 0 && s.p[slash - 1] != '/')
        slash--;
    return str_find(str_upto(s, slash), '*') == slash &&
           (str_ends(s, STR(".json")) || str_ends(s, STR(".yml")) || str_ends(s, STR(".yaml")) ||
            str_ends(s, STR(".JSON")) || str_ends(s, STR(".YML")) || str_ends(s, STR(".YAML")));
}

static int file_check(SchemaContext *cx, const YamlNode *node, void *object) {
    const SdFileConfig *c = object;
    if (!c->files.n)
        return schema_problem(cx, node,
                              "file service discovery config must contain at least one path name");
    for (size_t i = 0; i < c->files.n; i++) {
        if (!pattern_valid(c->files.v[i]))
            return schema_problem(cx, yaml_node_find(node, "files"),
                                  "path name \"%.*s\" is not valid for file discovery; expected "
                                  ".json, .yml or .yaml, and * in the last element only",
                                  SA(c->files.v[i]));
    }
    return 0;
}

const Schema sd_file_schema = {"file_sd_config",       sizeof(SdFileConfig), file_fields,
                               ARRAY_LEN(file_fields), file_defaults,        file_check};

/* ---- running */

/* How often names, sizes and times of change are looked at. Asking the file system costs little,
 * works on network file systems, and needs no watch that could be lost. */
#define LOOK_MS (5 * SECOND_MS)
#define FILE_BYTES_MAX (256u << 20)

typedef struct FileState {
    char *path;
    int64_t mtime_ns;
    uint64_t size, inode;
    size_t groups; /* told so far */
    bool there, changed, broken;
    TargetGroup **fresh; /* what a look read, to be told */
    size_t n_fresh;
} FileState;

/* While a look is under way the pool's thread owns `files`; otherwise the loop's. */
struct SdRun {
    SdEnv env;
    Arena arena;
    SchemaStrs patterns;
    int64_t refresh_ms, last_full_ms;
    LoopTimer timer;
    VEC(FileState) files;
    bool looking, stopped, full;
};

static Metric *read_errors(void) {
    return metric_counter("prometheus_sd_file_read_errors_total",
                          "The number of File-SD read errors.", NULL);
}

static void fresh_drop(FileState *f) {
    for (size_t i = 0; i < f->n_fresh; i++)
        target_group_unref(f->fresh[i]);
    mem_free(f->fresh);
    f->fresh = NULL;
    f->n_fresh = 0;
}

static FileState *state_of(SdRun *run, const char *path) {
    for (size_t i = 0; i < run->files.n; i++) {
        if (strcmp(run->files.v[i].path, path) == 0)
            return &run->files.v[i];
    }
    vec_push(&run->files, (FileState){.path = mem_strdup(path)});
    return &run->files.v[run->files.n - 1];
}

static void make_groups(FileState *f, const SchemaList *list) {
    Arena names = ARENA_INIT(0);
    f->fresh = NEW_ARRAY(TargetGroup *, list->n + 1);
    for (size_t i = 0; i < list->n; i++) {
        const SdStaticConfig *group = (const SdStaticConfig *)list->v + i;
        f->fresh[f->n_fresh++] = target_group_new(group, arena_printf(&names, "%s:%zu", f->path, i),
                                                  (Label){STR("__meta_filepath"), str_of(f->path)});
    }
    arena_deinit(&names);
}

static void read_groups(FileState *f) {
    Arena a = ARENA_INIT((size_t)1 << 30);
    CLEANUP(buf_deinit) Buf text = BUF_INIT(FILE_BYTES_MAX);
    Problem problem = {0};
    SchemaList list;
    char shown[1400];
    int r = file_read_whole(f->path, FILE_BYTES_MAX, &text);
    if (r < 0)
        problem_set(&problem, 0, 0, "%s", strerror(-r));
    else
        r = sd_group_file_parse(str_of(f->path), buf_str(&text), &a, &list, &problem);
    if (r == 0) {
        make_groups(f, &list);
    } else {
        metric_inc(read_errors());
        log_warn("discovery manager scrape", "Error reading file", L_CSTR("path", f->path),
                 L_CSTR("err", problem_format(&problem, shown, sizeof(shown))));
    }
    f->broken = r < 0;
    f->changed = true;
    arena_deinit(&a);
}

static void look_at_file(SdRun *run, const char *path) {
    struct stat st;
    if (stat(path, &st) != 0)
        return;
    FileState *f = state_of(run, path);
    int64_t mtime_ns = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
    f->there = true;
    if (!run->full && f->mtime_ns == mtime_ns && f->size == (uint64_t)st.st_size &&
        f->inode == st.st_ino)
        return;
    f->mtime_ns = mtime_ns;
    f->size = (uint64_t)st.st_size;
    f->inode = st.st_ino;
    read_groups(f);
}

static void look(void *arg) {
    SdRun *run = arg;
    for (size_t i = 0; i < run->files.n; i++)
        run->files.v[i].there = run->files.v[i].changed = false;
    for (size_t i = 0; i < run->patterns.n; i++) {
        glob_t found = {0};
        if (glob(run->patterns.v[i].p, 0, NULL, &found) == 0) {
            for (size_t k = 0; k < found.gl_pathc; k++)
                look_at_file(run, found.gl_pathv[k]);
        }
        globfree(&found);
    }
}

/* Ends the groups a file had before and has no more. */
static void end_groups(SdRun *run, const FileState *f, size_t from) {
    static const SdStaticConfig none;
    Arena names = ARENA_INIT(0);
    for (size_t i = from; i < f->groups; i++)
        run->env.update(
            run->env.arg,
            target_group_new(&none, arena_printf(&names, "%s:%zu", f->path, i), (Label){0}));
    arena_deinit(&names);
}

static void tell(SdRun *run, FileState *f) {
    if (f->there && (!f->changed || f->broken))
        return;
    size_t n = f->there ? f->n_fresh : 0;
    end_groups(run, f, n);
    for (size_t i = 0; i < n; i++)
        run->env.update(run->env.arg, target_group_ref(f->fresh[i]));
    f->groups = n;
    fresh_drop(f);
}

static void run_free(SdRun *run) {
    for (size_t i = 0; i < run->files.n; i++) {
        fresh_drop(&run->files.v[i]);
        mem_free(run->files.v[i].path);
    }
    vec_free(&run->files);
    arena_deinit(&run->arena);
    mem_free(run);
}

static void look_done(void *arg) {
    SdRun *run = arg;
    run->looking = false;
    if (run->stopped) {
        run_free(run);
        return;
    }
    for (size_t i = 0; i < run->files.n;) {
        FileState *f = &run->files.v[i];
        tell(run, f);
        if (f->there) {
            i++;
        } else {
            mem_free(f->path);
            run->files.v[i] = run->files.v[--run->files.n];
        }
    }
    loop_timer_after(&run->timer, MIN(LOOK_MS, run->refresh_ms));
}

static void look_begin(void *arg) {
    SdRun *run = arg;
    int64_t now = clock_wall_ms();
    run->full = now - run->last_full_ms >= run->refresh_ms;
    if (run->full)
        run->last_full_ms = now;
    run->looking = true;
    work_submit(run->env.pool, look, look_done, run);
}

static SdRun *sd_file_start(const SdEnv *env, const void *config, size_t index) {
    const SdFileConfig *c = config;
    SdRun *run = NEW(SdRun);
    run->env = *env;
    run->refresh_ms = MAX(c->refresh_interval_ms, SECOND_MS);
    Str *v = ARENA_ARRAY(&run->arena, Str, c->files.n);
    for (size_t i = 0; i < c->files.n; i++)
        v[i] = arena_str(&run->arena, c->files.v[i]);
    run->patterns = (SchemaStrs){v, c->files.n, true};
    loop_timer_init(&run->timer, env->loop, look_begin, run);
    loop_timer_at(&run->timer, clock_wall_ms());
    return run;
}

static void sd_file_stop(SdRun *run) {
    loop_timer_stop(&run->timer);
    run->stopped = true;
    if (!run->looking)
        run_free(run);
}

const SdProvider sd_file_provider = {sd_file_start, sd_file_stop};
