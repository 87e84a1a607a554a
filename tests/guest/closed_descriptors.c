/* A daemon that closed its standard descriptors: none of the library's ever takes their place, so that what the host prints lands in no
 * connection. [GUEST-02] [LIFE-07] [http] */
#include "kit.h"

#include <fcntl.h>

/* The kit's own connections take the lowest numbers; that is the test's doing. */
static void check_free(void) {
  int fd;
  for (fd = 0; fd < 3; fd++) CHECK(fcntl(fd, F_GETFD) < 0 && errno == EBADF);
}

/* Waits until so many connections are made. A socket has a low number for the moment between its making and its move, which nobody
 * can avoid: only when none is being made there is something to check. */
static void connected(opamp_agent *agent, uint64_t count) {
  uint64_t made = 0;
  while (made < count) {
    opamp_snapshot *now = NULL;
    OK(opamp_agent_snapshot(agent, &now));
    OK(opamp_snapshot_number(now, OPAMP_SNAPSHOT_CONNECTIONS, &made));
    opamp_snapshot_free(now);
  }
}

int main(void) {
  opamp_client *client = kit_client();
  opamp_agent *agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  int fd, i, before;
  stderr = fdopen(dup(2), "w"); /* what fails is still told */
  CHECK(stderr != NULL && fileno(stderr) > 2);
  setvbuf(stderr, NULL, _IONBF, 0);
  OK(opamp_client_set_option(client, OPAMP_OPTION_FIRST_RETRY_MAX_MS, 1, NULL));
  OK(opamp_agent_set_heartbeat_interval(agent, 10, NULL));
  for (fd = 0; fd < 3; fd++) close(fd);
  before = kit_entries("/proc/self/fd");
  OK(opamp_agent_poll_fd(agent, &fd));
  CHECK(fd > 2);
  kit_start(agent);
  kit_event_gone(agent, OPAMP_EVENT_CONNECTED);
  connected(agent, 1);
  check_free();
  for (i = 0; i < 20; i++) {
    OK(opamp_agent_reconnect(agent));
    OK(opamp_agent_flush(agent, SOON_MS, NULL));
    connected(agent, (uint64_t)i + 2);
    check_free();
    CHECK(write(1, "printed", 7) < 0 && errno == EBADF);
  }
  kit_wait("messages%3E%3D30");
  CHECK(!kit_timeline_has("problem=1", "verdicts"));
  OK(opamp_agent_stop(agent, -1));
  check_free();
  opamp_agent_free(agent);
  opamp_client_unref(client);
  SAME(kit_entries("/proc/self/fd"), before);
  return 0;
}
