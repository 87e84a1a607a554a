/* Files that are read and replaced as a whole. POSIX. */
#ifndef WHOLE_FILE_H
#define WHOLE_FILE_H

#include <stddef.h>

/* Reads a regular file, never through a link and never waiting, whatever lies there under that
 * name. *out is the caller's to free. 0, or -1 with errno: see whole_file_reason. */
int whole_file_read(int dir, const char *name, char **out, size_t *len);

/* Writes all of it. 0, or -1 with errno. */
int whole_file_write(int fd, const void *data, size_t len);

/* Replaces a file: whoever reads it, also after a power cut at any moment, finds the old bytes or
 * the new ones. `NAME.new` is the place beside it where they are written first. 0, or -1 with
 * errno. */
int whole_file_replace(int dir, const char *name, const void *data, size_t len);

/* What errno means here: "not a regular file", or the words of the system. */
const char *whole_file_reason(int error);

#endif
