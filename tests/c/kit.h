/* What the C tests share: checks that say where they failed, waits with a bound, the server's control API over a socket.
 * In the subset that C99 and C++17 have in common. */
#ifndef KIT_H
#define KIT_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <opamp.h>

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>

/* Long enough for a slow machine under valgrind; nothing waits so long when all is well. */
#define SOON_MS 20000

#define CHECK(condition) \
  do { \
    if (!(condition)) kit_fail(__FILE__, __LINE__, #condition, 0, 0); \
  } while (0)
#define SAME(left, right) \
  do { \
    long long left_ = (long long)(left), right_ = (long long)(right); \
    if (left_ != right_) kit_fail(__FILE__, __LINE__, #left " == " #right, left_, right_); \
  } while (0)
#define OK(call) SAME(call, OPAMP_OK)

static inline void kit_fail(const char *file, int line, const char *what, long long left, long long right) {
  const char *name = strrchr(file, '/');
  fprintf(stderr, "%s:%d: %s", name ? name + 1 : file, line, what);
  if (left != right) fprintf(stderr, " (%lld, %lld)", left, right);
  fprintf(stderr, "\n");
  _exit(1);
}

/* How many names a folder holds, `.` and `..` included. */
static inline int kit_entries(const char *path) {
  DIR *dir = opendir(path);
  int count = 0;
  CHECK(dir != NULL);
  while (readdir(dir)) count++;
  closedir(dir);
  return count;
}

/* ---- the server: given by the runner in the environment ---- */
static inline const char *kit_env(const char *name) {
  const char *value = getenv(name);
  if (!value) {
    fprintf(stderr, "%s is not set; start this program with tests/c/run.py\n", name);
    _exit(1);
  }
  return value;
}

static inline const char *kit_endpoint(void) { return kit_env("OPAMP_TEST_ENDPOINT"); }

static inline int kit_is_websocket(void) { return strncmp(kit_endpoint(), "ws", 2) == 0; }

/* Where the server's timeline has the headers that were sent: of each message, or of the upgrade. */
static inline const char *kit_requests(void) { return kit_is_websocket() ? "kind=upgrade" : "kind=received"; }

/* One request to the control API at 127.0.0.1; answers its status and puts the start of its body into `answer`. */
static inline int kit_api(const char *method, const char *path, const char *body, char *answer, size_t size) {
  static const char form[] = "%s /api/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n"
                             "Content-Length: %zu\r\n\r\n";
  char head[1024], whole[65536];
  size_t have = 0;
  ssize_t got;
  int status = 0, s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in at;
  memset(&at, 0, sizeof at);
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons((unsigned short)atoi(kit_env("OPAMP_TEST_API_PORT")));
  CHECK(s >= 0 && connect(s, (struct sockaddr *)&at, sizeof at) == 0);
  snprintf(head, sizeof head, form, method, path, body ? strlen(body) : (size_t)0);
  CHECK(send(s, head, strlen(head), MSG_NOSIGNAL) == (ssize_t)strlen(head));
  if (body) CHECK(send(s, body, strlen(body), MSG_NOSIGNAL) == (ssize_t)strlen(body));
  while (have < sizeof whole - 1 && (got = recv(s, whole + have, sizeof whole - 1 - have, 0)) > 0) have += (size_t)got;
  close(s);
  whole[have] = 0;
  CHECK(sscanf(whole, "HTTP/1.1 %d", &status) == 1);
  if (answer) {
    const char *text = strstr(whole, "\r\n\r\n");
    snprintf(answer, size, "%s", text ? text + 4 : "");
  }
  return status;
}

static inline void kit_post(const char *path, const char *json) {
  char answer[512];
  int status = kit_api("POST", path, json, answer, sizeof answer);
  if (status != 200) {
    fprintf(stderr, "POST %s %s: %d %s\n", path, json, status, answer);
    CHECK(status == 200);
  }
}

/* The next try is answered with a status: a message over HTTP, an upgrade over WebSocket. `how` is what else the rule says. */
static inline void kit_refuse(const char *how) {
  char json[1024];
  snprintf(json, sizeof json, "{\"rules\": [{%s%s}]}", kit_is_websocket() ? "\"on\": \"upgrade\", " : "", how);
  kit_post("faults", json);
}

/* Waits at the server for a condition; `condition` is percent-encoded and may be followed by &agent=.. and the like. */
static inline void kit_wait(const char *condition) {
  char path[1024], answer[512];
  int status;
  snprintf(path, sizeof path, "wait?timeout=20s&until=%s", condition);
  status = kit_api("GET", path, NULL, answer, sizeof answer);
  if (status != 200) {
    fprintf(stderr, "%s: %d %s\n", path, status, answer);
    CHECK(status == 200);
  }
}

/* Does the server's timeline of this agent hold that text? */
static inline int kit_timeline_has(const char *query, const char *text) {
  char path[512];
  static char answer[65536];
  snprintf(path, sizeof path, "timeline?%s", query);
  SAME(kit_api("GET", path, NULL, answer, sizeof answer), 200);
  return strstr(answer, text) != NULL;
}

static inline void kit_uid_text(const uint8_t *uid, char text[37]) {
  int i, at = 0;
  for (i = 0; i < 16; i++) at += snprintf(text + at, (size_t)(37 - at), i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", uid[i]);
}

static inline void kit_client_uid(const opamp_client *client, char text[37]) {
  uint8_t uid[16];
  OK(opamp_client_instance_uid(client, uid, 16));
  kit_uid_text(uid, text);
}

/* ---- clients and agents ---- */
/* Under valgrind and the sanitizers everything takes longer. */
static inline void kit_patient(opamp_client *client) {
  int32_t option;
  if (!getenv("OPAMP_TEST_SLOW")) return;
  for (option = OPAMP_OPTION_RESOLVE_TIMEOUT_MS; option <= OPAMP_OPTION_FIRST_BYTE_TIMEOUT_MS; option++)
    OK(opamp_client_set_option(client, option, 60000, NULL));
}

static inline opamp_client *kit_client_at(const char *endpoint) {
  opamp_client *client = NULL;
  opamp_attributes *who = NULL;
  opamp_error *err = NULL;
  const char *ca = getenv("OPAMP_TEST_CA");
  opamp_status status = opamp_client_new(endpoint, &client, &err);
  if (status) fprintf(stderr, "%s: %s\n", endpoint, opamp_error_text(err));
  OK(status);
  if (ca && (strncmp(endpoint, "https:", 6) == 0 || strncmp(endpoint, "wss:", 4) == 0)) OK(opamp_client_set_ca_file(client, ca, NULL));
  kit_patient(client);
  OK(opamp_attributes_new(&who));
  OK(opamp_attributes_set_string(who, "service.name", "c-test", NULL));
  OK(opamp_client_set_description(client, who, NULL, NULL));
  opamp_attributes_free(who);
  return client;
}

static inline opamp_client *kit_client(void) { return kit_client_at(kit_endpoint()); }

static inline opamp_agent *kit_agent(opamp_client *client, const opamp_callbacks *callbacks, void *user, int32_t delivery) {
  opamp_agent *agent = NULL;
  opamp_error *err = NULL;
  opamp_status status = opamp_agent_new(client, callbacks, user, NULL, &agent, &err);
  if (status) fprintf(stderr, "%s\n", opamp_error_text(err));
  OK(status);
  OK(opamp_agent_set_delivery(agent, delivery, NULL));
  return agent;
}

static inline void kit_start(opamp_agent *agent) {
  opamp_error *err = NULL;
  opamp_status status = opamp_agent_start(agent, &err);
  if (status) fprintf(stderr, "start: %s\n", opamp_error_text(err));
  OK(status);
}

/* The next event of that kind; the ones before it are freed. */
static inline opamp_event *kit_event(opamp_agent *agent, int32_t kind) {
  for (;;) {
    opamp_event *event = NULL;
    opamp_status status = opamp_agent_next_event(agent, SOON_MS, &event);
    if (status) fprintf(stderr, "no %s\n", opamp_event_kind_name(kind));
    OK(status);
    if (opamp_event_kind(event) == kind) return event;
    opamp_event_free(event);
  }
}

static inline void kit_event_gone(opamp_agent *agent, int32_t kind) { opamp_event_free(kit_event(agent, kind)); }

/* ---- waiting between threads ---- */
typedef struct kit_flag {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int value;
} kit_flag;
#define KIT_FLAG { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0 }

static inline void kit_add(kit_flag *flag, int more) {
  pthread_mutex_lock(&flag->lock);
  flag->value += more;
  pthread_cond_broadcast(&flag->changed);
  pthread_mutex_unlock(&flag->lock);
}

static inline int kit_value(kit_flag *flag) {
  int value;
  pthread_mutex_lock(&flag->lock);
  value = flag->value;
  pthread_mutex_unlock(&flag->lock);
  return value;
}

static inline void kit_until(kit_flag *flag, int value) {
  struct timespec end;
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += SOON_MS / 1000;
  pthread_mutex_lock(&flag->lock);
  while (flag->value < value) CHECK(pthread_cond_timedwait(&flag->changed, &flag->lock, &end) == 0);
  pthread_mutex_unlock(&flag->lock);
}

static inline int kit_is(opamp_slice slice, const char *text) {
  return slice.data != NULL && slice.len == strlen(text) && memcmp(slice.data, text, slice.len) == 0;
}

/* All that a host of this release may declare. */
#define KIT_ALL \
  (OPAMP_CAPABILITY_REPORTS_STATUS | OPAMP_CAPABILITY_REPORTS_HEARTBEAT | OPAMP_CAPABILITY_ACCEPTS_REMOTE_CONFIG | \
   OPAMP_CAPABILITY_REPORTS_REMOTE_CONFIG | OPAMP_CAPABILITY_REPORTS_EFFECTIVE_CONFIG)

#endif
