/* A complete small agent: it takes configurations from an OpAMP server into a directory and reports
 * what became of them.
 *
 *     make examples
 *     build/examples/agent --endpoint http://127.0.0.1:4320/v1/opamp --config-dir /tmp/example
 *
 * It reads events on its own thread (POLL delivery, opamp_agent_next_event), so nothing here needs
 * a lock. Its loop waits for four things at once: events, signals, the output and the time limit of
 * a command. In the directory it keeps who it is and what became of the last configuration
 * (agent.state): after a restart it is the same agent to the server, and what was applied, or
 * failed, is not run again (--option 23=1 tries again what failed). Without --config-dir every
 * offer is just acknowledged.
 *
 * offer.c is the way of an offer from APPLYING to its status, config_dir.c writes and swaps the
 * files, command.c runs the commands, state_file.c keeps the state, options.c and output.c read and
 * say.
 */
#define _POSIX_C_SOURCE 200809L

#include "config_dir.h"
#include "offer.h"
#include "options.h"
#include "output.h"
#include "state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <opamp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STOP_GRACE_MS = 1500, STOP_TIMEOUT_MS = 2600, END_S = 3, UID_SIZE = STATE_UID_SIZE };

static opamp_client *client;
static config_dir *dir; /* NULL without --config-dir */
static agent_state state;

/* ---- signals: each writes to a pipe, which the loop looks at ---- */

static int signal_pipe[2];
static volatile sig_atomic_t has_stop_signal;

static void on_signal(int number) {
  int error = errno;
  if (number != SIGCHLD) {
    has_stop_signal = 1;
    (void)alarm(
        END_S); /* the last resort, as where nobody reads what we print: it ends the process */
  }
  ssize_t ignored = write(signal_pipe[1], "", 1);
  (void)ignored;
  errno = error;
}

static int is_stopping(void) { return has_stop_signal; }

static void catch_signals(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  if (pipe(signal_pipe) != 0) die("pipe", strerror(errno));
  for (int i = 0; i < 2; i++) {
    (void)fcntl(signal_pipe[i], F_SETFD, FD_CLOEXEC);
    (void)fcntl(signal_pipe[i], F_SETFL, O_NONBLOCK);
  }
  (void)sigaction(SIGTERM, &action, NULL);
  (void)sigaction(SIGINT, &action, NULL);
  action.sa_flags = SA_RESTART | SA_NOCLDSTOP;
  (void)sigaction(SIGCHLD, &action, NULL);
  action.sa_handler = SIG_IGN;
  (void)sigaction(SIGPIPE, &action, NULL); /* whoever reads our output may go first */
}

/* Else the next file that is opened would get the number of a standard stream, and be written to as
 * one. */
static void open_standard_streams(void) {
  int fd;
  do fd = open("/dev/null", O_RDWR);
  while (fd >= 0 && fd < 3);
  if (fd >= 0) (void)close(fd);
}

static void drain_signals(void) {
  char bytes[64];
  while (read(signal_pipe[0], bytes, sizeof bytes) == (ssize_t)sizeof bytes) continue;
}

/* ---- who we are ---- */

static void set_description(void) {
  char text[UID_SIZE * 2 + 5], host[256] = "", *to = text;
  opamp_attributes *identifying = NULL, *other = NULL;
  opamp_error *error = NULL;
  for (size_t i = 0; i < UID_SIZE; i++) {
    if (i == 4 || i == 6 || i == 8 || i == 10) *to++ = '-';
    to += snprintf(to, 3, "%02x", state.uid[i]);
  }
  (void)gethostname(host, sizeof host - 1);
  must(opamp_attributes_new(&identifying), NULL, "attributes");
  must(opamp_attributes_new(&other), NULL, "attributes");
  must(opamp_attributes_set_string(identifying, "service.name", options.service_name, &error),
       &error, "--service-name");
  must(opamp_attributes_set_string(identifying, "service.instance.id", text, &error), &error,
       "instance id");
  must(opamp_attributes_set_string(other, "os.type", "linux", &error), &error, "os.type");
  must(opamp_attributes_set_string(other, "host.name", host, &error), &error, "host.name");
  must(opamp_attributes_set_int(other, "process.pid", getpid(), &error), &error, "process.pid");
  must(opamp_client_set_description(client, identifying, other, &error), &error, "description");
  opamp_attributes_free(identifying);
  opamp_attributes_free(other);
}

static void on_new_instance_uid(opamp_slice uid) {
  say_begin("new_uid");
  say_hex("uid", uid.data, uid.len);
  say_end();
  memcpy(state.uid, uid.data, UID_SIZE);
  offer_keep_state();
  set_description(); /* service.instance.id is the uid */
}

