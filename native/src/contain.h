/*
 * The supervisor of one container: the only process that a container with a life of its own needs beside it. It lives in namespace A, ends
 * with it, and takes the container with it: PID 1 of namespace A ends when this process does, whatever killed it.
 */
#ifndef TSBUILD_CONTAIN_H
#define TSBUILD_CONTAIN_H

#include "step.h"

#include <signal.h>

/* What a client asks for; replies are frames as a step's are (helper.h). The table of the protocol is in docs/dev/containers.md. */
enum request {
  REQUEST_ATTACH = 'A',
  REQUEST_WAIT = 'W',
  REQUEST_STOP = 'S',
  REQUEST_KILL = 'k',
  REQUEST_PAUSE = 'P',
  REQUEST_UNPAUSE = 'U',
  REQUEST_EXEC = 'X',
  REQUEST_INPUT = 'i',
  REQUEST_CLOSE_INPUT = 'c',
  REQUEST_WINDOW = 'w',
  REQUEST_IS = 'N',
  REQUEST_RESTART = 'R',
};

/* ---- contain-queue.c: bytes that wait to be read as frames, or to be written ---- */

struct queue {
  char *data;
  size_t start, end, capacity;
};
struct frame {
  char kind;
  char *data; /* in the queue; good until the next call */
  size_t length;
};
enum { FRAME_LIMIT = 4 << 20 };
static inline size_t queue_length(const struct queue *queue) { return queue->end - queue->start; }
void queue_put(struct queue *queue, const void *data, size_t length);
void queue_put_frame(struct queue *queue, char kind, const void *data, size_t length);
/* Reads what is there. False at the end, and for an error. */
bool queue_fill(struct queue *queue, int fd);
/* Writes what can be written. False when nobody will read it. */
bool queue_drain(struct queue *queue, int fd);
/* Takes the next whole frame. False when there is none; `broken` is set when there never will be. */
bool queue_take_frame(struct queue *queue, struct frame *frame, bool *broken);
/* A copy of a frame's data that ends with a NUL. */
char *frame_text(const struct frame *frame);

/* ---- contain-log.c: what the container prints, line by line ---- */

enum { LOG_LINE = 16384 };
struct log {
  int dir, file;
  unsigned long long size, limit;
  unsigned files;
  struct queue out;
  struct {
    char bytes[LOG_LINE];
    size_t used;
  } line[2];
};
/* `files`: 0 for no log at all. */
void log_open(struct log *log, int dir, unsigned long long limit, unsigned files);
/* `stream`: 0 for standard output, 1 for standard error. */
void log_take(struct log *log, int stream, const char *data, size_t length);
/* Writes lines that have no end yet. */
void log_finish(struct log *log);

/* ---- contain-state.c: what others may know, each file replaced by rename ---- */

enum { TIME_TEXT = 40, PROBE_OUTPUT = 4096, PROBES_KEPT = 5 };
/* RFC 3339 with nanoseconds, in UTC. */
void time_text(char *text);
/* Milliseconds of a clock that nobody sets. */
long long clock_ms(void);

struct failure {
  int error;
  char stage[32], text[600];
};
struct state {
  const char *status; /* created, running, paused, restarting, exited */
  bool oom_killed;    /* at its last end: the kernel has ended processes of it for lack of memory */
  int pid;            /* as /proc shows it; 0 while nothing runs */
  int exit_code;
  unsigned restarts;
  char started[TIME_TEXT], finished[TIME_TEXT];
  struct failure failure; /* of the last start, if the stage is not empty */
  const char *health;     /* NULL without a check; starting, healthy, unhealthy */
};
void write_state(int dir, const struct state *state);
/* Appends `text` as a JSON string; what is not UTF-8 becomes U+FFFD. */
void put_json_text(struct queue *out, const char *text, size_t length);
/* Replaces a file of the container's directory. What cannot be written is not: the container goes on. */
void replace_file(int dir, const char *name, const struct queue *content);

/* ---- contain-exec.c: further processes in the container ---- */

struct exec_streams {
  int in, out, err;
  int status;   /* status lines; closed when the program was executed */
  int terminal; /* a socket that the terminal's other end is sent to, -1 for none */
};
/* Starts the program of `spec` beside the process that `container` is a pidfd of. Gives the process to wait for. */
pid_t start_in_container(struct step_spec *spec, int container, const struct exec_streams *streams, int parent);
/* Sends a signal to all processes of the container but its first. */
void signal_all(int container, int number);
/* Signals through a pidfd; false when it is gone. */
bool signal_pidfd(int pidfd, int number);

/* ---- contain-session.c: one exec and its client ---- */

_Noreturn void serve_exec(struct step_spec *spec, int container, int connection, struct queue *in, const struct frame *request, int parent);

/* ---- contain-health.c: the check of HEALTHCHECK ---- */

struct health {
  struct list test; /* empty: no check */
  long long interval, timeout, start_period, start_interval; /* ms */
  unsigned retries;
  unsigned streak;
  long long due, deadline, began;
  pid_t pid;
  int container;  /* pidfd of the container that is checked, -1 for none */
  int out, status;
  bool start_over; /* healthy once, or the start period is over */
  char output[PROBE_OUTPUT + 1];
  size_t used;
  char failure[300];
  struct {
    char start[TIME_TEXT], end[TIME_TEXT];
    int code;
    char *output;
  } log[PROBES_KEPT];
  size_t logged;
};
void health_begin(struct health *health, int container);
/* True when a probe was killed, which is still to be waited for. */
bool health_end(struct health *health);
/* When `health_tick` has something to do, -1 for never. */
long long health_due(const struct health *health);
/* Starts a probe, or ends one that takes too long. */
void health_tick(struct health *health, const struct step_spec *spec, int self);
void health_read(struct health *health);
/* A child ended: true when it was the probe and `state->health` may be another now. */
bool health_reaped(struct health *health, pid_t pid, int wait_status, int dir, struct state *state);

/* ---- contain-restart.c ---- */

enum restart { RESTART_NO, RESTART_ON_FAILURE, RESTART_ALWAYS };
struct restarting {
  enum restart policy;
  unsigned most, count; /* most: 0 for any number */
  long long wait;
};
/* Milliseconds until the next start after an end, -1 for none. `ran`: how long it ran, in ms. */
long long restart_after(struct restarting *restarting, int exit_code, long long ran);

/* False for a policy that there is not. */
bool parse_restart(const char *text, enum restart *policy);

/* ---- contain-options.c ---- */

struct options {
  const char *directory, *garbage, *names;
  const char *events, *event_facts; /* where events are written to, and what all of them say, as JSON; NULL for nowhere */
  struct list volumes; /* that go with the container */
  bool remove, wait_for_client;
  unsigned long long log_limit;
  unsigned log_files;
  struct restarting restarting;
  struct health health;
  struct step_spec spec;
};
/* Reads what the supervisor is told: fields of its own, "end", and the description of the step. */
void read_options(struct options *options, int fd);

/* contain-events.c: tells what has happened. `dir`: of the container; `attribute` NULL for none. */
void write_event(const struct options *options, int dir, const char *action, const char *attribute, const char *value);

#endif
