/* examples-c/config_dir.c: what it refuses, what lies on disk, and that a kill at any moment leaves a whole set.
 * usage: config_dir_test FOLDER (an empty one; tests/examples/run.py makes it) */
#define _XOPEN_SOURCE 700

#include "../../examples-c/config_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *base;
static char folder[512];
static int folders;

#define CHECK(condition, ...)                                                  \
  do {                                                                         \
    if (!(condition)) {                                                        \
      (void)fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);    \
      (void)fprintf(stderr, __VA_ARGS__);                                      \
      (void)fputc('\n', stderr);                                               \
      exit(1);                                                                 \
    }                                                                          \
  } while (0)

static config_why why;

static config_file file(const char *name, const char *body) {
  config_file one = {name, strlen(name), "text/plain", 10, (const uint8_t *)body, strlen(body)};
  return one;
}

static config_dir *fresh(void) {
  config_dir *dir = NULL;
  (void)snprintf(folder, sizeof folder, "%s/%d", base, ++folders);
  CHECK(config_dir_open(folder, &dir, &why) == 0, "%s", why.text);
  return dir;
}

static config_dir *again(void) {
  config_dir *dir = NULL;
  CHECK(config_dir_open(folder, &dir, &why) == 0, "%s", why.text);
  return dir;
}

static char *in_folder(const char *name) {
  static char path[2048];
  (void)snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static const char *content(const char *name) {
  static char text[256];
  int fd = open(in_folder(name), O_RDONLY);
  ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) (void)close(fd);
  text[n < 0 ? 0 : n] = 0;
  return n < 0 ? NULL : text;
}

static void apply(config_dir *dir, const config_file *files, size_t count) {
  CHECK(config_dir_stage(dir, files, count, NULL, &why) == 0, "%s", why.text);
  CHECK(config_dir_swap(dir, &why) == 0, "%s", why.text);
  config_dir_keep(dir);
}

static void is_refused(config_dir *dir, const config_file *files, size_t count, const char *reason) {
  CHECK(config_dir_stage(dir, files, count, NULL, &why) == -1, "taken, but: %s", reason);
  CHECK(strstr(why.text, reason) != NULL, "\"%s\" does not say \"%s\"", why.text, reason);
  CHECK(config_dir_staged_path(dir) == NULL, "something is staged");
}

static void refuses_names_that_can_not_be_trusted(void) {
  static char part[257], deep[80], nul[] = "a\0b";
  config_dir *dir = fresh();
  config_file good = file("a", "1");
  apply(dir, &good, 1);
  memset(part, 'x', 256);
  for (size_t i = 0; i < 65; i++) deep[i] = i % 2 == 0 ? 'd' : '/';
  const struct { const char *name, *reason; } bad[] = {
      {"/etc/passwd", "absolute"}, {"/", "absolute"}, {"..", "component \"..\""}, {"a/../b", "component \"..\""}, {"./a", "component \".\""},
      {"a/.", "component \".\""}, {"a//b", "empty path component"}, {"a/", "empty path component"}, {"a\\b", "backslash"}, {"a\nb", "control"},
      {"a\x7f", "control"}, {"a\xC2\x85", "control"}, {part, "255"}, {deep, "components"},
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    config_file one = file(bad[i].name, "2");
    is_refused(dir, &one, 1, bad[i].reason);
  }
  config_file with_nul = {nul, 3, "", 0, (const uint8_t *)"", 0};
  is_refused(dir, &with_nul, 1, "NUL");
  config_file twice[] = {file("", "1"), file("b", "2"), file("", "3")};
  is_refused(dir, twice, 3, "name is empty");
  CHECK(strcmp(content("current/a"), "1") == 0, "the live set was touched");
  config_dir_close(dir);
}

