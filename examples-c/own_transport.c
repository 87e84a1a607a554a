/* The host's own HTTP stack, here libcurl, carries the requests: the library opens no socket. Everything else (what to send,
 * when, retries, limits) stays with the library.
 *
 *     make examples && build/examples/own_transport http://127.0.0.1:4320/v1/opamp        (needs libcurl's headers; ends with Ctrl-C)
 */
#define _POSIX_C_SOURCE 200809L
#include <opamp.h>

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_MAX = 64 * 1024 * 1024 };

static volatile sig_atomic_t must_give_up;

/* What one exchange brings: the body, and headers as name, value, name, value. */
typedef struct answer {
  char *body;
  size_t len;
  char *headers[128];
  size_t header_count;
} answer;

static size_t on_body(char *bytes, size_t size, size_t count, void *user) {
  answer *to = user;
  char *grown = to->len + count > ANSWER_MAX ? NULL : realloc(to->body, to->len + count + 1);
  if (grown == NULL) return 0; /* curl ends the exchange */
  memcpy(grown + to->len, bytes, count);
  to->body = grown;
  to->len += count;
  return size * count;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *user) {
  answer *to = user;
  const char *colon = memchr(bytes, ':', count), *end = bytes + count;
  if (colon == NULL) { /* a status line: what came before belonged to an interim answer */
    if (count > 5 && memcmp(bytes, "HTTP/", 5) == 0)
      while (to->header_count > 0) free(to->headers[--to->header_count]);
    return size * count;
  }
  if (to->header_count + 2 > sizeof to->headers / sizeof *to->headers) return size * count;
  const char *value = colon + 1;
  while (value < end && (*value == ' ' || *value == '\t')) value++;
  while (end > value && (end[-1] == '\r' || end[-1] == '\n' || end[-1] == ' ')) end--;
  char *name = strndup(bytes, (size_t)(colon - bytes)), *copy = strndup(value, (size_t)(end - value));
  if (name == NULL || copy == NULL) return free(name), free(copy), (size_t)0;
  to->headers[to->header_count++] = name;
  to->headers[to->header_count++] = copy;
  return size * count;
}

static int on_progress(void *user, curl_off_t down_all, curl_off_t down, curl_off_t up_all, curl_off_t up) {
  (void)user, (void)down_all, (void)down, (void)up_all, (void)up;
  return must_give_up != 0;
}

static struct curl_slist *headers_of(const opamp_request *request) {
  struct curl_slist *list = NULL;
  opamp_slice name, value;
  for (size_t i = 0; opamp_request_header_at(request, i, &name, &value) == OPAMP_OK; i++) {
    char *line = malloc(name.len + value.len + 3);
    if (line == NULL) break;
    (void)sprintf(line, "%.*s: %.*s", (int)name.len, (const char *)name.data, (int)value.len, (const char *)value.data);
    list = curl_slist_append(list, line);
    free(line);
  }
  return curl_slist_append(list, "Expect:"); /* curl would wait a second for a 100 before a large body */
}

