/* Making, publishing and removing the folder of a block. */
#include "tsdb/block/block_folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "tsdb/block/block.h"
#include "tsdb/block/block_format.h"
#include "tsdb/block/block_id.h"
#include "tsdb/block/block_writer.h"

char *block_folder_path(const char *dir, const char *id, const char *suffix) {
    return mem_printf("%s/%s%s", dir, id, suffix);
}

static int sync_path(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    int r = fsync(fd) < 0 ? -errno : 0;
    (void)close(fd); /* read only: nothing of ours is lost by its failure */
    return r;
}

static int sync_parent(const char *path) {
    char *parent = mem_strdup(path);
    char *slash = strrchr(parent, '/');
    int r = 0;
    if (slash && slash != parent) {
        *slash = '\0';
        r = sync_path(parent);
    } else {
        r = sync_path(slash ? "/" : ".");
    }
    mem_free(parent);
    return r;
}

static int remove_files(DIR *d) {
    for (struct dirent *e; (e = readdir(d));) {
        bool self = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0;
        if (!self && unlinkat(dirfd(d), e->d_name, 0) < 0 && errno != ENOENT) {
            return -errno;
        }
    }
    return 0;
}

int block_folder_remove(const char *path) {
    DIR *d = opendir(path);
    if (!d) {
        return errno == ENOENT ? 0 : err_trace(-errno);
    }
    int r = remove_files(d);
    (void)closedir(d);
    if (r == 0 && rmdir(path) < 0) {
        r = -errno;
    }
    return r < 0 ? err_trace(r) : 0;
}

int block_folder_make(const char *path) {
    int r = block_folder_remove(path);
    if (r == 0 && mkdir(path, 0755) < 0) {
        r = err_trace(-errno);
    }
    return r;
}

int block_folder_publish(const char *from, const char *to) {
    int r = sync_path(from);
    if (r == 0 && rename(from, to) < 0) {
        r = -errno;
    }
    if (r == 0) {
        r = sync_parent(to);
    }
    return r < 0 ? err_trace(r) : 0;
}

/* Renaming first makes the deletion a single step for whoever looks at the folder of blocks. */
int block_delete(const char *path) {
    char *gone = mem_printf("%s" BLOCK_TMP_DELETION, path);
    int r = block_folder_remove(gone);
    if (r == 0 && rename(path, gone) < 0) {
        r = errno == ENOENT ? 0 : -errno;
    }
    if (r == 0) {
        r = sync_parent(path);
    }
    if (r == 0) {
        r = block_folder_remove(gone);
    }
    mem_free(gone);
    return r < 0 ? err_trace(r) : 0;
}

/* <ULID><suffix>: a folder that a writer or a deleter did not finish with. */
static bool is_left_over(const char *name) {
    const char *dot = strchr(name, '.');
    if (!dot || dot - name != BLOCK_ID_SIZE - 1) {
        return false;
    }
    char id[BLOCK_ID_SIZE] = {0};
    memcpy(id, name, BLOCK_ID_SIZE - 1);
    return block_id_valid(id) &&
           (strcmp(dot, BLOCK_TMP_CREATION) == 0 || strcmp(dot, BLOCK_TMP_DELETION) == 0);
}

int block_writer_clean(const char *dir) {
    DIR *d = opendir(dir);
    if (!d) {
        return err_trace(-errno);
    }
    int r = 0;
    for (struct dirent *e; r == 0 && (e = readdir(d));) {
        if (is_left_over(e->d_name)) {
            char *path = block_folder_path(dir, e->d_name, "");
            r = block_folder_remove(path);
            mem_free(path);
        }
    }
    (void)closedir(d);
    return r;
}
