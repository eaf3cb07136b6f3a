#include "rules/rule_file.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "rules/template/prom_template.h"
#include "schema/schema.h"

#define FILE_BYTES_MAX (64u << 20)
#define MISTAKES_MAX 10 /* shown */

typedef struct LoadedFile {
    RuleFile file;
    Arena arena;
    atomic_uint refs;
} LoadedFile;

/* ---- schema */

typedef struct GroupYaml {
    RuleGroupDef def; /* first: what is kept */
    SchemaList rules;
} GroupYaml;

typedef struct FileYaml {
    SchemaList groups;
} FileYaml;

static int place_rule(SchemaContext *cx, const YamlNode *node, void *object) {
    RuleDef *d = object;
    const YamlNode *expr = yaml_node_find(node, "expr");
    d->line = yaml_node_line(node);
    d->expr_line = expr ? yaml_node_line(expr) : d->line;
    d->expr_column = expr ? yaml_node_column(expr) : 0;
    return 0;
}

static int place_group(SchemaContext *cx, const YamlNode *node, void *object) {
    ((GroupYaml *)object)->def.line = yaml_node_line(node);
    return 0;
}

#define RULE(k, kd, member)                                                                        \
    { .key = k, .kind = kd, .offset = offsetof(RuleDef, member) }
static const SchemaField RULE_FIELDS[] = {
    RULE("record", SCHEMA_STR, record),
    RULE("alert", SCHEMA_STR, alert),
    RULE("expr", SCHEMA_STR, expr),
    RULE("for", SCHEMA_DURATION, for_ms),
    RULE("keep_firing_for", SCHEMA_DURATION, keep_firing_for_ms),
    RULE("labels", SCHEMA_LABELS, labels),
    RULE("annotations", SCHEMA_LABELS, annotations),
};
static const Schema RULE_SCHEMA = {.name = "rule",
                                   .size = sizeof(RuleDef),
                                   .fields = RULE_FIELDS,
                                   .n = ARRAY_LEN(RULE_FIELDS),
                                   .check = place_rule};

static const SchemaField GROUP_FIELDS[] = {
    {.key = "name", .kind = SCHEMA_STR, .offset = offsetof(GroupYaml, def.name)},
    {.key = "interval", .kind = SCHEMA_DURATION, .offset = offsetof(GroupYaml, def.interval_ms)},
    {.key = "query_offset",
     .kind = SCHEMA_DURATION,
     .offset = offsetof(GroupYaml, def.query_offset_ms),
     .set_offset = offsetof(GroupYaml, def.has_query_offset)},
    {.key = "limit", .kind = SCHEMA_INT, .offset = offsetof(GroupYaml, def.limit)},
    {.key = "labels", .kind = SCHEMA_LABELS, .offset = offsetof(GroupYaml, def.labels)},
    {.key = "rules",
     .kind = SCHEMA_LIST,
     .offset = offsetof(GroupYaml, rules),
     .sub = &RULE_SCHEMA},
};
static const Schema GROUP_SCHEMA = {.name = "rule group",
                                    .size = sizeof(GroupYaml),
                                    .fields = GROUP_FIELDS,
                                    .n = ARRAY_LEN(GROUP_FIELDS),
                                    .check = place_group};

static const SchemaField FILE_FIELDS[] = {
    {.key = "groups",
     .kind = SCHEMA_LIST,
     .offset = offsetof(FileYaml, groups),
     .sub = &GROUP_SCHEMA},
};
static const Schema FILE_SCHEMA = {.name = "rule file",
                                   .size = sizeof(FileYaml),
                                   .fields = FILE_FIELDS,
                                   .n = ARRAY_LEN(FILE_FIELDS)};

/* ---- checks */

/* All mistakes of a file, so that they can be mended at once: the first is the problem, the others
 * follow in its text, a line each. */
typedef struct Mistakes {
    Problem *problem;
    Str path;
    size_t n;
} Mistakes;

static void mistakes_add(Mistakes *m, int line, int column, Str text) {
    m->n++;
    if (!m->problem || m->n > MISTAKES_MAX) {
        return;
    }
    if (m->n == 1) {
        problem_set(m->problem, line, column, "%.*s", SA(text));
        return;
    }
    Problem next = {0};
    char shown[sizeof(m->problem->text)];
    size_t had = strlen(m->problem->text);
    problem_set_file(&next, m->path);
    problem_set(&next, line, column, "%.*s", SA(text));
    snprintf(m->problem->text + had, sizeof(m->problem->text) - had, "\n%s",
             problem_format(&next, shown, sizeof(shown)));
}

typedef struct Check {
    const PromqlEngine *engine;
    const RuleGroupDef *group;
    const RuleDef *rule; /* NULL: the group itself */
    size_t n;
    Mistakes *mistakes;
} Check;

