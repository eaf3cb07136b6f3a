/* Making, publishing and removing the folder of a block. */
#include "tsdb/block/block_folder.h"

#include <string.h>

#include "base/err.h"
#include "base/file.h"
#include "base/mem.h"
#include "tsdb/block/block.h"
#include "tsdb/block/block_format.h"
#include "tsdb/block/block_writer.h"

char *block_folder_path(const char *dir, const char *id, const char *suffix) {
    return mem_printf("%s/%s%s", dir, id, suffix);
}

static int sync_parent(const char *path) {
    const char *slash = strrchr(path, '/');
    size_t n = slash ? (size_t)(slash - path) : 0;
    char *parent = n ? str_dup(str_n(path, n)) : mem_strdup(slash ? "/" : ".");
    int r = file_sync_folder(parent);
    mem_free(parent);
    return r;
}

int block_folder_make(const char *path) {
    int r = file_remove_tree(path);
    if (r == 0) {
        r = file_make_folder(path);
    }
    return r < 0 ? err_trace(r) : 0;
}

int block_folder_publish(const char *from, const char *to) {
    int r = file_sync_folder(from);
    if (r == 0) {
        r = file_rename(from, to);
    }
    if (r == 0) {
        r = sync_parent(to);
    }
    return r < 0 ? err_trace(r) : 0;
}

/* Renaming first makes the deletion a single step for whoever looks at the folder of blocks. */
int block_delete(const char *path) {
    char *gone = mem_printf("%s" BLOCK_TMP_DELETION, path);
    int r = file_remove_tree(gone);
    if (r == 0) {
        r = file_rename(path, gone);
    }
    if (r == 0) {
        r = sync_parent(path);
    }
    if (r == 0) {
        r = file_remove_tree(gone);
    }
    mem_free(gone);
    return r == -ENOENT ? 0 : r < 0 ? err_trace(r) : 0;
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

static int remove_left_over(void *dir, const char *name) {
    if (!is_left_over(name)) {
        return 0;
    }
    char *path = block_folder_path(dir, name, "");
    int r = file_remove_tree(path);
    mem_free(path);
    return r;
}

int block_writer_clean(const char *dir) {
    int r = file_each_name(dir, remove_left_over, (void *)(uintptr_t)dir);
    return r < 0 ? err_trace(r) : 0;
}
