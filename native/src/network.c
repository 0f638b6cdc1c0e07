/*
 * network: makes a network namespace for all steps of a build, or for one command, connects it with the machine's network and stays.
 * Whoever wants to be in it opens the file that it is bound to; that holds the namespace, not a process number that may be another's
 * by then.
 *
 * It runs in namespace A. The network belongs to a user namespace C beside those of the steps, so that no step has a right over it: to
 * listen to what others say in it, to change its addresses or routes. What connects it (outside.c) runs in C and has rights over nothing
 * else. Everything dies with this process or, at the latest, with namespace A.
 */
#include "network.h"
#include "bridge.h"
#include "relay.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "step.h"

static void write_text(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) fail("cannot write %s", path);
  close(fd);
}

/* Without any right over the network that it holds, so that a program in the same user namespace may look at its /proc entry. */
static _Noreturn void hold(int outer, int sync, bool nested) {
  char byte;
  die_with_parent(outer);
  if (recv(sync, &byte, 1, 0) != 1) _exit(EXIT_SETUP);
  bring_loopback_up();
  if (nested && (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0)) fail("cannot become root of the namespace");
  give_up_capabilities();
  if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0) fail("cannot be looked at");
  die_with_parent(outer);
  if (send(sync, "", 1, MSG_NOSIGNAL) != 1) _exit(EXIT_SETUP);
  sys_close_range(0, ~0u, 0);
  for (;;) pause();
}

static int open_namespace(int number, const char *name) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/ns/%s", number, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("cannot open %s", path);
  return fd;
}

struct network make_network(unsigned root) {
  struct network network = {-1, -1, 0, 0};
  int sync[2], pidfd = -1, self = sys_pidfd_open(getpid());
  char byte, path[64], map[32];
  stage = "network";
  if (self < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sync) < 0) fail("cannot make descriptors");
  bool nested = true;
  network.holder = sys_fork_into(CLONE_NEWUSER | CLONE_NEWNET, &pidfd);
  if (network.holder < 0 && (errno == ENOSPC || errno == EUSERS || errno == EPERM)) {
    nested = false;
    network.holder = sys_fork_into(CLONE_NEWNET, &pidfd);
  }
  if (network.holder < 0) fail("cannot make a network namespace");
  if (network.holder == 0) {
    close(sync[0]);
    hold(self, sync[1], nested);
  }
  close(sync[1]);
  close(self);
  network.number = number_in_proc(pidfd);
  close(pidfd);
  if (nested) {
    snprintf(map, sizeof map, "0 %u 1\n", root);
    snprintf(path, sizeof path, "/proc/%d/uid_map", network.number);
    write_text(path, map);
    snprintf(path, sizeof path, "/proc/%d/gid_map", network.number);
    write_text(path, map);
    network.user = open_namespace(network.number, "user");
  }
  network.net = open_namespace(network.number, "net");
  if (send(sync[0], "", 1, MSG_NOSIGNAL) != 1 || recv(sync[0], &byte, 1, 0) != 1) fail_with(0, "the holder of the network namespace ended");
  close(sync[0]);
  return network;
}

/* A setting of the network that this process is in. A machine that keeps it (a /proc that cannot be written to) has steps do without. */
static bool set(const char *path, const char *value) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool done = write(fd, value, strlen(value)) == (ssize_t)strlen(value);
  close(fd);
  return done;
}

