/*
 * Datagrams to published ports: each sender outside has a socket of its own here, by which answers find the way back, until neither has
 * said anything for a minute.
 */
#include "relay.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST_SENDERS = 1024, SILENCE_SECONDS = 60, DATAGRAM = 65536, AT_ONCE = 64 };

struct sender {
  struct watcher watcher;
  struct published *port;
  struct sockaddr_storage address;
  socklen_t length;
  int fd;
  time_t last;
  bool gone;
  struct sender *next;
};

static struct sender *senders;
static size_t sender_count;
static char datagram[DATAGRAM];

static time_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec;
}

static void forget(struct sender *sender) {
  close(sender->fd);
  sender->gone = true;
  sender_count--;
}

void forget_silent(void) {
  static time_t looked;
  if (now() == looked) return;
  looked = now();
  for (struct sender **at = &senders; *at != NULL;) {
    struct sender *sender = *at;
    if (!sender->gone && now() - sender->last > SILENCE_SECONDS) forget(sender);
    if (sender->gone) {
      *at = sender->next;
      free(sender);
    } else {
      at = &sender->next;
    }
  }
}

/* Answers of the program. */
static void sender_ready(struct watcher *watcher, uint32_t events) {
  struct sender *sender = (struct sender *)watcher;
  (void)events;
  for (int count = 0; !sender->gone && count < AT_ONCE; count++) {
    ssize_t got = recv(sender->fd, datagram, sizeof datagram, 0);
    if (got < 0 && errno == EINTR) continue;
    /* Nobody listens in the container: as in any network, the datagram is lost. */
    if (got < 0 && errno != ECONNREFUSED) return;
    if (got < 0) continue;
    sender->last = now();
    (void)!sendto(sender->port->fd, datagram, (size_t)got, 0, (struct sockaddr *)&sender->address, sender->length);
  }
}

static struct sender *find_sender(struct published *port, const struct sockaddr_storage *address, socklen_t length) {
  for (struct sender *sender = senders; sender != NULL; sender = sender->next)
    if (!sender->gone && sender->port == port && sender->length == length && memcmp(&sender->address, address, length) == 0) return sender;
  /* A flood from many addresses drives out the one that has been silent for longest. */
  if (sender_count >= MOST_SENDERS) {
    struct sender *oldest = NULL;
    for (struct sender *sender = senders; sender != NULL; sender = sender->next)
      if (!sender->gone && (oldest == NULL || sender->last < oldest->last)) oldest = sender;
    if (oldest != NULL) forget(oldest);
  }
  int fd = connect_inside(AF_INET, SOCK_DGRAM, port->port);
  if (fd < 0) return NULL;
  struct sender *sender = allocate(sizeof *sender);
  *sender = (struct sender){.watcher = {sender_ready}, .port = port, .address = *address, .length = length, .fd = fd, .next = senders};
  if (!watch(fd, 0, EPOLLIN, &sender->watcher)) {
    close(fd);
    free(sender);
    return NULL;
  }
  sender_count++;
  return senders = sender;
}

void receive_datagrams(struct published *port) {
  for (int count = 0; count < AT_ONCE; count++) {
    struct sockaddr_storage from = {0};
    socklen_t length = sizeof from;
    ssize_t got = recvfrom(port->fd, datagram, sizeof datagram, 0, (struct sockaddr *)&from, &length);
    if (got < 0) return;
    struct sender *sender = find_sender(port, &from, length);
    if (sender == NULL) continue;
    sender->last = now();
    (void)!send(sender->fd, datagram, (size_t)got, MSG_NOSIGNAL);
  }
}
