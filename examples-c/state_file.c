/* See state_file.h. Lines of a name and its value; the last one is a checksum of those before it,
 * so that a file that is torn, or that somebody edited, is known. */
#define _POSIX_C_SOURCE 200809L

#include "state_file.h"

#include "whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "agent.state"
#define HEAD "opamp agent state 1\n"

enum { TEXT_SIZE = 8192, ASIDE_MAX = 100 };

/* FNV-1a: it finds accidents, not malice; the directory is the agent's own. */
static uint64_t checksum(const char *text, size_t len) {
  uint64_t sum = 0xcbf29ce484222325u;
  for (size_t i = 0; i < len; i++) sum = (sum ^ (unsigned char)text[i]) * 0x100000001b3u;
  return sum;
}

/* ---- reading ---- */

/* Bytes of hexadecimal digits, to the end of the line; how many, 0 for anything else. */
static size_t read_hex(const char *text, uint8_t *out, size_t size) {
  static const char digits[] = "0123456789abcdef";
  size_t n = strspn(text, digits);
  if (n == 0 || n % 2 != 0 || n / 2 > size || text[n] != 0) return 0;
  for (size_t i = 0; i < n; i += 2)
    out[i / 2] =
        (uint8_t)((strchr(digits, text[i]) - digits) << 4 | (strchr(digits, text[i + 1]) - digits));
  return n / 2;
}

/* A line `name value`; 0 where it is none that was written here. */
static int take_line(const char *line, agent_state *out) {
  if (strncmp(line, "uid ", 4) == 0)
    return out->has_uid = read_hex(line + 4, out->uid, STATE_UID_SIZE) == STATE_UID_SIZE;
  if (strncmp(line, "set ", 4) == 0) {
    char *end = NULL;
    out->set = strtoul(line + 4, &end, 10);
    return *end == 0;
  }
  if (strncmp(line, "applied ", 8) == 0)
    return (out->applied_len = read_hex(line + 8, out->applied, STATE_HASH_MAX)) > 0;
  if (strncmp(line, "failed ", 7) == 0)
    return (out->failed_len = read_hex(line + 7, out->failed, STATE_HASH_MAX)) > 0;
  if (strncmp(line, "error ", 6) == 0)
    return (size_t)snprintf(out->error, STATE_ERROR_SIZE, "%s", line + 6) < STATE_ERROR_SIZE;
  return 0;
}

/* Taken apart in place. */
static int parse(char *text, size_t len, agent_state *out) {
  char sum[32], *rest = NULL;
  size_t head = strlen(HEAD);
  int sum_len = (int)strlen("sum 0123456789abcdef\n");
  if (len < head + (size_t)sum_len || memcmp(text, HEAD, head) != 0 || memchr(text, 0, len) != NULL)
    return 0;
  size_t body = len - (size_t)sum_len;
  (void)snprintf(sum, sizeof sum, "sum %016" PRIx64 "\n", checksum(text, body));
  if (memcmp(text + body, sum, (size_t)sum_len) != 0) return 0;
  text[body] = 0;
  for (char *line = strtok_r(text + head, "\n", &rest); line != NULL;
       line = strtok_r(NULL, "\n", &rest))
    if (!take_line(line, out)) return 0;
  return out->has_uid;
}

/* Under the first free name: what somebody else put there is not ours to lose. */
static int set_aside(int dir, char *name, size_t size) {
  struct stat status;
  for (int i = 1; i <= ASIDE_MAX; i++) {
    (void)snprintf(name, size, NAME ".aside-%d", i);
    if (fstatat(dir, name, &status, AT_SYMLINK_NOFOLLOW) == 0) continue;
    return errno == ENOENT ? renameat(dir, NAME, dir, name) : -1;
  }
  return errno = EEXIST, -1;
}

int state_load(int dir, agent_state *out, char *why, size_t why_size) {
  char *text = NULL, aside[64];
  size_t len = 0;
  memset(out, 0, sizeof *out);
  int done = whole_file_read(dir, NAME, &text, &len), error = errno;
  if (done != 0 && error == ENOENT) return 0;
  int is_good = done == 0 && parse(text, len, out);
  const char *reason =
      done != 0 ? whole_file_reason(error) : "damaged, or not written by this program";
  free(text);
  if (is_good) return 1;
  memset(out, 0, sizeof *out);
  if (set_aside(dir, aside, sizeof aside) == 0)
    (void)snprintf(why, why_size, NAME ": %s; set aside as %s", reason, aside);
  else (void)snprintf(why, why_size, NAME ": %s; cannot be set aside: %s", reason, strerror(errno));
  return -1;
}

/* ---- writing ---- */

static size_t put_hex(char *to, const char *name, const uint8_t *bytes, size_t len) {
  size_t n = (size_t)sprintf(to, "%s ", name);
  for (size_t i = 0; i < len; i++) n += (size_t)sprintf(to + n, "%02x", bytes[i]);
  to[n++] = '\n';
  return n;
}

int state_store(int dir, const agent_state *state) {
  char text[TEXT_SIZE]; /* two hashes of 2 KiB and an error of 1 KiB are the longest lines */
  size_t n = (size_t)sprintf(text, HEAD);
  n += put_hex(text + n, "uid", state->uid, STATE_UID_SIZE);
  if (state->applied_len > 0) {
    n += put_hex(text + n, "applied", state->applied, state->applied_len);
    n += (size_t)sprintf(text + n, "set %lu\n", state->set);
  }
  if (state->failed_len > 0) {
    n += put_hex(text + n, "failed", state->failed, state->failed_len);
    if (state->error[0] != 0) n += (size_t)sprintf(text + n, "error %s\n", state->error);
  }
  n += (size_t)sprintf(text + n, "sum %016" PRIx64 "\n", checksum(text, n));
  return whole_file_replace(dir, NAME, text, n);
}
