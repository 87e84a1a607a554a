/* What the example agent says: one line per event, as text or as JSON, on standard output. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <opamp.h>
#include <stddef.h>
#include <stdint.h>

/* Ends the program, with the reason; `why` may be NULL. */
void die(const char *what, const char *why);

/* Ends the program unless the call was good. It takes a pointer to the error (or NULL): an argument
 * that read the error itself could do so before the call beside it has set it. */
void must(opamp_status status, opamp_error **error, const char *what);

/* A line: its event, any fields, its end. */
void say_begin(const char *event);
void say_text(const char *name, const char *value);
void say_hex(const char *name, const uint8_t *bytes, size_t len);
void say_number(const char *name, uint64_t value);
void say_end(void);

void say_error(const char *event, const opamp_error *error);
void say_offer(const opamp_config_map *offer, opamp_slice hash);

/* For opamp_set_log_callback: to standard error. Any thread. */
void output_log(int32_t level, const char *line, void *user);

#endif
