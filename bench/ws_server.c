/* The server side of the WebSocket rows, the same bare program for the library and for the bare client: one connection after the
 * other, blocking, no thread.
 * usage: ws_server MODE COUNT DUMP
 *   answer     each message is answered with an empty one
 *   offers     each is answered with a new offer
 *   push       COUNT offers, each after a pause; prints the median ns from its departure to the verdict's arrival
 *   big        one offer of COUNT bytes in one frame, half a second after the first report; fragments: the same in frames of 64 KiB
 * An offer's hash is the monotonic time of its departure. Prints its port first. DUMP gets the frames of one verdict, ping included. */
#include "ws.h"

enum { WARM_UP = 50, PAUSE_NS = 1000000, FRAGMENT = 65536, HASH = 8, FILE_BYTES = 200 };

static const char *dump;
static uint8_t *offer; /* a whole message, its header included */
static size_t offer_len;

/* RFC 3174; of at most 119 bytes. */
static void sha1(const uint8_t *text, size_t len, uint8_t digest[20]) {
  uint32_t h[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
  uint8_t blocks[128] = {0};
  size_t whole = len + 9 > 64 ? 128 : 64;
  memcpy(blocks, text, len);
  blocks[len] = 0x80;
  blocks[whole - 2] = (uint8_t)(len * 8 >> 8);
  blocks[whole - 1] = (uint8_t)(len * 8);
  for (size_t at = 0; at < whole; at += 64) {
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 16; i++)
      w[i] = (uint32_t)blocks[at + 4 * (size_t)i] << 24 | (uint32_t)blocks[at + 4 * (size_t)i + 1] << 16 |
             (uint32_t)blocks[at + 4 * (size_t)i + 2] << 8 | blocks[at + 4 * (size_t)i + 3];
    for (int i = 16; i < 80; i++) {
      uint32_t x = w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16];
      w[i] = x << 1 | x >> 31;
    }
    for (int i = 0; i < 80; i++) {
      uint32_t f = i < 20 ? (b & c) | (~b & d) : i < 40 || i >= 60 ? b ^ c ^ d : (b & c) | (b & d) | (c & d);
      uint32_t k = i < 20 ? 0x5a827999 : i < 40 ? 0x6ed9eba1 : i < 60 ? 0x8f1bbcdc : 0xca62c1d6;
      uint32_t next = (a << 5 | a >> 27) + f + e + k + w[i];
      e = d, d = c, c = b << 30 | b >> 2, b = a, a = next;
    }
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
  }
  for (int i = 0; i < 20; i++) digest[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

static void accept_of(const char *key, char text[29]) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  char whole[120];
  uint8_t digest[21] = {0};
  int len = snprintf(whole, sizeof whole, "%.24s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
  sha1((const uint8_t *)whole, (size_t)len, digest);
  for (int i = 0; i < 28; i++) {
    int bits = digest[i / 4 * 3] << 16 | digest[i / 4 * 3 + 1] << 8 | (i / 4 * 3 + 2 < 20 ? digest[i / 4 * 3 + 2] : 0);
    text[i] = letters[bits >> (18 - 6 * (i % 4)) & 63];
  }
  text[27] = '=';
  text[28] = 0;
}

static void upgrade(int fd) {
  char head[4096], answer[512], accept[29];
  read_head(fd, head, sizeof head);
  const char *key = strstr(head, "sec-websocket-key: ");
  must(key != NULL, "key");
  accept_of(key + 19, accept);
  int n = snprintf(answer, sizeof answer,
                   "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept);
  send_all(fd, answer, (size_t)n);
}

/* The head of a frame of the server's; how many bytes it takes. */
static size_t write_head(uint8_t *to, int first, uint64_t len) {
  size_t more = len < 126 ? 0 : len < 65536 ? 2 : 8;
  to[0] = (uint8_t)first;
  to[1] = (uint8_t)(more == 0 ? len : more == 2 ? 126 : 127);
  for (size_t i = 0; i < more; i++) to[2 + i] = (uint8_t)(len >> 8 * (more - 1 - i));
  return 2 + more;
}

/* A control frame with the payload of another one; how many bytes it takes. */
static size_t write_control(uint8_t *to, int first, const uint8_t *payload, size_t len) {
  must(len <= CONTROL_MOST, "a long control frame");
  to[0] = (uint8_t)first;
  to[1] = (uint8_t)len;
  memcpy(to + 2, payload, len);
  return 2 + len;
}

static size_t put_number(uint8_t *to, uint64_t value) {
  size_t len = 0;
  do {
    to[len++] = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    value >>= 7;
  } while (value > 0);
  return len;
}

/* Puts the head of a length-delimited field before what stands at `at`, back to front. */
static uint8_t *before(uint8_t *at, const uint8_t *end, int number) {
  uint8_t head[16];
  size_t len = 1 + put_number(head + 1, (uint64_t)(end - at));
  head[0] = (uint8_t)(number << 3 | 2);
  memcpy(at - len, head, len);
  return at - len;
}

/* ServerToAgent { remote_config { config { config_map { key: "f" value { body: zeros } } } config_hash } capabilities } */
static void make_offer(size_t body) {
  size_t room = body + 128;
  uint8_t *all = calloc(room, 1), *end = all + room;
  must(all != NULL, "calloc");
  uint8_t *tail = end - 2; /* capabilities: 7 */
  tail[0] = 7 << 3;
  tail[1] = 7;
  uint8_t *hash = before(tail - HASH, tail, 2);
  uint8_t *at = before(hash - body, hash, 1);
  at = before(at, hash, 2);
  at -= 3;
  memcpy(at, "\x0a\x01" "f", 3);
  at = before(at, hash, 1);
  at = before(at, hash, 1);
  at = before(at, tail, 3);
  offer = at - 1; /* the header: 0 */
  offer_len = (size_t)(end - offer);
}

static void stamp(uint8_t *message, size_t len) {
  long long now = now_ns(CLOCK_MONOTONIC);
  memcpy(message + len - 2 - HASH, &now, HASH);
}

/* The frames of a whole report, its ping included; 0 when the peer has gone. `pong`: what the ping wants. */
static size_t read_report(int fd, uint8_t *pong) {
  uint8_t *payload;
  size_t len;
  int is_ping;
  input_len -= input_taken;
  memmove(input, input + input_taken, input_len);
  input_taken = 0;
  do {
    int first = read_frame(fd, &payload, &len);
    is_ping = first == PING;
    if (first == 0) return 0;
    if (first == CLOSE) {
      uint8_t echo[2 + CONTROL_MOST];
      send_all(fd, echo, write_control(echo, CLOSE, payload, len));
    }
  } while (!is_ping);
  return write_control(pong, PONG, payload, len);
}

/* The report read last, with its masks. */
static void keep_report(void) {
  FILE *file = fopen(dump, "wb");
  must(file != NULL && fwrite(input, 1, input_taken, file) == input_taken && fclose(file) == 0, dump);
}

static void offers(int fd) {
  uint8_t out[2 + CONTROL_MOST + 4 + 512];
  for (long i = 0;; i++) {
    size_t len = read_report(fd, out);
    if (len == 0) return;
    if (i == 5) keep_report();
    len += write_head(out + len, BINARY, offer_len);
    memcpy(out + len, offer, offer_len);
    stamp(out + len, offer_len);
    send_all(fd, out, len + offer_len);
  }
}

static void push(int fd, size_t count) {
  static const uint8_t empty[] = {BINARY, 1, 0};
  struct timespec pause = {0, PAUSE_NS};
  uint8_t out[2 + CONTROL_MOST + sizeof empty], message[4 + 512];
  long long *samples = calloc(count, sizeof *samples);
  must(samples != NULL, "calloc");
  for (size_t i = 0; i < count + WARM_UP + 1; i++) {
    size_t len = read_report(fd, out);
    if (len == 0) break;
    long long now = now_ns(CLOCK_MONOTONIC), sent = 0;
    memcpy(&sent, message + 4 + offer_len - 2 - HASH, HASH);
    if (i > WARM_UP) samples[i - WARM_UP - 1] = now - sent;
    memcpy(out + len, empty, sizeof empty);
    send_all(fd, out, len + sizeof empty);
    if (i == count + WARM_UP) break;
    (void)nanosleep(&pause, NULL);
    size_t head = write_head(message, BINARY, offer_len);
    must(head == 4, "an offer of 126 bytes and more");
    memcpy(message + 4, offer, offer_len);
    stamp(message + 4, offer_len);
    send_all(fd, message, head + offer_len);
  }
  (void)printf("%lld\n", median(samples, count));
  (void)fflush(stdout);
  free(samples);
}

static void big(int fd, int is_fragmented) {
  static const uint8_t empty[] = {BINARY, 1, 0};
  struct timespec pause = {0, 500000000};
  uint8_t out[2 + CONTROL_MOST + sizeof empty];
  for (int is_first = 1;; is_first = 0) {
    size_t len = read_report(fd, out);
    if (len == 0) return;
    memcpy(out + len, empty, sizeof empty);
    send_all(fd, out, len + sizeof empty);
    if (!is_first) continue;
    (void)nanosleep(&pause, NULL);
    stamp(offer, offer_len);
    size_t most = is_fragmented ? FRAGMENT : offer_len;
    for (size_t at = 0; at < offer_len; at += most) {
      size_t piece = offer_len - at < most ? offer_len - at : most;
      uint8_t head[10];
      int first = (at == 0 ? 2 : 0) | (at + piece == offer_len ? 0x80 : 0);
      send_all(fd, head, write_head(head, first, piece));
      send_all(fd, offer + at, piece);
    }
  }
}

static void answer(int fd) {
  static const uint8_t empty[] = {BINARY, 1, 0};
  uint8_t *payload, out[2 + CONTROL_MOST];
  size_t len;
  int first;
  while ((first = read_frame(fd, &payload, &len)) != 0) {
    if (first == BINARY) send_all(fd, empty, sizeof empty);
    if (first != PING && first != CLOSE) continue;
    send_all(fd, out, write_control(out, first == PING ? PONG : CLOSE, payload, len));
  }
}

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  const char *mode = argv[1];
  size_t count = strtoul(argv[2], NULL, 10);
  int port, listener = listen_here(&port), is_big = strcmp(mode, "big") == 0 || strcmp(mode, "fragments") == 0;
  dump = argv[3];
  make_offer(is_big ? count : FILE_BYTES);
  (void)printf("%d\n", port);
  (void)fflush(stdout);
  for (;;) {
    int fd = accept_one(listener);
    input_len = input_taken = 0;
    upgrade(fd);
    if (strcmp(mode, "offers") == 0) offers(fd);
    else if (strcmp(mode, "push") == 0) push(fd, count);
    else if (is_big) big(fd, mode[0] == 'f');
    else answer(fd);
    (void)close(fd);
  }
}
