/*
 * publish: opens listening sockets where it is started, outside of every namespace, and executes a command that inherits them, from
 * descriptor 5 on, in the order of the arguments. Only here is there the right to listen at ports below 1024 that root and some services
 * have; who accepts is in the container's network (relay.c).
 *
 * What port each got, for those that may choose theirs, is a line on the status descriptor: `port INDEX NUMBER`.
 */
#include "helper.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STATUS_FD = 4, FIRST_FD = 5, MOST = 1024, BACKLOG = 4096 };

union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

static socklen_t parse_address(union address *address, const char *text, uint16_t port) {
  memset(address, 0, sizeof *address);
  if (inet_pton(AF_INET, text, &address->v4.sin_addr) == 1) {
    address->v4.sin_family = AF_INET;
    address->v4.sin_port = htons(port);
    return sizeof address->v4;
  }
  if (inet_pton(AF_INET6, text, &address->v6.sin6_addr) != 1) fail_with(0, "\"%.64s\" is no address", text);
  address->v6.sin6_family = AF_INET6;
  address->v6.sin6_port = htons(port);
  return sizeof address->v6;
}

/* A socket that waits at an address; -1 with errno. `both`: those of the older family too, where the address is IPv6's for any. */
static int open_socket(int type, const char *host, uint16_t port, bool both) {
  union address address;
  socklen_t length = parse_address(&address, host, port);
  int fd = socket(address.any.sa_family, type | SOCK_NONBLOCK, 0), on = 1, only = !both;
  if (fd < 0) return -1;
  /* A container that is started again at once finds its old connections still closing. */
  if (type == SOCK_STREAM) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (address.any.sa_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
  if (bind(fd, &address.any, length) == 0 && (type != SOCK_STREAM || listen(fd, BACKLOG) == 0)) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

/* A socket that waits at a port of the address, `*` for all of both families; -1 with errno. */
static int listen_at(int type, const char *host, uint16_t port) {
  if (strcmp(host, "*") != 0) return open_socket(type, host, port, false);
  int fd = open_socket(type, "::", port, true);
  /* Without IPv6, or with it turned off. */
  if (fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) fd = open_socket(type, "0.0.0.0", port, false);
  return fd;
}

/* The same at the first port of a range that is free. A port that only root may have is none of the free ones. */
static int listen_within(int type, const char *host, unsigned first, unsigned last) {
  const char *at = strcmp(host, "*") == 0 ? "all addresses" : host;
  for (unsigned port = first; port <= last; port++) {
    int fd = listen_at(type, host, (uint16_t)port);
    if (fd >= 0) return fd;
    if (first == last || (errno != EADDRINUSE && errno != EACCES)) fail("cannot listen at port %u of %s", port, at);
  }
  fail("cannot listen at any port from %u to %u of %s", first, last, at);
}

/* How definitely a port is asked for. Those that can be no other come first, so that no range takes them away. */
enum choice { EXACT, RANGE, ANY, CHOICES };

static enum choice choice_of(const char *port) {
  if (strchr(port, '-') != NULL) return RANGE;
  return strcmp(port, "0") == 0 ? ANY : EXACT;
}

/* Makes descriptor `number` one that waits at the address. It outlives the execution of the command. `text`: a port, or a range. */
static void publish(int number, int type, const char *host, const char *text) {
  char first[16] = "";
  const char *dash = strchr(text, '-');
  size_t length_of_first = dash == NULL ? strlen(text) : (size_t)(dash - text);
  if (length_of_first >= sizeof first) fail_with(0, "\"%.40s\" is no port", text);
  memcpy(first, text, length_of_first);
  unsigned from = (unsigned)parse_number(first, 65535);
  unsigned to = dash == NULL ? from : (unsigned)parse_number(dash + 1, 65535);
  if (to < from) fail_with(0, "\"%.40s\" is no range of ports", text);
  int fd = listen_within(type, host, from, to);
  union address bound;
  socklen_t length = sizeof bound;
  if (getsockname(fd, &bound.any, &length) < 0) fail("cannot read the port of a socket");
  status_line("port %d %d", number - FIRST_FD, ntohs(bound.any.sa_family == AF_INET ? bound.v4.sin_port : bound.v6.sin6_port));
  if (fd == number) return;
  if (dup2(fd, number) < 0) fail("cannot move a descriptor");
  close(fd);
}

int command_publish(int argc, char **argv) {
  int at = 0;
  status_fd = STATUS_FD;
  stage = "publish";
  /* Whatever the caller left open would be taken for a socket. */
  if (sys_close_range(FIRST_FD, ~0u, 0) < 0) fail("cannot close inherited descriptors");
  for (; at + 2 < argc && strcmp(argv[at], "--") != 0; at += 3) {
    if (strcmp(argv[at], "--tcp") != 0 && strcmp(argv[at], "--udp") != 0) fail_with(0, "unknown option \"%s\"", argv[at]);
    if (at / 3 == MOST) fail_with(0, "more than %d ports", MOST);
  }
  if (at + 1 >= argc || strcmp(argv[at], "--") != 0) fail_with(0, "incomplete arguments");
  for (int choice = EXACT; choice < CHOICES; choice++)
    for (int each = 0; each < at; each += 3)
      if (choice_of(argv[each + 2]) == (enum choice)choice)
        publish(FIRST_FD + each / 3, strcmp(argv[each], "--tcp") == 0 ? SOCK_STREAM : SOCK_DGRAM, argv[each + 1], argv[each + 2]);
  execv(argv[at + 1], argv + at + 1);
  fail("cannot execute \"%s\"", argv[at + 1]);
}
