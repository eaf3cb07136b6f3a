/*
 * Memory for open chunks and label lists: pieces of 16..1088 bytes in size classes without a header
 * of their own. Classes are cut out of slabs of 64 KiB; a slab whose pieces are all free serves
 * any class again, so that series which grow in step do not leave a trail of used-up classes.
 * Larger pieces come from the heap. Any thread: a spin lock a class.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct BytePool BytePool;

BytePool *byte_pool_new(void);
void byte_pool_free(BytePool *p); /* with all pieces */
/* *ret_cap: what the piece really holds; give it back to byte_pool_put(). */
void *byte_pool_get(BytePool *p, size_t size, uint32_t *ret_cap);
void byte_pool_put(BytePool *p, void *piece, uint32_t cap);
/* The capacity byte_pool_get() would give. */
uint32_t byte_pool_cap(size_t size);
/* Bytes taken from the system. */
size_t byte_pool_bytes(const BytePool *p);
