/*
 * The proxy of a network that has no way outside: what is said to a port of its loopback interface is passed on to a unix socket, at which
 * somebody outside listens. A unix socket with a name belongs to no network namespace, so that neither an interface nor a device nor a right
 * over any network is needed for it.
 */
#include "network.h"
#include "relay.h"

#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "step.h"

enum { BACKLOG = 4096, LISTENER = 3 };

/* A socket that waits at the port of this process's loopback interface, as descriptor `LISTENER`. */
static void open_listener(uint16_t port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, BACKLOG) < 0) fail("cannot listen at port %u", port);
  if (fd != LISTENER && dup2(fd, LISTENER) < 0) fail("cannot move a descriptor");
  if (sys_close_range(LISTENER + 1, ~0u, 0) < 0) fail("cannot close inherited descriptors");
}

/* The name within the directory of the path, which becomes this process's own: sockets take no long paths. */
static const char *enter_directory(char *path) {
  char *slash = strrchr(path, '/');
  if (slash == NULL) fail_with(0, "\"%s\" is no absolute path", path);
  *slash = 0;
  if (chdir(*path == 0 ? "/" : path) < 0) fail("cannot enter \"%s\"", path);
  return slash + 1;
}

pid_t start_proxy(const struct network *network, uint16_t port, char *path) {
  int self = sys_pidfd_open(getpid()), ready[2];
  char byte;
  if (self < 0 || pipe(ready) < 0) fail("cannot make descriptors");
  pid_t child = fork();
  if (child < 0) fail("cannot fork");
  if (child == 0) {
    stage = "proxy";
    if (setns(network->net, CLONE_NEWNET) < 0) fail("cannot enter the network namespace");
    give_up_capabilities();
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    die_with_parent(self);
    static struct published port_of_proxy = {.fd = LISTENER};
    port_of_proxy.path = enter_directory(path);
    /* Standard input, which nobody reads, keeps the end of the pipe that says that all is well. */
    if (dup2(ready[1], STDIN_FILENO) < 0) fail("cannot move a descriptor");
    open_listener(port);
    if (write(STDIN_FILENO, "", 1) != 1) fail("cannot tell of the proxy");
    close(STDIN_FILENO);
    relay(&port_of_proxy, 1);
  }
  close(self);
  close(ready[1]);
  ssize_t got;
  while ((got = read(ready[0], &byte, 1)) < 0 && errno == EINTR) continue;
  close(ready[0]);
  /* It has said why. */
  if (got != 1) _exit(EXIT_SETUP);
  return child;
}