static void refuses_names_that_clash(void) {
  config_dir *dir = fresh();
  config_file in_case[] = {file("b", "1"), file("Config.yaml", "1"), file("config.YAML", "2")};
  is_refused(dir, in_case, 3, "case");
  config_file folder_case[] = {file("A/x", "1"), file("a/y", "2")};
  is_refused(dir, folder_case, 2, "case");
  config_file umlaut[] = {file("\xC3\xA4", "1"), file("\xC3\x84", "2")};
  is_refused(dir, umlaut, 2, "case");
  config_file both[] = {file("a", "1"), file("a/b", "2")};
  is_refused(dir, both, 2, "file and a directory");
  config_file fine[] = {file("a/b", "1"), file("a/c", "2"), file("a.b", "3"), file("ab", "4")};
  apply(dir, fine, 4);
  config_dir_close(dir);
}

static void takes_a_thousand_files_and_no_more(void) {
  static char names[1001][8];
  static config_file many[1001];
  config_dir *dir = fresh();
  for (size_t i = 0; i < 1001; i++) {
    (void)snprintf(names[i], sizeof names[i], "f%zu", i);
    many[i] = file(names[i], "x");
  }
  is_refused(dir, many, 1001, "1001 files, limit");
  apply(dir, many, 1000);
  CHECK(content("current/f999") != NULL, "f999 is not there");
  config_dir_close(dir);
}

static void lays_files_down_privately_and_whole(void) {
  struct stat status;
  char target[64];
  config_dir *dir = fresh();
  config_file set[] = {file("main.yaml", "one"), file("conf.d/extra/a.yaml", "two"), file("empty", "")};
  apply(dir, set, 3);
  CHECK(strcmp(content("current/main.yaml"), "one") == 0, "main.yaml");
  CHECK(strcmp(content("current/conf.d/extra/a.yaml"), "two") == 0, "a.yaml");
  CHECK(stat(in_folder("current/main.yaml"), &status) == 0 && (status.st_mode & 0777) == 0600, "not 0600");
  CHECK(stat(in_folder("current/conf.d"), &status) == 0 && (status.st_mode & 0777) == 0700, "not 0700");
  CHECK(readlink(in_folder("current"), target, sizeof target) > 0, "current is no link");
  config_dir_close(dir);
}

static int note_file(const config_file *one, void *user) {
  char *to = (char *)user + strlen(user);
  (void)sprintf(to, "[%.*s]=%.*s ", (int)one->name_len, one->name, (int)one->body_len, (const char *)one->body);
  return 0;
}

static const char *read_back(config_dir *dir) {
  static char text[1024];
  text[0] = 0;
  CHECK(config_dir_read(dir, note_file, text, &why) == 0, "%s", why.text);
  return text;
}

static void keeps_the_empty_name(void) {
  config_dir *dir = fresh();
  config_file alone = file("", "all");
  apply(dir, &alone, 1);
  CHECK(strcmp(content("current/config"), "all") == 0, "config");
  CHECK(strcmp(read_back(dir), "[]=all ") == 0, "%s", read_back(dir));
  config_file beside[] = {file("", "1"), file("CONFIG/x", "2"), file("config-1", "3"), file("config-20", "4")};
  apply(dir, beside, 4);
  CHECK(strcmp(content("current/config-2"), "1") == 0 && strcmp(content("current/config-1"), "3") == 0, "names on disk");
  CHECK(strcmp(read_back(dir), "[]=1 [CONFIG/x]=2 [config-1]=3 [config-20]=4 ") == 0, "%s", read_back(dir));
  config_dir_close(dir);
  dir = again();
  CHECK(strcmp(read_back(dir), "[]=1 [CONFIG/x]=2 [config-1]=3 [config-20]=4 ") == 0, "%s", read_back(dir));
  config_file plain = file("config", "5");
  apply(dir, &plain, 1);
  CHECK(strcmp(read_back(dir), "[config]=5 ") == 0, "%s", read_back(dir));
  CHECK(access(in_folder("set-2"), F_OK) != 0, "the nameless file was left");
  config_dir_close(dir);
}

