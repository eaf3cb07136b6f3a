/*
 * Memory that is a file's may not be readable: a disk that fails, or a file that somebody cuts off
 * under a running program, gives SIGBUS at the byte that is touched. For mappings that are
 * announced here the page that cannot be read becomes one of zeros and a flag is set; the thread
 * reads on. Whoever reads such memory looks at the flag afterwards, before it believes what it saw.
 * A SIGBUS anywhere else ends the program as ever.
 *
 * Any thread that does not block SIGBUS. A mapping is announced before its first read and withdrawn
 * after the last; the flag lives as long. At most MAP_GUARDS_MAX at once; more are not guarded.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>

#define MAP_GUARDS_MAX 4096

/* Takes over SIGBUS when first called. */
void map_guard_add(const void *p, size_t size, atomic_bool *lost);
void map_guard_remove(const void *p);
