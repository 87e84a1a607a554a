/* A complete small agent: it takes configurations from an OpAMP server into a folder and says what became of them.
 *
 *     make examples
 *     build/examples/agent --endpoint http://127.0.0.1:4320/v1/opamp --config-dir /tmp/example
 *
 * It reads events on its own thread (POLL delivery, opamp_agent_next_event), so nothing here needs a lock. Without
 * --config-dir every offer is just acknowledged. config_dir.c writes and swaps the files, command.c runs the commands.
 */
#define _POSIX_C_SOURCE 200809L

#include "command.h"
#include "config_dir.h"
#include "opamp.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COMMAND_TIMEOUT_MS = 30000, STOP_GRACE_MS = 1500, STOP_TIMEOUT_MS = 2600, END_S = 3, REPEATED_MAX = 32, UID_SIZE = 16 };

/* ---- options ---- */

typedef struct {
  const char *values[REPEATED_MAX];
  size_t count;
} repeated;

static struct {
  const char *endpoint, *interval_ms, *ca, *cert, *key, *uid, *service_name, *config_dir, *validate, *proxy, *on_change, *timeout_ms, *log;
  repeated headers, numbers;
  int json;
} options = {.service_name = "opamp-example-agent"};

static const char usage[] =
    "usage: agent --endpoint URL [options]\n"
    "  --interval-ms N       milliseconds between heartbeats\n"
    "  --header 'K: V'       sent with each request; may be repeated\n"
    "  --proxy URL           http, https or socks5, with user and password; else as the environment says\n"
    "  --ca FILE             certificates (PEM) that the server's must come from\n"
    "  --cert FILE           our own certificate (PEM)\n"
    "  --key FILE            its key, when it is not in the same file\n"
    "  --uid HEX             instance uid, 32 hexadecimal digits, dashes allowed; else a fresh one\n"
    "  --service-name NAME   what we are (opamp-example-agent)\n"
    "  --config-dir DIR      where configurations go: read them through DIR/current\n"
    "  --validate CMD        run with the new folder as its argument; unless it ends with 0, the offer is refused\n"
    "  --on-change CMD       the same once the new folder is live; unless it ends with 0, the old one comes back\n"
    "  --timeout-ms N        limit of each: look-up, connect, TLS, first byte of an answer\n"
    "  --option ID=N         any other number of the library: OPAMP_OPTION_ ids of opamp.h; may be repeated\n"
    "  --log LEVEL           off, error, warn, info or debug, to standard error\n"
    "  --json                one JSON object per event on standard output\n";

static void die(const char *what, const char *why) {
  (void)fprintf(stderr, "agent: %s%s%s\n", what, why != NULL ? ": " : "", why != NULL ? why : "");
  exit(2);
}

static void read_options(int argc, char **argv) {
  const struct { const char *name; const char **value; repeated *values; } table[] = {
      {"--endpoint", &options.endpoint, NULL},   {"--interval-ms", &options.interval_ms, NULL},
      {"--ca", &options.ca, NULL},               {"--cert", &options.cert, NULL},
      {"--key", &options.key, NULL},             {"--uid", &options.uid, NULL},
      {"--validate", &options.validate, NULL},   {"--service-name", &options.service_name, NULL},
      {"--on-change", &options.on_change, NULL}, {"--config-dir", &options.config_dir, NULL},
      {"--log", &options.log, NULL},             {"--proxy", &options.proxy, NULL},
      {"--header", NULL, &options.headers},      {"--timeout-ms", &options.timeout_ms, NULL},
      {"--option", NULL, &options.numbers},
  };
  for (int i = 1; i < argc; i++) {
    size_t row = 0;
    if (strcmp(argv[i], "--json") == 0) {
      options.json = 1;
      continue;
    }
    if (strcmp(argv[i], "--help") == 0) {
      (void)fputs(usage, stdout);
      exit(0);
    }
    while (row < sizeof table / sizeof *table && strcmp(argv[i], table[row].name) != 0) row++;
    if (row == sizeof table / sizeof *table || i + 1 == argc) {
      (void)fputs(usage, stderr);
      die(row == sizeof table / sizeof *table ? "no such option" : "an option without its value", argv[i]);
    }
    i += 1;
    if (table[row].value != NULL) *table[row].value = argv[i];
    else if (table[row].values->count < REPEATED_MAX) table[row].values->values[table[row].values->count++] = argv[i];
    else die("too many of them", table[row].name);
  }
  if (options.endpoint == NULL) die("--endpoint is missing; --help lists the options", NULL);
  if ((options.validate != NULL || options.on_change != NULL) && options.config_dir == NULL)
    die("--validate and --on-change need --config-dir", NULL);
}

