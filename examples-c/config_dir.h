/* A folder that holds one set of configuration files at a time, swapped as a whole.
 *
 * What lies in the folder:
 *
 *     current -> set-7        the live set: read your files through this link
 *     set-7/...               the files themselves, 0600, folders 0700
 *     set-7.manifest          the names that were written into set-7, and their content types
 *     lock                    held while a config_dir is open: one writer per folder
 *
 * Only what a manifest lists is ever taken away; a file that somebody else put there stays.
 * A new set is written beside the live one and synced to disk, then one rename of the link makes it
 * live: whoever looks, also after a power failure or a kill at any moment, sees the old set whole
 * or the new set whole.
 *
 * The names come from a server, so they are not trusted: see config_dir_stage. Needs nothing but
 * POSIX, and its parts config_names.c, config_manifest.c and whole_file.c; not thread-safe.
 */
#ifndef CONFIG_DIR_H
#define CONFIG_DIR_H

#include <stddef.h>
#include <stdint.h>

enum {
  CONFIG_DIR_MAX_FILES = 1000,
  CONFIG_DIR_MAX_NAME = 1024, /* bytes of a whole name; a part of it may have 255 */
  CONFIG_DIR_MAX_PARTS = 32,
  CONFIG_DIR_WHY_SIZE = 1024
};

typedef struct config_file {
  const char *name; /* UTF-8, '/' between parts, no NUL at the end */
  size_t name_len;
  const char *content_type;
  size_t content_type_len;
  const uint8_t *body;
  size_t body_len;
} config_file;

typedef struct config_dir config_dir;

/* Why something failed, in a sentence without control characters. */
typedef struct config_why {
  char text[CONFIG_DIR_WHY_SIZE];
} config_why;

/* Opens the folder (made with 0700 if it is not there), takes its lock, and clears away what an
 * interrupted run left. A folder that another user owns or may write to is refused, now and at each
 * stage: nothing that was checked there could be relied on. (Who may write to a folder above it
 * could put another one in its place: choose those as well.) 0, or -1 with the reason. */
int config_dir_open(const char *path, config_dir **out, config_why *why);
void config_dir_close(config_dir *dir);

/* Writes a set beside the live one and syncs it; one that was staged before and not kept is taken
 * back first. Nothing is written when a name cannot be trusted: absolute, with empty or `.` or `..`
 * parts, NUL, backslash or control characters, a part over 255 bytes; a duplicate; names that
 * differ only in case; a name that is a directory of another; more than CONFIG_DIR_MAX_FILES,
 * _NAME, _PARTS; a symbolic link where a file of that name would come to lie. The file with the
 * empty name lies on disk as `config`, or as `config-1` and so on where another file has that name,
 * and comes back from config_dir_read with the empty name. `is_cancelled` (or NULL) is asked
 * between files: not 0 gives up. 0, or -1 with the reason and nothing left behind. */
int config_dir_stage(config_dir *dir, const config_file *files, size_t count,
                     int (*is_cancelled)(void), config_why *why);

/* The absolute path of the staged set; NULL without one. Valid until the next call with this
 * config_dir. */
const char *config_dir_staged_path(const config_dir *dir);

/* Makes the staged set live. The set before it stays on disk until config_dir_keep. 0, or -1 with
 * the reason and the link as it was. */
int config_dir_swap(config_dir *dir, config_why *why);

/* After a swap: keep the new set and remove the old one, or bring the old set back and remove the
 * new one. Without a swap, config_dir_revert removes what was staged. Where it fails, the next
 * config_dir_stage tries it again. */
void config_dir_keep(config_dir *dir);
int config_dir_revert(config_dir *dir, config_why *why);

/* Reads the live set from disk, calling `each` per file until one answers other than 0. The file is
 * gone when `each` returned. 0, or -1 with the reason (also when `each` stopped it). No live set: 0
 * and no call. */
typedef int config_dir_visit(const config_file *file, void *user);
int config_dir_read(config_dir *dir, config_dir_visit *each, void *user, config_why *why);

/* The number of the live set, another one for each set (an empty one counts); 0 when there is none.
 */
unsigned long config_dir_live(const config_dir *dir);

/* The folder itself, for files of the application beside the sets; borrowed. */
int config_dir_fd(const config_dir *dir);

#endif
