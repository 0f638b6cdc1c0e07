/*
 * bridge: owns one network that containers share. It lives in the user namespace that all processes of such networks share, makes a network
 * namespace with a bridge, and lets containers into it (bridge-members.c). Soon after the last connection this process ends.
 */
#include "bridge-members.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STATUS_FD = 4, FIRST_WAIT_MS = 30000, LAST_WAIT_MS = 500 };

static struct bridge self = {.lock = -1};

/* A setting of the network. A machine that keeps it has networks do without. */
static bool set(const char *path, const char *value) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  bool done = fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);
  if (fd >= 0) close(fd);
  return done;
}

static void configure(void) {
  int status;
  pid_t child = fork();
  if (child < 0) fail("cannot fork");
  if (child == 0) {
    if (setns(self.network.net, CLONE_NEWNET) < 0) fail("cannot enter the network namespace");
    set("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
    set("/proc/sys/net/ipv6/conf/default/accept_ra", "0");
    if (self.v6.base.family == 0) set("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
    if (self.connected) set("/proc/sys/net/ipv4/ip_forward", "1");
    if (self.connected && self.v6.base.family != 0) set("/proc/sys/net/ipv6/conf/all/forwarding", "1");
    _exit(0);
  }
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) fail("cannot wait for the network's settings");
  if (status != 0) _exit(EXIT_SETUP);
}

static void must(int error, const char *what) {
  if (error != 0) fail_with(error, "cannot %s", what);
}

static void make_bridge(void) {
  struct interface_address gateway;
  self.network = make_network(self.root);
  self.connected = self.outside.kind != OUTSIDE_NONE && connect_network(&self.network, &self.outside, self.signals);
  configure();
  self.netlink = netlink_in(self.network.net);
  if (self.netlink < 0) fail_with(0, "cannot ask the kernel for interfaces");
  must(add_bridge(self.netlink, "br0"), "make a bridge");
  gateway = self.v4.gateway;
  if (gateway.family != 0) gateway.prefix = self.v4.base.prefix, must(add_address(self.netlink, "br0", &gateway), "give the bridge an address");
  gateway = self.v6.gateway;
  if (gateway.family != 0) gateway.prefix = self.v6.base.prefix, must(add_address(self.netlink, "br0", &gateway), "give the bridge an address");
  must(bring_up(self.netlink, "br0"), "bring the bridge up");
  if (!self.connected) return;
  int refused = masquerade(self.network.net, "br0", self.v6.base.family != 0);
  if (refused == 0) return;
  /* Without it, answers from outside find no way back. */
  dprintf(STDERR_FILENO, "warning: network %s leads nowhere: the kernel refuses to translate addresses (%s)\n", self.name, strerror(refused));
  self.connected = false;
}

static void parse_subnet(struct subnet *subnet, const char *base, const char *gateway, const char *range) {
  if (base != NULL && !parse_address(base, &subnet->base)) fail_with(0, "\"%.64s\" is no subnet", base);
  if (gateway != NULL && !parse_address(gateway, &subnet->gateway)) fail_with(0, "\"%.64s\" is no address", gateway);
  if (range != NULL && (!parse_address(range, &subnet->range) || !in_subnet(subnet, &subnet->range) || subnet->range.prefix < subnet->base.prefix))
    fail_with(0, "\"%.64s\" is no range of \"%.64s\"", range, base == NULL ? "" : base);
}

static void parse(int argc, char **argv) {
  enum { SUBNET, GATEWAY, RANGE, EACH_FAMILY };
  const char *values[2 * EACH_FAMILY] = {NULL};
  static const char *const names[2 * EACH_FAMILY] = {"--subnet", "--gateway", "--range", "--subnet6", "--gateway6", "--range6"};
  for (int at = 0; at + 1 < argc; at += 2) {
    const char *value = argv[at + 1];
    bool known = false;
    for (size_t index = 0; index < 2 * EACH_FAMILY; index++)
      if (strcmp(argv[at], names[index]) == 0) values[index] = value, known = true;
    if (known) continue;
    if (strcmp(argv[at], "--directory") == 0) self.directory = value;
    else if (strcmp(argv[at], "--name") == 0) self.name = value;
    else if (strcmp(argv[at], "--root") == 0) self.root = (unsigned)parse_number(value, 4294967294);
    else if (strcmp(argv[at], "--internal") == 0) self.internal = parse_number(value, 1) == 1;
    else if (strcmp(argv[at], "--pasta") == 0) self.outside.kind = OUTSIDE_PASTA, self.outside.program = value;
    else if (strcmp(argv[at], "--slirp4netns") == 0) self.outside.kind = OUTSIDE_SLIRP, self.outside.program = value;
    else fail_with(0, "unknown option \"%s\"", argv[at]);
  }
  if (argc % 2 != 0 || self.directory == NULL || self.name == NULL || !is_word(self.name)) fail_with(0, "incomplete arguments");
  parse_subnet(&self.v4, values[SUBNET], values[GATEWAY], values[RANGE]);
  parse_subnet(&self.v6, values[EACH_FAMILY + SUBNET], values[EACH_FAMILY + GATEWAY], values[EACH_FAMILY + RANGE]);
}

/* One bridge for a network: the one that ends has let go of it before the next one listens. */
static void take_lock(void) {
  char *path = format_text("%s/lock", self.directory);
  self.lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  free(path);
  if (self.lock < 0) fail("cannot lock the network");
  for (int tries = 0; flock(self.lock, LOCK_EX | LOCK_NB) < 0; tries++) {
    if (errno != EWOULDBLOCK || tries == 100) fail_with(0, "the network has a process already");
    usleep(20000);
  }
}

static void take_signals(void) {
  struct signalfd_siginfo info;
  while (read(self.signals, &info, sizeof info) == sizeof info) {
    if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) _exit(0);
    if (info.ssi_signo != SIGCHLD) continue;
    int status;
    for (pid_t ended; (ended = waitpid(-1, &status, WNOHANG)) > 0;) {
      if (ended == self.network.holder) fail_with(0, "the holder of the network namespace ended");
      /* What connects it: its members still reach each other. */
      self.connected = false;
      tell_everybody();
    }
  }
}

int command_bridge(int argc, char **argv) {
  static struct pollfd waits[2 + MOST_MEMBERS];
  int wait = FIRST_WAIT_MS;
  status_fd = STATUS_FD;
  stage = "network";
  parse(argc, argv);
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) fail("cannot adopt processes");
  fcntl(STATUS_FD, F_SETFD, FD_CLOEXEC);
  umask(077);
  take_lock();
  self.signals = catch_signals();
  make_bridge();
  begin_members(&self);
  self.listener = listen_in(self.directory, "socket");
  status_line("outside %d", self.connected);
  status_line("ready");
  close(STATUS_FD);
  status_fd = -1;
  for (;;) {
    waits[0] = (struct pollfd){self.signals, POLLIN, 0};
    waits[1] = (struct pollfd){self.listener, POLLIN, 0};
    size_t count = poll_members(waits + 2);
    /* The next one may follow at once. */
    int ready = poll(waits, 2 + count, count > 0 ? -1 : wait);
    if (ready < 0 && errno != EINTR) fail("cannot wait");
    if (ready == 0) break;
    if (waits[0].revents != 0) take_signals();
    serve_members(waits + 2, count);
    if (waits[1].revents != 0) take_member(), wait = LAST_WAIT_MS;
  }
  /* Who connects from here on is not greeted, and starts another one. */
  char *path = format_text("%s/socket", self.directory);
  unlink(path);
  return 0;
}
