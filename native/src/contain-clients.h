/* The supervisor's own state, and those who are connected to it. */
#ifndef TSBUILD_CONTAIN_CLIENTS_H
#define TSBUILD_CONTAIN_CLIENTS_H

#include "contain.h"

#include <poll.h>

enum { MAX_CLIENTS = 128, HELD_UP = 1 << 20 };

struct client {
  int fd;
  struct queue in, out;
  bool output, input; /* attached for */
  bool waits;         /* for the end */
  bool closing;       /* when all is written */
};

struct supervisor {
  struct options options;
  struct state state;
  struct log log;
  int dir, listener, signals, self, notify;
  pid_t step;     /* the process that holds the container, 0 while none does */
  int connection; /* to it */
  int container;  /* pidfd of the container's PID 1 */
  int input;      /* its standard input */
  struct queue from_step, to_step;
  bool ran, failed, input_ended;
  bool killed;   /* before its own number was known */
  bool stop_asked; /* by `stop`, and not by `kill` */
  long long oom_kills; /* what the kernel had counted when it was started */
  bool stopping; /* somebody wants it ended: it is not started again */
  bool paused;
  bool waiting; /* for the first client, before the first start */
  bool over;
  int exit_code;
  bool reaped, told; /* the step was waited for; it has said how it ended */
  int step_status;
  long long began, kill_at, restart_at, give_up_at; /* ms of clock_ms; -1 for never */
  unsigned execs, ended_probes; /* children that are not yet waited for */
  struct client clients[MAX_CLIENTS];
  size_t client_count;
};

/* contain.c */
void start_container(struct supervisor *self);
void kill_container(struct supervisor *self, int number);
void stop_container(struct supervisor *self, int number, long long timeout);
void pause_container(struct supervisor *self, bool pause);
/* Waits once for whatever comes, until a time of clock_ms at the latest, and does it. */
void serve(struct supervisor *self, long long until);

/* contain-clients.c */
void listen_for_clients(struct supervisor *self);
void take_client(struct supervisor *self);
size_t poll_clients(struct supervisor *self, struct pollfd *waits);
void serve_clients(struct supervisor *self, const struct pollfd *waits, size_t count);
void send_output(struct supervisor *self, char kind, const char *data, size_t length);
/* Whether one who is attached reads so slowly that the container has to wait. */
bool output_held_up(const struct supervisor *self);
void write_input(struct supervisor *self);
/* Tells everybody the end. */
void send_end(struct supervisor *self, int code);
bool clients_busy(const struct supervisor *self);

#endif
