/* The command line of the example agent. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stddef.h>
#include <stdint.h>

enum { OPTIONS_REPEATED_MAX = 32 };

typedef struct option_list {
  const char *values[OPTIONS_REPEATED_MAX];
  size_t count;
} option_list;

typedef struct agent_options {
  const char *endpoint, *interval_ms, *ca, *cert, *key, *uid, *service_name, *config_dir, *validate;
  const char *proxy, *on_change, *timeout_ms, *log; /* NULL: not given */
  option_list headers, numbers;
  int json;
} agent_options;

extern agent_options options;

/* Ends the program, with the reason, where they make no sense. */
void options_read(int argc, char **argv);

/* The number that was given with an option; ends the program where it is none. */
uint64_t options_number(const char *option, const char *text);

#endif
