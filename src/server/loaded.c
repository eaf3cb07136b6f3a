#include "server/loaded.h"

#include "base/file.h"
#include "base/hash.h"
#include "server/flags.h"
#include "server/query_watch.h"

#define FILE_BYTES_MAX (256u << 20)

static int read_rules(const PromqlEngine *engine, Loaded *l, Problem *problem) {
    CLEANUP(arena_deinit) Arena arena = ARENA_INIT(0);
    SchemaStrs files;
    int r = config_rule_files(l->config, &arena, &files);
    if (r < 0) {
        return problem_set(problem, 0, 0, "rule_files: %s", strerror(-r));
    }
    l->rules = NEW_ARRAY(RuleFile *, files.n);
    for (size_t i = 0; i < files.n; i++) {
        if ((r = rule_file_load(arena_cstr(&arena, files.v[i]), engine, &l->rules[i], problem)) <
            0) {
            return r;
        }
        l->n_rules++;
    }
    return 0;
}

/* The flag is named: the path alone does not say why anybody wants that file. */
static int read_dispatch(const char *path, AmConfig **ret, Problem *problem) {
    int r = am_config_load(path, ret, problem);
    if (r < 0) {
        Problem why = *problem;
        problem_set(problem, why.line, why.column, "--alertmanager.config.file: %s", why.text);
    }
    return r;
}

static int read_policies(const char *path, TsdbPolicies **ret, Problem *problem) {
    int r = policy_file_load(path, ret, problem);
    if (r < 0) {
        Problem why = *problem;
        problem_set(problem, why.line, why.column, "--storage.tsdb.policy-file: %s", why.text);
    }
    return r;
}

int loaded_read(const PromqlEngine *engine, Loaded *ret, Problem *problem) {
    Loaded l = {0};
    Str dispatch = flag_str("alertmanager.config.file"),
        policies = flag_str("storage.tsdb.policy-file");
    int r = config_load_file(flag_str("config.file").p, 0, &l.config, problem);
    if (r == 0) {
        r = query_log_check(l.config->root.global.query_log_file, problem);
    }
    if (r == 0) {
        r = read_rules(engine, &l, problem);
    }
    if (r == 0 && dispatch.n) {
        r = read_dispatch(dispatch.p, &l.dispatch, problem);
    }
    if (r == 0 && policies.n) {
        r = read_policies(policies.p, &l.policies, problem);
    }
    if (r < 0) {
        loaded_release(&l);
        return r;
    }
    *ret = l;
    return 0;
}

void loaded_release(Loaded *l) {
    for (size_t i = 0; i < l->n_rules; i++) {
        rule_file_unref(l->rules[i]);
    }
    mem_free(l->rules);
    config_unref(l->config);
    am_config_free(l->dispatch);
    tsdb_policies_unref(l->policies);
    *l = (Loaded){0};
}

static uint64_t add_file(uint64_t sum, const char *path) {
    CLEANUP(buf_deinit) Buf text = BUF_INIT(FILE_BYTES_MAX);
    int r = file_read_whole(path, FILE_BYTES_MAX, &text);
    uint64_t parts[2] = {sum, r < 0 ? (uint64_t)-r : hash_str(buf_str(&text))};
    return hash_xxh3(parts, sizeof(parts));
}

uint64_t loaded_checksum(const Config *config) {
    CLEANUP(arena_deinit) Arena arena = ARENA_INIT(0);
    SchemaStrs lists[2];
    uint64_t sum = add_file(1, flag_str("config.file").p);
    if (flag_str("alertmanager.config.file").n) {
        sum = add_file(sum, flag_str("alertmanager.config.file").p);
    }
    if (flag_str("storage.tsdb.policy-file").n) {
        sum = add_file(sum, flag_str("storage.tsdb.policy-file").p);
    }
    if (config_rule_files(config, &arena, &lists[0]) < 0 ||
        config_scrape_files(config, &arena, &lists[1]) < 0) {
        return sum;
    }
    for (size_t k = 0; k < 2; k++) {
        for (size_t i = 0; i < lists[k].n; i++) {
            sum = add_file(sum, arena_cstr(&arena, lists[k].v[i]));
        }
    }
    return sum;
}
