/* examples-c/state_file.c: what is kept comes back whole, or not at all, and nothing of somebody else's is lost.
 * usage: state_file_test FOLDER (an empty one) */
#define _POSIX_C_SOURCE 200809L

#include "../../examples-c/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static int dir;
static char why[400];
static agent_state got;

#define CHECK(condition)                                                                         \
  do {                                                                                           \
    if (!(condition)) {                                                                          \
      (void)fprintf(stderr, "%s:%d: %s; why: %s\n", __FILE__, __LINE__, #condition, why);        \
      exit(1);                                                                                   \
    }                                                                                            \
  } while (0)

static int load(void) {
  why[0] = 0;
  return state_load(dir, &got, why, sizeof why);
}

static size_t content(const char *name, char *text, size_t size) {
  int fd = openat(dir, name, O_RDONLY);
  ssize_t n = fd < 0 ? -1 : read(fd, text, size);
  CHECK(n >= 0 && close(fd) == 0);
  return (size_t)n;
}

static void put(const char *name, const char *text, size_t len) {
  int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  CHECK(fd >= 0 && write(fd, text, len) == (ssize_t)len && close(fd) == 0);
}

static agent_state full(void) {
  agent_state state;
  memset(&state, 0, sizeof state);
  for (size_t i = 0; i < STATE_HASH_MAX; i++) state.applied[i] = (uint8_t)i, state.failed[i] = (uint8_t)(i * 7);
  memset(state.uid, 0xA5, sizeof state.uid);
  memset(state.error, 'e', sizeof state.error - 1);
  memcpy(state.error, "na\xC3\xAFve: \\n", 10);
  state.has_uid = 1;
  state.applied_len = state.failed_len = STATE_HASH_MAX;
  state.set = 4000000000u;
  return state;
}

static void begins_with_nothing(void) {
  CHECK(load() == 0 && !got.has_uid && got.applied_len == 0 && got.failed_len == 0);
}

static void brings_back_what_was_kept(void) {
  struct stat status;
  agent_state state = full();
  CHECK(state_store(dir, &state) == 0 && load() == 1 && memcmp(&state, &got, sizeof state) == 0);
  CHECK(fstatat(dir, "agent.state", &status, 0) == 0 && (status.st_mode & 0777) == 0600);
  state.failed_len = 0;
  CHECK(state_store(dir, &state) == 0 && load() == 1 && got.failed_len == 0 && got.applied_len == STATE_HASH_MAX && got.error[0] == 0);
  state.applied_len = 0;
  CHECK(state_store(dir, &state) == 0 && load() == 1 && got.applied_len == 0 && got.has_uid);
  CHECK(faccessat(dir, "agent.state.new", F_OK, 0) != 0);
}

/* Any prefix of it, and any changed byte, is found. */
static void sets_what_is_torn_aside(void) {
  char text[8192], aside[8192];
  agent_state state = full();
  state.applied_len = state.failed_len = 4;
  CHECK(state_store(dir, &state) == 0);
  size_t len = content("agent.state", text, sizeof text);
  for (size_t n = 0; n < 2 * len; n++) {
    size_t cut = n < len ? n : len;
    if (n >= len) text[n - len] ^= 1;
    put("agent.state", text, cut);
    if (n >= len) text[n - len] ^= 1;
    CHECK(load() == -1 && !got.has_uid && strstr(why, "agent.state.aside-1") != NULL);
    CHECK(faccessat(dir, "agent.state", F_OK, 0) != 0);
    CHECK(content("agent.state.aside-1", aside, sizeof aside) == cut && unlinkat(dir, "agent.state.aside-1", 0) == 0);
  }
  put("agent.state", text, len);
  CHECK(load() == 1);
  CHECK(unlinkat(dir, "agent.state", 0) == 0);
}

static void sets_what_is_foreign_aside_and_loses_none(void) {
  char text[64];
  agent_state state = full();
  (void)alarm(20); /* a pipe without a writer would be waited for */
  put("agent.state", "drum\n", 5);
  CHECK(load() == -1 && strstr(why, "not written by this program") != NULL);
  CHECK(mkfifoat(dir, "agent.state", 0600) == 0 && load() == -1 && strstr(why, "not a regular file") != NULL);
  CHECK(symlinkat("/etc/passwd", dir, "agent.state") == 0 && load() == -1 && strstr(why, "not a regular file") != NULL);
  CHECK(mkdirat(dir, "agent.state", 0700) == 0 && load() == -1 && strstr(why, "agent.state.aside-4") != NULL);
  CHECK(load() == 0 && content("agent.state.aside-1", text, sizeof text) == 5 && memcmp(text, "drum\n", 5) == 0);
  CHECK(state_store(dir, &state) == 0 && load() == 1);
  (void)alarm(0);
}

/* A write that comes short, as on a full disk, leaves the state before. */
static void a_full_disk_leaves_the_old_state(void) {
  agent_state state = full();
  state.failed_len = 0;
  CHECK(state_store(dir, &state) == 0);
  pid_t child = fork();
  if (child == 0) {
    struct rlimit little = {1000, 1000};
    (void)signal(SIGXFSZ, SIG_IGN);
    state = full();
    CHECK(setrlimit(RLIMIT_FSIZE, &little) == 0 && state_store(dir, &state) == -1 && errno == EFBIG);
    _exit(0);
  }
  int status = 1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
  CHECK(load() == 1 && got.failed_len == 0 && faccessat(dir, "agent.state.new", F_OK, 0) != 0);
}

/* Killed somewhere while it writes. */
static void a_kill_at_any_moment_leaves_a_whole_state(void) {
  for (unsigned round = 0; round < 30; round++) {
    int ends[2];
    char byte;
    CHECK(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0) {
      agent_state state = full();
      for (unsigned turn = 0;; turn++) {
        state.set = turn;
        state.applied_len = 1 + turn % STATE_HASH_MAX;
        CHECK(state_store(dir, &state) == 0);
        if (turn == round % 7) CHECK(write(ends[1], "", 1) == 1);
      }
    }
    CHECK(read(ends[0], &byte, 1) == 1 && kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
    CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
    CHECK(load() == 1 && got.applied_len == 1 + got.set % STATE_HASH_MAX);
  }
}

int main(int argc, char **argv) {
  if (argc != 2 || (dir = open(argv[1], O_RDONLY | O_DIRECTORY)) < 0) return 2;
  begins_with_nothing();
  brings_back_what_was_kept();
  sets_what_is_torn_aside();
  sets_what_is_foreign_aside_and_loses_none();
  a_full_disk_leaves_the_old_state();
  a_kill_at_any_moment_leaves_a_whole_state();
  (void)printf("state_file: 6 tests passed\n");
  return 0;
}
