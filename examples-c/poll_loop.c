/* The library inside an event loop of the host's own (epoll; libuv, libevent and asyncio work the
 * same way): callbacks run nowhere but inside opamp_agent_dispatch, on this very thread, so they
 * need no lock.
 *
 *     make examples && build/examples/poll_loop http://127.0.0.1:4320/v1/opamp        (ends with
 * Ctrl-C)
 */
#define _POSIX_C_SOURCE 200809L
#include <opamp.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Says what failed. It takes a pointer to the error (or NULL): an argument that read the error
 * itself could do so before the call beside it has set it. */
static int is_good(opamp_status status, opamp_error **error, const char *what) {
  const char *why = opamp_status_name(status);
  if (status == OPAMP_OK) return 1;
  if (error != NULL && *error != NULL) why = opamp_error_text(*error);
  (void)fprintf(stderr, "poll_loop: %s: %s\n", what, why);
  if (error != NULL) opamp_error_free(*error), *error = NULL;
  return 0;
}

static void must(opamp_status status, opamp_error **error, const char *what) {
  if (!is_good(status, error, what)) exit(1);
}

static void on_connect(opamp_agent *agent, opamp_client *client, void *user) {
  (void)agent, (void)client;
  *(int *)user += 1;
  (void)printf("connected\n");
}

static void on_connect_failed(opamp_agent *agent, opamp_client *client, const opamp_error *why,
                              void *user) {
  (void)agent, (void)client, (void)user;
  (void)printf("connection attempt failed: %s\n", opamp_error_text(why));
}

static void on_message(opamp_agent *agent, opamp_client *client, const opamp_message *message,
                       void *user) {
  opamp_error *error = NULL;
  opamp_slice hash, name, content_type, body;
  const opamp_config_map *config = opamp_message_remote_config(message, &hash);
  (void)agent, (void)user;
  if (config == NULL) return;
  for (size_t i = 0; i < opamp_config_map_len(config); i++)
    if (opamp_config_map_at(config, i, &name, &content_type, &body) == OPAMP_OK)
      (void)printf("file %.*s: %zu bytes\n", (int)name.len, (const char *)name.data, body.len);
  (void)is_good(opamp_client_set_effective_config(client, config, &error), &error,
                "effective config");
  (void)is_good(opamp_client_set_remote_config_status(client, hash.data, hash.len,
                                                      OPAMP_REMOTE_CONFIG_APPLIED, NULL, 0, &error),
                &error, "remote config status");
}

static opamp_client *make_client(const char *endpoint) {
  static const uint64_t capabilities =
      OPAMP_CAPABILITY_REPORTS_STATUS | OPAMP_CAPABILITY_REPORTS_HEARTBEAT |
      OPAMP_CAPABILITY_ACCEPTS_REMOTE_CONFIG | OPAMP_CAPABILITY_REPORTS_REMOTE_CONFIG |
      OPAMP_CAPABILITY_REPORTS_EFFECTIVE_CONFIG;
  opamp_client *client = NULL;
  opamp_attributes *about = NULL;
  opamp_error *error = NULL;
  must(opamp_client_new(endpoint, &client, &error), &error, "client");
  must(opamp_attributes_new(&about), NULL, "attributes");
  must(opamp_attributes_set_string(about, "service.name", "poll-loop", &error), &error,
       "service.name");
  must(opamp_client_set_description(client, about, NULL, &error), &error, "description");
  opamp_attributes_free(about);
  must(opamp_client_set_capabilities(client, capabilities, &error), &error, "capabilities");
  return client;
}

static void watch(int loop, int fd) {
  struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
  if (epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event) == 0) return;
  perror("epoll_ctl");
  exit(1);
}

static int signal_descriptor(void) {
  sigset_t ends;
  (void)sigemptyset(&ends);
  (void)sigaddset(&ends, SIGINT);
  (void)sigaddset(&ends, SIGTERM);
  (void)sigprocmask(SIG_BLOCK, &ends, NULL);
  return signalfd(-1, &ends, SFD_CLOEXEC);
}

int main(int argc, char **argv) {
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  opamp_client *client = make_client(argc > 1 ? argv[1] : "http://127.0.0.1:4320/v1/opamp");
  opamp_agent *agent = NULL;
  opamp_error *error = NULL;
  int connects = 0, agent_fd = -1, signals = signal_descriptor(),
      loop = epoll_create1(EPOLL_CLOEXEC);

  (void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ); /* a reader at a pipe sees each line as it comes */
  callbacks.on_connect = on_connect;
  callbacks.on_connect_failed = on_connect_failed;
  callbacks.on_message = on_message;
  must(opamp_agent_new(client, &callbacks, &connects, NULL, &agent, &error), &error, "agent");
  must(opamp_agent_set_delivery(agent, OPAMP_DELIVERY_POLL, &error), &error, "delivery");
  must(opamp_agent_start(agent, &error), &error, "start");
  must(opamp_agent_poll_fd(agent, &agent_fd), NULL, "poll descriptor");
  watch(loop, agent_fd);
  watch(loop, signals);

  for (int is_over = 0; !is_over;) {
    struct epoll_event ready;
    if (epoll_wait(loop, &ready, 1, -1) != 1) continue;
    if (ready.data.fd == signals) is_over = 1;
    /* 0 ms: it takes what waits and never blocks. The descriptor stays readable while something is
     * left. */
    else is_over = opamp_agent_dispatch(agent, 0, NULL) == OPAMP_E_STATE;
  }

  must(opamp_agent_stop(agent, 3000), NULL, "stop");
  while (opamp_agent_dispatch(agent, 0, NULL) == OPAMP_OK)
    continue; /* the last events, if they matter to you */
  opamp_agent_free(agent);
  opamp_client_unref(client);
  (void)close(signals);
  (void)close(loop);
  (void)printf("stopped after %d connection%s\n", connects, connects == 1 ? "" : "s");
  return 0;
}
