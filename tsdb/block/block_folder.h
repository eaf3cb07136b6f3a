/* Steps on a block's folder that its writer and its deleter share. Blocking. */
#pragma once

/* <dir>/<id><suffix>; caller frees. */
char *block_folder_path(const char *dir, const char *id, const char *suffix);
/* Makes the folder, empty even when it was there. */
int block_folder_make(const char *path);
/* fsyncs from, renames it to `to` and fsyncs the folder both lie in. */
int block_folder_publish(const char *from, const char *to);
