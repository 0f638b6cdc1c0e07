/* Published ports: what comes in at sockets of one network is passed on to ports of another. */
#ifndef TSBUILD_RELAY_H
#define TSBUILD_RELAY_H

#include "helper.h"

/* A socket that waits, and what it stands for: a port of this process's network or, where there is a path, a unix socket. */
struct published {
  int fd;
  bool datagrams;
  uint16_t port;
  const char *path; /* short, from the working directory */
};

/* Who is told of what happens to a descriptor. */
struct watcher {
  void (*ready)(struct watcher *watcher, uint32_t events);
};

/*
 * Asks for events of a descriptor instead of those asked for before, 0 for none. Who asks for none hears of none: not even that the
 * other side has hung up, which the kernel would tell again and again. False where it has no room for it.
 */
bool watch(int fd, uint32_t before, uint32_t events, struct watcher *watcher);
/* A non-blocking socket that is or will be connected to the port at this network's loopback interface; -1 with errno. */
int connect_inside(int family, int type, uint16_t port);
/* The same for a unix socket. */
int connect_path(const char *path);

/* Passes on until SIGTERM, and then for a moment what was said before. */
_Noreturn void relay(struct published *ports, size_t count);

/* relay_tcp.c */
void accept_connections(struct published *port);
/* Frees connections that have ended, when no event of the round can name them any more. */
void bury_dead(void);
/* The program is gone: connections end as soon as all that it has said was passed on. */
void drain_connections(void);
bool has_connections(void);
/* relay_udp.c */
void receive_datagrams(struct published *port);
/* Forgets those who have been silent for long. */
void forget_silent(void);

#endif