void open_network(const struct network *network) {
  int status;
  pid_t child = fork();
  if (child < 0) fail("cannot fork");
  if (child == 0) {
    if (setns(network->net, CLONE_NEWNET) < 0) fail("cannot enter the network namespace");
    set("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
    /* Groups are those of this process's namespace: an ordinary user has fewer than the kernel's. */
    if (!set("/proc/sys/net/ipv4/ping_group_range", "0 2147483647")) set("/proc/sys/net/ipv4/ping_group_range", "0 65535");
    /* Nobody else is in this network whose address one could take: no waiting for an answer. */
    set("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
    _exit(0);
  }
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) fail("cannot wait for the network's settings");
  if (status != 0) _exit(EXIT_SETUP);
}

/* The namespace as a file in this mount namespace. */
static void bind_network(const struct network *network, const char *at) {
  char path[64];
  int file = open(at, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (file < 0) fail("cannot make \"%s\"", at);
  close(file);
  snprintf(path, sizeof path, "/proc/self/fd/%d", network->net);
  if (mount(path, at, NULL, MS_BIND, NULL) < 0) fail("cannot bind the network namespace to \"%s\"", at);
}

enum { MOST_PORTS = 1024, STATUS_FD = 4 /* with --member: of who started it */ };

struct network_options {
  const char *at;
  unsigned root;
  pid_t parent; /* 0: any */
  struct outside outside;
  struct published ports[MOST_PORTS];
  size_t port_count;
  struct membership_options members;
  pid_t of; /* a process whose network it is, instead of a new one */
  uint16_t proxy_port; /* 0: there is none */
  char *proxy;
  bool waited_for; /* who started the command waits until its status descriptor is closed by all */
  char **command; /* NULL: to be there for others */
};

static void add_upstream(struct list *list, char *value) {
  list->items = realloc(list->items, (list->count + 1) * sizeof *list->items);
  if (list->items == NULL) fail_with(0, "cannot allocate a list");
  list->items[list->count++] = value;
}

static void add_join(struct membership_options *members, const char *value) {
  if (members->join_count == MOST_MEMBERSHIPS) fail_with(0, "a container can be in %d networks", MOST_MEMBERSHIPS);
  members->joins[members->join_count++] = value;
}

/* `tcp:FD:PORT` or `udp:FD:PORT`. */
static void add_port(struct network_options *options, char *text) {
  if (options->port_count == MOST_PORTS) fail_with(0, "more than %d ports", MOST_PORTS);
  const char *kind = strsep(&text, ":"), *fd = text == NULL ? NULL : strsep(&text, ":");
  if (text == NULL) fail_with(0, "malformed port");
  options->ports[options->port_count++] = (struct published){
      .fd = (int)parse_number(fd, 1 << 20), .datagrams = strcmp(kind, "udp") == 0, .port = (uint16_t)parse_number(text, 65535)};
}

/* `PORT:PATH`. */
static void add_proxy(struct network_options *options, char *text) {
  const char *port = strsep(&text, ":");
  if (text == NULL) fail_with(0, "malformed proxy");
  options->proxy_port = (uint16_t)parse_number(port, 65535);
  options->proxy = text;
}

static void parse(struct network_options *options, int argc, char **argv) {
  int at = 0;
  for (; at + 1 < argc && strcmp(argv[at], "--") != 0; at += 2) {
    if (strcmp(argv[at], "--at") == 0) options->at = argv[at + 1];
    else if (strcmp(argv[at], "--root") == 0) options->root = (unsigned)parse_number(argv[at + 1], 4294967294);
    else if (strcmp(argv[at], "--parent") == 0) options->parent = (pid_t)parse_number(argv[at + 1], 1 << 30);
    else if (strcmp(argv[at], "--pasta") == 0) options->outside.kind = OUTSIDE_PASTA, options->outside.program = argv[at + 1];
    else if (strcmp(argv[at], "--slirp4netns") == 0) options->outside.kind = OUTSIDE_SLIRP, options->outside.program = argv[at + 1];
    else if (strcmp(argv[at], "--relay") == 0) add_port(options, argv[at + 1]);
    else if (strcmp(argv[at], "--proxy") == 0) add_proxy(options, argv[at + 1]);
    else if (strcmp(argv[at], "--dns") == 0) options->outside.dns = argv[at + 1];
    else if (strcmp(argv[at], "--mac") == 0) options->outside.mac = argv[at + 1];
    else if (strcmp(argv[at], "--waited-for") == 0) options->waited_for = parse_number(argv[at + 1], 1) == 1;
    else if (strcmp(argv[at], "--of") == 0) options->of = (pid_t)parse_number(argv[at + 1], 1 << 30);
    else if (strcmp(argv[at], "--member") == 0) options->members.directory = argv[at + 1];
    else if (strcmp(argv[at], "--hostname") == 0) options->members.hostname = argv[at + 1];
    else if (strcmp(argv[at], "--join") == 0) add_join(&options->members, argv[at + 1]);
    else if (strcmp(argv[at], "--upstream") == 0) add_upstream(&options->members.upstreams, argv[at + 1]);
    else fail_with(0, "unknown option \"%s\"", argv[at]);
  }
  if (at + 1 < argc) options->command = argv + at + 1;
  else if (at < argc) fail_with(0, "unknown option \"%s\"", argv[at]);
  if (options->at == NULL || options->parent < 0) fail_with(0, "incomplete arguments");
}

/* Has what comes in at published ports passed on into the network, by a process that has no rights there or anywhere. */
static pid_t start_relay(const struct network *network, struct network_options *options) {
  int self = sys_pidfd_open(getpid());
  pid_t child = fork();
  if (self < 0 || child < 0) fail("cannot fork");
  if (child == 0) {
    if (setns(network->net, CLONE_NEWNET) < 0) fail("cannot enter the network namespace");
    give_up_capabilities();
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    die_with_parent(self);
    /* Nothing but the sockets: whoever waits for the end of what else is open would wait for this process. */
    int first = options->ports[0].fd, last = options->ports[options->port_count - 1].fd;
    if (first > 3) sys_close_range(3, (unsigned)first - 1, 0);
    sys_close_range((unsigned)last + 1, ~0u, 0);
    relay(options->ports, options->port_count);
  }
  close(self);
  return child;
}

/* What the command has said before its end still goes out: from here, no end of a network has cut it off. */
static void end_relay(pid_t relay) {
  int status;
  if (relay <= 0 || kill(relay, SIGTERM) < 0) return;
  while (waitpid(relay, &status, 0) < 0 && errno == EINTR) continue;
}

/* Waits for a signal. Networks that are shared have more to do meanwhile. */
static bool next_signal(int signals, struct signalfd_siginfo *info) {
  struct pollfd waits[1 + MEMBER_WAITS] = {{signals, POLLIN, 0}};
  size_t count = poll_memberships(waits + 1);
  if (poll(waits, 1 + count, memberships_due()) < 0 && errno != EINTR) fail("cannot wait");
  serve_memberships(waits + 1, count);
  if (waits[0].revents == 0) return false;
  ssize_t got = read(signals, info, sizeof *info);
  if (got < 0 && (errno == EINTR || errno == EAGAIN)) return false;
  if (got != sizeof *info) fail("cannot read signals");
  return true;
}

/* Waits for the end of the command, or of what connects the network; gives this process's exit code. */
static int stay(int signals, const struct network *network, pid_t command, const char *program) {
  for (;;) {
    int status;
    for (pid_t ended; (ended = waitpid(-1, &status, WNOHANG)) > 0;) {
      if (ended == command) return exit_code_of(status);
      if (ended == network->holder) fail_with(0, "the holder of the network namespace ended");
      if (memberships_reaped(ended)) continue;
      /* What connects it: nothing else is left. A command goes on, for whom it serves in its own network it still can. */
      if (command > 0) continue;
      if (WIFSIGNALED(status)) fail_with(0, "%s was ended by signal %d", program, WTERMSIG(status));
      fail_with(0, "%s ended with exit code %d", program, WEXITSTATUS(status));
    }
    struct signalfd_siginfo info;
    if (!next_signal(signals, &info)) continue;
    if (info.ssi_signo != SIGCHLD && command > 0) kill(command, (int)info.ssi_signo);
  }
}

/* Of another container: nothing is made, and the command takes the place of this process. */
static _Noreturn void share_network(const struct network_options *options) {
  struct network network = {.user = -1};
  status_fd = STATUS_FD;
  stage = "join";
  network.net = open_namespace(options->of, "net");
  bind_network(&network, options->at);
  close(network.net);
  if (options->command == NULL) fail_with(0, "incomplete arguments");
  execv(options->command[0], options->command);
  fail("cannot execute \"%s\"", options->command[0]);
}

int command_network(int argc, char **argv) {
  static struct network_options options = {.parent = -1};
  stage = "network";
  parse(&options, argc, argv);
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0) fail("cannot ask for a signal at the parent's death");
  if (options.parent > 0 && getppid() != options.parent) return EXIT_SETUP;
  if (options.of > 0) share_network(&options);
  /* Of what goes to the background, this process is told the end. */
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0) fail("cannot adopt processes");
  int signals = catch_signals();
  struct network network = make_network(options.root);
  open_network(&network);
  bind_network(&network, options.at);
  bool connected = connect_network(&network, &options.outside, signals);
  if (!connected && options.command == NULL) return EXIT_SETUP;
  /* Who is to be reached from the machine, or from others in the network, is so all the same. */
  if (!connected) dprintf(STDERR_FILENO, "warning: the network of the container leads nowhere: %s failed\n", options.outside.program);
  if (options.members.directory != NULL) {
    status_fd = STATUS_FD;
    begin_memberships(&options.members, network.net);
  }
  if (options.proxy != NULL) start_proxy(&network, options.proxy_port, options.proxy);
  pid_t passes_on = options.port_count > 0 ? start_relay(&network, &options) : 0;
  pid_t command = options.command == NULL ? 0 : start_command(options.command);
  if (command == 0) {
    write_fd(STDOUT_FILENO, "ready\n", 6);
  } else {
    /* Copies of what the command was given would hide its end from the other side. What came later is this process's own. */
    if (options.waited_for) close(3), sys_close_range(STATUS_FD + 1, ~0u, 0);
    else sys_close_range(3, options.members.directory == NULL ? ~0u : (unsigned)STATUS_FD + (unsigned)options.port_count, 0);
    status_fd = -1;
    if (options.members.directory == NULL) signals = catch_signals();
  }
  /* Without an outside only the proxy's process can have ended. */
  int code = stay(signals, &network, command, options.outside.program == NULL ? "the proxy's relay" : options.outside.program);
  end_relay(passes_on);
  return code;
}
