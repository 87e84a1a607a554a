/* The server side of every measurement, the same bare program for the library and for the bare client: one connection after the
 * other, blocking, no thread. Requests are read whole; answers were made before.
 * usage: server MODE DUMP      MODE: beat (small answers), first (the same, and prints the monotonic time of each connection's first
 * request), offers (each answer a new offer), big (the first answer is 1,000 files of 64 KiB, its last byte half a second late).
 * Prints its port and the bytes of an answer.
 * DUMP gets the fifth request of a connection: a heartbeat, or the APPLIED of an offer. */
#include "sockets.h"

enum { FILES = 1000, FILE_BYTES = 64 * 1024, HASH = 8 };

typedef struct buffer {
  uint8_t *bytes;
  size_t len;
} buffer;

static void put(buffer *to, const void *bytes, size_t len) {
  to->bytes = realloc(to->bytes, to->len + len);
  must(to->bytes != NULL, "realloc");
  memcpy(to->bytes + to->len, bytes, len);
  to->len += len;
}

static void put_number(buffer *to, size_t value) {
  do {
    uint8_t byte = (uint8_t)((value & 0x7F) | (value > 0x7F ? 0x80 : 0));
    put(to, &byte, 1);
    value >>= 7;
  } while (value > 0);
}

/* A length-delimited field of protobuf. */
static void put_field(buffer *to, unsigned number, buffer content) {
  put_number(to, number << 3 | 2);
  put_number(to, content.len);
  put(to, content.bytes, content.len);
}

static buffer text(const char *characters) {
  buffer one = {NULL, 0};
  put(&one, characters, strlen(characters));
  return one;
}

/* ServerToAgent: capabilities, and remote_config where there are files. The hash stands at the end of the body. */
static buffer message(size_t files, size_t file_bytes) {
  buffer all = {NULL, 0}, map = {NULL, 0}, config = {NULL, 0}, body = {calloc(file_bytes + 1, 1), file_bytes}, hash = text("00000000");
  for (size_t i = 0; i < files; i++) {
    char name[32];
    buffer entry = {NULL, 0}, file = {NULL, 0};
    (void)snprintf(name, sizeof name, "file-%zu.yaml", i);
    put_field(&file, 1, body);
    put_field(&file, 2, text("text/yaml"));
    put_field(&entry, 1, text(name));
    put_field(&entry, 2, file);
    put_field(&map, 1, entry);
    free(entry.bytes);
    free(file.bytes);
  }
  put_number(&all, 7 << 3);
  put_number(&all, 7); /* AcceptsStatus, OffersRemoteConfig, AcceptsEffectiveConfig */
  if (files > 0) {
    put_field(&config, 1, map);
    put_field(&config, 2, hash);
    put_field(&all, 3, config);
  }
  return all;
}

static buffer answer(buffer body) {
  char head[256];
  buffer all = {NULL, 0};
  int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: %zu\r\n\r\n", body.len);
  put(&all, head, (size_t)n);
  put(&all, body.bytes, body.len);
  return all;
}

/* One request whole; 0 at the end of the connection. */
static size_t read_request(int fd, char *request, size_t size) {
  size_t len = 0, wanted = 0;
  while (wanted == 0 || len < wanted) {
    ssize_t n = recv(fd, request + len, size - 1 - len, 0);
    if (n <= 0) return 0;
    len += (size_t)n;
    request[len] = 0;
    char *end = wanted == 0 ? strstr(request, "\r\n\r\n") : NULL;
    if (end == NULL) continue;
    const char *length = strstr(request, "ontent-");
    while (length != NULL && strncmp(length + 7, "ength: ", 7) != 0 && strncmp(length + 7, "Length: ", 8) != 0)
      length = strstr(length + 7, "ontent-");
    if (length == NULL) length = strstr(request, "content-length: ");
    wanted = (size_t)(end + 4 - request) + (length == NULL ? 0 : strtoul(strchr(length, ':') + 1, NULL, 10));
  }
  return len;
}

static void send_all(int fd, const uint8_t *bytes, size_t len) {
  while (len > 0) {
    ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
    if (n <= 0) return;
    bytes += n;
    len -= (size_t)n;
  }
}

static void dump(const char *path, const char *request, size_t len) {
  FILE *out = fopen(path, "wb");
  must(out != NULL && fwrite(request, 1, len, out) == len && fclose(out) == 0, path);
}

static void serve(int fd, const char *mode, buffer answers, buffer small, const char *path) {
  static char request[1 << 16];
  static unsigned long number;
  size_t len;
  int is_big = strcmp(mode, "big") == 0;
  for (unsigned long i = 0; (len = read_request(fd, request, sizeof request)) > 0; i++) {
    if (i == 0 && mode[0] == 'f') {
      (void)printf("%lld\n", now_ns(CLOCK_MONOTONIC));
      (void)fflush(stdout);
    }
    if (is_big && i == 0) {
      send_all(fd, answers.bytes, answers.len - 1);
      pause_ms(500);
      send_all(fd, answers.bytes + answers.len - 1, 1);
    } else if (is_big) {
      send_all(fd, small.bytes, small.len);
    } else {
      char hash[HASH + 1];
      (void)snprintf(hash, sizeof hash, "%08lx", ++number & 0xFFFFFFFF);
      if (mode[0] == 'o') memcpy(answers.bytes + answers.len - HASH, hash, HASH);
      send_all(fd, answers.bytes, answers.len);
    }
    if (i == 4) dump(path, request, len);
  }
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int port, listener = listen_here(&port);
  buffer small = answer(message(0, 0));
  buffer answers = argv[1][0] == 'b' && argv[1][1] == 'i' ? answer(message(FILES, FILE_BYTES)) : argv[1][0] == 'o' ? answer(message(1, 100)) : small;
  (void)printf("%d %zu\n", port, answers.len);
  (void)fflush(stdout);
  for (;;) {
    int fd = accept_one(listener);
    serve(fd, argv[1], answers, small, argv[2]);
    (void)close(fd);
  }
}