static uint64_t number(const char *option, const char *text) {
  char *end = NULL;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (errno != 0 || *text < '0' || *text > '9' || *end != 0) die(option, "not a number");
  return value;
}

/* ---- stopping: a signal writes to a pipe, which every wait here looks at ---- */

static int stop_pipe[2];
static volatile sig_atomic_t is_stopping;

static void on_signal(int signal_number) {
  int error = errno;
  (void)signal_number;
  is_stopping = 1;
  (void)alarm(END_S); /* the last resort, as where nobody reads what we print: it ends the process */
  ssize_t ignored = write(stop_pipe[1], "", 1);
  (void)ignored;
  errno = error;
}

static int is_cancelled(void) { return is_stopping; }

static void catch_signals(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  if (pipe(stop_pipe) != 0) die("pipe", strerror(errno));
  for (int i = 0; i < 2; i++) {
    (void)fcntl(stop_pipe[i], F_SETFD, FD_CLOEXEC);
    (void)fcntl(stop_pipe[i], F_SETFL, O_NONBLOCK);
  }
  (void)sigaction(SIGTERM, &action, NULL);
  (void)sigaction(SIGINT, &action, NULL);
  action.sa_handler = SIG_IGN;
  (void)sigaction(SIGPIPE, &action, NULL); /* whoever reads our output may go first */
}

/* ---- what is said: one line per event ---- */

static void put_quoted(const char *bytes, size_t len) {
  (void)putchar('"');
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)bytes[i];
    if (c == '"' || c == '\\') (void)printf("\\%c", c);
    else if (c < 0x20 || c == 0x7f) (void)printf("\\u%04x", c);
    else (void)putchar(c);
  }
  (void)putchar('"');
}

static void put_hex(const uint8_t *bytes, size_t len) {
  for (size_t i = 0; i < len; i++) (void)printf("%02x", bytes[i]);
}

static void begin(const char *event) { (void)printf(options.json ? "{\"event\":\"%s\"" : "%s", event); }

static void end(void) {
  (void)printf(options.json ? "}\n" : "\n");
  (void)fflush(stdout);
}

static void field_text(const char *name, const char *value) {
  (void)printf(options.json ? ",\"%s\":" : "  %s=", name);
  put_quoted(value, strlen(value));
}

static void field_hex(const char *name, const uint8_t *bytes, size_t len) {
  (void)printf(options.json ? ",\"%s\":\"" : "  %s=", name);
  put_hex(bytes, len);
  if (options.json) (void)putchar('"');
}

static void field_number(const char *name, uint64_t value) { (void)printf(options.json ? ",\"%s\":%" PRIu64 : "  %s=%" PRIu64, name, value); }

static void say_error(const char *event, const opamp_error *error) {
  uint64_t retry_in_ms;
  begin(event);
  if (error != NULL) {
    field_text("kind", opamp_error_kind_name(opamp_error_kind(error)));
    if (opamp_error_http_status(error) != 0) field_number("http_status", (uint64_t)opamp_error_http_status(error));
    field_text("text", opamp_error_text(error));
    if (opamp_error_retry_in_ms(error, &retry_in_ms) == OPAMP_OK) field_number("retry_in_ms", retry_in_ms);
  }
  end();
}

static void say_offer(const opamp_config_map *offer, opamp_slice hash) {
  begin("remote_config");
  field_hex("hash", hash.data, hash.len);
  (void)printf(options.json ? ",\"files\":[" : "  files=");
  for (size_t i = 0; i < opamp_config_map_len(offer); i++) {
    opamp_slice name, content_type, body;
    if (opamp_config_map_at(offer, i, &name, &content_type, &body) != OPAMP_OK) continue;
    if (i > 0) (void)putchar(',');
    if (options.json) (void)printf("{\"name\":");
    put_quoted((const char *)name.data, name.len);
    if (!options.json) continue;
    (void)printf(",\"content_type\":");
    put_quoted((const char *)content_type.data, content_type.len);
    (void)printf(",\"bytes\":%zu}", body.len);
  }
  if (options.json) (void)putchar(']');
  end();
}

static void on_log(int32_t level, const char *line, void *user) {
  static const char *const names[] = {"off", "error", "warn", "info", "debug"};
  (void)user; /* any thread may call this: one fprintf is one line */
  (void)fprintf(stderr, "%s: %s\n", level >= 0 && level <= 4 ? names[level] : "log", line);
}

