/* What an agent keeps over a restart: who it is, and what became of the configurations it was
 * offered. With it, it is the same agent to the server, and a configuration that is applied, or
 * failed, is not run again.
 *
 * It lies as `agent.state` in the directory that is given, 0600, replaced as a whole. Needs nothing
 * but POSIX and whole_file.c.
 */
#ifndef STATE_FILE_H
#define STATE_FILE_H

#include <stddef.h>
#include <stdint.h>

enum { STATE_UID_SIZE = 16, STATE_HASH_MAX = 1024, STATE_ERROR_SIZE = 1024 };

typedef struct agent_state {
  uint8_t uid[STATE_UID_SIZE];
  int has_uid; /* 0: there is no state */
  /* The last configuration that was applied, and the number of the set that it is on disk: where
   * another set is live, it is not in force. */
  uint8_t applied[STATE_HASH_MAX];
  size_t applied_len; /* 0: none */
  unsigned long set;
  /* The one that failed since, and why: one line of text. */
  uint8_t failed[STATE_HASH_MAX];
  size_t failed_len; /* 0: none */
  char error[STATE_ERROR_SIZE];
} agent_state;

/* 1: read. 0: there is none. -1: what lies there is damaged or not ours; it was set aside under
 * another name, or could not be, and `why` says so. *out is empty unless 1. */
int state_load(int dir, agent_state *out, char *why, size_t why_size);

/* 0, or -1 with errno. */
int state_store(int dir, const agent_state *state);

#endif
