/* See offer.h. */
#define _POSIX_C_SOURCE 200809L

#include "offer.h"

#include "command.h"
#include "output.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COMMAND_TIMEOUT_MS = 30000 };

static offer_context context;

static struct {
  opamp_message *message, *next; /* being applied, and the newest that waits; NULL: none */
  command *running;
  int is_validated;
} work;

static const opamp_config_map *offer_of(const opamp_message *message, opamp_slice *hash) {
  return opamp_message_remote_config(message, hash);
}

/* ---- what is reported and kept ---- */

void offer_keep_state(void) {
  if (context.dir == NULL || state_store(config_dir_fd(context.dir), context.state) == 0) return;
  (void)fprintf(stderr, "agent: cannot write the state file: %s\n", strerror(errno));
}

static int is_hash(opamp_slice hash, const uint8_t *bytes, size_t len) {
  return hash.len == len && len > 0 && memcmp(hash.data, bytes, len) == 0;
}

/* A status is kept before it is reported: what the server knows is known after a restart, too. */
static void keep_status(opamp_slice hash, const char *failure) {
  agent_state *state = context.state;
  if (hash.len == 0 || hash.len > STATE_HASH_MAX) return;
  if (failure == NULL) {
    memcpy(state->applied, hash.data, state->applied_len = hash.len);
    state->set = context.dir == NULL ? 0 : config_dir_live(context.dir);
    state->failed_len = 0;
  } else {
    if (is_hash(hash, state->applied, state->applied_len)) state->applied_len = 0;
    memcpy(state->failed, hash.data, state->failed_len = hash.len);
    (void)snprintf(state->error, sizeof state->error, "%s", failure);
    text_clean(state->error); /* it may have been cut inside a character */
  }
  offer_keep_state();
}

static void report(opamp_slice hash, int32_t status, const char *why) {
  static const char *const names[] = {"UNSET", "APPLIED", "APPLYING", "FAILED"};
  size_t why_len = why != NULL ? strlen(why) : 0;
  opamp_error *error = NULL;
  opamp_status done = opamp_client_set_remote_config_status(context.client, hash.data, hash.len,
                                                            status, why, why_len, &error);
  say_begin("remote_config_status");
  say_hex("hash", hash.data, hash.len);
  say_text("state", names[status]);
  if (why != NULL) say_text("error", why);
  /* Such as an offer without a hash. */
  if (done != OPAMP_OK)
    say_text("not_reported", error != NULL ? opamp_error_text(error) : opamp_status_name(done));
  say_end();
  opamp_error_free(error);
}

static int add_live_file(const config_file *file, void *user) {
  char content_type[256];
  size_t n = file->content_type_len < sizeof content_type ? file->content_type_len : 0;
  memcpy(content_type, file->content_type, n);
  content_type[n] = 0;
  return opamp_config_map_add(user, file->name, file->name_len, content_type, file->body,
                              file->body_len, NULL) == OPAMP_OK
             ? 0
             : -1;
}

/* Tells the server what is in force: read back from the disk or, without a directory, the offer
 * itself. */
static void report_effective(const opamp_config_map *offer) {
  opamp_config_map *live = NULL;
  opamp_error *error = NULL;
  config_why why;
  if (context.dir == NULL && offer != NULL) {
    must(opamp_client_set_effective_config(context.client, offer, &error), &error,
         "effective config");
    return;
  }
  must(opamp_config_map_new(&live), NULL, "config map");
  if (context.dir != NULL && config_dir_read(context.dir, add_live_file, live, &why) != 0)
    (void)fprintf(stderr, "agent: cannot read the live configuration: %s\n", why.text);
  else
    must(opamp_client_set_effective_config(context.client, live, &error), &error,
         "effective config");
  opamp_config_map_unref(live);
}

/* Whether a configuration is the one that is live: applied by an earlier run, too. */
static int is_in_force(opamp_slice hash) {
  const agent_state *state = context.state;
  return context.dir != NULL && is_hash(hash, state->applied, state->applied_len) &&
         state->set == config_dir_live(context.dir);
}

static void set_kept(int32_t status, const uint8_t *hash, size_t len, const char *text) {
  opamp_error *error = NULL;
  must(opamp_client_set_remote_config_status(context.client, hash, len, status, text, strlen(text),
                                             &error),
       &error, "kept status");
}

/* The status that is kept, so that nothing is offered that was offered before. Where none holds
 * (any more: the files are gone, or what failed is to be tried again) the server is told that, too:
 * it may remember another one of an earlier run, by the instance uid, and would not offer that
 * again. */
static void report_kept(void) {
  agent_state *state = context.state;
  opamp_slice applied = {state->applied, state->applied_len};
  uint64_t tries_again;
  must(opamp_client_option(context.client, OPAMP_OPTION_REDELIVER_FAILED, &tries_again), NULL,
       "option");
  if (tries_again) state->failed_len = 0;
  if (applied.len > 0 && !is_in_force(applied)) {
    (void)fprintf(stderr, "agent: the configuration that was applied last is not the live one\n");
    state->applied_len = 0;
  }
  if (state->failed_len > 0)
    set_kept(OPAMP_REMOTE_CONFIG_FAILED, state->failed, state->failed_len, state->error);
  else if (state->applied_len > 0)
    set_kept(OPAMP_REMOTE_CONFIG_APPLIED, state->applied, state->applied_len, "");
  else set_kept(OPAMP_REMOTE_CONFIG_UNSET, NULL, 0, "");
}