/* ---- one offer, from APPLYING to its verdict ---- */

static opamp_client *client;
static config_dir *dir; /* NULL without --config-dir */

static void check(opamp_status status, const char *what) {
  if (status != OPAMP_OK) die(what, opamp_status_name(status));
}

static void report(opamp_slice hash, int32_t state, const char *why) {
  static const char *const names[] = {"UNSET", "APPLIED", "APPLYING", "FAILED"};
  opamp_status status = opamp_client_set_remote_config_status(client, hash.data, hash.len, state, why, why != NULL ? strlen(why) : 0, NULL);
  begin("remote_config_status");
  field_hex("hash", hash.data, hash.len);
  field_text("state", names[state]);
  if (why != NULL) field_text("error", why);
  if (status != OPAMP_OK) field_text("not_reported", opamp_status_name(status)); /* such as an offer without a hash */
  end();
}

static int add_live_file(const config_file *file, void *user) {
  char content_type[256];
  size_t n = file->content_type_len < sizeof content_type ? file->content_type_len : 0;
  memcpy(content_type, file->content_type, n);
  content_type[n] = 0;
  return opamp_config_map_add(user, file->name, file->name_len, content_type, file->body, file->body_len, NULL) == OPAMP_OK ? 0 : -1;
}

/* Tells the server what is live: read back from the disk, or, without a folder, the offer itself. */
static void report_effective(const opamp_config_map *offer) {
  opamp_config_map *live = NULL;
  config_why why;
  if (dir == NULL && offer != NULL) {
    check(opamp_client_set_effective_config(client, offer, NULL), "effective config");
    return;
  }
  check(opamp_config_map_new(&live), "config map");
  if (dir != NULL && config_dir_read(dir, add_live_file, live, &why) != 0) (void)fprintf(stderr, "agent: reading what is live: %s\n", why.text);
  else check(opamp_client_set_effective_config(client, live, NULL), "effective config");
  opamp_config_map_unref(live);
}

static int stage(const opamp_config_map *offer, config_why *why) {
  size_t count = opamp_config_map_len(offer);
  config_file *files = calloc(count + 1, sizeof *files);
  if (files == NULL) return (void)snprintf(why->text, sizeof why->text, "out of memory"), -1;
  for (size_t i = 0; i < count; i++) {
    opamp_slice name, content_type, body;
    check(opamp_config_map_at(offer, i, &name, &content_type, &body), "config map");
    files[i] = (config_file){(const char *)name.data, name.len, (const char *)content_type.data, content_type.len, body.data, body.len};
  }
  int done = config_dir_stage(dir, files, count, is_cancelled, why);
  free(files);
  return done;
}

static int run(const char *which, const char *command, config_why *why) {
  char text[CONFIG_DIR_WHY_SIZE - 64];
  const char *folder = config_dir_staged_path(dir);
  if (command == NULL) return 0;
  if (folder == NULL) return (void)snprintf(why->text, sizeof why->text, "the folder's path is too long"), -1;
  if (command_run(command, folder, COMMAND_TIMEOUT_MS, stop_pipe[0], text, sizeof text) == 0) return 0;
  (void)snprintf(why->text, sizeof why->text, "%s: %s", which, text);
  return -1;
}

/* Checked, written beside, validated, swapped, announced; whatever fails, the old set is live again. */
static int apply(const opamp_config_map *offer, config_why *why) {
  config_why unused;
  if (stage(offer, why) != 0) return -1;
  if (run("validate", options.validate, why) == 0 && config_dir_swap(dir, why) == 0 && run("on-change", options.on_change, why) == 0) {
    config_dir_keep(dir);
    return 0;
  }
  if (config_dir_revert(dir, &unused) != 0) (void)fprintf(stderr, "agent: the old set could not be brought back: %s\n", unused.text);
  return -1;
}

static void on_offer(const opamp_config_map *offer, opamp_slice hash) {
  config_why why;
  say_offer(offer, hash);
  report(hash, OPAMP_REMOTE_CONFIG_APPLYING, NULL);
  int done = dir == NULL ? 0 : apply(offer, &why);
  if (done == 0 || dir != NULL) report_effective(offer);
  if (done != 0) text_clean(why.text);
  report(hash, done == 0 ? OPAMP_REMOTE_CONFIG_APPLIED : OPAMP_REMOTE_CONFIG_FAILED, done == 0 ? NULL : why.text);
}

