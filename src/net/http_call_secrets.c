/*
 * Files that a call needs (passwords, tokens, certificates, keys) are read anew for each call, as
 * they are rotated by others, and by libuv's file threads: a slow disk must not hold up the loop.
 * The call waits meanwhile; one without such files does not come here.
 */
#include <string.h>
#include <uv.h>

#include "base/file.h"
#include "base/mem.h"
#include "net/http_call.h"

#define SECRET_FILE_BYTES_MAX ((size_t)1 << 20)

struct HttpSecrets {
    uv_work_t work;
    HttpCall *call; /* NULL once it has been cancelled */
    void (*done)(HttpCall *c);
    struct {
        char *path;
        Buf text;
        int r;
    } files[HTTP_SECRETS];
};

/* The names of the files in the order of HttpSecretKind, and how a failure calls them. */
static const struct {
    size_t offset;
    const char *what;
} kinds[HTTP_SECRETS] = {
    [HTTP_SECRET_USERNAME] = {offsetof(HttpClientConfig, basic_username_file), "username"},
    [HTTP_SECRET_PASSWORD] = {offsetof(HttpClientConfig, basic_password_file), "password"},
    [HTTP_SECRET_CREDENTIALS] = {offsetof(HttpClientConfig, authorization_credentials_file),
                                 "authorization credentials"},
    [HTTP_SECRET_CA] = {offsetof(HttpClientConfig, tls.ca_file), "CA cert"},
    [HTTP_SECRET_CERT] = {offsetof(HttpClientConfig, tls.cert_file), "specified client cert"},
    [HTTP_SECRET_KEY] = {offsetof(HttpClientConfig, tls.key_file), "specified client key"},
};

static Str path_of(const HttpClientConfig *f, size_t kind) {
    return *(const Str *)((const char *)f + kinds[kind].offset);
}

static bool is_used(const HttpClientConfig *f, size_t kind) {
    bool basic = kind == HTTP_SECRET_USERNAME || kind == HTTP_SECRET_PASSWORD;
    return path_of(f, kind).n && (!basic || f->has_basic_auth) &&
           (kind != HTTP_SECRET_CREDENTIALS || f->has_authorization);
}

static void free_secrets(HttpSecrets *s) {
    for (size_t i = 0; i < HTTP_SECRETS; i++) {
        if (s->files[i].text.p) {
            explicit_bzero(s->files[i].text.p, s->files[i].text.cap);
        }
        buf_deinit(&s->files[i].text);
        mem_free(s->files[i].path);
    }
    mem_free(s);
}

static void read_files(uv_work_t *w) {
    HttpSecrets *s = CONTAINER_OF(w, HttpSecrets, work);
    for (size_t i = 0; i < HTTP_SECRETS; i++) {
        if (s->files[i].path) {
            s->files[i].text = BUF_INIT(SECRET_FILE_BYTES_MAX + 1);
            s->files[i].r =
                file_read_whole(s->files[i].path, SECRET_FILE_BYTES_MAX, &s->files[i].text);
        }
    }
}

/* The text of a file in the call's arena, without surrounding space; or the call's setup_error. */
static bool take_text(HttpCall *c, const HttpSecrets *s, size_t kind) {
    const char *path = s->files[kind].path;
    if (!path) {
        return true;
    }
    int r = s->files[kind].r;
    if (r < 0) {
        c->setup_error = mem_printf("unable to read %s: unable to read file %s: open %s: %s",
                                    kinds[kind].what, path, path, http_errno_words(c, -r).p);
        return false;
    }
    c->secrets[kind] = arena_str(&c->arena, str_trim(buf_str(&s->files[kind].text)));
    /* Without it the system's CAs would be trusted, or nothing be shown. */
    if (kind >= HTTP_SECRET_CA && !c->secrets[kind].n) {
        c->setup_error =
            mem_printf("unable to use %s %s: the file is empty", kinds[kind].what, path);
        return false;
    }
    return true;
}

static void files_read(uv_work_t *w, int status) {
    HttpSecrets *s = CONTAINER_OF(w, HttpSecrets, work);
    HttpCall *c = s->call;
    if (c) {
        c->reading = NULL;
        for (size_t i = 0; i < HTTP_SECRETS && take_text(c, s, i); i++) {
        }
    }
    void (*done)(HttpCall * call) = s->done;
    free_secrets(s);
    if (c) {
        done(c);
    }
}

bool http_call_read_secrets(HttpCall *c, const HttpClientConfig *f, uv_loop_t *uv,
                            void (*done)(HttpCall *c)) {
    HttpSecrets *s = NULL;
    for (size_t i = 0; f && i < HTTP_SECRETS; i++) {
        if (is_used(f, i)) {
            s = s ? s : NEW(HttpSecrets);
            s->files[i].path = str_dup(path_of(f, i));
        }
    }
    if (!s) {
        return false;
    }
    s->call = c;
    s->done = done;
    c->reading = s;
    uv_queue_work(uv, &s->work, read_files, files_read);
    return true;
}

void http_call_forget_secrets(HttpCall *c) {
    if (c->reading) {
        c->reading->call = NULL;
        c->reading = NULL;
    }
}

static void keep(HttpCall *c, Str *s) { *s = s->n ? arena_str(&c->arena, *s) : STR_NULL; }

void http_call_keep_config(HttpCall *c, const HttpClientConfig *f) {
    HttpClientConfig *k = &c->config;
    *k = *f;
    Str *const strings[] = {&k->basic_username,
                            &k->basic_username_file,
                            &k->basic_password,
                            &k->basic_password_file,
                            &k->authorization_type,
                            &k->authorization_credentials,
                            &k->authorization_credentials_file,
                            &k->tls.ca,
                            &k->tls.ca_file,
                            &k->tls.cert,
                            &k->tls.cert_file,
                            &k->tls.key,
                            &k->tls.key_file,
                            &k->tls.server_name};
    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        keep(c, strings[i]);
    }
    k->headers = NULL;
    k->n_headers = 0;
    k->proxy_url = k->no_proxy = STR_NULL;
}
