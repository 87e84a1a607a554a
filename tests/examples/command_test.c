/* examples-c/command.c: what a command gets, what becomes of its output, and that it can not outstay its time.
 * usage: command_test FOLDER (an empty one) */
#define _POSIX_C_SOURCE 200809L

#include "../../examples-c/command.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *base;
static char why[800];
static int never[2]; /* a descriptor that never becomes readable */

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

static int run(const char *command, const char *folder, int timeout_ms) {
  why[0] = 0;
  return command_run(command, folder, timeout_ms, never[0], why, sizeof why);
}

static void says_how_it_ended(void) {
  CHECK(run("true", base, 5000) == 0);
  CHECK(run("test -d", base, 5000) == 0);
  CHECK(run("test -f", base, 5000) == -1 && strcmp(why, "ended with 1") == 0);
  CHECK(run(script("error", "echo ' line 3:\tbad' >&2; exit 7"), base, 5000) == -1 && strcmp(why, "ended with 7: line 3: bad") == 0);
  CHECK(run(script("signal", "kill -9 $$"), base, 5000) == -1 && strcmp(why, "ended by signal 9") == 0);
  CHECK(run("no-such-program-here", base, 5000) == -1 && strstr(why, "no such program") != NULL);
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
  CHECK(run(script("with blank", "exit 3"), base, 5000) == -1 && strcmp(why, "ended with 3") == 0);
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

static void stops_when_told(void) {
  int told[2];
  CHECK(pipe(told) == 0 && write(told[1], "", 1) == 1);
  /* a script: sleep itself would refuse the folder as an argument, and end before it is told */
  CHECK(command_run(script("waits", "exec sleep 60"), base, 60000, told[0], why, sizeof why) == -1);
  CHECK(strstr(why, "agent stops") != NULL);
}

static void cleans_texts(void) {
  char text[] = "  a\n\tb\x01\xFF \xC3\xA4 \xC2\x85 \xE2\x82\xAC \xED\xA0\x80 ";
  text_clean(text);
  CHECK(strcmp(text, "a b ? \xC3\xA4 \xE2\x82\xAC ???") == 0);
}

int main(int argc, char **argv) {
  if (argc != 2 || pipe(never) != 0) return 2;
  base = argv[1];
  CHECK(chdir(base) == 0);
  says_how_it_ended();
  keeps_the_end_of_what_it_printed();
  gives_no_text_to_a_shell();
  takes_a_path_with_blanks_that_stands_alone();
  kills_the_whole_group_in_time();
  ends_though_a_daemon_holds_its_output();
  stops_when_told();
  cleans_texts();
  (void)printf("command: 8 tests passed\n");
  return 0;
}