/* ---- events ---- */

static void on_event(const opamp_event *event) {
  const opamp_error *error = opamp_event_error(event);
  opamp_slice uid;
  switch (opamp_event_kind(event)) {
    case OPAMP_EVENT_CONNECTED: say_error("connected", NULL); break;
    case OPAMP_EVENT_CONNECT_FAILED: say_error("connect_failed", error); break;
    case OPAMP_EVENT_SERVER_ERROR: say_error("server_error", error); break;
    case OPAMP_EVENT_WARNING: say_error("warning", error); break;
    case OPAMP_EVENT_STOPPED: say_error("stopped", error); break;
    case OPAMP_EVENT_MESSAGE:
      if (!is_stopping()) offer_take(opamp_event_message(event));
      break;
    case OPAMP_EVENT_NEW_INSTANCE_UID:
      if (opamp_event_instance_uid(event, &uid) == OPAMP_OK) on_new_instance_uid(uid);
      break;
    default: break;
  }
}

/* Takes what waits. 0 while the agent runs, -1 once it has stopped. */
static int take_events(opamp_agent *agent) {
  opamp_event *event;
  opamp_status status = OPAMP_OK;
  while ((status = opamp_agent_next_event(agent, 0, &event)) == OPAMP_OK) {
    on_event(event);
    opamp_event_free(event);
  }
  return status == OPAMP_E_TIMEOUT ? 0 : -1;
}

static void loop(opamp_agent *agent) {
  struct pollfd waits[3];
  memset(waits, 0, sizeof waits);
  for (int i = 0; i < 3; i++) waits[i].events = POLLIN;
  must(opamp_agent_poll_fd(agent, &waits[0].fd), NULL, "poll descriptor");
  waits[1].fd = signal_pipe[0];
  for (int is_running = 1; is_running && !is_stopping();) {
    waits[2].fd = offer_fd();
    if (poll(waits, 3, offer_time_left()) < 0 && errno != EINTR) die("poll", strerror(errno));
    drain_signals();
    offer_turn();
    is_running = take_events(agent) == 0;
  }
  offer_cancel();
}

/* ---- setting up ---- */

static void read_uid(const char *text, uint8_t uid[UID_SIZE]) {
  static const char hex[] = "0123456789abcdef0123456789ABCDEF";
  size_t digits = 0;
  memset(uid, 0, UID_SIZE);
  for (const char *c = text; *c != 0; c++) {
    const char *digit = strchr(hex, *c);
    if (*c == '-') continue;
    if (digit == NULL || digits == (size_t)UID_SIZE * 2)
      die("--uid", "must be 32 hexadecimal digits");
    uid[digits / 2] = (uint8_t)(uid[digits / 2] << 4 | (digit - hex) % 16);
    digits += 1;
  }
  if (digits != (size_t)UID_SIZE * 2) die("--uid", "must be 32 hexadecimal digits");
}

/* The one of the command line, else the one that was kept, else the one that the library makes. */
static void set_uid(void) {
  opamp_error *error = NULL;
  const char *where = options.uid != NULL ? "--uid" : "the instance uid that was kept";
  if (options.uid != NULL) read_uid(options.uid, state.uid);
  if (options.uid != NULL || state.has_uid)
    must(opamp_client_set_instance_uid(client, state.uid, UID_SIZE, &error), &error, where);
  must(opamp_client_instance_uid(client, state.uid, UID_SIZE), NULL, "instance uid");
  state.has_uid = 1;
}

static void set_headers(void) {
  opamp_error *error = NULL;
  for (size_t i = 0; i < options.headers.count; i++) {
    const char *line = options.headers.values[i], *colon = strchr(line, ':');
    char *name = colon == NULL ? NULL : strndup(line, (size_t)(colon - line));
    if (name == NULL) die("--header must be 'Name: value'", NULL);
    must(opamp_client_set_header(client, name, colon + 1 + strspn(colon + 1, " "), &error), &error,
         "--header");
    free(name);
  }
}

static void set_numbers(void) {
  opamp_error *error = NULL;
  for (size_t i = 0; i < options.numbers.count; i++) {
    char id[16];
    const char *text = options.numbers.values[i], *equals = strchr(text, '=');
    if (equals == NULL || (size_t)(equals - text) >= sizeof id) die("--option must be ID=N", NULL);
    (void)snprintf(id, sizeof id, "%.*s", (int)(equals - text), text);
    uint64_t option = options_number("--option", id),
             value = options_number("--option", equals + 1);
    if (option > INT32_MAX) die("--option must be ID=N", "no such ID");
    must(opamp_client_set_option(client, (int32_t)option, value, &error), &error, "--option");
  }
}

