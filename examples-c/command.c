/* See command.h. */
#define _POSIX_C_SOURCE 200809L

#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { WORDS_MAX = 32, KEPT = 700 };

/* The end of what the command printed. */
typedef struct printed {
  char text[KEPT + 1];
  size_t len;
} printed;

struct command {
  pid_t pid; /* and its process group */
  int output, status;
  int is_ended, is_overdue, is_lost; /* lost: its exit status was taken by somebody else */
  int timeout_ms;
  long long until;
  printed printed;
};

static long long now_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Bytes of the well-formed character at `text`, 0 where there is none. */
static size_t char_len(const unsigned char *text) {
  size_t more = text[0] < 0x80 ? 0 : text[0] < 0xE0 ? 1 : text[0] < 0xF0 ? 2 : 3;
  if ((text[0] >= 0x80 && text[0] < 0xC2) || text[0] > 0xF4) return 0;
  for (size_t i = 1; i <= more; i++)
    if ((text[i] & 0xC0) != 0x80) return 0; /* the NUL at the end stops it too */
  if ((text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xED && text[1] > 0x9F)) return 0;
  if ((text[0] == 0xF0 && text[1] < 0x90) || (text[0] == 0xF4 && text[1] > 0x8F)) return 0;
  return more + 1;
}

void text_clean(char *text) {
  unsigned char *to = (unsigned char *)text;
  for (const unsigned char *at = to; *at != 0;) {
    size_t n = char_len(at);
    int is_c1 = n == 2 && at[0] == 0xC2 && at[1] < 0xA0;
    if (n == 0) *to++ = '?';
    else if (*at > 0x20 && *at != 0x7f && !is_c1) memmove(to, at, n), to += n;
    else if (to != (unsigned char *)text && to[-1] != ' ') *to++ = ' ';
    at += n == 0 ? 1 : n;
  }
  if (to != (unsigned char *)text && to[-1] == ' ') to--;
  *to = 0;
}

static void keep(printed *out, const char *bytes, size_t len) {
  if (len > KEPT) bytes += len - KEPT, len = KEPT;
  if (out->len + len > KEPT) {
    size_t over = out->len + len - KEPT;
    memmove(out->text, out->text + over, out->len - over);
    out->len -= over;
  }
  for (size_t i = 0; i < len; i++) out->text[out->len + i] = bytes[i] == 0 ? ' ' : bytes[i];
  out->len += len;
  out->text[out->len] = 0;
}

/* Once nobody holds the other end, it is closed. */
static void drain(command *running) {
  char bytes[4096];
  for (int reads = 0; running->output >= 0 && reads < 64; reads++) { /* it may print for ever */
    ssize_t n = read(running->output, bytes, sizeof bytes);
    if (n > 0) keep(&running->printed, bytes, (size_t)n);
    else if (n < 0 && errno == EINTR) continue;
    else if (n < 0 && errno == EAGAIN) return;
    else (void)close(running->output), running->output = -1;
  }
}

/* Writes to the line. */
static int split(char *line, const char *folder, char *words[WORDS_MAX + 2]) {
  int count = 0;
  if (access(line, X_OK) == 0) {
    words[count++] = line;
  } else {
    char *rest = NULL;
    for (char *word = strtok_r(line, " \t", &rest); word != NULL;
         word = strtok_r(NULL, " \t", &rest)) {
      if (count == WORDS_MAX) return -1;
      words[count++] = word;
    }
  }
  words[count] = (char *)folder; /* it is not written to */
  words[count + 1] = NULL;
  return count > 0 ? 0 : -1;
}

/* Its own process group, signals as a new process has them, no input, one pipe for all it prints.
 * Not fork: between fork and exec hardly any function may be called where there are threads. 0 or
 * an error number. */