void offer_begin(const offer_context *given) {
  context = *given;
  report_kept();
  report_effective(NULL);
}

/* ---- checked, written beside, validated, swapped, announced; whatever fails, the old set is live
 * again ---- */

static void begin(opamp_message *message);

static void roll_back(void) {
  config_why why;
  if (context.dir == NULL || config_dir_revert(context.dir, &why) == 0) return;
  (void)fprintf(stderr, "agent: cannot roll back to the previous configuration: %s\n", why.text);
}

/* why: NULL if all of it was good. A failure while the agent stops is the stop's, not the
 * configuration's. */
static void finish(config_why *why) {
  opamp_slice hash;
  opamp_message *message = work.message, *next = work.next;
  const opamp_config_map *offer = offer_of(message, &hash);
  work.message = work.next = NULL;
  if (why != NULL) roll_back();
  else if (context.dir != NULL) config_dir_keep(context.dir);
  if (why == NULL || !context.is_stopping()) {
    if (why != NULL) text_clean(why->text);
    report_effective(offer);
    keep_status(hash, why != NULL ? why->text : NULL);
    report(hash, why == NULL ? OPAMP_REMOTE_CONFIG_APPLIED : OPAMP_REMOTE_CONFIG_FAILED,
           why != NULL ? why->text : NULL);
  }
  opamp_message_unref(message);
  if (next != NULL && !context.is_stopping()) begin(next);
  else opamp_message_unref(next);
}

static int stage(const opamp_config_map *offer, config_why *why) {
  size_t count = opamp_config_map_len(offer);
  config_file *files = calloc(count + 1, sizeof *files);
  if (files == NULL) return (void)snprintf(why->text, sizeof why->text, "out of memory"), -1;
  for (size_t i = 0; i < count; i++) {
    opamp_slice name, content_type, body;
    must(opamp_config_map_at(offer, i, &name, &content_type, &body), NULL, "config map");
    files[i] = (config_file){(const char *)name.data, name.len,  (const char *)content_type.data,
                             content_type.len,        body.data, body.len};
  }
  int done = config_dir_stage(context.dir, files, count, context.is_stopping, why);
  free(files);
  return done;
}

/* 1: the command runs. 0: there is none. -1: it did not start. */
static int start(const char *which, const char *line, config_why *why) {
  char text[CONFIG_DIR_WHY_SIZE - 64];
  const char *folder = config_dir_staged_path(context.dir);
  if (line == NULL) return 0;
  if (folder == NULL)
    return (void)snprintf(why->text, sizeof why->text, "path of the directory is too long"), -1;
  work.running = command_start(line, folder, COMMAND_TIMEOUT_MS, text, sizeof text);
  if (work.running != NULL) return 1;
  (void)snprintf(why->text, sizeof why->text, "%s: %s", which, text);
  return -1;
}

static void on_validated(void) {
  config_why why;
  work.is_validated = 1;
  int started =
      config_dir_swap(context.dir, &why) != 0 ? -1 : start("on-change", context.on_change, &why);
  if (started <= 0) finish(started == 0 ? NULL : &why);
}

static void begin(opamp_message *message) {
  opamp_slice hash;
  config_why why;
  const opamp_config_map *offer = offer_of(message, &hash);
  work.message = message;
  work.is_validated = 0;
  if (!is_in_force(hash)) report(hash, OPAMP_REMOTE_CONFIG_APPLYING, NULL);
  if (context.dir == NULL || is_in_force(hash)) {
    finish(NULL);
    return;
  }
  int started = stage(offer, &why) != 0 ? -1 : start("validate", context.validate, &why);
  if (started == 0) on_validated();
  else if (started < 0) finish(&why);
}

/* ---- the caller's loop ---- */

void offer_take(const opamp_message *message) {
  opamp_slice hash;
  const opamp_config_map *offer = offer_of(message, &hash);
  if (offer == NULL) return;
  say_offer(offer, hash);
  if (work.message == NULL) {
    begin(opamp_message_ref(message));
    return;
  }
  opamp_message_unref(work.next);
  work.next = opamp_message_ref(message);
}

int offer_fd(void) { return work.running != NULL ? command_fd(work.running) : -1; }

int offer_time_left(void) { return work.running != NULL ? command_time_left(work.running) : -1; }

void offer_turn(void) {
  char text[CONFIG_DIR_WHY_SIZE - 64];
  config_why why;
  if (work.running == NULL || command_turn(work.running)) return;
  int done = command_end(work.running, text, sizeof text);
  work.running = NULL;
  if (done == 0 && !work.is_validated) {
    on_validated();
    return;
  }
  if (done != 0)
    (void)snprintf(why.text, sizeof why.text, "%s: %s",
                   work.is_validated ? "on-change" : "validate", text);
  finish(done == 0 ? NULL : &why);
}

void offer_cancel(void) {
  char unused[CONFIG_DIR_WHY_SIZE];
  (void)command_end(work.running, unused, sizeof unused);
  if (work.message != NULL) roll_back();
  opamp_message_unref(work.message);
  opamp_message_unref(work.next);
  memset(&work, 0, sizeof work);
}