static int count_file(const config_file *one, void *user) {
  *(size_t *)user += 1 + one->body_len;
  return one->content_type_len == 10 ? 0 : -1;
}

static void reads_what_is_live_not_what_was_offered(void) {
  size_t seen = 0;
  config_dir *dir = fresh();
  CHECK(config_dir_read(dir, count_file, &seen, &why) == 0 && seen == 0 && config_dir_live(dir) == 0, "something is live");
  config_file set[] = {file("a", "1"), file("b", "2")};
  apply(dir, set, 2);
  CHECK(unlink(in_folder("current/b")) == 0, "unlink");
  CHECK(config_dir_read(dir, count_file, &seen, &why) == 0, "%s", why.text);
  CHECK(seen == 2, "%zu", seen);
  config_dir_close(dir);
}

static void brings_the_old_set_back(void) {
  config_dir *dir = fresh();
  config_file old = file("a", "old"), new = file("a", "new");
  apply(dir, &old, 1);
  CHECK(config_dir_stage(dir, &new, 1, NULL, &why) == 0, "%s", why.text);
  CHECK(strcmp(content("current/a"), "old") == 0, "staged is live already");
  CHECK(config_dir_swap(dir, &why) == 0, "%s", why.text);
  CHECK(strcmp(content("current/a"), "new") == 0, "not swapped");
  CHECK(config_dir_revert(dir, &why) == 0, "%s", why.text);
  CHECK(strcmp(content("current/a"), "old") == 0, "not brought back");
  config_dir_close(dir);
  config_dir *first = fresh();
  CHECK(config_dir_stage(first, &new, 1, NULL, &why) == 0 && config_dir_swap(first, &why) == 0, "%s", why.text);
  CHECK(config_dir_revert(first, &why) == 0 && config_dir_live(first) == 0, "%s", why.text);
  CHECK(access(in_folder("current"), F_OK) != 0, "a set is live where there was none");
  config_dir_close(first);
}

static void removes_only_what_it_wrote(void) {
  config_dir *dir = fresh();
  config_file old = file("d/a", "old"), new = file("a", "new");
  apply(dir, &old, 1);
  int fd = open(in_folder("current/d/mine"), O_WRONLY | O_CREAT, 0600);
  int other = open(in_folder("set-9"), O_WRONLY | O_CREAT, 0600);
  CHECK(fd >= 0 && other >= 0, "%s", strerror(errno));
  (void)close(fd);
  (void)close(other);
  apply(dir, &new, 1);
  CHECK(content("set-1/d/mine") != NULL && content("set-9") != NULL, "a foreign file was taken away");
  CHECK(content("set-1/d/a") == NULL, "an own file was left");
  CHECK(strcmp(content("set-10/a"), "new") == 0, "the next free number is 10");
  config_dir_close(dir);
}

static void put(const char *name, const char *text) {
  int fd = open(in_folder(name), O_WRONLY | O_CREAT | O_EXCL, 0600);
  CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0, "%s", strerror(errno));
}

/* A name like ours is not enough: what does not begin like a manifest of ours is somebody else's. */
static void leaves_manifests_that_are_not_its_own(void) {
  config_dir *dir = fresh();
  config_file one = file("a", "1");
  config_dir_close(dir);
  put("set-3.manifest", "the parts of my drum set\n");
  put("set-4.manifest", "");
  CHECK(mkdir(in_folder("set-3"), 0700) == 0 && symlink("/etc/hosts", in_folder("set-5.manifest")) == 0, "%s", strerror(errno));
  dir = again();
  apply(dir, &one, 1);
  CHECK(content("set-3.manifest") != NULL && content("set-4.manifest") != NULL && content("set-5.manifest") != NULL, "taken away");
  CHECK(strcmp(content("set-3.manifest"), "the parts of my drum set\n") == 0, "changed");
  CHECK(access(in_folder("set-3"), F_OK) == 0 && strcmp(content("set-6/a"), "1") == 0, "the next free number is 6");
  config_dir_close(dir);
}

