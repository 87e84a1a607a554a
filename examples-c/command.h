/* Runs an operator's command on a directory, without a shell and without waiting for it. POSIX.
 *
 * The caller's loop waits for three things and calls command_turn after any of them: command_fd is
 * readable, command_time_left is over, SIGCHLD came (its handler, or a signalfd, wakes the loop).
 */
#ifndef COMMAND_H
#define COMMAND_H

#include <stddef.h>

typedef struct command command;

/* Starts `line` with `folder` as its last argument. The words of the line are parted at blanks (a
 * program whose own path has blanks is taken whole if it stands alone); nothing is ever given to a
 * shell. It runs in a process group of its own, without input; the whole group is killed when
 * `timeout_ms` are over. Of what it prints the end is kept, however much it is. NULL: it did not
 * start, and `why` says why. */
command *command_start(const char *line, const char *folder, int timeout_ms, char *why,
                       size_t why_size);

/* A file descriptor for poll, POLLIN; -1, which poll passes over, once nobody holds its output any
 * more. */
int command_fd(const command *running);

/* Milliseconds for poll. */
int command_time_left(const command *running);

/* Takes what it printed, and looks at the time and for its end; never waits. 1 while it runs, 0
 * once it has ended. */
int command_turn(command *running);

/* After its end, frees it. 0 if it exited with status 0. Otherwise -1, and `why` says what
 * happened, with the end of what it printed: valid UTF-8, without control characters, cut to fit.
 * Before its end, it and its group are killed. NULL is taken. */
int command_end(command *running, char *why, size_t why_size);

/* Makes any bytes fit for a message: valid UTF-8, blanks for control characters, none at the ends.
 * In place. */
void text_clean(char *text);

#endif
