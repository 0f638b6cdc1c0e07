/*
 * The name server of one container, at 127.0.0.11 in it: what it is asked about containers of its networks it answers from the tables that it is
 * given (dns.c); the rest it passes on to the machine's name servers, as the machine itself would ask, where one of the networks has an outside. Where
 * none has, such names do not exist: nothing can be told to the world by asking for names.
 *
 * It has no capability and may get none. Its sockets for questions were made in the container's network, those for the machine's servers are made here.
 */
#include "dns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_PENDING = 256, MOST_STREAMS = 32, TRY_MS = 2500, STREAM_MS = 10000, PORT = 53, AT_ONCE = 64 };

/* A question that was passed on as a datagram, and is to be answered as one. */
struct pending {
  int fd; /* -1: free. Connected: nobody but the server that was asked can answer */
  struct sockaddr_in from;
  unsigned char *message;
  size_t length;
  struct dns_question question;
  uint16_t id;
  size_t server;
  long long due;
};

/* A connection of the container's, with one question at a time, and one to a server for it. */
struct stream {
  int fd, up; /* -1: free; none */
  struct queue in, out, up_in, up_out;
  size_t server;
  struct dns_question question;
  unsigned char *message;
  size_t length;
  long long due;
};

static const struct name_service *service;
static struct dns_tables tables = {.text = ""};
static char *table_text;
static struct pending pending[MOST_PENDING];
static struct stream streams[MOST_STREAMS];
static unsigned char buffer[DNS_MESSAGE], reply[DNS_MESSAGE];

static int connect_server(size_t number, int type) {
  struct interface_address address;
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
  if (number >= service->upstreams->count || !parse_address(service->upstreams->items[number], &address)) return -1;
  v4.sin_addr = address.v4;
  v6.sin6_addr = address.v6;
  int fd = socket(address.family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  int done = address.family == AF_INET ? connect(fd, (struct sockaddr *)&v4, sizeof v4) : connect(fd, (struct sockaddr *)&v6, sizeof v6);
  if (done == 0 || errno == EINPROGRESS) return fd;
  close(fd);
  return -1;
}

static bool passes_on(void) { return service->upstreams->count > 0 && has_outside(tables.text); }

/* ---- datagrams ---- */

static void send_to(const struct sockaddr_in *to, const unsigned char *message, size_t length) {
  if (length > 0) (void)!sendto(service->udp, message, length, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)to, sizeof *to);
}

static void end_pending(struct pending *entry) {
  if (entry->fd >= 0) close(entry->fd);
  free(entry->message);
  *entry = (struct pending){.fd = -1};
}

/* Asks the next server that can be asked. After the last one the question has failed. */
static void ask_next(struct pending *entry) {
  if (entry->fd >= 0) close(entry->fd);
  entry->fd = -1;
  while (entry->server < service->upstreams->count) {
    entry->fd = connect_server(entry->server++, SOCK_DGRAM);
    if (entry->fd < 0) continue;
    entry->message[0] = (unsigned char)(entry->id >> 8), entry->message[1] = (unsigned char)entry->id;
    if (send(entry->fd, entry->message, entry->length, MSG_NOSIGNAL) >= 0) {
      entry->due = clock_ms() + TRY_MS;
      return;
    }
    close(entry->fd);
    entry->fd = -1;
  }
  entry->message[0] = (unsigned char)(entry->question.id >> 8), entry->message[1] = (unsigned char)entry->question.id;
  send_to(&entry->from, reply, answer_code(entry->message, entry->length, &entry->question, DNS_SERVER_FAILURE, reply));
  end_pending(entry);
}

static void pass_on(const struct sockaddr_in *from, const struct dns_question *question, size_t length) {
  struct pending *entry = NULL;
  for (size_t at = 0; at < MOST_PENDING; at++) {
    if (pending[at].message == NULL) {
      entry = &pending[at];
      break;
    }
    /* A flood drives out who has waited for longest. */
    if (entry == NULL || pending[at].due < entry->due) entry = &pending[at];
  }
  if (entry->message != NULL) end_pending(entry);
  *entry = (struct pending){.fd = -1, .from = *from, .message = allocate(length), .length = length, .question = *question};
  memcpy(entry->message, buffer, length);
  if (getrandom(&entry->id, sizeof entry->id, 0) != sizeof entry->id) entry->id = question->id;
  ask_next(entry);
}