static void set_timeouts(void) {
  static const int32_t limits[] = {OPAMP_OPTION_RESOLVE_TIMEOUT_MS, OPAMP_OPTION_CONNECT_TIMEOUT_MS,
                                   OPAMP_OPTION_TLS_TIMEOUT_MS, OPAMP_OPTION_FIRST_BYTE_TIMEOUT_MS};
  opamp_error *error = NULL;
  must(opamp_client_set_option(client, OPAMP_OPTION_STOP_GRACE_MS, STOP_GRACE_MS, &error), &error,
       "stop grace");
  if (options.timeout_ms == NULL) return;
  uint64_t timeout_ms = options_number("--timeout-ms", options.timeout_ms);
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
    must(opamp_client_set_option(client, limits[i], timeout_ms, &error), &error, "--timeout-ms");
}

static void set_connection(void) {
  opamp_error *error = NULL;
  if (options.proxy != NULL)
    must(opamp_client_set_proxy(client, options.proxy, &error), &error, "--proxy");
  if (options.ca != NULL)
    must(opamp_client_set_ca_file(client, options.ca, &error), &error, "--ca");
  if (options.cert == NULL && options.key != NULL) die("--key requires --cert", NULL);
  if (options.cert != NULL)
    must(opamp_client_set_client_certificate_files(client, options.cert, options.key, &error),
         &error, "--cert");
  set_timeouts();
  set_numbers();
  set_headers();
}

static void set_log(void) {
  static const char *const names[] = {"off", "error", "warn", "info", "debug"};
  int32_t level = 0;
  if (options.log == NULL) return;
  while (level < 5 && strcmp(names[level], options.log) != 0) level++;
  if (level == 5) die("--log", "must be off, error, warn, info or debug");
  must(opamp_set_log_callback(level, output_log, NULL), NULL, "--log");
}

static void open_dir(void) {
  config_why why;
  if (options.config_dir == NULL) return;
  if (config_dir_open(options.config_dir, &dir, &why) != 0) die("--config-dir", why.text);
  if (state_load(config_dir_fd(dir), &state, why.text, sizeof why.text) < 0)
    (void)fprintf(stderr, "agent: %s\n", why.text);
}

static void set_capabilities(void) {
  static const uint64_t capabilities =
      OPAMP_CAPABILITY_REPORTS_STATUS | OPAMP_CAPABILITY_REPORTS_HEARTBEAT |
      OPAMP_CAPABILITY_ACCEPTS_REMOTE_CONFIG | OPAMP_CAPABILITY_REPORTS_REMOTE_CONFIG |
      OPAMP_CAPABILITY_REPORTS_EFFECTIVE_CONFIG;
  opamp_error *error = NULL;
  must(opamp_client_set_capabilities(client, capabilities, &error), &error, "capabilities");
}

static void set_up(void) {
  opamp_error *error = NULL;
  set_log();
  must(opamp_client_new(options.endpoint, &client, &error), &error, "--endpoint");
  open_dir();
  set_uid();
  set_connection();
  set_description();
  set_capabilities();
  offer_context context = {client, dir, &state, options.validate, options.on_change, is_stopping};
  offer_begin(&context);
  offer_keep_state();
  say_begin("starting");
  say_hex("uid", state.uid, UID_SIZE);
  if (state.applied_len > 0) say_hex("applied", state.applied, state.applied_len);
  if (state.failed_len > 0) say_hex("failed", state.failed, state.failed_len);
  say_end();
}

int main(int argc, char **argv) {
  opamp_agent *agent = NULL;
  opamp_error *error = NULL;
  open_standard_streams();
  options_read(argc, argv);
  catch_signals();
  set_up();
  must(opamp_agent_new(client, NULL, NULL, NULL, &agent, &error), &error, "agent");
  must(opamp_agent_set_delivery(agent, OPAMP_DELIVERY_POLL, &error), &error, "delivery");
  if (options.interval_ms != NULL) {
    uint64_t interval_ms = options_number("--interval-ms", options.interval_ms);
    must(opamp_agent_set_heartbeat_interval(agent, interval_ms, &error), &error, "--interval-ms");
  }
  must(opamp_agent_start(agent, &error), &error, "start");

  loop(agent);

  /* With a live server this disconnects; a server that does not answer costs the stop grace and no
   * more. */
  opamp_status status = opamp_agent_stop(agent, STOP_TIMEOUT_MS);
  (void)take_events(agent);
  if (status != OPAMP_OK) die("stop", opamp_status_name(status));
  opamp_agent_free(agent);
  opamp_client_unref(client);
  config_dir_close(dir);
  return is_stopping() ? 0 : 1;
}
