/* state.json and its like: written beside, renamed over. Who reads one has all of it or the one before. */
#include "contain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void time_text(char *text) {
  struct timespec now;
  struct tm parts;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &parts);
  size_t length = strftime(text, TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(text + length, TIME_TEXT - length, ".%09ldZ", now.tv_nsec);
}

long long clock_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Length of the UTF-8 sequence that `text` begins with, 0 for none (RFC 3629: no surrogates, nothing overlong). */
static size_t utf8_length(const unsigned char *text, size_t left) {
  size_t length = text[0] < 0x80 ? 1 : text[0] >= 0xc2 && text[0] < 0xe0 ? 2 : (text[0] & 0xf0) == 0xe0 ? 3 : text[0] >= 0xf0 && text[0] < 0xf5 ? 4 : 0;
  if (length == 0 || length > left) return 0;
  for (size_t at = 1; at < length; at++)
    if ((text[at] & 0xc0) != 0x80) return 0;
  if (text[0] == 0xe0 && text[1] < 0xa0) return 0;
  if (text[0] == 0xed && text[1] > 0x9f) return 0;
  if (text[0] == 0xf0 && text[1] < 0x90) return 0;
  if (text[0] == 0xf4 && text[1] > 0x8f) return 0;
  return length;
}

void put_json_text(struct queue *out, const char *text, size_t length) {
  const unsigned char *at = (const unsigned char *)text, *end = at + length;
  queue_put(out, "\"", 1);
  while (at < end) {
    size_t sequence = utf8_length(at, (size_t)(end - at));
    char escape[8];
    if (sequence == 0) {
      queue_put(out, "\xef\xbf\xbd", 3);
      sequence = 1;
    } else if (*at < 0x20 || *at == 0x7f) {
      queue_put(out, escape, (size_t)snprintf(escape, sizeof escape, "\\u%04x", *at));
    } else {
      if (*at == '"' || *at == '\\') queue_put(out, "\\", 1);
      queue_put(out, at, sequence);
    }
    at += sequence;
  }
  queue_put(out, "\"", 1);
}

void replace_file(int dir, const char *name, const struct queue *content) {
  char temporary[40];
  snprintf(temporary, sizeof temporary, "%s.tmp", name);
  int fd = openat(dir, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return;
  bool whole = write(fd, content->data + content->start, queue_length(content)) == (ssize_t)queue_length(content);
  close(fd);
  if (!whole || renameat(dir, temporary, dir, name) < 0) unlinkat(dir, temporary, 0);
}

static void put(struct queue *out, const char *name, const char *value) {
  queue_put(out, ",\"", 2);
  queue_put(out, name, strlen(name));
  queue_put(out, "\":", 2);
  put_json_text(out, value, strlen(value));
}

void write_state(int dir, const struct state *state) {
  struct queue out = {0};
  char numbers[200];
  int length = snprintf(numbers, sizeof numbers, "{\"pid\":%d,\"exitCode\":%d,\"restarts\":%u", state->pid, state->exit_code, state->restarts);
  queue_put(&out, numbers, (size_t)length);
  put(&out, "status", state->status);
  put(&out, "started", state->started);
  put(&out, "finished", state->finished);
  if (state->oom_killed) queue_put(&out, ",\"oomKilled\":true", 17);
  if (state->health != NULL) put(&out, "health", state->health);
  if (state->failure.stage[0] != 0) {
    length = snprintf(numbers, sizeof numbers, ",\"errno\":%d", state->failure.error);
    queue_put(&out, numbers, (size_t)length);
    put(&out, "stage", state->failure.stage);
    put(&out, "text", state->failure.text);
  }
  queue_put(&out, "}\n", 2);
  replace_file(dir, "state.json", &out);
  free(out.data);
}
