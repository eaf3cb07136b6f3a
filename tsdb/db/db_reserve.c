/*
 * A full disk cannot be cleaned up without writing: a block is written before the journal that it
 * replaces goes, a merge before its parts. A file holds some space for that.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>

#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "tsdb/db/db.h"

/* Of a small disk less is kept. */
#define DISK_PART 64
/* So many times its size must be free before space is taken. */
#define PLENTY 4

static uint64_t reserve_size(const Tsdb *db) {
    struct statvfs st;
    if (db->reserve_bytes == 0 || statvfs(db->dir, &st) < 0) {
        return 0;
    }
    uint64_t part = (uint64_t)st.f_blocks * st.f_frsize / DISK_PART;
    uint64_t size = MIN(db->reserve_bytes, part);
    return (uint64_t)st.f_bavail * st.f_frsize / PLENTY > size ? size : 0;
}

void db_reserve_fill(Tsdb *db) {
    uint64_t size = reserve_size(db), have = 0;
    char *path = db_path(db, "reserve");
    CLEANUP(file_closep) int fd = -1;
    if (size > 0 && file_open(path, O_RDWR | O_CREAT, 0666, &fd) == 0 &&
        file_size(fd, &have) == 0 && have < size && file_allocate(fd, size, true) < 0) {
        (void)!file_truncate(fd, have); /* there is no space to keep */
    }
    mem_free(path);
}

bool db_reserve_use(Tsdb *db) {
    uint64_t have = 0;
    char *path = db_path(db, "reserve");
    CLEANUP(file_closep) int fd = -1;
    bool gave = db->reserve_bytes > 0 && file_open(path, O_RDWR, 0, &fd) == 0 &&
                file_size(fd, &have) == 0 && have > 0;
    if (gave) {
        journal_hold(db->journal, true);
        gave = file_truncate(fd, 0) == 0;
        db->reserve_used = true;
        log_warn("tsdb",
                 "The disk is full: the space kept in reserve is used for cleaning up, samples are "
                 "refused meanwhile",
                 L_CSTR("file", path), L_INT("bytes", have));
    }
    mem_free(path);
    return gave;
}

void db_reserve_done(Tsdb *db) {
    if (db->reserve_used) {
        db->reserve_used = false;
        db_reserve_fill(db);
        journal_hold(db->journal, false);
    } else {
        db_reserve_fill(db);
    }
}
