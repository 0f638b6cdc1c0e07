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

/* Makes descriptor `number` one that waits at the address, `*` for all of both families. It outlives the execution of the command. */
static void publish(int number, int type, const char *host, const char *text) {
  uint16_t port = (uint16_t)parse_number(text, 65535);
  bool any = strcmp(host, "*") == 0;
  int fd = open_socket(type, any ? "::" : host, port, any);
  /* Without IPv6, or with it turned off. */
  if (fd < 0 && any && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL)) fd = open_socket(type, "0.0.0.0", port, false);
  if (fd < 0) fail("cannot listen at port %u of %s", port, any ? "all addresses" : host);
  union address bound;
  socklen_t length = sizeof bound;
  if (getsockname(fd, &bound.any, &length) < 0) fail("cannot read the port of a socket");
  status_line("port %d %d", number - FIRST_FD, ntohs(bound.any.sa_family == AF_INET ? bound.v4.sin_port : bound.v6.sin6_port));
  if (fd == number) return;
  if (dup2(fd, number) < 0) fail("cannot move a descriptor");
  close(fd);
}

int command_publish(int argc, char **argv) {
  int at = 0, number = FIRST_FD;
  status_fd = STATUS_FD;
  stage = "publish";
  /* Whatever the caller left open would be taken for a socket. */
  if (sys_close_range(FIRST_FD, ~0u, 0) < 0) fail("cannot close inherited descriptors");
  for (; at + 2 < argc && strcmp(argv[at], "--") != 0; at += 3) {
    int type = strcmp(argv[at], "--tcp") == 0 ? SOCK_STREAM : SOCK_DGRAM;
    if (type == SOCK_DGRAM && strcmp(argv[at], "--udp") != 0) fail_with(0, "unknown option \"%s\"", argv[at]);
    if (number - FIRST_FD == MOST) fail_with(0, "more than %d ports", MOST);
    publish(number++, type, argv[at + 1], argv[at + 2]);
  }
  if (at + 1 >= argc || strcmp(argv[at], "--") != 0) fail_with(0, "incomplete arguments");
  execv(argv[at + 1], argv + at + 1);
  fail("cannot execute \"%s\"", argv[at + 1]);
}
