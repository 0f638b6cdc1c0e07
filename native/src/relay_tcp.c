/*
 * Connections to published ports and proxies: bytes go both ways until both sides have said that there are no more. A side that reads slowly holds
 * up the other, and nothing is kept but what is under way.
 */
#include "relay.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 1 << 16 };

struct connection;

/* One side of a connection, with what it has sent and the other has not taken yet. */
struct side {
  struct watcher watcher;
  struct connection *connection;
  int fd;
  uint32_t wanted;
  size_t start, end;
  char *buffer;
  bool ended;    /* will send no more */
  bool told;     /* the other side knows */
};

struct connection {
  struct side outer, inner;
  uint16_t port;
  const char *path;
  bool connecting, tried_v6;
  bool dying;
  struct connection *next_dead, *next, **place; /* `place`: what points to it among those that live */
};

static struct connection *living;
static bool draining;

static struct connection *dead;

static struct side *other(struct side *side) {
  return side == &side->connection->outer ? &side->connection->inner : &side->connection->outer;
}

static void end_connection(struct connection *connection, bool reset) {
  if (connection->dying) return;
  connection->dying = true;
  *connection->place = connection->next;
  if (connection->next != NULL) connection->next->place = connection->place;
  /* So that whoever is outside does not take a cut for an end. */
  struct linger at_once = {1, 0};
  if (reset) setsockopt(connection->outer.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  if (reset && connection->inner.fd >= 0) setsockopt(connection->inner.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  close(connection->outer.fd);
  if (connection->inner.fd >= 0) close(connection->inner.fd);
  connection->next_dead = dead;
  dead = connection;
}

void bury_dead(void) {
  while (dead != NULL) {
    struct connection *connection = dead;
    dead = connection->next_dead;
    free(connection->outer.buffer);
    free(connection->inner.buffer);
    free(connection);
  }
}

/* Waits for what this side can do next: be read from while its buffer is empty, be written to while the other's is not. */
static bool want(struct side *side) {
  uint32_t events = (side->ended || side->end > 0 ? 0 : (uint32_t)EPOLLIN) | (other(side)->end > 0 ? (uint32_t)EPOLLOUT : 0);
  uint32_t before = side->wanted;
  side->wanted = events;
  return watch(side->fd, before, events, &side->watcher);
}

/* Passes on what one side sends, as far as it goes without waiting. False when the connection is broken. */
static bool pass_on(struct side *from) {
  struct side *to = other(from);
  for (;;) {
    while (from->start < from->end) {
      ssize_t sent = send(to->fd, from->buffer + from->start, from->end - from->start, MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0 && errno == EAGAIN) return true;
      if (sent < 0) return false;
      from->start += (size_t)sent;
    }
    from->start = from->end = 0;
    if (from->ended) break;
    ssize_t got = recv(from->fd, from->buffer, BUFFER, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return true;
    if (got < 0) return false;
    if (got == 0) from->ended = true;
    else from->end = (size_t)got;
  }
  if (!from->told && shutdown(to->fd, SHUT_WR) < 0) return false;
  from->told = true;
  return true;
}

static void side_ready(struct watcher *watcher, uint32_t events);

/* Connects to the program in the container: at 127.0.0.1, and at ::1 when nobody listens there. A proxy has one address. */
static bool connect_program(struct connection *connection) {
  if (connection->path != NULL) {
    int fd = connect_path(connection->path);
    if (fd < 0) return false;
    connection->inner.fd = fd;
    connection->inner.wanted = EPOLLOUT;
    /* There is no other to try. */
    connection->tried_v6 = true;
    return watch(fd, 0, EPOLLOUT, &connection->inner.watcher);
  }
  for (;;) {
    int fd = connect_inside(connection->tried_v6 ? AF_INET6 : AF_INET, SOCK_STREAM, connection->port);
    if (fd >= 0) {
      int on = 1;
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      connection->inner.fd = fd;
      connection->inner.wanted = EPOLLOUT;
      return watch(fd, 0, EPOLLOUT, &connection->inner.watcher);
    }
    if (connection->tried_v6) return false;
    connection->tried_v6 = true;
  }
}

/* False when nobody is there. */
static bool finish_connecting(struct connection *connection) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(connection->inner.fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) return false;
  if (error != 0) {
    if (connection->tried_v6) return false;
    close(connection->inner.fd);
    connection->inner.fd = -1;
    connection->tried_v6 = true;
    return connect_program(connection);
  }
  connection->connecting = false;
  return want(&connection->outer) && want(&connection->inner);
}

static void side_ready(struct watcher *watcher, uint32_t events) {
  struct side *side = (struct side *)watcher;
  struct connection *connection = side->connection;
  if (connection->dying) return;
  bool works;
  if (connection->connecting) works = finish_connecting(connection);
  else if ((events & EPOLLERR) != 0) works = false;
  else works = pass_on(side) && pass_on(other(side)) && want(side) && want(other(side));
  if (!works) end_connection(connection, true);
  else if (connection->inner.told && (connection->outer.told || draining)) end_connection(connection, false);
}

void drain_connections(void) {
  draining = true;
  for (struct connection *connection = living, *next; connection != NULL; connection = next) {
    next = connection->next;
    if (connection->inner.told || connection->connecting) end_connection(connection, connection->connecting);
  }
}

bool has_connections(void) { return living != NULL; }

void accept_connections(struct published *port) {
  for (;;) {
    int fd = accept4(port->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), on = 1;
    /* Without descriptors left, those who wait go on waiting until one is free. */
    if (fd < 0 && (errno == EMFILE || errno == ENFILE)) usleep(1000);
    if (fd < 0) return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct connection *connection = allocate(sizeof *connection);
    *connection = (struct connection){
        .outer = {.watcher = {side_ready}, .connection = connection, .fd = fd, .buffer = allocate(BUFFER)},
        .inner = {.watcher = {side_ready}, .connection = connection, .fd = -1, .buffer = allocate(BUFFER)},
        .port = port->port,
        .path = port->path,
        .connecting = true,
    };
    connection->next = living;
    connection->place = &living;
    if (living != NULL) living->place = &connection->next;
    living = connection;
    if (!connect_program(connection)) end_connection(connection, true);
  }
}