static void PRINTF_LIKE(4, 5) refuse(const Check *c, int line, int column, const char *fmt, ...) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(4096);
    va_list ap;
    va_start(ap, fmt);
    if (c->rule) {
        buf_addf(&b, "group \"%.*s\", rule %zu, \"%.*s\": ", SA(c->group->name), c->n,
                 SA(c->rule->record.n ? c->rule->record : c->rule->alert));
    }
    buf_vaddf(&b, fmt, ap);
    va_end(ap);
    mistakes_add(c->mistakes, line, column, buf_str(&b));
}

static void check_expr(const Check *c) {
    const RuleDef *r = c->rule;
    if (!r->expr.n) {
        refuse(c, r->expr_line, r->expr_column, "field 'expr' must be set in rule");
        return;
    }
    Problem p = {0};
    PromqlType type;
    if (promql_check(c->engine, r->expr, &type, &p) < 0) {
        refuse(c, r->expr_line, r->expr_column,
               "could not parse expression: %d:%d: parse error: %s", p.line, p.column, p.text);
    }
}

static void check_record(const Check *c) {
    const RuleDef *r = c->rule;
    if (r->annotations.n) {
        refuse(c, r->line, 0, "invalid field 'annotations' in recording rule");
    }
    if (r->for_ms) {
        refuse(c, r->line, 0, "invalid field 'for' in recording rule");
    }
    if (r->keep_firing_for_ms) {
        refuse(c, r->line, 0, "invalid field 'keep_firing_for' in recording rule");
    }
    if (!label_name_valid_utf8(r->record)) {
        refuse(c, r->line, 0, "invalid recording rule name: %.*s", SA(r->record));
    }
    if (str_find(r->record, '{') < r->record.n || str_find(r->record, '}') < r->record.n) {
        refuse(c, r->line, 0,
               "braces present in the recording rule name; should it be in expr?: %.*s",
               SA(r->record));
    }
}

static void check_labels(const Check *c) {
    const RuleDef *r = c->rule;
    for (size_t i = 0; i < r->labels.n; i++) {
        Label l = r->labels.v[i];
        if (!label_name_valid_utf8(l.name) || str_eq(l.name, LABEL_NAME)) {
            refuse(c, r->line, 0, "invalid label name: %.*s", SA(l.name));
        }
        if (!utf8_valid(l.value)) {
            refuse(c, r->line, 0, "invalid label value: %.*s", SA(l.value));
        }
    }
    for (size_t i = 0; i < r->annotations.n; i++) {
        if (!label_name_valid_utf8(r->annotations.v[i].name)) {
            refuse(c, r->line, 0, "invalid annotation name: %.*s", SA(r->annotations.v[i].name));
        }
    }
}

/* Templates must parse; what they do is only known when they run. */
static void check_templates(const Check *c, Labels l, const char *what) {
    CLEANUP(buf_deinit) Buf name = BUF_INIT(0);
    buf_addf(&name, "__alert_%.*s", SA(c->rule->alert));
    for (size_t i = 0; i < l.n; i++) {
        Problem p = {0};
        PromTemplate *t = prom_template_new(buf_str(&name), l.v[i].value, &p);
        if (!t) {
            refuse(c, c->rule->line, 0, "%s \"%.*s\": %s", what, SA(l.v[i].name), p.text);
        }
        prom_template_free(t);
    }
}

static void check_rule(const Check *c) {
    const RuleDef *r = c->rule;
    if (r->record.n && r->alert.n) {
        refuse(c, r->line, 0, "only one of 'record' and 'alert' must be set");
    }
    if (!r->record.n && !r->alert.n) {
        refuse(c, r->line, 0, "one of 'record' or 'alert' must be set");
    }
    check_expr(c);
    if (r->record.n) {
        check_record(c);
    }
    check_labels(c);
    if (!r->record.n) {
        check_templates(c, r->labels, "label");
        check_templates(c, r->annotations, "annotation");
    }
}

static void check_group_labels(const Check *c) {
    const RuleGroupDef *g = c->group;
    for (size_t i = 0; i < g->labels.n; i++) {
        Label l = g->labels.v[i];
        if (!label_name_valid_utf8(l.name) || str_eq(l.name, LABEL_NAME)) {
            refuse(c, g->line, 0, "invalid label name: %.*s", SA(l.name));
        }
        if (!utf8_valid(l.value)) {
            refuse(c, g->line, 0, "invalid label value: %.*s", SA(l.value));
        }
    }
}

static void check_group(const RuleGroupDef *groups, size_t i, const PromqlEngine *engine,
                        Mistakes *mistakes) {
    const RuleGroupDef *g = &groups[i];
    Check c = {.engine = engine, .group = g, .mistakes = mistakes};
    if (!g->name.n) {
        refuse(&c, g->line, 0, "Groupname must not be empty");
    }
    for (size_t k = 0; k < i; k++) {
        if (str_eq(groups[k].name, g->name)) {
            refuse(&c, g->line, 0, "groupname: \"%.*s\" is repeated in the same file", SA(g->name));
            break;
        }
    }
    check_group_labels(&c);
    for (size_t k = 0; k < g->n_rules; k++) {
        c.rule = &g->rules[k];
        c.n = k + 1;
        check_rule(&c);
    }
}

