#include "promql/engine/crew.h"

#include <signal.h>

#include "base/compiler.h"
#include "base/mem.h"

static CrewCall *call_to_join(Crew *c) {
    CrewCall *call = c->calls;
    while (call && !call->wanted)
        call = call->next;
    return call;
}

static void *helper(void *arg) {
    Crew *c = arg;
    pthread_mutex_lock(&c->mutex);
    while (!c->ending) {
        CrewCall *call = call_to_join(c);
        if (!call) {
            pthread_cond_wait(&c->wake, &c->mutex);
            continue;
        }
        call->wanted--;
        call->running++;
        pthread_mutex_unlock(&c->mutex);
        call->run(call->arg);
        pthread_mutex_lock(&c->mutex);
        c->idle++;
        c->evaluating--;
        if (--call->running == 0)
            pthread_cond_broadcast(&c->left);
    }
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

/* Helpers leave every signal to the loop thread. */
static void start_threads(Crew *c, unsigned n) {
    sigset_t all, old;
    sigfillset(&all);
    sigdelset(&all, SIGBUS); /* base/map_guard.h: of the thread that reads */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    c->ids = NEW_ARRAY(pthread_t, n);
    while (c->n_threads < n && pthread_create(&c->ids[c->n_threads], NULL, helper, c) == 0)
        pthread_setname_np(c->ids[c->n_threads++], "query-helper");
    c->idle = c->n_threads;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void crew_init(Crew *c, unsigned limit) {
    *c = (Crew){.limit = limit};
    pthread_mutex_init(&c->mutex, NULL);
    pthread_cond_init(&c->wake, NULL);
    pthread_cond_init(&c->left, NULL);
    pthread_mutex_lock(&c->mutex); /* helpers look at what is set here */
    if (limit > 1)
        start_threads(c, limit - 1);
    pthread_mutex_unlock(&c->mutex);
}

void crew_deinit(Crew *c) {
    pthread_mutex_lock(&c->mutex);
    c->ending = true;
    pthread_cond_broadcast(&c->wake);
    pthread_mutex_unlock(&c->mutex);
    for (unsigned i = 0; i < c->n_threads; i++)
        pthread_join(c->ids[i], NULL);
    pthread_cond_destroy(&c->left);
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->mutex);
    mem_free(c->ids);
}

static void count_evaluating(Crew *c, int by) {
    if (!c->n_threads)
        return;
    pthread_mutex_lock(&c->mutex);
    c->evaluating += (unsigned)by;
    pthread_mutex_unlock(&c->mutex);
}

void crew_enter(Crew *c) { count_evaluating(c, 1); }
void crew_leave(Crew *c) { count_evaluating(c, -1); }

unsigned crew_reserve(Crew *c, unsigned most) {
    if (!c->n_threads)
        return 0;
    pthread_mutex_lock(&c->mutex);
    unsigned spare = c->limit > c->evaluating ? c->limit - c->evaluating : 0;
    unsigned n = MIN(MIN(c->idle, spare), most);
    c->idle -= n;
    c->evaluating += n;
    pthread_mutex_unlock(&c->mutex);
    return n;
}

void crew_give_back(Crew *c, unsigned n) {
    pthread_mutex_lock(&c->mutex);
    c->idle += n;
    c->evaluating -= n;
    pthread_mutex_unlock(&c->mutex);
}

void crew_start(Crew *c, CrewCall *call, unsigned n) {
    pthread_mutex_lock(&c->mutex);
    call->wanted = n;
    call->running = 0;
    call->next = c->calls;
    c->calls = call;
    for (unsigned i = 0; i < n; i++)
        pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->mutex);
}

void crew_end(Crew *c, CrewCall *call) {
    pthread_mutex_lock(&c->mutex);
    CrewCall **at = &c->calls;
    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    c->idle += call->wanted;
    c->evaluating -= call->wanted;
    call->wanted = 0;
    while (call->running)
        pthread_cond_wait(&c->left, &c->mutex);
    pthread_mutex_unlock(&c->mutex);
}