/* ---- events ---- */

static void on_event(const opamp_event *event) {
  opamp_slice hash, uid;
  const opamp_config_map *offer;
  switch (opamp_event_kind(event)) {
    case OPAMP_EVENT_CONNECTED: begin("connected"), end(); break;
    case OPAMP_EVENT_CONNECT_FAILED: say_error("connect_failed", opamp_event_error(event)); break;
    case OPAMP_EVENT_SERVER_ERROR: say_error("server_error", opamp_event_error(event)); break;
    case OPAMP_EVENT_WARNING: say_error("warning", opamp_event_error(event)); break;
    case OPAMP_EVENT_MESSAGE:
      offer = opamp_message_remote_config(opamp_event_message(event), &hash);
      if (offer != NULL) on_offer(offer, hash);
      break;
    case OPAMP_EVENT_NEW_UID:
      if (opamp_event_uid(event, &uid) == OPAMP_OK) begin("new_uid"), field_hex("uid", uid.data, uid.len), end();
      break;
    case OPAMP_EVENT_STOPPED:
      if (opamp_event_error(event) != NULL) say_error("stopped", opamp_event_error(event));
      else begin("stopped"), end();
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
  struct pollfd waits[2] = {{.fd = -1, .events = POLLIN}, {.fd = stop_pipe[0], .events = POLLIN}};
  check(opamp_agent_poll_fd(agent, &waits[0].fd), "poll descriptor");
  while (!is_stopping) {
    if (poll(waits, 2, -1) < 0 && errno != EINTR) die("poll", strerror(errno));
    if (waits[0].revents != 0 && take_events(agent) != 0) return;
  }
}

/* ---- setting up ---- */

/* Takes a pointer to the error: an argument that read it could do so before the call beside it has set it. */
static void must(opamp_status status, opamp_error **error, const char *what) {
  if (status == OPAMP_OK) return;
  die(what, *error != NULL ? opamp_error_text(*error) : opamp_status_name(status));
}

static void set_uid(uint8_t uid[UID_SIZE]) {
  size_t digits = 0;
  opamp_error *error = NULL;
  if (options.uid == NULL) return;
  memset(uid, 0, UID_SIZE);
  for (const char *c = options.uid; *c != 0; c++) {
    static const char hex[] = "0123456789abcdef0123456789ABCDEF";
    const char *digit = strchr(hex, *c);
    if (*c == '-') continue;
    if (digit == NULL || digits == (size_t)UID_SIZE * 2) die("--uid", "not 32 hexadecimal digits");
    uid[digits / 2] = (uint8_t)(uid[digits / 2] << 4 | (digit - hex) % 16);
    digits += 1;
  }
  if (digits != (size_t)UID_SIZE * 2) die("--uid", "not 32 hexadecimal digits");
  must(opamp_client_set_instance_uid(client, uid, UID_SIZE, &error), &error, "--uid");
}

static void set_headers(void) {
  opamp_error *error = NULL;
  for (size_t i = 0; i < options.headers.count; i++) {
    const char *line = options.headers.values[i], *colon = strchr(line, ':');
    char *name = colon == NULL ? NULL : strndup(line, (size_t)(colon - line));
    if (name == NULL) die("--header is not 'Name: value'", NULL);
    must(opamp_client_set_header(client, name, colon + 1 + strspn(colon + 1, " "), &error), &error, "--header");
    free(name);
  }
}

static void set_numbers(void) {
  opamp_error *error = NULL;
  for (size_t i = 0; i < options.numbers.count; i++) {
    char id[16];
    const char *text = options.numbers.values[i], *equals = strchr(text, '=');
    if (equals == NULL || (size_t)(equals - text) >= sizeof id) die("--option is not ID=N", NULL);
    (void)snprintf(id, sizeof id, "%.*s", (int)(equals - text), text);
    must(opamp_client_set_option(client, (int32_t)number("--option", id), number("--option", equals + 1), &error), &error, "--option");
  }
}

static void set_connection(void) {
  opamp_error *error = NULL;
  static const int32_t limits[] = {OPAMP_OPTION_RESOLVE_TIMEOUT_MS, OPAMP_OPTION_CONNECT_TIMEOUT_MS, OPAMP_OPTION_TLS_TIMEOUT_MS,
                                   OPAMP_OPTION_FIRST_BYTE_TIMEOUT_MS};
  if (options.proxy != NULL) must(opamp_client_set_proxy(client, options.proxy, &error), &error, "--proxy");
  if (options.ca != NULL) must(opamp_client_set_ca_file(client, options.ca, &error), &error, "--ca");
  if (options.cert != NULL) must(opamp_client_set_client_certificate_files(client, options.cert, options.key, &error), &error, "--cert");
  else if (options.key != NULL) die("--key without --cert", NULL);
  for (size_t i = 0; options.timeout_ms != NULL && i < sizeof limits / sizeof *limits; i++)
    must(opamp_client_set_option(client, limits[i], number("--timeout-ms", options.timeout_ms), &error), &error, "--timeout-ms");
  must(opamp_client_set_option(client, OPAMP_OPTION_STOP_GRACE_MS, STOP_GRACE_MS, &error), &error, "stop grace");
  set_numbers();
  set_headers();
}

static void set_description(const uint8_t uid[UID_SIZE]) {
  char text[UID_SIZE * 2 + 1], host[256] = "";
  opamp_attributes *identifying = NULL, *other = NULL;
  for (size_t i = 0; i < UID_SIZE; i++) (void)snprintf(text + i * 2, 3, "%02x", uid[i]);
  (void)gethostname(host, sizeof host - 1);
  check(opamp_attributes_new(&identifying), "attributes");
  check(opamp_attributes_new(&other), "attributes");
  check(opamp_attributes_set_string(identifying, "service.name", options.service_name, NULL), "--service-name");
  check(opamp_attributes_set_string(identifying, "service.instance.id", text, NULL), "attributes");
  check(opamp_attributes_set_string(other, "os.type", "linux", NULL), "attributes");
  check(opamp_attributes_set_string(other, "host.name", host, NULL), "attributes");
  check(opamp_attributes_set_int(other, "process.pid", getpid(), NULL), "attributes");
  check(opamp_client_set_description(client, identifying, other, NULL), "description");
  opamp_attributes_free(identifying);
  opamp_attributes_free(other);
}

static void set_log(void) {
  static const char *const names[] = {"off", "error", "warn", "info", "debug"};
  int32_t level = 0;
  if (options.log == NULL) return;
  while (level < 5 && strcmp(names[level], options.log) != 0) level++;
  if (level == 5) die("--log", "not off, error, warn, info or debug");
  check(opamp_set_log(level, on_log, NULL), "--log");
}

static void set_up(void) {
  uint8_t uid[UID_SIZE];
  opamp_error *error = NULL;
  config_why why;
  set_log();
  must(opamp_client_new(options.endpoint, &client, &error), &error, "--endpoint");
  set_uid(uid);
  check(opamp_client_instance_uid(client, uid, UID_SIZE), "instance uid");
  set_connection();
  set_description(uid);
  must(opamp_client_set_capabilities(client,
                                     OPAMP_CAPABILITY_REPORTS_STATUS | OPAMP_CAPABILITY_REPORTS_HEARTBEAT |
                                         OPAMP_CAPABILITY_ACCEPTS_REMOTE_CONFIG | OPAMP_CAPABILITY_REPORTS_REMOTE_CONFIG |
                                         OPAMP_CAPABILITY_REPORTS_EFFECTIVE_CONFIG,
                                     &error),
       &error, "capabilities");
  if (options.config_dir != NULL && config_dir_open(options.config_dir, &dir, &why) != 0) die("--config-dir", why.text);
  report_effective(NULL);
  begin("starting"), field_hex("uid", uid, UID_SIZE), end();
}

int main(int argc, char **argv) {
  opamp_agent *agent = NULL;
  opamp_error *error = NULL;
  read_options(argc, argv);
  catch_signals();
  set_up();
  must(opamp_agent_new(client, NULL, NULL, NULL, &agent, &error), &error, "agent");
  check(opamp_agent_set_delivery(agent, OPAMP_DELIVERY_POLL, NULL), "delivery");
  if (options.interval_ms != NULL) check(opamp_agent_set_interval(agent, number("--interval-ms", options.interval_ms), NULL), "--interval-ms");
  must(opamp_agent_start(agent, &error), &error, "start");

  loop(agent);

  /* With a live server this says goodbye; a server that does not answer costs the stop grace and no more. */
  opamp_status status = opamp_agent_stop(agent, STOP_TIMEOUT_MS);
  (void)take_events(agent);
  if (status != OPAMP_OK) die("stop", opamp_status_name(status));
  opamp_agent_free(agent);
  opamp_client_unref(client);
  config_dir_close(dir);
  return is_stopping ? 0 : 1;
}