static int spawn(pid_t *pid, char **words, int output) {
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t actions;
  sigset_t all, none;
  (void)sigfillset(&all);
  (void)sigemptyset(&none);
  int error = posix_spawnattr_init(&attributes);
  if (error != 0) return error;
  error = posix_spawn_file_actions_init(&actions);
  if (error != 0) return (void)posix_spawnattr_destroy(&attributes), error;
  (void)posix_spawnattr_setflags(
      &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  (void)posix_spawnattr_setpgroup(&attributes, 0);
  (void)posix_spawnattr_setsigdefault(&attributes, &all);
  (void)posix_spawnattr_setsigmask(&attributes, &none);
  error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  if (error == 0) error = posix_spawn_file_actions_adddup2(&actions, output, 1);
  if (error == 0) error = posix_spawn_file_actions_adddup2(&actions, output, 2);
  if (error == 0) error = posix_spawnp(pid, words[0], &actions, &attributes, words, environ);
  (void)posix_spawn_file_actions_destroy(&actions);
  (void)posix_spawnattr_destroy(&attributes);
  return error;
}

static command *start(char **words, int timeout_ms, char *why, size_t why_size) {
  int ends[2];
  command *running = calloc(1, sizeof *running);
  if (running == NULL) return (void)snprintf(why, why_size, "out of memory"), NULL;
  if (pipe(ends) != 0) {
    (void)snprintf(why, why_size, "pipe: %s", strerror(errno));
    return free(running), NULL;
  }
  for (int i = 0; i < 2; i++) (void)fcntl(ends[i], F_SETFD, FD_CLOEXEC);
  (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
  running->output = ends[0];
  running->timeout_ms = timeout_ms;
  running->until = now_ms() + timeout_ms;
  int error = spawn(&running->pid, words, ends[1]);
  (void)close(ends[1]);
  if (error == 0) return running;
  (void)snprintf(why, why_size, "cannot run %.300s: %s", words[0], strerror(error));
  text_clean(why);
  (void)close(ends[0]);
  return free(running), NULL;
}

command *command_start(const char *line, const char *folder, int timeout_ms, char *why,
                       size_t why_size) {
  char *words[WORDS_MAX + 2], *copy = strdup(line);
  command *running = NULL;
  if (copy == NULL) return (void)snprintf(why, why_size, "out of memory"), NULL;
  if (split(copy, folder, words) == 0) running = start(words, timeout_ms, why, why_size);
  else (void)snprintf(why, why_size, "command is empty or has more than %d words", (int)WORDS_MAX);
  free(copy);
  return running;
}

int command_fd(const command *running) { return running->output; }

int command_time_left(const command *running) {
  long long left = running->until - now_ms();
  if (running->is_overdue) return -1; /* it is killed: SIGCHLD comes */
  return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

int command_turn(command *running) {
  if (running->is_ended) return 0;
  drain(running);
  pid_t ended = waitpid(running->pid, &running->status, WNOHANG);
  running->is_lost = ended < 0 && errno == ECHILD;
  running->is_ended = ended == running->pid || running->is_lost;
  if (running->is_ended) {
    drain(running); /* what it said last */
    return 0;
  }
  if (!running->is_overdue && now_ms() >= running->until) {
    running->is_overdue = 1;
    (void)kill(-running->pid, SIGKILL);
  }
  return 1;
}

static int judge(const command *ended, char *why, size_t why_size) {
  const char *said = ended->printed.text, *colon = *said != 0 ? ": " : "";
  int status = ended->status;
  if (ended->is_overdue)
    (void)snprintf(why, why_size, "killed after %d ms%s%s", ended->timeout_ms, colon, said);
  else if (!ended->is_ended)
    (void)snprintf(why, why_size, "killed because the agent is stopping%s%s", colon, said);
  else if (ended->is_lost)
    (void)snprintf(why, why_size, "exit status was taken by another part of this process%s%s",
                   colon, said);
  else if (WIFSIGNALED(status))
    (void)snprintf(why, why_size, "killed by signal %d%s%s", WTERMSIG(status), colon, said);
  else if (WEXITSTATUS(status) != 0)
    (void)snprintf(why, why_size, "exited with status %d%s%s", WEXITSTATUS(status), colon, said);
  else return 0;
  text_clean(why);
  return -1;
}

int command_end(command *running, char *why, size_t why_size) {
  if (running == NULL) return 0;
  if (!running->is_ended) {
    (void)kill(-running->pid, SIGKILL);
    while (waitpid(running->pid, &running->status, 0) < 0 && errno == EINTR) continue;
    drain(running);
  }
  text_clean(running->printed.text);
  int done = judge(running, why, why_size);
  if (running->output >= 0) (void)close(running->output);
  free(running);
  return done;
}
