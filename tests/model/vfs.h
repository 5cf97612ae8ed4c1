#ifndef BELLHOP_MODEL_VFS_H
#define BELLHOP_MODEL_VFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The disk of the model: an SQLite VFS in memory, which fails when it is told to. What was written
 * is there for the next opening, as after kill -9: the page cache outlives a process. (What a power
 * failure leaves is the subject of another test.)
 */
enum vfs_fault {
	VFS_FAULT_NONE,
	VFS_FAULT_FULL,  /* the n-th write: disk full, and again with each write until cleared */
	VFS_FAULT_WRITE, /* the n-th write: I/O error, once */
	VFS_FAULT_SYNC,  /* the n-th fsync: I/O error, once */
	VFS_FAULT_READ,  /* the n-th read: I/O error, once */
	VFS_FAULT_BUSY,  /* the n-th time somebody wants to write: another process does, for long */
	VFS_FAULT_CUT,   /* the n-th write is the process's end: half of it is done, then nothing */
	VFS_FAULT_COUNT
};

/* Registers it as the default of SQLite. Once. */
void vfs_register(void);
/* Forgets all files, and any fault. */
void vfs_clear(void);
void vfs_set_fault(enum vfs_fault fault, unsigned n);
/* The process has ended: nothing works until vfs_restart(). */
bool vfs_is_cut(void);
void vfs_restart(void);
/* How many faults really happened since the start. */
unsigned long vfs_fault_count(void);
/* Bytes of the file; 0: absent. */
size_t vfs_file_size(const char *path);
/* Copies a file out (heap, the caller's) and in. */
uint8_t *vfs_file_get(const char *path, size_t *ret_len);
void vfs_file_put(const char *path, const uint8_t *bytes, size_t len);

#endif