/* The group's labels under the rule's own; unlike a builder this keeps empty values, which say
 * "remove". */
static Labels merge_labels(Arena *a, Labels group, Labels rule) {
    Label *v = ARENA_ARRAY(a, Label, group.n + rule.n + 1);
    size_t n = 0, i = 0, k = 0;
    while (i < group.n || k < rule.n) {
        int c = i == group.n ? 1 : k == rule.n ? -1 : str_cmp(group.v[i].name, rule.v[k].name);
        v[n++] = c < 0 ? group.v[i] : rule.v[k];
        i += c <= 0;
        k += c >= 0;
    }
    return (Labels){v, n};
}

/* What the API and links show: the printed form, or the text as written when that has many lines.
 */
static Str printed(Arena *a, const PromqlEngine *engine, Str expr) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(1u << 20);
    Problem ignored = {0};
    bool ok = promql_format(engine, expr, &b, &ignored) == 0 && !b.failed &&
              str_find(buf_str(&b), '\n') == b.n;
    return ok ? arena_str(a, buf_str(&b)) : str_trim(expr);
}

static int take_groups(LoadedFile *f, const FileYaml *y, const PromqlEngine *engine,
                       Problem *problem) {
    const GroupYaml *in = y->groups.v;
    RuleGroupDef *out = ARENA_ARRAY(&f->arena, RuleGroupDef, y->groups.n + 1);
    Mistakes mistakes = {.problem = problem, .path = f->file.path};
    for (size_t i = 0; i < y->groups.n; i++) {
        out[i] = in[i].def;
        out[i].rules = in[i].rules.v;
        out[i].n_rules = in[i].rules.n;
        check_group(out, i, engine, &mistakes);
    }
    if (mistakes.n) {
        return -EINVAL;
    }
    for (size_t i = 0; i < y->groups.n; i++) {
        RuleDef *rules = in[i].rules.v;
        for (size_t k = 0; k < in[i].rules.n; k++) {
            rules[k].labels = merge_labels(&f->arena, in[i].def.labels, rules[k].labels);
            rules[k].query = printed(&f->arena, engine, rules[k].expr);
        }
    }
    f->file.groups = out;
    f->file.n_groups = y->groups.n;
    return 0;
}

typedef int (*LoadYaml)(const Schema *schema, Str text, Str file, Arena *arena, void *user,
                        void *object, Problem *problem);

static int parse_file(Str text, Str path, LoadYaml load, const PromqlEngine *engine, RuleFile **ret,
                      Problem *problem) {
    LoadedFile *f = NEW(LoadedFile);
    atomic_init(&f->refs, 1);
    f->file.path = arena_str(&f->arena, path);
    FileYaml y = {0};
    problem_set_file(problem, path);
    int r = load(&FILE_SCHEMA, text, path, &f->arena, NULL, &y, problem);
    if (r == 0) {
        r = take_groups(f, &y, engine, problem);
    }
    if (r < 0) {
        rule_file_unref(&f->file);
        return r;
    }
    *ret = &f->file;
    return 0;
}

static int load_file(const char *path, LoadYaml load, const PromqlEngine *engine, RuleFile **ret,
                     Problem *problem) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(FILE_BYTES_MAX);
    int r = file_read_whole(path, FILE_BYTES_MAX, &b);
    if (r < 0) {
        problem_set_file(problem, str_of(path));
        return problem_set(problem, 0, 0, "cannot be read: %s", strerror(-r));
    }
    return parse_file(buf_str(&b), str_of(path), load, engine, ret, problem);
}

int rule_file_parse(Str text, Str path, const PromqlEngine *engine, RuleFile **ret,
                    Problem *problem) {
    return parse_file(text, path, schema_load, engine, ret, problem);
}

int rule_file_load(const char *path, const PromqlEngine *engine, RuleFile **ret, Problem *problem) {
    return load_file(path, schema_load, engine, ret, problem);
}

int rule_file_load_known(const char *path, const PromqlEngine *engine, RuleFile **ret,
                         Problem *problem) {
    return load_file(path, schema_load_known, engine, ret, problem);
}

int rule_file_parse_known(Str text, Str path, const PromqlEngine *engine, RuleFile **ret,
                          Problem *problem) {
    return parse_file(text, path, schema_load_known, engine, ret, problem);
}

RuleFile *rule_file_ref(RuleFile *f) {
    atomic_fetch_add(&CONTAINER_OF(f, LoadedFile, file)->refs, 1);
    return f;
}

void rule_file_unref(RuleFile *f) {
    if (!f) {
        return;
    }
    LoadedFile *l = CONTAINER_OF(f, LoadedFile, file);
    if (atomic_fetch_sub(&l->refs, 1) == 1) {
        arena_deinit(&l->arena);
        mem_free(l);
    }
}