static void is_not_opened(const char *path, const char *reason) {
  config_dir *dir = NULL;
  (void)alarm(20); /* for what would wait for ever */
  CHECK(config_dir_open(path, &dir, &why) == -1, "%s was opened, but: %s", path, reason);
  CHECK(strstr(why.text, reason) != NULL, "\"%s\" does not say \"%s\"", why.text, reason);
  (void)alarm(0);
}

/* A pipe has no reader or writer here: whoever opens it waits. */
static void waits_for_no_pipe(void) {
  size_t seen = 0;
  config_dir *dir = fresh();
  config_file one = file("a", "1");
  config_dir_close(dir);
  CHECK(mkfifo(in_folder("set-5.manifest"), 0600) == 0, "%s", strerror(errno));
  (void)alarm(20);
  dir = again();
  apply(dir, &one, 1);
  CHECK(strcmp(content("set-6/a"), "1") == 0, "the next free number is 6");
  CHECK(unlink(in_folder("current/a")) == 0 && mkfifo(in_folder("current/a"), 0600) == 0, "%s", strerror(errno));
  CHECK(config_dir_read(dir, count_file, &seen, &why) == -1 && strstr(why.text, "a: not a regular file") != NULL, "%s", why.text);
  CHECK(unlink(in_folder("set-6.manifest")) == 0 && mkfifo(in_folder("set-6.manifest"), 0600) == 0, "%s", strerror(errno));
  CHECK(config_dir_read(dir, count_file, &seen, &why) == -1 && strstr(why.text, "not a regular file") != NULL, "%s", why.text);
  config_dir_close(dir);
  (void)alarm(0);
  is_not_opened(folder, "not a link created by this program");
  CHECK(unlink(in_folder("lock")) == 0 && mkfifo(in_folder("lock"), 0600) == 0, "%s", strerror(errno));
  is_not_opened(folder, "lock: not a regular file");
}

static void refuses_a_folder_of_others(void) {
  const unsigned shared[] = {0720, 0702, 0777, 01777};
  config_dir *dir = fresh();
  config_file one = file("a", "1");
  apply(dir, &one, 1);
  CHECK(chmod(folder, 0770) == 0, "%s", strerror(errno));
  is_refused(dir, &one, 1, "mode 770"); /* it may become one while it is open */
  config_dir_close(dir);
  for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
    CHECK(chmod(folder, (mode_t)shared[i]) == 0, "%s", strerror(errno));
    is_not_opened(folder, "writable by other users");
  }
  CHECK(chmod(folder, 0755) == 0, "%s", strerror(errno));
  config_dir_close(again());
  /* Without the right to give a folder away there is one of root's. */
  if (geteuid() == 0) CHECK(chown(folder, 65534, 65534) == 0, "%s", strerror(errno));
  is_not_opened(geteuid() == 0 ? folder : "/usr", "is owned by user");
  CHECK(strcmp(content("current/a"), "1") == 0, "the live set was touched");
}

/* Between the check and the swap a command runs, so the link may have become another by then. */
static void leaves_a_link_that_became_somebody_elses(void) {
  char target[64] = "";
  config_dir *dir = fresh();
  config_file old = file("a", "old"), new = file("a", "new");
  apply(dir, &old, 1);
  CHECK(config_dir_stage(dir, &new, 1, NULL, &why) == 0, "%s", why.text);
  CHECK(unlink(in_folder("current")) == 0 && symlink("/etc", in_folder("current")) == 0, "%s", strerror(errno));
  CHECK(config_dir_swap(dir, &why) == -1 && strstr(why.text, "not a link created by this program") != NULL, "%s", why.text);
  CHECK(unlink(in_folder("current")) == 0 && symlink("set-1", in_folder("current")) == 0, "%s", strerror(errno));
  CHECK(config_dir_swap(dir, &why) == 0, "%s", why.text);
  CHECK(unlink(in_folder("current")) == 0 && symlink("/etc", in_folder("current")) == 0, "%s", strerror(errno));
  CHECK(config_dir_revert(dir, &why) == -1 && strstr(why.text, "not a link created by this program") != NULL, "%s", why.text);
  CHECK(readlink(in_folder("current"), target, sizeof target - 1) > 0 && strcmp(target, "/etc") == 0, "it is %s", target);
  config_dir_close(dir);
}

