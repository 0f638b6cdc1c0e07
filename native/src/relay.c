/*
 * The loop of published ports. It runs in the container's network, with listening sockets that were opened outside (publish.c): a socket
 * stays in the network that it was made in, so that one end of each connection is there and the other here, and no interface, rule or
 * right over a network is needed for it.
 */
#include "relay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 64, TICK_MS = 5000, DRAIN_SECONDS = 2 };

static int loop = -1;

struct signals {
  struct watcher watcher;
  int fd;
};

struct listener {
  struct watcher watcher;
  struct published *port;
};

bool watch(int fd, uint32_t before, uint32_t events, struct watcher *watcher) {
  struct epoll_event event = {.events = events, .data.ptr = watcher};
  if (before == events) return true;
  return epoll_ctl(loop, before == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD, fd, &event) == 0;
}

int connect_inside(int family, int type, uint16_t port) {
  struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  int fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  int done = family == AF_INET ? connect(fd, (struct sockaddr *)&v4, sizeof v4) : connect(fd, (struct sockaddr *)&v6, sizeof v6);
  if (done == 0 || errno == EINPROGRESS) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

int connect_path(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    return -1;
  }
  strcpy(address.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) == 0) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

static void listener_ready(struct watcher *watcher, uint32_t events) {
  struct listener *listener = (struct listener *)watcher;
  (void)events;
  if (listener->port->datagrams) receive_datagrams(listener->port);
  else accept_connections(listener->port);
}

static time_t seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec;
}

/* Set by SIGTERM. */
static bool ending;

static void signal_ready(struct watcher *watcher, uint32_t events) {
  struct signals *signals = (struct signals *)watcher;
  struct signalfd_siginfo info;
  (void)events;
  while (read(signals->fd, &info, sizeof info) == sizeof info)
    if (info.ssi_signo == SIGTERM) ending = true;
}

/* Each connection takes two descriptors. */
static void raise_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

_Noreturn void relay(struct published *ports, size_t count) {
  stage = "relay";
  loop = epoll_create1(EPOLL_CLOEXEC);
  if (loop < 0) fail("cannot make an event descriptor");
  raise_limit();
  struct listener *listeners = allocate(count * sizeof *listeners);
  for (size_t at = 0; at < count; at++) {
    listeners[at] = (struct listener){{listener_ready}, &ports[at]};
    if (!watch(ports[at].fd, 0, EPOLLIN, &listeners[at].watcher)) fail("cannot watch a published port");
  }
  struct signals signals = {{signal_ready}, catch_signals()};
  if (!watch(signals.fd, 0, EPOLLIN, &signals.watcher)) fail("cannot watch signals");
  time_t end = 0;
  while (end == 0 || seconds() < end) {
    if (ending && end == 0) {
      end = seconds() + DRAIN_SECONDS;
      for (size_t at = 0; at < count; at++) close(ports[at].fd);
      drain_connections();
    }
    if (ending && !has_connections()) break;
    struct epoll_event events[EVENTS];
    int got = epoll_wait(loop, events, EVENTS, ending ? 100 : TICK_MS);
    if (got < 0 && errno != EINTR) fail("cannot wait for connections");
    for (int at = 0; at < got; at++) {
      struct watcher *watcher = events[at].data.ptr;
      watcher->ready(watcher, events[at].events);
    }
    bury_dead();
    forget_silent();
  }
  _exit(0);
}
