/* What the supervisor is told, on descriptor 3: fields as in spec.c, first its own up to "end", then the description of the step. */
#include "contain.h"

#include <stdlib.h>
#include <string.h>

static void add(struct list *list, char *item) {
  list->items = realloc(list->items, (list->count + 2) * sizeof *list->items);
  if (list->items == NULL) fail_with(0, "cannot allocate a list");
  list->items[list->count++] = item;
  list->items[list->count] = NULL;
}

static enum restart restart_of(const char *text) {
  enum restart policy;
  if (!parse_restart(text, &policy)) fail_with(0, "unknown restart policy \"%.40s\"", text);
  return policy;
}

static long long milliseconds(const char *text) { return (long long)parse_number(text, 1ull << 50); }

static void take(struct options *options, const char *key, char *value) {
  struct health *health = &options->health;
  if (strcmp(key, "directory") == 0) options->directory = value;
  else if (strcmp(key, "garbage") == 0) options->garbage = value;
  else if (strcmp(key, "names") == 0) options->names = value;
  else if (strcmp(key, "volume") == 0) add(&options->volumes, value);
  else if (strcmp(key, "events") == 0) options->events = value;
  else if (strcmp(key, "event-facts") == 0) options->event_facts = value;
  else if (strcmp(key, "remove") == 0) options->remove = value[0] == '1';
  else if (strcmp(key, "wait-for-client") == 0) options->wait_for_client = value[0] == '1';
  else if (strcmp(key, "log-limit") == 0) options->log_limit = parse_number(value, ~0ull);
  else if (strcmp(key, "log-files") == 0) options->log_files = (unsigned)parse_number(value, 100);
  else if (strcmp(key, "restart") == 0) options->restarting.policy = restart_of(value);
  else if (strcmp(key, "restart-most") == 0) options->restarting.most = (unsigned)parse_number(value, 1 << 30);
  else if (strcmp(key, "health-test") == 0) add(&health->test, value);
  else if (strcmp(key, "health-interval") == 0) health->interval = milliseconds(value);
  else if (strcmp(key, "health-timeout") == 0) health->timeout = milliseconds(value);
  else if (strcmp(key, "health-start-period") == 0) health->start_period = milliseconds(value);
  else if (strcmp(key, "health-start-interval") == 0) health->start_interval = milliseconds(value);
  else if (strcmp(key, "health-retries") == 0) health->retries = (unsigned)parse_number(value, 1 << 30);
  else fail_with(0, "unknown key \"%.40s\"", key);
}

void read_options(struct options *options, int fd) {
  stage = "spec";
  size_t total, at = 0, length;
  char *data = read_fd(fd, SPEC_LIMIT, &total);
  options->health.container = options->health.out = options->health.status = -1;
  for (;;) {
    char *key = next_field(data, total, &at, &length);
    if (strcmp(key, "end") == 0) break;
    char *value = next_field(data, total, &at, &length);
    if (strlen(value) != length) fail_with(0, "a NUL byte in \"%.40s\"", key);
    take(options, key, value);
  }
  bool removable = options->garbage != NULL && options->names != NULL;
  if (options->directory == NULL || (options->remove && !removable) || (options->events != NULL && options->event_facts == NULL)) fail_with(0, "the description is incomplete");
  parse_description(&options->spec, data + at, total - at);
  /* There may be secrets in it. */
  explicit_bzero(data, total);
  free(data);
}
