#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>

#include "base/err.h"
#include "loop/loop_private.h"

typedef struct Job {
    void (*run)(void *arg);
    void (*done)(void *arg);
    void *arg;
    struct Job *next;
} Job;

typedef struct JobQueue {
    Job *first, **end;
} JobQueue;

struct WorkPool {
    Loop *loop;
    WorkPool *next; /* in the loop's list; loop thread only */
    char *name;
    pthread_t *threads;
    unsigned n_threads;
    _Atomic unsigned pending;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t wake;
    JobQueue waiting, finished;
    bool ending;
};

static void queue_init(JobQueue *q) {
    q->first = NULL;
    q->end = &q->first;
}

static void queue_add(JobQueue *q, Job *j) {
    j->next = NULL;
    *q->end = j;
    q->end = &j->next;
}

static Job *queue_take(JobQueue *q) {
    Job *j = q->first;
    if (j) {
        q->first = j->next;
        if (!q->first) {
            q->end = &q->first;
        }
    }
    return j;
}

static void *worker(void *arg) {
    WorkPool *p = arg;
    pthread_mutex_lock(&p->mutex);
    for (;;) {
        Job *j = queue_take(&p->waiting);
        if (!j) {
            if (p->ending) {
                break;
            }
            pthread_cond_wait(&p->wake, &p->mutex);
            continue;
        }
        pthread_mutex_unlock(&p->mutex);
        j->run(j->arg);
        atomic_fetch_sub(&p->pending, 1);
        if (!j->done) {
            mem_free(j);
            pthread_mutex_lock(&p->mutex);
            continue;
        }
        pthread_mutex_lock(&p->mutex);
        bool first = !p->finished.first;
        queue_add(&p->finished, j);
        if (first) {
            loop_wake(p->loop);
        }
    }
    pthread_mutex_unlock(&p->mutex);
    return NULL;
}

/* Workers leave every signal to the loop thread. */
static unsigned start_threads(WorkPool *p, unsigned want) {
    sigset_t all, old;
    sigfillset(&all);
    sigdelset(&all, SIGBUS); /* base/map_guard.h: of the thread that reads */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    unsigned n = 0;
    while (n < want && pthread_create(&p->threads[n], NULL, worker, p) == 0) {
        char name[16]; /* the kernel keeps 15 bytes */
        snprintf(name, sizeof(name), "%s", p->name);
        pthread_setname_np(p->threads[n], name);
        n++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return n;
}

int work_pool_new(Loop *l, const char *name, unsigned threads, WorkPool **ret) {
    WorkPool *p = NEW(WorkPool);
    p->loop = l;
    p->name = mem_strdup(name);
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->wake, NULL);
    queue_init(&p->waiting);
    queue_init(&p->finished);
    p->threads = NEW_ARRAY(pthread_t, threads);
    p->next = l->pools;
    l->pools = p;
    if (!l->is_virtual) {
        p->n_threads = start_threads(p, threads);
        if (p->n_threads == 0) {
            work_pool_free(p);
            return err_trace(-EAGAIN);
        }
    }
    *ret = p;
    return 0;
}

static Job *take_finished(WorkPool *p) {
    pthread_mutex_lock(&p->mutex);
    Job *all = p->finished.first;
    queue_init(&p->finished);
    pthread_mutex_unlock(&p->mutex);
    return all;
}

static void run_done(Job *all) {
    while (all) {
        Job *next = all->next;
        all->done(all->arg);
        mem_free(all);
        all = next;
    }
}

void work_pools_collect(Loop *l) {
    /* A done call may make and free pools, so the list is looked at anew after each. */
    for (WorkPool *p = l->pools; p;) {
        Job *all = take_finished(p);
        run_done(all);
        p = all ? l->pools : p->next;
    }
}

void work_pool_free(WorkPool *p) {
    if (!p) {
        return;
    }
    pthread_mutex_lock(&p->mutex);
    p->ending = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->mutex);
    for (unsigned i = 0; i < p->n_threads; i++) {
        pthread_join(p->threads[i], NULL);
    }
    run_done(take_finished(p));
    for (WorkPool **at = &p->loop->pools; *at; at = &(*at)->next) {
        if (*at == p) {
            *at = p->next;
            break;
        }
    }
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->mutex);
    mem_free(p->threads);
    mem_free(p->name);
    mem_free(p);
}

void work_submit(WorkPool *p, void (*run)(void *arg), void (*done)(void *arg), void *arg) {
    if (p->loop->is_virtual) {
        run(arg);
        if (done) {
            done(arg);
        }
        return;
    }
    Job *j = NEW(Job);
    *j = (Job){.run = run, .done = done, .arg = arg};
    atomic_fetch_add(&p->pending, 1);
    pthread_mutex_lock(&p->mutex);
    queue_add(&p->waiting, j);
    pthread_cond_signal(&p->wake);
    pthread_mutex_unlock(&p->mutex);
}

unsigned work_pool_pending(const WorkPool *p) { return atomic_load(&((WorkPool *)p)->pending); }