/* What could not be brought back is tried again before anything new is staged. */
static void brings_the_old_set_back_later(void) {
  config_dir *dir = fresh();
  config_file old = file("a", "old"), bad = file("a", "bad"), good = file("b", "good");
  apply(dir, &old, 1);
  CHECK(config_dir_stage(dir, &bad, 1, NULL, &why) == 0 && config_dir_swap(dir, &why) == 0, "%s", why.text);
  put("current.new", "in the way");
  CHECK(config_dir_revert(dir, &why) == -1, "reverted");
  CHECK(config_dir_stage(dir, &good, 1, NULL, &why) == -1 && strstr(why.text, "current.new") != NULL, "%s", why.text);
  CHECK(unlink(in_folder("current.new")) == 0, "%s", strerror(errno));
  CHECK(config_dir_stage(dir, &good, 1, NULL, &why) == 0, "%s", why.text);
  CHECK(strcmp(content("current/a"), "old") == 0, "the old set is not back");
  CHECK(config_dir_swap(dir, &why) == 0, "%s", why.text);
  config_dir_keep(dir);
  CHECK(strcmp(content("current/b"), "good") == 0, "not live");
  config_dir_close(dir);
}

/* No room: as on a full disk, a write comes short. */
static void a_full_disk_leaves_the_old_set(void) {
  static char large[20000];
  config_dir *dir = fresh();
  config_file old = file("a", "old"), new[] = {file("a", "new"), file("large", large)};
  memset(large, 'x', sizeof large - 1);
  new[1].body_len = sizeof large - 1;
  apply(dir, &old, 1);
  config_dir_close(dir);
  pid_t child = fork();
  if (child == 0) {
    struct rlimit little = {10000, 10000};
    (void)signal(SIGXFSZ, SIG_IGN);
    dir = again();
    CHECK(setrlimit(RLIMIT_FSIZE, &little) == 0, "%s", strerror(errno));
    CHECK(config_dir_stage(dir, new, 2, NULL, &why) == -1 && strstr(why.text, "large: ") != NULL, "%s", why.text);
    CHECK(config_dir_stage(dir, new, 1, NULL, &why) == 0, "%s", why.text);
    _exit(0);
  }
  int status = 1;
  CHECK(waitpid(child, &status, 0) == child && status == 0, "the child");
  CHECK(strcmp(content("current/a"), "old") == 0, "the live set was touched");
}

static void refuses_links_on_the_way(void) {
  char aside[600];
  config_dir *dir = fresh(), *other = NULL;
  config_file old = file("d/a", "old"), deep = file("link/passwd", "x"), plain = file("a", "x");
  apply(dir, &old, 1);
  CHECK(symlink("/etc", in_folder("current/link")) == 0, "symlink");
  is_refused(dir, &deep, 1, "symbolic link in the path");
  (void)snprintf(aside, sizeof aside, "%s.aside", folder);
  CHECK(rename(folder, aside) == 0 && symlink(aside, folder) == 0, "symlink");
  is_refused(dir, &plain, 1, "symbolic link in the path");
  CHECK(config_dir_open(folder, &other, &why) == -1 && strstr(why.text, "symbolic link") != NULL, "%s", why.text);
  CHECK(unlink(folder) == 0 && rename(aside, folder) == 0, "rename");
  CHECK(unlink(in_folder("current")) == 0 && symlink("/etc", in_folder("current")) == 0, "symlink");
  is_refused(dir, &plain, 1, "not a link created by this program");
  config_dir_close(dir);
  CHECK(config_dir_open(folder, &other, &why) == -1 && strstr(why.text, "not a link created by this program") != NULL, "%s", why.text);
}