static void take_answer(struct pending *entry) {
  ssize_t got = recv(entry->fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got < 0) {
    ask_next(entry);
    return;
  }
  if (got < DNS_HEADER || (buffer[0] << 8 | buffer[1]) != entry->id || (buffer[2] & 0x80) == 0) return;
  buffer[0] = (unsigned char)(entry->question.id >> 8), buffer[1] = (unsigned char)entry->question.id;
  send_to(&entry->from, buffer, (size_t)got);
  end_pending(entry);
}

static void take_datagrams(void) {
  for (int count = 0; count < AT_ONCE; count++) {
    struct sockaddr_in from;
    struct dns_question question;
    enum dns_code code;
    socklen_t size = sizeof from;
    ssize_t got = recvfrom(service->udp, buffer, sizeof buffer, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
    if (got < 0) return;
    enum dns_verdict verdict = read_question(buffer, (size_t)got, &question, &code);
    if (verdict == DNS_IS_NOTHING) continue;
    size_t length = verdict == DNS_ASKS ? answer_question(&tables, buffer, &question, question.room, reply) : answer_code(buffer, (size_t)got, &question, code, reply);
    if (length == 0 && passes_on()) pass_on(&from, &question, (size_t)got);
    else send_to(&from, reply, length > 0 ? length : answer_code(buffer, (size_t)got, &question, DNS_NO_NAME, reply));
  }
}

/* ---- streams: each message has its length before it ---- */

static void end_up(struct stream *stream) {
  if (stream->up >= 0) close(stream->up);
  stream->up = -1;
  free(stream->up_in.data), free(stream->up_out.data);
  stream->up_in = stream->up_out = (struct queue){0};
}

static void end_stream(struct stream *stream) {
  end_up(stream);
  close(stream->fd);
  free(stream->in.data), free(stream->out.data), free(stream->message);
  *stream = (struct stream){.fd = -1, .up = -1};
}

static void put_message(struct queue *queue, const unsigned char *message, size_t length) {
  unsigned char size[2] = {(unsigned char)(length >> 8), (unsigned char)length};
  queue_put(queue, size, 2);
  queue_put(queue, message, length);
}

/* The next whole message of a stream, 0 when there is none. */
static size_t take_message(struct queue *queue, unsigned char *message) {
  const unsigned char *data = (unsigned char *)queue->data + queue->start;
  if (queue_length(queue) < 2 || queue_length(queue) - 2 < (size_t)(data[0] << 8 | data[1])) return 0;
  size_t length = (size_t)(data[0] << 8 | data[1]);
  memcpy(message, data + 2, length);
  queue->start += 2 + length;
  return length;
}

static void ask_by_stream(struct stream *stream) {
  end_up(stream);
  while (stream->server < service->upstreams->count && stream->up < 0) stream->up = connect_server(stream->server++, SOCK_STREAM);
  if (stream->up >= 0) {
    put_message(&stream->up_out, stream->message, stream->length);
    return;
  }
  put_message(&stream->out, reply, answer_code(stream->message, stream->length, &stream->question, DNS_SERVER_FAILURE, reply));
  free(stream->message);
  stream->message = NULL;
}

/* False when the connection is to end. */
static bool take_questions(struct stream *stream) {
  /* One that is passed on is waited for. */
  while (stream->message == NULL) {
    size_t length = take_message(&stream->in, buffer);
    enum dns_code code;
    if (length == 0) return true;
    enum dns_verdict verdict = read_question(buffer, length, &stream->question, &code);
    if (verdict == DNS_IS_NOTHING) return false;
    size_t answer = verdict == DNS_ASKS ? answer_question(&tables, buffer, &stream->question, sizeof reply, reply) : answer_code(buffer, length, &stream->question, code, reply);
    if (answer == 0 && passes_on()) {
      stream->message = allocate(length);
      memcpy(stream->message, buffer, length);
      stream->length = length;
      stream->server = 0;
      ask_by_stream(stream);
      continue;
    }
    if (answer == 0) answer = answer_code(buffer, length, &stream->question, DNS_NO_NAME, reply);
    put_message(&stream->out, reply, answer);
  }
  return true;
}

static void take_up(struct stream *stream, short events) {
  bool open = (events & (POLLIN | POLLHUP | POLLERR)) == 0 || queue_fill(&stream->up_in, stream->up);
  if (open) open = queue_drain(&stream->up_out, stream->up);
  size_t length = take_message(&stream->up_in, buffer);
  if (length > 0) {
    put_message(&stream->out, buffer, length);
    end_up(stream);
    free(stream->message);
    stream->message = NULL;
  } else if (!open) {
    ask_by_stream(stream);
  }
}

static void take_stream(void) {
  int fd = accept4(service->tcp, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return;
  struct stream *free_one = NULL;
  for (size_t at = 0; at < MOST_STREAMS; at++)
    if (streams[at].fd < 0) free_one = &streams[at];
  if (free_one == NULL) {
    close(fd);
    return;
  }
  *free_one = (struct stream){.fd = fd, .up = -1, .due = clock_ms() + STREAM_MS};
}

static void serve_stream(struct stream *stream, short own_events, short up_events) {
  bool open = (own_events & (POLLIN | POLLHUP | POLLERR)) == 0 || queue_fill(&stream->in, stream->fd);
  if (own_events != 0) stream->due = clock_ms() + STREAM_MS;
  if (stream->up >= 0 && up_events != 0) take_up(stream, up_events);
  open = take_questions(stream) && open;
  if (!queue_drain(&stream->out, stream->fd) || !open) end_stream(stream);
}

/* ---- the loop ---- */

/* False when the container's network is gone. */
static bool take_tables(struct queue *in) {
  bool broken = false, open = queue_fill(in, service->control);
  for (struct frame frame; queue_take_frame(in, &frame, &broken);) {
    if (frame.kind != NAMES_TABLE) continue;
    free(table_text);
    tables.text = table_text = frame_text(&frame);
  }
  return open && !broken;
}

static void give_up_late(long long now) {
  for (size_t at = 0; at < MOST_PENDING; at++)
    if (pending[at].message != NULL && now >= pending[at].due) ask_next(&pending[at]);
  for (size_t at = 0; at < MOST_STREAMS; at++)
    if (streams[at].fd >= 0 && now >= streams[at].due) end_stream(&streams[at]);
}

static int next_due(long long now) {
  long long due = -1;
  for (size_t at = 0; at < MOST_PENDING; at++)
    if (pending[at].message != NULL && (due < 0 || pending[at].due < due)) due = pending[at].due;
  for (size_t at = 0; at < MOST_STREAMS; at++)
    if (streams[at].fd >= 0 && (due < 0 || streams[at].due < due)) due = streams[at].due;
  return due < 0 ? -1 : due <= now ? 0 : (int)(due - now);
}

static short wanted(const struct queue *out, bool reads) { return (short)((reads ? POLLIN : 0) | (queue_length(out) > 0 ? POLLOUT : 0)); }

_Noreturn void serve_names(const struct name_service *given) {
  static struct pollfd waits[3 + MOST_PENDING + 2 * MOST_STREAMS];
  struct queue control = {0};
  service = given;
  for (size_t at = 0; at < MOST_PENDING; at++) pending[at].fd = -1;
  for (size_t at = 0; at < MOST_STREAMS; at++) streams[at].fd = streams[at].up = -1;
  for (;;) {
    waits[0] = (struct pollfd){service->control, POLLIN, 0};
    waits[1] = (struct pollfd){service->udp, POLLIN, 0};
    waits[2] = (struct pollfd){service->tcp, POLLIN, 0};
    struct pollfd *of_pending = waits + 3, *of_streams = of_pending + MOST_PENDING;
    for (size_t at = 0; at < MOST_PENDING; at++) of_pending[at] = (struct pollfd){pending[at].fd, POLLIN, 0};
    for (size_t at = 0; at < MOST_STREAMS; at++) {
      const struct stream *stream = &streams[at];
      of_streams[2 * at] = (struct pollfd){stream->fd, wanted(&stream->out, stream->message == NULL && queue_length(&stream->in) <= DNS_MESSAGE + 2), 0};
      of_streams[2 * at + 1] = (struct pollfd){stream->up, wanted(&stream->up_out, true), 0};
    }
    if (poll(waits, sizeof waits / sizeof *waits, next_due(clock_ms())) < 0 && errno != EINTR) _exit(EXIT_SETUP);
    if (waits[0].revents != 0 && !take_tables(&control)) _exit(0);
    for (size_t at = 0; at < MOST_PENDING; at++)
      if (of_pending[at].revents != 0 && pending[at].fd >= 0) take_answer(&pending[at]);
    for (size_t at = 0; at < MOST_STREAMS; at++)
      if ((of_streams[2 * at].revents | of_streams[2 * at + 1].revents) != 0 && streams[at].fd >= 0)
        serve_stream(&streams[at], of_streams[2 * at].revents, of_streams[2 * at + 1].revents);
    if (waits[2].revents != 0) take_stream();
    if (waits[1].revents != 0) take_datagrams();
    give_up_late(clock_ms());
  }
}
