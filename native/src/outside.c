/*
 * What connects a network namespace with the machine's network: pasta or slirp4netns. They make an interface in the namespace and do
 * as ordinary sockets of the machine what is said there, so that they need no right over the machine's network. Neither lets anybody in
 * the namespace reach the machine's loopback interface.
 *
 * They run in the user namespace that owns the network, as its root, and give up what they do not need by themselves.
 */
#include "network.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { START_MS = 10000 };

static _Noreturn void execute(const struct network *network, const struct outside *outside, int ready) {
  char space[64], ready_text[16], mac_text[64];
  snprintf(space, sizeof space, "/proc/%d/ns/net", network->number);
  char *argv[24], *environment[] = {NULL};
  size_t count = 0;
  argv[count++] = (char *)(uintptr_t)outside->program;
  if (outside->kind == OUTSIDE_PASTA) {
    /* No port of the one is a port of the other (-t to -U), and the gateway's address is not the machine's loopback. */
    static char *const fixed[] = {"--quiet", "--config-net", "--ns-ifname", "eth0", "--no-map-gw", "-t", "none", "-u", "none", "-T", "none", "-U", "none"};
    for (size_t at = 0; at < sizeof fixed / sizeof *fixed; at++) argv[count++] = fixed[at];
    if (outside->dns != NULL) argv[count++] = "--dns-forward", argv[count++] = (char *)(uintptr_t)outside->dns;
    if (outside->mac != NULL) argv[count++] = "--ns-mac-addr", argv[count++] = (char *)(uintptr_t)outside->mac;
    argv[count++] = "--netns-only";
    argv[count++] = "--netns";
    argv[count++] = space;
  } else {
    snprintf(ready_text, sizeof ready_text, "--ready-fd=%d", ready);
    static char *const fixed[] = {"--configure", "--mtu=65520", "--disable-host-loopback", "--netns-type=path"};
    for (size_t at = 0; at < sizeof fixed / sizeof *fixed; at++) argv[count++] = fixed[at];
    if (outside->mac != NULL) {
      snprintf(mac_text, sizeof mac_text, "--macaddress=%s", outside->mac);
      argv[count++] = mac_text;
    }
    argv[count++] = ready_text;
    argv[count++] = space;
    argv[count++] = "eth0";
  }
  argv[count] = NULL;
  execve(outside->program, argv, environment);
  fail("cannot execute \"%s\"", outside->program);
}

static pid_t start(const struct network *network, const struct outside *outside, int ready[2]) {
  int self = sys_pidfd_open(getpid());
  pid_t child = fork();
  if (self < 0 || child < 0) fail("cannot fork");
  if (child > 0) {
    close(self);
    return child;
  }
  release_signals();
  if (network->user >= 0) {
    if (setns(network->user, CLONE_NEWUSER) < 0) fail("cannot enter the network's user namespace");
    if (setgroups(0, NULL) < 0 || setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) fail("cannot become root of the network's namespace");
  }
  die_with_parent(self);
  /* What it prints is for errors, and nothing else of this process is its business. */
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0) fail("cannot set the standard streams");
  if (ready[1] >= 0 && dup2(ready[1], 3) < 0) fail("cannot set the standard streams");
  sys_close_range(ready[1] >= 0 ? 4 : 3, ~0u, 0);
  execute(network, outside, 3);
}

static long long now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000LL + time.tv_nsec / 1000000;
}

/* Whether the child has ended, with its status. Signals that told so are done with. */
static bool has_ended(int signals, pid_t child, int *status) {
  struct signalfd_siginfo info;
  while (read(signals, &info, sizeof info) == sizeof info) continue;
  return waitpid(child, status, WNOHANG) == child;
}

bool connect_network(const struct network *network, const struct outside *outside, int signals) {
  int ready[2] = {-1, -1}, status;
  char byte;
  if (outside->kind == OUTSIDE_NONE) return true;
  if (outside->kind == OUTSIDE_SLIRP && pipe2(ready, O_CLOEXEC) < 0) fail("cannot make a pipe");
  pid_t child = start(network, outside, ready);
  if (ready[1] >= 0) close(ready[1]);
  for (long long end = now_ms() + START_MS;;) {
    if (has_ended(signals, child, &status)) {
      /* pasta goes to the background when all is set up, and is adopted by this process. */
      if (outside->kind == OUTSIDE_PASTA && WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
      return false;
    }
    long long left = end - now_ms();
    struct pollfd waits[2] = {{signals, POLLIN, 0}, {ready[0], POLLIN, 0}};
    if (left <= 0) {
      kill(child, SIGKILL);
      fail_with(0, "%s was not ready within %d seconds", outside->program, START_MS / 1000);
    }
    if (poll(waits, 2, (int)left) < 0 && errno != EINTR) fail("cannot wait for %s", outside->program);
    if (waits[1].revents == 0) continue;
    bool connected = read(ready[0], &byte, 1) == 1;
    /* Else it has closed its end without a word, and ends. */
    close(ready[0]);
    ready[0] = -1;
    if (connected) return true;
  }
}
