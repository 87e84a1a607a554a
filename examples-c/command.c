/* See command.h. */
#define _POSIX_C_SOURCE 200809L

#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORDS_MAX = 32, KEPT = 700, TICK_MS = 10 };

/* The end of what the command printed. */
typedef struct printed {
  char text[KEPT + 1];
  size_t len;
} printed;

static long long now_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Bytes of the well-formed character at `text`, 0 where there is none. */
static size_t char_len(const unsigned char *text) {
  size_t more = text[0] < 0x80 ? 0 : text[0] >= 0xC2 && text[0] < 0xE0 ? 1 : (text[0] & 0xF0) == 0xE0 ? 2 : text[0] >= 0xF0 && text[0] < 0xF5 ? 3 : 4;
  if (more == 4) return 0;
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

static void drain(int fd, printed *out) {
  char bytes[4096];
  for (int reads = 0; reads < 64; reads++) { /* bounded: it may print for ever */
    ssize_t n = read(fd, bytes, sizeof bytes);
    if (n <= 0) return;
    keep(out, bytes, (size_t)n);
  }
}

/* In the child, between fork and exec: only what is safe there. */
static void become(char **words, int output) {
  struct sigaction by_default;
  memset(&by_default, 0, sizeof by_default);
  by_default.sa_handler = SIG_DFL;
  (void)setpgid(0, 0);
  for (int number = 1; number < 32; number++) (void)sigaction(number, &by_default, NULL);
  sigset_t none;
  (void)sigemptyset(&none);
  (void)sigprocmask(SIG_SETMASK, &none, NULL);
  int input = open("/dev/null", O_RDONLY);
  if (input < 0 || dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0) _exit(127);
  (void)execvp(words[0], words);
  const char *reason = errno == ENOENT ? "no such program\n" : errno == EACCES ? "not allowed to run it\n" : "can not be run\n";
  ssize_t ignored = write(2, reason, strlen(reason));
  (void)ignored;
  _exit(127);
}

static int split(char *command, const char *folder, char *words[WORDS_MAX + 2]) {
  int count = 0;
  if (access(command, X_OK) == 0) {
    words[count++] = command;
  } else {
    char *rest = NULL;
    for (char *word = strtok_r(command, " \t", &rest); word != NULL; word = strtok_r(NULL, " \t", &rest)) {
      if (count == WORDS_MAX) return -1;
      words[count++] = word;
    }
  }
  words[count] = (char *)folder; /* execvp does not write to it */
  words[count + 1] = NULL;
  return count > 0 ? 0 : -1;
}

enum ending { ENDED, TIMED_OUT, STOPPED };

static enum ending wait_for(pid_t child, int output, int timeout_ms, int stop_fd, int *status, printed *out) {
  long long until = now_ms() + timeout_ms;
  struct pollfd waits[2] = {{.fd = output, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};
  enum ending ending = ENDED;
  for (;;) {
    if (waitpid(child, status, WNOHANG) == child) break;
    if (now_ms() >= until) ending = TIMED_OUT;
    /* A tick, for its end: what it started may hold its output open longer than it lives. */
    if (ending == ENDED && poll(waits, 2, TICK_MS) > 0) {
      if (waits[1].revents != 0) ending = STOPPED;
      if (waits[0].revents != 0) drain(output, out);
      if ((waits[0].revents & (POLLHUP | POLLERR)) != 0) waits[0].fd = -1;
    }
    if (ending == ENDED) continue;
    (void)kill(-child, SIGKILL);
    (void)waitpid(child, status, 0);
    break;
  }
  drain(output, out);
  return ending;
}

static int judge(enum ending ending, int status, int timeout_ms, printed *out, char *why, size_t why_size) {
  text_clean(out->text);
  const char *colon = out->text[0] != 0 ? ": " : "";
  if (ending == STOPPED) (void)snprintf(why, why_size, "killed, because the agent stops%s%s", colon, out->text);
  else if (ending == TIMED_OUT) (void)snprintf(why, why_size, "killed after %d ms%s%s", timeout_ms, colon, out->text);
  else if (WIFSIGNALED(status)) (void)snprintf(why, why_size, "ended by signal %d%s%s", WTERMSIG(status), colon, out->text);
  else if (WEXITSTATUS(status) != 0) (void)snprintf(why, why_size, "ended with %d%s%s", WEXITSTATUS(status), colon, out->text);
  else return 0;
  text_clean(why);
  return -1;
}

static int run(char **words, int timeout_ms, int stop_fd, char *why, size_t why_size) {
  int ends[2], status = 0;
  printed out = {"", 0};
  if (pipe(ends) != 0) return snprintf(why, why_size, "pipe: %s", strerror(errno)), -1;
  for (int i = 0; i < 2; i++) (void)fcntl(ends[i], F_SETFD, FD_CLOEXEC);
  (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
  pid_t child = fork();
  if (child == 0) become(words, ends[1]);
  int error = errno;
  (void)close(ends[1]);
  if (child < 0) {
    (void)close(ends[0]);
    return snprintf(why, why_size, "fork: %s", strerror(error)), -1;
  }
  (void)setpgid(child, child); /* here too: whoever comes first */
  enum ending ending = wait_for(child, ends[0], timeout_ms, stop_fd, &status, &out);
  (void)close(ends[0]);
  return judge(ending, status, timeout_ms, &out, why, why_size);
}

int command_run(const char *command, const char *folder, int timeout_ms, int stop_fd, char *why, size_t why_size) {
  char *words[WORDS_MAX + 2], *copy = strdup(command);
  if (copy == NULL) return snprintf(why, why_size, "out of memory"), -1;
  int done = split(copy, folder, words) != 0 ? (snprintf(why, why_size, "an empty command, or one of over %d words", (int)WORDS_MAX), -1)
                                             : run(words, timeout_ms, stop_fd, why, why_size);
  free(copy);
  return done;
}
