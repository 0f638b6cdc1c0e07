/*
 * Clients: tsbuild's own commands, which connect to `socket` in the container's directory. Who can reach that is the user himself: the store
 * is closed to others. Even so nothing that a client sends may end the supervisor.
 */
#include "contain-clients.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void listen_for_clients(struct supervisor *self) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  /* By descriptor: a socket's path has room for 108 bytes, and stores lie anywhere. */
  snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/socket", self->dir);
  unlinkat(self->dir, "socket", 0);
  self->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (self->listener < 0 || bind(self->listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(self->listener, 64) < 0)
    fail("cannot listen in the container's directory");
}

void take_client(struct supervisor *self) {
  int fd = accept4(self->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  if (self->client_count == MAX_CLIENTS) {
    close(fd);
    return;
  }
  self->clients[self->client_count++] = (struct client){.fd = fd};
}

static void drop_client(struct supervisor *self, size_t at) {
  struct client *client = &self->clients[at];
  if (client->fd >= 0) close(client->fd);
  free(client->in.data);
  free(client->out.data);
  *client = self->clients[--self->client_count];
}

size_t poll_clients(struct supervisor *self, struct pollfd *waits) {
  for (size_t at = 0; at < self->client_count; at++) {
    const struct client *client = &self->clients[at];
    bool full = client->input && queue_length(&self->to_step) > HELD_UP;
    waits[at] = (struct pollfd){client->fd, (short)((full ? 0 : POLLIN) | (queue_length(&client->out) > 0 ? POLLOUT : 0)), 0};
  }
  return self->client_count;
}

static void refuse(struct client *client, const char *why) {
  char line[200];
  int length = snprintf(line, sizeof line, "error 0 control %s\n", why);
  queue_put_frame(&client->out, FRAME_STATUS, line, (size_t)length);
  client->closing = true;
}

static void reply(struct client *client) {
  queue_put_frame(&client->out, FRAME_END, "0", 1);
  client->closing = true;
}

static void attach(struct supervisor *self, struct client *client, const char *what) {
  client->waits = true;
  client->output = strchr(what, 'o') != NULL;
  client->input = strchr(what, 'i') != NULL;
  queue_put_frame(&client->out, FRAME_STATUS, "attached\n", 9);
  if (self->waiting) start_container(self);
}

void write_input(struct supervisor *self) {
  if (self->input < 0 || !queue_drain(&self->to_step, self->input)) self->to_step.start = self->to_step.end = 0, self->input_ended = true;
  if (!self->input_ended || self->input < 0 || queue_length(&self->to_step) > 0) return;
  close(self->input);
  self->input = -1;
}

static void take_window(struct supervisor *self, const char *text) {
  unsigned short rows, columns;
  if (sscanf(text, "%hu %hu", &rows, &columns) != 2) return;
  window_size->ws_row = rows;
  window_size->ws_col = columns;
  if (self->step > 0 && !self->reaped) kill(self->step, SIGWINCH);
}

static void pause_or_not(struct supervisor *self, struct client *client, bool pause) {
  if (self->container < 0 || !self->ran) refuse(client, "the container is not running");
  else if (self->options.spec.bare) refuse(client, "without a namespace for processes nothing can be paused");
  else if (self->paused == pause) refuse(client, pause ? "the container is paused already" : "the container is not paused");
  else pause_container(self, pause), reply(client);
}

/* Hands the connection on to a process of its own. */
static void exec_in(struct supervisor *self, struct client *client, const struct frame *frame) {
  if (self->container < 0 || !self->ran || self->paused) {
    refuse(client, self->paused ? "the container is paused" : "the container is not running");
    return;
  }
  pid_t pid = fork();
  if (pid == 0) {
    close(self->listener);
    for (size_t at = 0; at < self->client_count; at++)
      if (&self->clients[at] != client) close(self->clients[at].fd);
    serve_exec(&self->options.spec, self->container, client->fd, &client->in, frame, self->self);
  }
  if (pid < 0) {
    refuse(client, "there are too many processes");
    return;
  }
  self->execs++;
  close(client->fd);
  client->fd = -1;
  client->closing = true;
}

/* Counts at the next end: one that waits to be started again is. */
static void change_restart(struct supervisor *self, struct client *client, const char *text) {
  char word[16];
  unsigned most;
  enum restart policy;
  if (sscanf(text, "%15s %u", word, &most) != 2 || !parse_restart(word, &policy)) {
    refuse(client, "unknown restart policy");
    return;
  }
  self->options.restarting.policy = policy;
  self->options.restarting.most = most;
  reply(client);
}

static void take_request(struct supervisor *self, struct client *client, const struct frame *frame) {
  char *text = frame_text(frame);
  int number = 0;
  long long timeout = -1;
  switch (frame->kind) {
  case REQUEST_ATTACH: attach(self, client, text); break;
  case REQUEST_WAIT: client->waits = true; break;
  case REQUEST_STOP:
    client->waits = true;
    if (sscanf(text, "%d %lld", &number, &timeout) >= 1) stop_container(self, number, timeout);
    break;
  case REQUEST_KILL:
    if (self->container < 0 && self->step <= 0) {
      refuse(client, "the container is not running");
      break;
    }
    kill_container(self, atoi(text));
    if (!client->waits) reply(client);
    break;
  case REQUEST_PAUSE: pause_or_not(self, client, true); break;
  case REQUEST_UNPAUSE: pause_or_not(self, client, false); break;
  case REQUEST_EXEC: exec_in(self, client, frame); break;
  case REQUEST_INPUT:
    if (!client->input || self->input < 0 || self->input_ended) break;
    queue_put(&self->to_step, frame->data, frame->length);
    write_input(self);
    break;
  case REQUEST_CLOSE_INPUT:
    if (!client->input) break;
    self->input_ended = true;
    write_input(self);
    break;
  case REQUEST_IS:
    /* Who has opened something by that number asks afterwards: a number that is still its own was so all the time. */
    if (self->container >= 0 && proc_number(-1, self->container) == atoi(text)) reply(client);
    else refuse(client, "that process is not the container's");
    break;
  case REQUEST_RESTART: change_restart(self, client, text); break;
  case REQUEST_WINDOW: take_window(self, text); break;
  default: refuse(client, "unknown request"); break;
  }
  free(text);
}

void serve_clients(struct supervisor *self, const struct pollfd *waits, size_t count) {
  /* From the last: one that goes has its place taken by one that was looked at. */
  for (size_t at = count; at-- > 0;) {
    struct client *client = &self->clients[at];
    bool gone = false, broken = false;
    if ((waits[at].revents & (POLLIN | POLLHUP | POLLERR)) != 0) gone = !queue_fill(&client->in, client->fd);
    for (struct frame frame; client->fd >= 0 && !client->closing && queue_take_frame(&client->in, &frame, &broken);) take_request(self, client, &frame);
    if (client->fd >= 0 && queue_length(&client->out) > 0 && !queue_drain(&client->out, client->fd)) gone = true;
    if (gone || broken || client->fd < 0 || (client->closing && queue_length(&client->out) == 0)) drop_client(self, at);
  }
}

void send_output(struct supervisor *self, char kind, const char *data, size_t length) {
  for (size_t at = 0; at < self->client_count; at++) {
    struct client *client = &self->clients[at];
    if (!client->output || client->closing) continue;
    queue_put_frame(&client->out, kind, data, length);
    /* What cannot be written is noticed when its turn comes. */
    (void)queue_drain(&client->out, client->fd);
  }
}

bool output_held_up(const struct supervisor *self) {
  for (size_t at = 0; at < self->client_count; at++)
    if (self->clients[at].output && queue_length(&self->clients[at].out) > HELD_UP) return true;
  return false;
}

void send_end(struct supervisor *self, int code) {
  char text[12], line[800];
  int length = snprintf(text, sizeof text, "%d", code);
  const struct failure *failure = &self->state.failure;
  int line_length = snprintf(line, sizeof line, "error %d %s %s\n", failure->error, failure->stage, failure->text);
  for (size_t at = 0; at < self->client_count; at++) {
    struct client *client = &self->clients[at];
    if (!client->waits || client->closing) continue;
    if (failure->stage[0] != 0) queue_put_frame(&client->out, FRAME_STATUS, line, (size_t)line_length);
    queue_put_frame(&client->out, FRAME_END, text, (size_t)length);
    client->closing = true;
  }
}

bool clients_busy(const struct supervisor *self) {
  for (size_t at = 0; at < self->client_count; at++)
    if (self->clients[at].fd >= 0 && queue_length(&self->clients[at].out) > 0) return true;
  return false;
}
