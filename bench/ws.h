/* What the bare server and the bare client of the WebSocket rows share beside their sockets: frames. */
#include "sockets.h"

enum { BINARY = 0x82, CLOSE = 0x88, PING = 0x89, PONG = 0x8a, CONTROL_MOST = 125 };

static void send_all(int fd, const void *bytes, size_t len) {
  const char *rest = (const char *)bytes;
  while (len > 0) {
    ssize_t n = send(fd, rest, len, MSG_NOSIGNAL);
    must(n > 0, "send");
    rest += n;
    len -= (size_t)n;
  }
}

/* The head of a request or of an answer, as text. */
static void read_head(int fd, char *head, size_t size) {
  size_t len = 0;
  do {
    ssize_t n = recv(fd, head + len, size - 1 - len, 0);
    must(n > 0, "upgrade");
    len += (size_t)n;
    head[len] = 0;
  } while (strstr(head, "\r\n\r\n") == NULL);
}

/* What came and was not taken yet. */
static uint8_t input[1 << 16];
static size_t input_len, input_taken;

/* At least `len` bytes, or 0 when the peer has gone. */
static int fill(int fd, size_t len) {
  while (input_len - input_taken < len) {
    memmove(input, input + input_taken, input_len - input_taken);
    input_len -= input_taken;
    input_taken = 0;
    ssize_t n = recv(fd, input + input_len, sizeof input - input_len, 0);
    if (n <= 0) return 0;
    input_len += (size_t)n;
  }
  return 1;
}

/* One frame of less than 64 KiB, unmasked in place; its first byte, or 0 when the peer has gone. */
static int read_frame(int fd, uint8_t **payload, size_t *len) {
  if (!fill(fd, 2)) return 0;
  int first = input[input_taken], is_masked = input[input_taken + 1] >> 7;
  size_t length = input[input_taken + 1] & 0x7f, head = 2;
  if (length == 126) {
    if (!fill(fd, 4)) return 0;
    length = (size_t)input[input_taken + 2] << 8 | input[input_taken + 3];
    head = 4;
  }
  if (!fill(fd, head + (is_masked ? 4 : 0) + length)) return 0;
  uint8_t *mask = input + input_taken + head, *body = mask + (is_masked ? 4 : 0);
  for (size_t i = 0; is_masked && i < length; i++) body[i] ^= mask[i % 4];
  input_taken = (size_t)(body - input) + length;
  *payload = body;
  *len = length;
  return first;
}
