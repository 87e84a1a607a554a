/* A program that has more rights than its caller believes none of its caller's variables: a copy of this one, set-group-id, takes neither
 * the trust nor the proxy that they name. [TLS-03] [PROXY-02] [https] */
#include "kit.h"

#include <sys/auxv.h>

enum { TRUSTED = 1, DIRECT = 2, SECURE = 4 };

/* Does an agent of this client reach the server? */
static int connects(opamp_client *client) {
  opamp_agent *agent = kit_agent(client, NULL, NULL, OPAMP_DELIVERY_POLL);
  int32_t kind = 0;
  if (opamp_agent_start(agent, NULL) == OPAMP_OK) {
    while (kind != OPAMP_EVENT_CONNECTED && kind != OPAMP_EVENT_CONNECT_FAILED) {
      opamp_event *event = NULL;
      OK(opamp_agent_next_event(agent, SOON_MS, &event));
      kind = opamp_event_kind(event);
      opamp_event_free(event);
    }
    OK(opamp_agent_stop(agent, -1));
  }
  opamp_agent_free(agent);
  opamp_client_unref(client);
  return kind == OPAMP_EVENT_CONNECTED;
}

static int inner(void) {
  int found = getauxval(AT_SECURE) ? SECURE : 0;
  opamp_client *client = kit_client();
  OK(opamp_client_set_ca_file(client, NULL, NULL));
  OK(opamp_client_use_proxy_environment(client, 0, NULL));
  found |= connects(client) ? TRUSTED : 0;
  return found | (connects(kit_client()) ? DIRECT : 0);
}

static int outcome(const char *program) {
  int status;
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    execl(program, program, "inner", (char *)NULL);
    _exit(99);
  }
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
  return WEXITSTATUS(status);
}

static void copy(const char *to) {
  char piece[65536];
  size_t got;
  FILE *in = fopen("/proc/self/exe", "rb"), *out = fopen(to, "wb");
  CHECK(in && out);
  while ((got = fread(piece, 1, sizeof piece, in)) > 0) CHECK(fwrite(piece, 1, got, out) == got);
  CHECK(fclose(in) == 0 && fclose(out) == 0);
}

int main(int argc, char **argv) {
  char folder[] = "/tmp/opamp-privileged-XXXXXX", path[64];
  int found;
  if (argc > 1 && strcmp(argv[1], "inner") == 0) return inner();
  CHECK(setenv("SSL_CERT_FILE", kit_env("OPAMP_TEST_CA"), 1) == 0);
  /* Nobody listens there. */
  CHECK(setenv("https_proxy", "http://127.0.0.1:1", 1) == 0);
  SAME(outcome("/proc/self/exe"), TRUSTED);
  CHECK(mkdtemp(folder) && snprintf(path, sizeof path, "%s/copy", folder) > 0);
  copy(path);
  found = chown(path, (uid_t)-1, 64123) == 0 && chmod(path, 02755) == 0 ? outcome(path) : 0;
  CHECK(unlink(path) == 0 && rmdir(folder) == 0);
  if (!(found & SECURE)) {
    printf("set-group-id has no effect here (not root, or mounted with nosuid)\n");
    return 77;
  }
  SAME(found, SECURE | DIRECT);
  return 0;
}
