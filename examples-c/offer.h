/* The configuration that is being applied, from APPLYING to the status it ends with. Nothing here
 * waits: while a command runs the caller's loop goes on, and a newer configuration takes its turn
 * afterwards. */
#ifndef OFFER_H
#define OFFER_H

#include "config_dir.h"
#include "state_file.h"

#include <opamp.h>

typedef struct offer_context {
  opamp_client *client;
  config_dir *dir;    /* NULL: there is none, and configurations are just acknowledged */
  agent_state *state; /* kept in the directory */
  const char *validate, *on_change; /* commands; NULL: none */
  int (*is_stopping)(void);
} offer_context;

/* Copied. Reports what is in force, and the statuses that are kept, to the client. Before its agent
 * starts. */
void offer_begin(const offer_context *context);

/* The message that brought it is kept until its status is reported. */
void offer_take(const opamp_message *message);

/* What to wait for with poll (POLLIN; -1: nothing), and how long at most (-1: for ever). offer_turn
 * is called after any of them, and after SIGCHLD. */
int offer_fd(void);
int offer_time_left(void);
void offer_turn(void);

/* Gives up what is being applied: the old configuration is in force again, and no status is
 * reported or kept, so that it is applied after the next start. */
void offer_cancel(void);

/* Writes the state; where that fails, says so. */
void offer_keep_state(void);

#endif
