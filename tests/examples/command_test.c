/* examples-c/command.c: what a command gets, what becomes of its output, and that it can not outstay its time.
 * usage: command_test FOLDER (an empty one) */
#define _POSIX_C_SOURCE 200809L

#include "../../examples-c/command.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *base;
static char why[800];
static int child_pipe[2]; /* SIGCHLD, for poll */

#define CHECK(condition)                                                                         \
  do {                                                                                           \
    if (!(condition)) {                                                                          \
      (void)fprintf(stderr, "%s:%d: %s; why: %s\n", __FILE__, __LINE__, #condition, why);        \
      exit(1);                                                                                   \
    }                                                                                            \
  } while (0)

static char *script(const char *name, const char *text) {
  static char path[1024];
  (void)snprintf(path, sizeof path, "%s/%s", base, name);
  FILE *out = fopen(path, "w");
  CHECK(out != NULL && fprintf(out, "#!/bin/sh\n%s\n", text) > 0 && fclose(out) == 0 && chmod(path, 0700) == 0);
  return path;
}

static void on_child(int number) {
  ssize_t ignored = write(child_pipe[1], "", 1);
  (void)ignored, (void)number;
}

/* What a host's loop does. */
static void wait_for(const command *running) {
  char bytes[64];
  struct pollfd waits[2] = {{.fd = command_fd(running), .events = POLLIN}, {.fd = child_pipe[0], .events = POLLIN}};
  (void)poll(waits, 2, command_time_left(running));
  (void)!read(child_pipe[0], bytes, sizeof bytes);
}

static int run(const char *line, const char *folder, int timeout_ms) {
  why[0] = 0;
  command *running = command_start(line, folder, timeout_ms, why, sizeof why);
  if (running == NULL) return -1;
  while (command_turn(running)) wait_for(running);
  return command_end(running, why, sizeof why);
}

static void says_how_it_ended(void) {
  CHECK(run("true", base, 5000) == 0);
  CHECK(run("test -d", base, 5000) == 0);
  CHECK(run("test -f", base, 5000) == -1 && strcmp(why, "exited with status 1") == 0);
  CHECK(run(script("error", "echo ' line 3:\tbad' >&2; exit 7"), base, 5000) == -1 && strcmp(why, "exited with status 7: line 3: bad") == 0);
  CHECK(run(script("signal", "kill -9 $$"), base, 5000) == -1 && strcmp(why, "killed by signal 9") == 0);
  CHECK(run("no-such-program-here", base, 5000) == -1 && strstr(why, "no-such-program-here: No such file") != NULL);
  CHECK(run(base, base, 5000) == -1 && strstr(why, "cannot run") != NULL && strstr(why, "ermission denied") != NULL);
  CHECK(run(" ", base, 5000) == -1);
}

static void keeps_the_end_of_what_it_printed(void) {
  CHECK(run(script("long", "i=0; while [ $i -lt 3000 ]; do echo \"line $i\"; i=$((i+1)); done; exit 1"), base, 10000) == -1);
  CHECK(strstr(why, "line 2999") != NULL && strstr(why, "line 1 ") == NULL && strlen(why) < sizeof why);
}

static void gives_no_text_to_a_shell(void) {
  char folder[1024];
  (void)snprintf(folder, sizeof folder, "%s/a; touch touched #$(touch touched)", base);
  CHECK(mkdir(folder, 0700) == 0 && run("test -d", folder, 5000) == 0);
  CHECK(access("touched", F_OK) != 0);
}

static void takes_a_path_with_blanks_that_stands_alone(void) {
  CHECK(run(script("with blank", "exit 3"), base, 5000) == -1 && strcmp(why, "exited with status 3") == 0);
}

static long pid_in(const char *path) {
  long pid = 0;
  FILE *in = fopen(path, "r");
  CHECK(in != NULL && fscanf(in, "%ld", &pid) == 1 && fclose(in) == 0);
  return pid;
}

/* Gone, or dead and not yet taken by whoever adopted it. */
static int is_dead(long pid) {
  char path[64], state = 'X';
  (void)snprintf(path, sizeof path, "/proc/%ld/stat", pid);
  FILE *in = fopen(path, "r");
  if (in == NULL) return 1;
  if (fscanf(in, "%*d (%*[^)]) %c", &state) != 1) state = 'X';
  (void)fclose(in);
  return state == 'Z' || state == 'X';
}

static void kills_the_whole_group_in_time(void) {
  char text[2048], path[1024];
  struct timespec pause = {0, 5000000};
  (void)snprintf(path, sizeof path, "%s/grandchild", base);
  (void)snprintf(text, sizeof text, "sleep 60 & echo $! >%s; echo waiting; wait", path);
  CHECK(run(script("slow", text), base, 2000) == -1 && strcmp(why, "killed after 2000 ms: waiting") == 0);
  for (int i = 0; i < 400 && !is_dead(pid_in(path)); i++) (void)nanosleep(&pause, NULL);
  CHECK(is_dead(pid_in(path)));
}

static void ends_though_a_daemon_holds_its_output(void) {
  char text[2048], path[1024];
  (void)snprintf(path, sizeof path, "%s/daemon", base);
  (void)snprintf(text, sizeof text, "sleep 60 & echo $! >%s; exit 0", path);
  CHECK(run(script("starts", text), base, 20000) == 0);
  CHECK(!is_dead(pid_in(path))); /* what a good command started goes on */
  CHECK(kill((pid_t)pid_in(path), SIGKILL) == 0);
}

static void is_killed_by_an_early_end(void) {
  char text[2048], path[1024];
  (void)snprintf(path, sizeof path, "%s/early", base);
  (void)snprintf(text, sizeof text, "echo $$ >%s; echo waiting; exec sleep 60", path);
  /* a script: sleep itself would refuse the folder as an argument, and end before that */
  command *running = command_start(script("waits", text), base, 60000, why, sizeof why);
  CHECK(running != NULL);
  while (access(path, F_OK) != 0) {
    CHECK(command_turn(running));
    wait_for(running);
  }
  CHECK(command_end(running, why, sizeof why) == -1 && strstr(why, "agent is stopping") != NULL);
  CHECK(is_dead(pid_in(path)));
  CHECK(command_end(NULL, why, sizeof why) == 0);
}

/* It prints for ever: each turn comes back, and what is kept is bounded. */
static void never_waits_for_one_that_floods(void) {
  command *running = command_start("yes", "flood", 300, why, sizeof why);
  int turns = 0;
  CHECK(running != NULL);
  while (command_turn(running)) {
    wait_for(running);
    turns++;
  }
  CHECK(command_end(running, why, sizeof why) == -1 && strstr(why, "killed after 300 ms: ") != NULL);
  CHECK(turns > 1 && strlen(why) < sizeof why - 1 && strstr(why, "flood flood") != NULL);
}

/* It closes its output and goes on: that is not its end. */
static void outlives_its_output(void) {
  CHECK(run(script("silent", "exec >&- 2>&-; sleep 0.2; exit 5"), base, 20000) == -1);
  CHECK(strcmp(why, "exited with status 5") == 0);
}

/* Descriptors of the host are not the command's. */
static void inherits_nothing(void) {
  CHECK(run(script("descriptors", "exec ls /proc/self/fd /nonexistent"), base, 5000) == -1);
  const char *list = strstr(why, "/proc/self/fd: "); /* 3 is ls's own, for the list */
  CHECK(list != NULL && strcmp(list, "/proc/self/fd: 0 1 2 3") == 0);
}

/* Ignored and blocked signals are the host's, too. */
static void has_signals_as_a_new_process(void) {
  sigset_t all;
  CHECK(sigfillset(&all) == 0 && sigdelset(&all, SIGCHLD) == 0 && signal(SIGPIPE, SIG_IGN) != SIG_ERR);
  CHECK(sigprocmask(SIG_BLOCK, &all, NULL) == 0);
  CHECK(run(script("signals", "exec grep -Eh 'Sig(Blk|Ign)' /proc/self/status /nonexistent"), base, 5000) == -1);
  CHECK(sigprocmask(SIG_UNBLOCK, &all, NULL) == 0);
  const char *ignored = strstr(why, "SigIgn: ");
  CHECK(strstr(why, "SigBlk: 0000000000000000") != NULL && ignored != NULL);
  CHECK((strtoull(ignored + 8, NULL, 16) & 0x7fffffffu) == 0); /* 32 and 33 are the C library's own */
}

static void cleans_texts(void) {
  char text[] = "  a\n\tb\x01\xFF \xC3\xA4 \xC2\x85 \xE2\x82\xAC \xED\xA0\x80 ";
  text_clean(text);
  CHECK(strcmp(text, "a b ? \xC3\xA4 \xE2\x82\xAC ???") == 0);
}

int main(int argc, char **argv) {
  struct sigaction action;
  for (int fd = 3; fd < 1024; fd++) (void)close(fd); /* what this test was given itself */
  memset(&action, 0, sizeof action);
  action.sa_handler = on_child;
  if (argc != 2 || pipe(child_pipe) != 0 || sigaction(SIGCHLD, &action, NULL) != 0) return 2;
  for (int i = 0; i < 2; i++) {
    (void)fcntl(child_pipe[i], F_SETFD, FD_CLOEXEC);
    (void)fcntl(child_pipe[i], F_SETFL, O_NONBLOCK);
  }
  base = argv[1];
  CHECK(chdir(base) == 0);
  says_how_it_ended();
  keeps_the_end_of_what_it_printed();
  gives_no_text_to_a_shell();
  takes_a_path_with_blanks_that_stands_alone();
  kills_the_whole_group_in_time();
  ends_though_a_daemon_holds_its_output();
  is_killed_by_an_early_end();
  never_waits_for_one_that_floods();
  outlives_its_output();
  inherits_nothing();
  has_signals_as_a_new_process();
  cleans_texts();
  (void)printf("command: 12 tests passed\n");
  return 0;
}
