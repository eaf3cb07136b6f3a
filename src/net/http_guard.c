#include "net/http_guard.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"

#define KNOWN_MAX 128
#define KEY_BYTES 32
#define CREDENTIALS_BYTES_MAX 4096
#define COST_DEFAULT 10

typedef struct Mac {
    unsigned char v[32];
} Mac;

/* Headers and users of one configuration; counted, since requests hold it while they wait. */
typedef struct Rules {
    Arena arena;
    HttpGuardConfig c;
    Str nobody; /* the hash that unknown names are checked against */
    unsigned refs;
} Rules;

struct HttpGuard {
    Loop *loop;
    WorkPool *pool;
    Rules *rules;
    double tokens;
    int64_t tokens_ns; /* when there were so many */
    unsigned char key[KEY_BYTES];
    pthread_mutex_t mutex; /* guards what follows */
    Mac known[KNOWN_MAX];  /* pairs that were right; the oldest makes room */
    size_t n_known, next_known;
    uint64_t checks;
};

typedef struct Check {
    HttpGuard *guard;
    Rules *rules;
    HttpExchange *x;
    Str hash, password;
    Mac mac;
    bool is_user, ok;
    char *bytes; /* of the password; wiped at the end */
    size_t n_bytes;
} Check;

static void rules_unref(Rules *r) {
    if (r && --r->refs == 0) {
        arena_deinit(&r->arena);
        mem_free(r);
    }
}

static int cost_of(Str hash) {
    size_t at = hash.n > 6 && hash.p[2] != '$' ? 4 : 3;
    return hash.n > 6 ? (hash.p[at] - '0') * 10 + hash.p[at + 1] - '0' : COST_DEFAULT;
}

/* As costly as the costliest of the users. The digest is nobody's. */
static Str make_nobody(Arena *a, const HttpGuardConfig *c) {
    int cost = c->n_users ? 0 : COST_DEFAULT;
    for (size_t i = 0; i < c->n_users; i++) {
        cost = MAX(cost, cost_of(c->users[i].hash));
    }
    return arena_printf(a, "$2b$%02d$%s", cost,
                        "abcdefghijklmnopqrstuu.............................../");
}

static Rules *rules_new(const HttpGuardConfig *c) {
    Rules *r = NEW(Rules);
    r->refs = 1;
    r->arena = ARENA_INIT(0);
    r->c = *c;
    HttpHeader *headers = arena_calloc(&r->arena, c->n_headers + 1, sizeof(*headers));
    HttpUser *users = arena_calloc(&r->arena, c->n_users + 1, sizeof(*users));
    for (size_t i = 0; i < c->n_headers; i++) {
        headers[i] = (HttpHeader){arena_str(&r->arena, c->headers[i].name),
                                  arena_str(&r->arena, c->headers[i].value)};
    }
    for (size_t i = 0; i < c->n_users; i++) {
        users[i] = (HttpUser){arena_str(&r->arena, c->users[i].name),
                              arena_str(&r->arena, c->users[i].hash)};
    }
    r->c.headers = headers;
    r->c.users = users;
    r->nobody = make_nobody(&r->arena, c);
    return r;
}

HttpGuard *http_guard_new(Loop *l, WorkPool *pool) {
    HttpGuard *g = NEW(HttpGuard);
    g->loop = l;
    g->pool = pool;
    g->rules = rules_new(&(HttpGuardConfig){0});
    random_bytes(g->key, sizeof(g->key));
    pthread_mutex_init(&g->mutex, NULL);
    return g;
}

void http_guard_free(HttpGuard *g) {
    if (g) {
        rules_unref(g->rules);
        pthread_mutex_destroy(&g->mutex);
        explicit_bzero(g->key, sizeof(g->key));
        mem_free(g);
    }
}

void http_guard_apply(HttpGuard *g, const HttpGuardConfig *c) {
    const HttpGuardConfig *old = &g->rules->c;
    if (c->rate_interval_ns != old->rate_interval_ns || c->rate_burst != old->rate_burst) {
        g->tokens = (double)c->rate_burst;
        g->tokens_ns = clock_mono_ns();
    }
    rules_unref(g->rules);
    g->rules = rules_new(c);
}

