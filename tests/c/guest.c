/* A good guest: threads of the library have a name and every signal blocked, every descriptor is close-on-exec, a server that
 * resets connections brings no SIGPIPE, and nothing is printed. [GUEST-02] [native] */
#include "kit.h"

#include <dirent.h>
#include <fcntl.h>

static int read_line(const char *path, const char *key, char *line, size_t size) {
  FILE *file = fopen(path, "r");
  size_t len = strlen(key);
  int found = 0;
  if (!file) return 0; /* the thread has just ended */
  while (!found && fgets(line, (int)size, file)) found = strncmp(line, key, len) == 0;
  fclose(file);
  line[strcspn(line, "\n")] = 0;
  return found;
}

/* How many threads beside this one; each must be ours. */
static int threads(void) {
  DIR *dir = opendir("/proc/self/task");
  struct dirent *entry;
  int count = 0;
  CHECK(dir != NULL);
  while ((entry = readdir(dir)) != NULL) {
    char path[320], line[256];
    if (entry->d_name[0] == '.' || atoi(entry->d_name) == (int)getpid()) continue;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
    if (!read_line(path, "Name:", line, sizeof line)) continue;
    CHECK(strncmp(line, "Name:\topamp", 11) == 0);
    CHECK(read_line(path, "SigBlk:", line, sizeof line));
    /* All that can be blocked: not KILL and STOP, nor the two that the C library keeps for itself. */
    SAME(strtoull(line + 7, NULL, 16) | 0x180040100ull, 0xffffffffffffffffull);
    count++;
  }
  closedir(dir);
  return count;
}

static int descriptors(int max) {
  int fd, count = 0;
  for (fd = 3; fd < max; fd++) {
    int flags = fcntl(fd, F_GETFD);
    if (flags < 0) continue;
    SAME(flags & FD_CLOEXEC, FD_CLOEXEC);
    count++;
  }
  return count;
}

static int broken_pipes;
static void on_pipe(int signal) { broken_pipes += signal == SIGPIPE; }

int main(void) {
  opamp_client *client;
  opamp_agent *agent;
  struct sigaction action, before;
  int fd, i;
  /* What the test was given by others is not the library's. */
  for (fd = 3; fd < 256; fd++)
    if (fcntl(fd, F_GETFD) >= 0) fcntl(fd, F_SETFD, FD_CLOEXEC);
  memset(&action, 0, sizeof action);
  action.sa_handler = on_pipe;
  CHECK(sigaction(SIGPIPE, &action, NULL) == 0);
  SAME(threads(), 0);
  client = kit_client();
  SAME(threads(), 0);
  OK(opamp_client_set_option(client, OPAMP_OPTION_FIRST_RETRY_MAX_MS, 1, NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_BACKOFF_BASE_MS, 1, NULL));
  OK(opamp_client_set_option(client, OPAMP_OPTION_BACKOFF_MAX_MS, 1, NULL));
  agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  OK(opamp_agent_set_heartbeat_interval(agent, 10, NULL));
  OK(opamp_agent_poll_fd(agent, &fd));
  kit_start(agent);
  kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
  CHECK(threads() >= 1);
  CHECK(descriptors(256) >= 3); /* poll descriptor, wake descriptor, socket */
  for (i = 0; i < 30; i++) {
    OK(opamp_agent_poll_now(agent));
    kit_post("connections", i % 2 ? "{\"how\": \"reset\"}" : "{\"how\": \"close\"}");
  }
  kit_post("faults", kit_is_websocket() ? "{\"rules\": [{\"times\": 20, \"do\": {\"close\": \"reset\"}}]}"
                                       : "{\"rules\": [{\"times\": 20, \"do\": {\"drop\": \"reset_unread\"}}]}");
  kit_wait("fault%3Drule-1&since=0");
  kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
  OK(opamp_agent_stop(agent, -1));
  SAME(broken_pipes, 0);
  CHECK(sigaction(SIGPIPE, NULL, &before) == 0);
  CHECK(before.sa_handler == on_pipe);
  opamp_agent_free(agent);
  opamp_client_unref(client);
  SAME(threads(), 0);
  SAME(descriptors(256), 0);
  return 0;
}
