/* See options.h. */
#define _POSIX_C_SOURCE 200809L

#include "options.h"

#include "output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

agent_options options = {.service_name = "opamp-example-agent"};

static const char usage[] =
    "usage: agent --endpoint URL [options]\n"
    "  --interval-ms N       heartbeat interval in milliseconds\n"
    "  --header 'K: V'       header to send with every request; may be repeated\n"
    "  --proxy URL           http, https or socks5 proxy, with user and password;\n"
    "                        default: from the environment\n"
    "  --ca FILE             CA certificates (PEM) to verify the server with\n"
    "  --cert FILE           client certificate (PEM)\n"
    "  --key FILE            its private key, if not in the same file\n"
    "  --uid HEX             instance uid, 32 hexadecimal digits, dashes allowed;\n"
    "                        default: the one kept in DIR, or a new one\n"
    "  --service-name NAME   service.name to report (opamp-example-agent)\n"
    "  --config-dir DIR      directory for received configurations, which lie in DIR/current,\n"
    "                        and for what is kept over a restart\n"
    "  --validate CMD        run with the new directory as its argument;\n"
    "                        a non-zero exit status rejects the configuration\n"
    "  --on-change CMD       run likewise once the new directory is live;\n"
    "                        a non-zero exit status rolls it back\n"
    "  --timeout-ms N        timeout for each of: name resolution, connect, TLS,\n"
    "                        first byte of the response\n"
    "  --option ID=N         any other OPAMP_OPTION_ of opamp.h, by number; may be repeated\n"
    "  --log LEVEL           log to standard error: off, error, warn, info or debug\n"
    "  --json                print one JSON object per event on standard output\n";

void options_read(int argc, char **argv) {
  const struct {
    const char *name;
    const char **value;
    option_list *values;
  } table[] = {
      {"--endpoint", &options.endpoint, NULL},
      {"--interval-ms", &options.interval_ms, NULL},
      {"--ca", &options.ca, NULL},
      {"--cert", &options.cert, NULL},
      {"--key", &options.key, NULL},
      {"--uid", &options.uid, NULL},
      {"--validate", &options.validate, NULL},
      {"--service-name", &options.service_name, NULL},
      {"--on-change", &options.on_change, NULL},
      {"--config-dir", &options.config_dir, NULL},
      {"--log", &options.log, NULL},
      {"--proxy", &options.proxy, NULL},
      {"--header", NULL, &options.headers},
      {"--timeout-ms", &options.timeout_ms, NULL},
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
    if (row == sizeof table / sizeof *table) die("unknown option (try --help)", argv[i]);
    if (i + 1 == argc) die("option requires a value", argv[i]);
    i += 1;
    option_list *list = table[row].values;
    if (list == NULL) *table[row].value = argv[i];
    else if (list->count < OPTIONS_REPEATED_MAX) list->values[list->count++] = argv[i];
    else die("option given too often", table[row].name);
  }
  if (options.endpoint == NULL) die("--endpoint is required; try --help", NULL);
  if ((options.validate != NULL || options.on_change != NULL) && options.config_dir == NULL)
    die("--validate and --on-change require --config-dir", NULL);
}

uint64_t options_number(const char *option, const char *text) {
  char *end = NULL;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (errno != 0 || *text < '0' || *text > '9' || *end != 0) die(option, "must be a number");
  return value;
}