uint64_t http_guard_checks(const HttpGuard *g) {
    pthread_mutex_t *mutex = (pthread_mutex_t *)&g->mutex;
    pthread_mutex_lock(mutex);
    uint64_t n = g->checks;
    pthread_mutex_unlock(mutex);
    return n;
}

/* ---- pairs that were right ---- */

/* A keyed hash of name, hash and password: what is kept here opens nothing elsewhere. */
static Mac mac_of(const HttpGuard *g, Str user, Str hash, Str password) {
    CLEANUP(buf_deinit) Buf b = BUF_INIT(0);
    Mac m = {{0}};
    unsigned n = sizeof(m.v);
    buf_add_u64(&b, user.n);
    buf_add_str(&b, user);
    buf_add_u64(&b, hash.n);
    buf_add_str(&b, hash);
    buf_add_str(&b, password);
    HMAC(EVP_sha256(), g->key, KEY_BYTES, (const unsigned char *)b.p, b.n, m.v, &n);
    explicit_bzero(b.p, b.n);
    return m;
}

static bool is_known(HttpGuard *g, const Mac *m) {
    bool found = false;
    pthread_mutex_lock(&g->mutex);
    for (size_t i = 0; i < g->n_known; i++) {
        found |= CRYPTO_memcmp(&g->known[i], m, sizeof(*m)) == 0;
    }
    pthread_mutex_unlock(&g->mutex);
    return found;
}

static void remember(HttpGuard *g, const Mac *m) {
    if (is_known(g, m)) {
        return;
    }
    pthread_mutex_lock(&g->mutex);
    g->known[g->next_known] = *m;
    g->next_known = (g->next_known + 1) % KNOWN_MAX;
    g->n_known = MIN(g->n_known + 1, (size_t)KNOWN_MAX);
    pthread_mutex_unlock(&g->mutex);
}

/* ---- a request ---- */

static void refuse(HttpExchange *x, int status, const char *words, bool ask) {
    HttpHeader headers[] = {{STR("X-Content-Type-Options"), STR("nosniff")},
                            {STR("WWW-Authenticate"), STR("Basic")}};
    http_respond(x,
                 &(HttpAnswer){.status = status,
                               .content_type = "text/plain; charset=utf-8",
                               .headers = headers,
                               .n_headers = ask ? 2 : 1},
                 str_of(words));
}

static void refuse_user(HttpExchange *x) { refuse(x, 401, "Unauthorized\n", true); }

/* A token bucket, as Go's x/time/rate counts: full at first, one token a request. */
static bool take_token(HttpGuard *g) {
    const HttpGuardConfig *c = &g->rules->c;
    if (c->rate_interval_ns <= 0) {
        return true;
    }
    int64_t now = clock_mono_ns();
    double grown = g->tokens + (double)(now - g->tokens_ns) / (double)c->rate_interval_ns;
    g->tokens = MIN(grown, (double)c->rate_burst);
    g->tokens_ns = now;
    if (g->tokens < 1) {
        return false;
    }
    g->tokens -= 1;
    return true;
}

static bool set_headers(HttpExchange *x, const Rules *r) {
    if (!r->c.n_headers) {
        return true;
    }
    HttpHeader *h = arena_calloc(&x->arena, r->c.n_headers, sizeof(*h));
    for (size_t i = 0; h && i < r->c.n_headers; i++) {
        h[i] = (HttpHeader){arena_str(&x->arena, r->c.headers[i].name),
                            arena_str(&x->arena, r->c.headers[i].value)};
    }
    x->extra = h;
    x->n_extra = h ? r->c.n_headers : 0;
    return h && !x->arena.failed;
}

