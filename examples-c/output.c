/* See output.h. */
#define _POSIX_C_SOURCE 200809L

#include "output.h"

#include "options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FOREIGN_MAX = 256, FILES_MAX = 1000 }; /* how much of a server's choice is in a line */

void die(const char *what, const char *why) {
  const char *colon = why != NULL ? ": " : "";
  (void)fprintf(stderr, "agent: %s%s%s\n", what, colon, why != NULL ? why : "");
  exit(2);
}

void must(opamp_status status, opamp_error **error, const char *what) {
  if (status == OPAMP_OK) return;
  die(what, error != NULL && *error != NULL ? opamp_error_text(*error) : opamp_status_name(status));
}

/* A character that would change what a terminal shows around it: control characters (also U+0080 to
 * U+009F) and the bidirectional ones. -1 for any other; *len: its bytes. */
static int odd_char(const unsigned char *at, size_t left, size_t *len) {
  *len = 1;
  if (at[0] < 0x20 || at[0] == 0x7f) return at[0];
  if (left >= 2 && at[0] == 0xC2 && at[1] < 0xA0) return *len = 2, at[1];
  if (left < 3 || at[0] != 0xE2) return -1;
  int c = 0x2000 | (at[1] & 0x3F) << 6 | (at[2] & 0x3F);
  *len = 3;
  int is_bidirectional =
      (c >= 0x200E && c <= 0x200F) || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
  return is_bidirectional || c == 0x2028 || c == 0x2029 ? c : -1;
}

static void put_quoted(const char *bytes, size_t len) {
  const unsigned char *at = (const unsigned char *)bytes;
  (void)putchar('"');
  for (size_t i = 0, n; i < len; i++) {
    int odd = odd_char(at + i, len - i, &n);
    if (odd >= 0) (void)printf("\\u%04x", (unsigned)odd), i += n - 1;
    else if (at[i] == '"' || at[i] == '\\') (void)printf("\\%c", at[i]);
    else (void)putchar(at[i]);
  }
  (void)putchar('"');
}

static void put_hex(const uint8_t *bytes, size_t len) {
  for (size_t i = 0; i < len; i++) (void)printf("%02x", bytes[i]);
}

void say_begin(const char *event) {
  (void)printf(options.json ? "{\"event\":\"%s\"" : "%s", event);
}

void say_end(void) {
  (void)printf(options.json ? "}\n" : "\n");
  (void)fflush(stdout);
}

void say_text(const char *name, const char *value) {
  (void)printf(options.json ? ",\"%s\":" : "  %s=", name);
  put_quoted(value, strlen(value));
}

void say_hex(const char *name, const uint8_t *bytes, size_t len) {
  (void)printf(options.json ? ",\"%s\":\"" : "  %s=", name);
  put_hex(bytes, len);
  if (options.json) (void)putchar('"');
}

void say_number(const char *name, uint64_t value) {
  (void)printf(options.json ? ",\"%s\":%" PRIu64 : "  %s=%" PRIu64, name, value);
}

void say_error(const char *event, const opamp_error *error) {
  uint64_t retry_in_ms;
  int32_t http_status = opamp_error_http_status(error);
  say_begin(event);
  if (error != NULL) {
    say_text("kind", opamp_error_kind_name(opamp_error_kind(error)));
    if (http_status != 0) say_number("http_status", (uint64_t)http_status);
    say_text("text", opamp_error_text(error));
    if (opamp_error_retry_in_ms(error, &retry_in_ms) == OPAMP_OK)
      say_number("retry_in_ms", retry_in_ms);
  }
  say_end();
}

/* The server chose it: cut between characters. */
static void put_foreign(opamp_slice text) {
  size_t n = text.len < FOREIGN_MAX ? text.len : FOREIGN_MAX;
  while (n < text.len && n > 0 && (text.data[n] & 0xC0) == 0x80) n--;
  put_quoted((const char *)text.data, n);
}

static void put_file(opamp_slice name, opamp_slice content_type, size_t bytes) {
  if (options.json) (void)printf("{\"name\":");
  put_foreign(name);
  if (!options.json) return;
  (void)printf(",\"content_type\":");
  put_foreign(content_type);
  (void)printf(",\"bytes\":%zu}", bytes);
}

void say_offer(const opamp_config_map *offer, opamp_slice hash) {
  size_t count = opamp_config_map_len(offer);
  say_begin("remote_config");
  say_hex("hash", hash.data, hash.len);
  (void)printf(options.json ? ",\"files\":[" : "  files=");
  for (size_t i = 0; i < count && i < FILES_MAX; i++) {
    opamp_slice name, content_type, body;
    if (opamp_config_map_at(offer, i, &name, &content_type, &body) != OPAMP_OK) continue;
    if (i > 0) (void)putchar(',');
    put_file(name, content_type, body.len);
  }
  if (options.json) (void)putchar(']');
  if (count > FILES_MAX) say_number("more_files", count - FILES_MAX);
  say_end();
}

void output_log(int32_t level, const char *line, void *user) {
  static const char *const names[] = {"off", "error", "warn", "info", "debug"};
  (void)user; /* any thread may call this: one fprintf is one line */
  (void)fprintf(stderr, "%s: %s\n", level >= 0 && level <= 4 ? names[level] : "log", line);
}
