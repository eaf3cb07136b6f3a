/* A copy of the database as of now: blocks by hard link, the head as a block of its own. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "tsdb/db/db.h"

typedef struct Linking {
    const char *from, *to;
} Linking;

static int link_one(void *arg, const char *name) {
    Linking *l = arg;
    char *from = mem_printf("%s/%s", l->from, name), *to = mem_printf("%s/%s", l->to, name);
    int r = link(from, to) < 0 ? -errno : 0;
    mem_free(from);
    mem_free(to);
    return r;
}

static int link_block(Block *b, const char *dir) {
    char *to = mem_printf("%s/%s", dir, block_meta(b)->id);
    Linking l = {block_path(b), to};
    int r = file_make_folder(to);
    r = r < 0 ? r : file_each_name(l.from, link_one, &l);
    r = r < 0 ? r : file_sync_folder(to);
    mem_free(to);
    return r;
}

/* A copy of the head's samples lacks what was deleted from it. */
int db_snapshot_tombstones(Tsdb *db, const char *dir, const char *id) {
    char *path = mem_printf("%s/%s/" TOMBSTONES_FILE, dir, id);
    BlockList *l = db_blocks(db);
    int r = tombstones_write(path, l->head);
    block_list_unref(l);
    mem_free(path);
    return r;
}

/* The head as one block. What is appended meanwhile may or may not be in it. */
static int write_head(Tsdb *db, const char *dir) {
    char id[BLOCK_ID_SIZE];
    int64_t min = atomic_load(&db->head->min_time), max = atomic_load(&db->head->max_time);
    if (min > max) {
        return 0;
    }
    int r = head_write_block(db->head, dir, min, max + 1, &db->stopping, id);
    if (r == 0) {
        r = db_snapshot_tombstones(db, dir, id);
    }
    return r < 0 ? r : 0;
}

static int write_snapshot(Tsdb *db, bool skip_head, const char *dir) {
    char *format = db_path(db, "format"), *copy = mem_printf("%s/format", dir);
    int r = file_make_folder(dir);
    BlockList *l = db_blocks(db);
    for (size_t i = 0; r == 0 && i < l->n; i++) {
        r = link_block(l->v[i].block, dir);
    }
    block_list_unref(l);
    if (r == 0 && !skip_head) {
        r = write_head(db, dir);
        r = r < 0 ? r : db_snapshot_late(db, dir);
    }
    CLEANUP(buf_deinit) Buf b = BUF_INIT(4096);
    if (r == 0) {
        r = file_read_whole(format, 4000, &b);
    }
    if (r == 0) {
        r = file_write_durable(copy, b.p, b.n, 0666);
    }
    mem_free(format);
    mem_free(copy);
    return r;
}

int tsdb_snapshot(Tsdb *db, bool skip_head, char name[64]) {
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm tm;
    char when[32];
    gmtime_r(&now, &tm);
    strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
    snprintf(name, 64, "%s-%016llx", when, (unsigned long long)random_u64());
    char *dir = mem_printf("%s/snapshots/%s", db->dir, name);
    pthread_mutex_lock(&db->maintain_lock);
    int r = write_snapshot(db, skip_head, dir);
    pthread_mutex_unlock(&db->maintain_lock);
    if (r < 0) {
        (void)file_remove_tree(dir); /* a part is of no use; a rest is harmless */
    }
    mem_free(dir);
    return r < 0 ? err_trace(r) : 0;
}