/* Strict RFC 4648 with padding; the number of bytes, -1 if it is not that. */
static int decode_base64(Str s, unsigned char *dst, size_t size) {
    if (!s.n || s.n % 4 != 0 || s.n / 4 * 3 > size) {
        return -1;
    }
    size_t padding = (s.p[s.n - 1] == '=') + (size_t)(s.p[s.n - 2] == '=');
    for (size_t i = 0; i < s.n - padding; i++) {
        char c = s.p[i];
        bool ok = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                  c == '+' || c == '/';
        if (!ok) {
            return -1;
        }
    }
    int n = EVP_DecodeBlock(dst, (const unsigned char *)s.p, (int)s.n);
    return n < 0 ? -1 : n - (int)padding;
}

/* The pair of an Authorization header, in bytes of the caller. */
static bool read_pair(const HttpExchange *x, unsigned char *dst, size_t size, Str *ret_user,
                      Str *ret_password) {
    Str value = http_header(x, "authorization");
    if (value.n < 6 || !str_eq_nocase(str_upto(value, 6), STR("Basic "))) {
        return false;
    }
    int n = decode_base64(str_from(value, 6), dst, size);
    if (n < 0) {
        return false;
    }
    Str pair = str_n((const char *)dst, (size_t)n);
    size_t colon = str_find(pair, ':');
    if (colon == pair.n) {
        return false;
    }
    *ret_user = str_upto(pair, colon);
    *ret_password = str_from(pair, colon + 1);
    return true;
}

static void run_check(void *arg) {
    Check *c = arg;
    HttpGuard *g = c->guard;
    if (atomic_load(&c->x->gone)) {
        return; /* nobody waits for the answer */
    }
    if (c->is_user && is_known(g, &c->mac)) {
        c->ok = true; /* checked while this one waited in the queue */
        return;
    }
    bool right = bcrypt_verify(c->hash, c->password);
    c->ok = right && c->is_user;
    if (c->ok) {
        remember(g, &c->mac);
    }
    pthread_mutex_lock(&g->mutex);
    g->checks++;
    pthread_mutex_unlock(&g->mutex);
}

static void end_check(void *arg) {
    Check *c = arg;
    HttpExchange *x = c->x;
    bool ok = c->ok;
    rules_unref(c->rules);
    explicit_bzero(c->bytes, c->n_bytes);
    mem_free(c->bytes);
    mem_free(c);
    if (ok) {
        http_admitted(x);
    } else {
        refuse_user(x);
    }
}

static const HttpUser *find_user(const Rules *r, Str name) {
    const HttpUser *found = NULL;
    for (size_t i = 0; i < r->c.n_users; i++) {
        if (str_eq(r->c.users[i].name, name)) {
            found = &r->c.users[i];
        }
    }
    return found;
}

static bool start_check(HttpGuard *g, HttpExchange *x, Str name, Str password) {
    Rules *r = g->rules;
    const HttpUser *user = find_user(r, name);
    Str hash = user ? user->hash : r->nobody;
    Mac mac = mac_of(g, name, hash, password);
    if (user && is_known(g, &mac)) {
        return true;
    }
    Check *c = NEW(Check);
    *c = (Check){.guard = g, .rules = r, .x = x, .hash = hash, .mac = mac, .is_user = user != NULL};
    c->n_bytes = password.n;
    c->bytes = mem_dup(password.n ? password.p : "", MAX(password.n, (size_t)1));
    c->password = str_n(c->bytes, password.n);
    r->refs++;
    work_submit(g->pool, run_check, end_check, c);
    return false;
}

bool http_guard_admit(HttpExchange *x, void *guard) {
    HttpGuard *g = guard;
    unsigned char bytes[CREDENTIALS_BYTES_MAX];
    Str user, password;
    if (!take_token(g)) {
        refuse(x, 429, "Too Many Requests\n", false);
        return false;
    }
    if (!set_headers(x, g->rules)) {
        refuse(x, 503, "Service Unavailable\n", false);
        return false;
    }
    if (!g->rules->c.n_users) {
        return true;
    }
    bool go_on = false;
    if (read_pair(x, bytes, sizeof(bytes), &user, &password)) {
        go_on = start_check(g, x, user, password);
    } else {
        refuse_user(x);
    }
    explicit_bzero(bytes, sizeof(bytes));
    return go_on;
}