static int is_always_cancelled(void) { return 1; }

static void gives_up_when_asked(void) {
  config_dir *dir = fresh();
  config_file one = file("a", "1");
  CHECK(config_dir_stage(dir, &one, 1, is_always_cancelled, &why) == -1 && strstr(why.text, "stopping") != NULL, "%s", why.text);
  CHECK(access(in_folder("set-1"), F_OK) != 0 && access(in_folder("set-1.manifest"), F_OK) != 0, "left behind");
  config_dir_close(dir);
}

static void one_writer_per_folder(void) {
  config_dir *dir = fresh(), *other = NULL;
  pid_t child = fork();
  if (child == 0) _exit(config_dir_open(folder, &other, &why) == -1 && strstr(why.text, "in use") != NULL ? 0 : 1);
  int status = 1;
  CHECK(waitpid(child, &status, 0) == child && status == 0, "the second one opened it too");
  config_dir_close(dir);
}

/* A child swaps sets as fast as it can and is killed somewhere; every file of what is live then is of one and the same set. */
static void a_kill_at_any_moment_leaves_a_whole_set(void) {
  config_dir *dir = fresh();
  char name[16], first[16];
  config_dir_close(dir);
  for (unsigned round = 0; round < 40; round++) {
    pid_t child = fork();
    if (child == 0) {
      dir = again();
      for (unsigned turn = 0;; turn++) {
        char body[16], names[10][16];
        config_file set[10];
        (void)snprintf(body, sizeof body, "%u.%u", round, turn);
        for (size_t i = 0; i < 10; i++) {
          (void)snprintf(names[i], sizeof names[i], "%zu/f", i);
          set[i] = file(names[i], body);
        }
        apply(dir, set, 10);
      }
    }
    struct timespec pause = {0, (long)(1 + round % 20) * 700000L};
    (void)nanosleep(&pause, NULL);
    (void)kill(child, SIGKILL);
    CHECK(waitpid(child, NULL, 0) == child, "waitpid");
    if (access(in_folder("current"), F_OK) != 0) continue; /* killed before the first set */
    for (int i = 0; i < 10; i++) {
      (void)snprintf(name, sizeof name, "current/%d/f", i);
      const char *body = content(name);
      CHECK(body != NULL && *body != 0, "%s is missing or empty", name);
      if (i == 0) (void)snprintf(first, sizeof first, "%s", body);
      CHECK(strcmp(body, first) == 0, "two sets are mixed: %s and %s", first, body);
    }
  }
  dir = again();
  config_file last = file("last", "1");
  apply(dir, &last, 1);
  config_dir_close(dir);
  CHECK(strcmp(content("current/last"), "1") == 0, "last");
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  base = argv[1];
  refuses_names_that_can_not_be_trusted();
  refuses_names_that_clash();
  takes_a_thousand_files_and_no_more();
  lays_files_down_privately_and_whole();
  keeps_the_empty_name();
  reads_what_is_live_not_what_was_offered();
  brings_the_old_set_back();
  removes_only_what_it_wrote();
  leaves_manifests_that_are_not_its_own();
  waits_for_no_pipe();
  refuses_a_folder_of_others();
  leaves_a_link_that_became_somebody_elses();
  brings_the_old_set_back_later();
  a_full_disk_leaves_the_old_set();
  refuses_links_on_the_way();
  gives_up_when_asked();
  one_writer_per_folder();
  a_kill_at_any_moment_leaves_a_whole_set();
  (void)printf("config_dir: 18 tests passed\n");
  return 0;
}
