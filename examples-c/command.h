/* Runs an operator's command on a folder, without a shell. POSIX. */
#ifndef COMMAND_H
#define COMMAND_H

#include <stddef.h>

/* Runs `command` with `folder` as its last argument and waits for its end. The command's words are parted at blanks (a program
 * whose own path has blanks is taken whole if it stands alone); nothing is ever given to a shell. It runs in a process group of
 * its own, without input, and the whole group is killed when `timeout_ms` are over or `stop_fd` becomes readable.
 * 0 when it ended with status 0. Otherwise -1, and `why` says what happened, with the end of what the command printed:
 * valid UTF-8, without control characters, cut to fit. */
int command_run(const char *command, const char *folder, int timeout_ms, int stop_fd, char *why, size_t why_size);

/* Makes any bytes fit for a message: valid UTF-8, blanks for control characters, none at the ends. In place. */
void text_clean(char *text);

#endif