static void set_request(CURL *curl, const opamp_request *request, const char *url, struct curl_slist *headers, answer *to) {
  opamp_slice body;
  uint64_t timeout_ms = 60000;
  opamp_request_body(request, &body);
  (void)opamp_request_timeout_ms(request, &timeout_ms);
  (void)curl_easy_setopt(curl, CURLOPT_URL, url);
  (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  (void)curl_easy_setopt(curl, CURLOPT_POST, 1L);
  (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.data);
  (void)curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
  (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, timeout_ms == 0 ? 1L : (long)timeout_ms);
  (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, to);
  (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
  (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, to);
  (void)curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  (void)curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
}

/* Nothing of the request can have reached the server: the library may then say it again without a doubt. */
static int has_not_reached(CURLcode code) {
  return code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_COULDNT_CONNECT ||
         code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION;
}

/* Runs on the library's delivery thread, so it may block; a host with its own loop would keep the request with opamp_request_ref
 * and end it later, from any thread. One curl handle, so that its connection is kept between heartbeats. */
static void on_request(opamp_agent *agent, opamp_client *client, opamp_request *request, void *user) {
  CURL *curl = user;
  answer to = {NULL, 0, {NULL}, 0};
  opamp_slice url;
  long status = 0;
  opamp_request_url(request, &url);
  char *url_text = strndup((const char *)url.data, url.len);
  struct curl_slist *headers = headers_of(request);
  set_request(curl, request, url_text, headers, &to);
  CURLcode code = url_text == NULL ? CURLE_OUT_OF_MEMORY : curl_easy_perform(curl);
  if (code == CURLE_OK) {
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    (void)opamp_request_complete(request, (int32_t)status, (const char *const *)to.headers, to.header_count / 2,
                                 (const uint8_t *)to.body, to.len, NULL);
  } else {
    (void)opamp_request_fail(request, !has_not_reached(code), curl_easy_strerror(code));
  }
  while (to.header_count > 0) free(to.headers[--to.header_count]);
  curl_slist_free_all(headers);
  free(to.body);
  free(url_text);
  (void)agent, (void)client;
}

/* Says what failed. It takes a pointer to the error (or NULL): an argument that read the error itself
 * could do so before the call beside it has set it. */
static int is_good(opamp_status status, opamp_error **error, const char *what) {
  const char *why = opamp_status_name(status);
  if (status == OPAMP_OK) return 1;
  if (error != NULL && *error != NULL) why = opamp_error_text(*error);
  (void)fprintf(stderr, "own_transport: %s: %s\n", what, why);
  if (error != NULL) opamp_error_free(*error), *error = NULL;
  return 0;
}

static void must(opamp_status status, opamp_error **error, const char *what) {
  if (!is_good(status, error, what)) exit(1);
}

static void on_message(opamp_agent *agent, opamp_client *client, const opamp_message *message, void *user) {
  opamp_error *error = NULL;
  opamp_slice hash;
  const opamp_config_map *config = opamp_message_remote_config(message, &hash);
  if (config == NULL) return;
  (void)printf("received a configuration of %zu files\n", opamp_config_map_len(config));
  (void)fflush(stdout);
  (void)is_good(opamp_client_set_effective_config(client, config, &error), &error, "effective config");
  (void)is_good(opamp_client_set_remote_config_status(client, hash.data, hash.len,
                                                      OPAMP_REMOTE_CONFIG_APPLIED, NULL, 0, &error),
                &error, "remote config status");
  (void)agent, (void)user;
}

static void on_log(int32_t level, const char *line, void *user) {
  (void)level, (void)user;
  (void)fprintf(stderr, "%s\n", line);
}

/* Says goodbye through curl; an exchange that hangs is given up. */
static opamp_status stop(opamp_agent *agent) {
  opamp_status status = opamp_agent_stop(agent, 2500);
  if (status != OPAMP_E_TIMEOUT) return status;
  must_give_up = 1; /* asked by curl at least once a second */
  return opamp_agent_stop(agent, -1);
}

int main(int argc, char **argv) {
  static const uint64_t capabilities =
      OPAMP_CAPABILITY_REPORTS_STATUS | OPAMP_CAPABILITY_REPORTS_HEARTBEAT |
      OPAMP_CAPABILITY_ACCEPTS_REMOTE_CONFIG | OPAMP_CAPABILITY_REPORTS_REMOTE_CONFIG |
      OPAMP_CAPABILITY_REPORTS_EFFECTIVE_CONFIG;
  const char *endpoint = argc > 1 ? argv[1] : "http://127.0.0.1:4320/v1/opamp";
  opamp_callbacks callbacks = OPAMP_CALLBACKS_INIT;
  opamp_client *client = NULL;
  opamp_agent *agent = NULL;
  opamp_attributes *about = NULL;
  opamp_error *error = NULL;
  sigset_t ends;
  int number;
  (void)sigemptyset(&ends);
  (void)sigaddset(&ends, SIGINT);
  (void)sigaddset(&ends, SIGTERM);
  (void)sigprocmask(SIG_BLOCK, &ends, NULL);
  (void)curl_global_init(CURL_GLOBAL_DEFAULT);
  CURL *curl = curl_easy_init();
  if (curl == NULL) return 1;

  callbacks.on_request = on_request;
  callbacks.on_message = on_message;
  must(opamp_set_log_callback(OPAMP_LOG_INFO, on_log, NULL), NULL, "log");
  must(opamp_client_new(endpoint, &client, &error), &error, "client");
  must(opamp_client_use_custom_transport(client, 1, &error), &error, "host transport");
  must(opamp_attributes_new(&about), NULL, "attributes");
  must(opamp_attributes_set_string(about, "service.name", "own-transport", &error), &error,
       "service.name");
  must(opamp_client_set_description(client, about, NULL, &error), &error, "description");
  must(opamp_client_set_capabilities(client, capabilities, &error), &error, "capabilities");
  must(opamp_agent_new(client, &callbacks, curl, curl_easy_cleanup, &agent, &error), &error,
       "agent");
  must(opamp_agent_start(agent, &error), &error, "start");

  (void)sigwait(&ends, &number);
  opamp_status stopped = stop(agent);
  opamp_agent_free(agent);
  opamp_attributes_free(about);
  opamp_client_unref(client);
  curl_global_cleanup();
  return stopped == OPAMP_OK ? 0 : 1;
}
