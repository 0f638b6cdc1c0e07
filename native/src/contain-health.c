/* HEALTHCHECK: a program in the container, again and again. The rules are docker's (moby, daemon/health.go). */
#include "contain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Exit code of a probe that could not be run or took too long. */
enum { PROBE_FAILED = -1 };

void health_begin(struct health *health, int container) {
  health->container = container;
  health->pid = 0;
  health->streak = 0;
  health->start_over = health->start_period == 0;
  health->began = clock_ms();
  health->due = -1;
  if (health->test.count > 0) health->due = health->began + (health->start_over ? health->interval : health->start_interval);
}

static void drop_probe(struct health *health) {
  if (health->out >= 0) close(health->out);
  if (health->status >= 0) close(health->status);
  health->out = health->status = -1;
  health->pid = 0;
  health->deadline = -1;
}

bool health_end(struct health *health) {
  bool killed = health->pid > 0;
  if (killed) {
    kill(health->pid, SIGKILL);
    drop_probe(health);
  }
  health->container = -1;
  health->due = -1;
  return killed;
}

long long health_due(const struct health *health) {
  if (health->container < 0 || health->test.count == 0) return -1;
  return health->pid > 0 ? health->deadline : health->due;
}

static void start_probe(struct health *health, const struct step_spec *spec, int self) {
  int out[2], status[2];
  if (pipe2(out, O_CLOEXEC) < 0 || pipe2(status, O_CLOEXEC) < 0) return;
  fcntl(out[0], F_SETFL, O_NONBLOCK);
  fcntl(status[0], F_SETFL, O_NONBLOCK);
  if (spec->shift > 0 && fchown(out[0], spec->shift, spec->shift) < 0) return;
  struct step_spec probe = *spec;
  probe.args = health->test;
  probe.tty = probe.stdin_open = false;
  struct exec_streams streams = {-1, out[1], out[1], status[1], -1};
  health->pid = start_in_container(&probe, health->container, &streams, self);
  close(out[1]), close(status[1]);
  health->out = out[0], health->status = status[0];
  health->used = 0;
  health->failure[0] = 0;
  health->deadline = clock_ms() + health->timeout;
  size_t slot = health->logged % PROBES_KEPT;
  time_text(health->log[slot].start);
  if (health->pid < 0) drop_probe(health);
}

void health_tick(struct health *health, const struct step_spec *spec, int self) {
  if (health->pid == 0) {
    start_probe(health, spec, self);
    if (health->pid == 0) health->due = clock_ms() + health->interval;
    return;
  }
  snprintf(health->failure, sizeof health->failure, "Health check exceeded timeout (%lld ms)", health->timeout);
  health->deadline = -1;
  kill(health->pid, SIGKILL);
}

void health_read(struct health *health) {
  char rest[4096];
  for (ssize_t got; health->out >= 0;) {
    size_t room = PROBE_OUTPUT - health->used;
    got = room > 0 ? read(health->out, health->output + health->used, room) : read(health->out, rest, sizeof rest);
    if (got < 0) return;
    if (got == 0) {
      close(health->out);
      health->out = -1;
    } else if (room > 0) {
      health->used += (size_t)got;
    }
  }
}

/* Why the probe could not be run, from its status lines. */
static void read_failure(struct health *health) {
  char text[1024];
  ssize_t got = read(health->status, text, sizeof text - 1);
  if (got <= 0) return;
  text[got] = 0;
  char *error = strstr(text, "error ");
  if (error == NULL) return;
  error[strcspn(error, "\n")] = 0;
  int number = 0, at = 0;
  if (sscanf(error, "error %d %*s %n", &number, &at) < 1 || at == 0) return;
  snprintf(health->failure, sizeof health->failure, "%.200s%s%s", error + at, number == 0 ? "" : ": ", number == 0 ? "" : strerror(number));
}

static void write_log(const struct health *health, int dir, const char *status) {
  struct queue out = {0};
  char text[120];
  queue_put(&out, text, (size_t)snprintf(text, sizeof text, "{\"Status\":\"%s\",\"FailingStreak\":%u,\"Log\":[", status, health->streak));
  size_t first = health->logged > PROBES_KEPT ? health->logged - PROBES_KEPT : 0;
  for (size_t at = first; at < health->logged; at++) {
    size_t slot = at % PROBES_KEPT;
    queue_put(&out, text,
              (size_t)snprintf(text, sizeof text, "%s{\"Start\":\"%.31s\",\"End\":\"%.31s\",\"ExitCode\":%d,\"Output\":", at > first ? "," : "",
                               health->log[slot].start, health->log[slot].end, health->log[slot].code));
    put_json_text(&out, health->log[slot].output, strlen(health->log[slot].output));
    queue_put(&out, "}", 1);
  }
  queue_put(&out, "]}\n", 3);
  replace_file(dir, "health.json", &out);
  free(out.data);
}

bool health_reaped(struct health *health, pid_t pid, int wait_status, int dir, struct state *state) {
  if (health->pid <= 0 || pid != health->pid) return false;
  health_read(health);
  bool late = health->deadline < 0;
  if (!late) read_failure(health);
  int code = late || health->failure[0] != 0 ? PROBE_FAILED : exit_code_of(wait_status);
  size_t slot = health->logged++ % PROBES_KEPT;
  time_text(health->log[slot].end);
  health->log[slot].code = code;
  free(health->log[slot].output);
  for (size_t at = 0; at < health->used; at++)
    if (health->output[at] == 0) health->output[at] = ' ';
  health->output[health->used] = 0;
  health->log[slot].output = format_text("%s", health->failure[0] != 0 ? health->failure : health->output);
  drop_probe(health);

  long long now = clock_ms();
  if (now - health->began >= health->start_period) health->start_over = true;
  if (code == 0) {
    health->streak = 0;
    health->start_over = true;
    state->health = "healthy";
  } else if (health->start_over) {
    health->streak++;
    if (health->streak >= health->retries) state->health = "unhealthy";
  }
  health->due = now + (health->start_over ? health->interval : health->start_interval);
  write_log(health, dir, state->health);
  return true;
}
