#include "rules/notify/state.h"

#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

#define STATE_BYTES_MAX (UINT64_C(1) << 30)
#define RETRY_MS 10000

static const char COMPONENT[] = "dispatcher";
static const char *const TABLE_NAMES[STATE_TABLES] = {"alerts", "nflog"};

/* One record to write; its key in the maps is the table's number and the record's key. */
typedef struct Change {
    char *key;
    size_t key_n;
    char *value; /* NULL: delete */
    size_t value_n;
} Change;

static void change_free(Change *c) {
    if (c) {
        mem_free(c->key);
        mem_free(c->value);
        mem_free(c);
    }
}

static void changes_free(StrMap *m) {
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(m, &i));) {
        change_free(e->value);
    }
    str_map_deinit(m);
    *m = (StrMap){0};
}

/* ---- the file as it was */

static void load_record(DispatcherState *s, StateTable table, Str value) {
    if (table == STATE_ALERTS) {
        StoredAlert *a = stored_alert_decode(value);
        if (a) {
            vec_push(&s->alerts, a);
        }
    } else {
        NflogEntry *e = nflog_entry_decode(value);
        if (e) {
            vec_push(&s->entries, e);
        }
    }
}

static int load_table(DispatcherState *s, LmdbTxn *t, StateTable table) {
    LmdbCursor *c;
    Str k, v;
    int r = lmdb_table(t, TABLE_NAMES[table], true, &s->tables[table]);
    r = r < 0 ? r : lmdb_cursor(t, s->tables[table], &c);
    if (r < 0) {
        return err_trace(r);
    }
    for (r = lmdb_cursor_seek(c, STR(""), &k, &v); r == 0; r = lmdb_cursor_next(c, &k, &v)) {
        load_record(s, table, v);
    }
    lmdb_cursor_free(c);
    return MIN(r, 0);
}

static int load(DispatcherState *s) {
    LmdbTxn *t;
    int r = lmdb_begin(s->env, true, &t);
    if (r < 0) {
        return err_trace(r);
    }
    for (int i = 0; r == 0 && i < STATE_TABLES; i++) {
        r = load_table(s, t, (StateTable)i);
    }
    if (r < 0) {
        lmdb_abort(t);
        return err_trace(r);
    }
    return lmdb_commit(t);
}

int dispatcher_state_open(const char *path, DispatcherState **ret, Problem *problem) {
    DispatcherState *s = NEW(DispatcherState);
    const LmdbOptions o = {.path = path, .mode = LMDB_DURABLE, .size_max = STATE_BYTES_MAX};
    int r = lmdb_open(&o, &s->env);
    r = r < 0 ? r : load(s);
    if (r < 0) {
        dispatcher_state_free(s);
        problem_set_file(problem, str_of(path));
        return problem_set(problem, 0, 0, "state of alerts cannot be read: %s", strerror(-r));
    }
    *ret = s;
    return 0;
}

void dispatcher_state_free(DispatcherState *s) {
    if (!s) {
        return;
    }
    loop_timer_stop(&s->timer);
    changes_free(&s->pending);
    changes_free(&s->writing);
    for (size_t i = 0; i < s->alerts.n; i++) {
        stored_alert_unref(s->alerts.v[i]);
    }
    vec_free(&s->alerts);
    for (size_t i = 0; i < s->entries.n; i++) {
        nflog_entry_free(s->entries.v[i]);
    }
    vec_free(&s->entries);
    lmdb_close(s->env);
    mem_free(s);
}

/* ---- writing */

static int write_change(const DispatcherState *s, LmdbTxn *t, const Change *c) {
    LmdbTable table = s->tables[(int)c->key[0]];
    Str key = str_n(c->key + 1, c->key_n - 1);
    int r =
        c->value ? lmdb_put(t, table, key, str_n(c->value, c->value_n)) : lmdb_del(t, table, key);
    return MIN(r, 0); /* what is not there need not go */
}

static void write_batch(void *arg) {
    DispatcherState *s = arg;
    LmdbTxn *t;
    StrMapEntry *e;
    int r = lmdb_begin(s->env, true, &t);
    if (r < 0) {
        s->result = err_trace(r);
        return;
    }
    for (size_t i = 0; r == 0 && (e = str_map_next(&s->writing, &i));) {
        r = write_change(s, t, e->value);
    }
    if (r < 0) {
        lmdb_abort(t);
    } else {
        r = lmdb_commit(t);
    }
    s->result = r;
}

/* What failed waits again, unless something newer does. */
static void take_back(DispatcherState *s) {
    StrMapEntry *e;
    for (size_t i = 0; (e = str_map_next(&s->writing, &i));) {
        Change *c = e->value;
        Str key = str_n(c->key, c->key_n);
        if (str_map_get(&s->pending, key)) {
            change_free(c);
        } else {
            *str_map_put(&s->pending, key, NULL) = c;
        }
    }
    str_map_deinit(&s->writing);
    s->writing = (StrMap){0};
}

static void end_closing(DispatcherState *s) {
    void (*done)(void *arg) = s->closed;
    s->closed = NULL;
    loop_post(s->loop, done, s->closed_arg);
}

static void batch_written(void *arg);

static void submit(void *arg) {
    DispatcherState *s = arg;
    loop_timer_stop(&s->timer);
    s->waiting = false;
    s->writing = s->pending;
    s->pending = (StrMap){0};
    s->busy = true;
    work_submit(s->pool, write_batch, batch_written, s);
}

static void batch_written(void *arg) {
    DispatcherState *s = arg;
    s->busy = false;
    if (s->result < 0) {
        log_error(COMPONENT, "State of alerts cannot be stored", L_ERR(s->result));
        take_back(s);
        if (!s->closed) {
            s->waiting = true;
            loop_timer_after(&s->timer, RETRY_MS);
            return;
        }
        changes_free(&s->pending);
    }
    changes_free(&s->writing);
    if (s->pending.n) {
        submit(s);
    } else if (s->closed) {
        end_closing(s);
    }
}

static void change(DispatcherState *s, StateTable table, Str key, const Str *value) {
    if (!s) {
        return;
    }
    Change *c = NEW(Change);
    c->key_n = key.n + 1;
    c->key = mem_alloc(c->key_n);
    c->key[0] = (char)table;
    memcpy(c->key + 1, key.p, key.n);
    if (value) {
        c->value = mem_dup(value->p, value->n);
        c->value_n = value->n;
    }
    change_free(str_map_del(&s->pending, str_n(c->key, c->key_n)));
    *str_map_put(&s->pending, str_n(c->key, c->key_n), NULL) = c;
    if (!s->busy && !s->waiting) {
        s->waiting = true;
        loop_timer_after(&s->timer, 0); /* after what this turn of the loop still adds */
    }
}

void state_put(DispatcherState *s, StateTable table, Str key, Str value) {
    change(s, table, key, &value);
}

void state_del(DispatcherState *s, StateTable table, Str key) { change(s, table, key, NULL); }

void state_start(DispatcherState *s, Loop *l, WorkPool *pool) {
    s->loop = l;
    s->pool = pool;
    loop_timer_init(&s->timer, l, submit, s);
}

void state_close(DispatcherState *s, void (*done)(void *arg), void *arg) {
    s->closed = done;
    s->closed_arg = arg;
    if (s->busy) {
        return;
    }
    if (s->pending.n) {
        submit(s);
    } else {
        end_closing(s);
    }
}
