/*
 * bridge: owns one network that containers share. It lives in the user namespace that all processes of such networks share, makes a network
 * namespace with a bridge, and gives each container that asks a port of it, an address, and word of who else is there. A container is in
 * the network as long as its connection to this process is open, however it ends. Soon after the last connection this process ends.
 *
 * Namespaces that join are passed as descriptors: no process number is trusted, and none is looked up.
 */
#include "bridge.h"
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STATUS_FD = 4, MOST_CLIENTS = 1100, FIRST_WAIT_MS = 30000, LAST_WAIT_MS = 500, FIRST_METRIC = 100 };

struct client {
  int fd, net;
  struct queue in, out;
  bool joined, closing;
  unsigned number;
  char interface[16];
  char *id, *name, *aliases; /* aliases: each with a space before it */
  struct interface_address v4, v6;
};

struct bridge {
  const char *directory, *name;
  unsigned root;
  struct subnet v4, v6;
  struct outside outside;
  bool internal, connected;
  struct network network;
  int netlink, listener, signals, lock;
  unsigned numbers;
};

static struct bridge self = {.lock = -1};
static struct client clients[MOST_CLIENTS];
static size_t client_count;

/* ---- who is there ---- */

static bool is_taken(const struct interface_address *address) {
  for (size_t at = 0; at < client_count; at++)
    if (clients[at].joined && (same_address(&clients[at].v4, address) || same_address(&clients[at].v6, address))) return true;
  return false;
}

static void put_line(struct queue *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put_line(struct queue *out, const char *format, ...) {
  char text[4096];
  va_list arguments;
  va_start(arguments, format);
  int length = vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  queue_put(out, text, length < (int)sizeof text ? (size_t)length : sizeof text - 1);
}

static void put_table(struct queue *table) {
  put_line(table, "network %s %d\n", self.name, self.connected);
  for (size_t at = 0; at < client_count; at++) {
    const struct client *client = &clients[at];
    char v4[64] = "-", v6[64] = "-";
    if (!client->joined) continue;
    if (client->v4.family != 0) format_address(&client->v4, false, v4);
    if (client->v6.family != 0) format_address(&client->v6, false, v6);
    put_line(table, "at %s %s %s %s%s\n", client->id, client->name, v4, v6, client->aliases);
  }
}

static void tell_everybody(void) {
  struct queue table = {0};
  put_table(&table);
  for (size_t at = 0; at < client_count; at++) {
    if (clients[at].closing) continue;
    queue_put_frame(&clients[at].out, BRIDGE_TABLE, table.data + table.start, queue_length(&table));
    (void)queue_drain(&clients[at].out, clients[at].fd);
  }
  free(table.data);
}

/* ---- joining and leaving ---- */

static void refuse(struct client *client, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void refuse(struct client *client, const char *format, ...) {
  char text[300];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  queue_put_frame(&client->out, BRIDGE_REFUSED, text, strlen(text));
  client->closing = true;
}

/* What goes into lines of a table must not be able to make others. */
static bool is_word(const char *text) {
  size_t length = strlen(text);
  return length > 0 && length <= 253 && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == length;
}

static void add_alias(void *context, const char *value) {
  struct client *client = context;
  if (!is_word(value) || strlen(client->aliases) + strlen(value) > 2000) return;
  char *longer = format_text("%s %s", client->aliases, value);
  free(client->aliases);
  client->aliases = longer;
}

/* An address that was asked for, one that it had before, or the lowest that is free. False when it was refused. */
static bool choose_address(struct client *client, const char *text, const char *key, const struct subnet *subnet, struct interface_address *address) {
  char preferred_key[32], *wanted = line_value(text, key), shown[64];
  if (subnet->base.family == 0) {
    if (wanted != NULL) refuse(client, "it has no addresses of the family of %s", wanted);
    free(wanted);
    return wanted == NULL;
  }
  if (wanted != NULL) {
    bool parsed = parse_address(wanted, address) && usable_address(subnet, address);
    bool taken = parsed && is_taken(address);
    format_address(&subnet->base, true, shown);
    if (!parsed) refuse(client, "%.60s is no address for a container of %s", wanted, shown);
    else if (taken) refuse(client, "address %s is in use", wanted);
    free(wanted);
    if (!parsed || taken) return false;
  } else {
    snprintf(preferred_key, sizeof preferred_key, "had-%s", key);
    char *before = line_value(text, preferred_key);
    bool again = before != NULL && parse_address(before, address) && usable_address(subnet, address) && !is_taken(address);
    free(before);
    if (!again && !free_address(subnet, is_taken, address)) {
      format_address(&subnet->base, true, shown);
      refuse(client, "no address of %s is free", shown);
      return false;
    }
  }
  address->prefix = subnet->base.prefix;
  return true;
}

/* Made of the address, so that who comes back with the same is the same to all others. */
static void make_mac(const struct client *client, unsigned char mac[6]) {
  mac[0] = 0x02, mac[1] = 0x42;
  memcpy(mac + 2, client->v4.family != 0 ? (const unsigned char *)&client->v4.v4 : client->v6.v6.s6_addr + 12, 4);
}

/* A hole for the kernel's refusal: what failed, and why. */
static bool works(struct client *client, int error, const char *what) {
  if (error != 0) refuse(client, "cannot %s: %s", what, strerror(error));
  return error == 0;
}

static bool connect_container(struct client *client, unsigned metric) {
  char port[16];
  unsigned char mac[6];
  int netlink = netlink_in(client->net);
  if (netlink < 0) {
    refuse(client, "its network cannot be entered");
    return false;
  }
  make_mac(client, mac);
  snprintf(port, sizeof port, "port%u", client->number);
  /* What a bridge that was killed has left goes by itself, but not at once. */
  (void)delete_link(netlink, client->interface);
  bool done = works(client, add_veth(self.netlink, port, "br0", client->net, client->interface, mac), "make an interface") &&
              (client->v4.family == 0 || works(client, add_address(netlink, client->interface, &client->v4), "give it an address")) &&
              (client->v6.family == 0 || works(client, add_address(netlink, client->interface, &client->v6), "give it an address")) &&
              works(client, bring_up(netlink, client->interface), "bring it up");
  if (done && !self.internal) {
    if (client->v4.family != 0) done = works(client, add_default_route(netlink, client->interface, &self.v4.gateway, metric), "give it a route");
    if (done && client->v6.family != 0) done = works(client, add_default_route(netlink, client->interface, &self.v6.gateway, metric), "give it a route");
  }
  close(netlink);
  if (!done) (void)delete_link(self.netlink, port);
  return done;
}

static void accept_member(struct client *client) {
  struct queue text = {0};
  char shown[64];
  put_line(&text, "interface %s\noutside %d\n", client->interface, self.connected);
  if (client->v4.family != 0) {
    format_address(&client->v4, true, shown);
    put_line(&text, "ip %s\n", shown);
  }
  if (client->v6.family != 0) {
    format_address(&client->v6, true, shown);
    put_line(&text, "ip6 %s\n", shown);
  }
  queue_put_frame(&client->out, BRIDGE_ACCEPTED, text.data + text.start, queue_length(&text));
  free(text.data);
}

static void join(struct client *client, const char *text) {
  char *interface = line_value(text, "interface");
  if (client->joined || client->net < 0 || interface == NULL || strlen(interface) >= sizeof client->interface || !is_word(interface)) {
    refuse(client, "the request is malformed");
    free(interface);
    return;
  }
  snprintf(client->interface, sizeof client->interface, "%s", interface);
  free(interface);
  client->id = line_value(text, "id");
  client->name = line_value(text, "name");
  client->aliases = format_text("%s", "");
  each_value(text, "alias", add_alias, client);
  if (client->id == NULL || client->name == NULL || !is_word(client->id) || !is_word(client->name)) {
    refuse(client, "the request is malformed");
    return;
  }
  if (!choose_address(client, text, "ip", &self.v4, &client->v4) || !choose_address(client, text, "ip6", &self.v6, &client->v6)) return;
  client->number = ++self.numbers;
  char *metric = line_value(text, "metric");
  if (!connect_container(client, FIRST_METRIC + (metric == NULL ? 0 : (unsigned)atoi(metric)))) return;
  free(metric);
  client->joined = true;
  accept_member(client);
  tell_everybody();
}

/* Takes the container out of the network, if it is in it. */
static void leave(struct client *client) {
  char port[16];
  if (!client->joined) return;
  client->joined = false;
  snprintf(port, sizeof port, "port%u", client->number);
  (void)delete_link(self.netlink, port);
  tell_everybody();
}

static void take_frame(struct client *client, const struct frame *frame) {
  char *text = frame_text(frame);
  if (frame->kind == BRIDGE_JOIN) join(client, text);
  else if (frame->kind == BRIDGE_LEAVE) {
    leave(client);
    queue_put_frame(&client->out, BRIDGE_ACCEPTED, "", 0);
    client->closing = true;
  }
  free(text);
}

/* Reads what is there, with the descriptor that came with it. False at the end. */
static bool receive(struct client *client) {
  char data[16384], control[CMSG_SPACE(sizeof(int))];
  struct iovec part = {data, sizeof data};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  ssize_t got = recvmsg(client->fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (header != NULL && header->cmsg_type == SCM_RIGHTS) {
    if (client->net >= 0) close(client->net);
    memcpy(&client->net, CMSG_DATA(header), sizeof client->net);
  }
  queue_put(&client->in, data, (size_t)got);
  return got > 0;
}

static void drop(size_t at) {
  struct client *client = &clients[at];
  leave(client);
  close(client->fd);
  if (client->net >= 0) close(client->net);
  free(client->in.data), free(client->out.data);
  free(client->id), free(client->name), free(client->aliases);
  *client = clients[--client_count];
}

static void take_client(void) {
  int fd = accept4(self.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  if (client_count == MOST_CLIENTS) {
    close(fd);
    return;
  }
  struct client *client = &clients[client_count++];
  struct queue table = {0};
  *client = (struct client){.fd = fd, .net = -1};
  queue_put_frame(&client->out, BRIDGE_GREETING, "", 0);
  put_table(&table);
  queue_put_frame(&client->out, BRIDGE_TABLE, table.data + table.start, queue_length(&table));
  free(table.data);
}

static void serve_client(size_t at, short events) {
  struct client *client = &clients[at];
  bool broken = false, open = (events & (POLLIN | POLLHUP | POLLERR)) == 0 || receive(client);
  for (struct frame frame; !client->closing && queue_take_frame(&client->in, &frame, &broken);) take_frame(client, &frame);
  if (open && !broken && queue_drain(&client->out, client->fd) && !(client->closing && queue_length(&client->out) == 0)) return;
  drop(at);
}

/* ---- beginning and end ---- */

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

static void parse_subnet(struct subnet *subnet, const char *base, const char *gateway) {
  if (base != NULL && !parse_address(base, &subnet->base)) fail_with(0, "\"%.64s\" is no subnet", base);
  if (gateway != NULL && !parse_address(gateway, &subnet->gateway)) fail_with(0, "\"%.64s\" is no address", gateway);
}

static void parse(int argc, char **argv) {
  const char *values[4] = {NULL};
  static const char *const names[4] = {"--subnet", "--gateway", "--subnet6", "--gateway6"};
  for (int at = 0; at + 1 < argc; at += 2) {
    const char *value = argv[at + 1];
    bool known = false;
    for (size_t index = 0; index < 4; index++)
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
  parse_subnet(&self.v4, values[0], values[1]);
  parse_subnet(&self.v6, values[2], values[3]);
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
  static struct pollfd waits[2 + MOST_CLIENTS];
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
  self.listener = listen_in(self.directory, "socket");
  status_line("outside %d", self.connected);
  status_line("ready");
  close(STATUS_FD);
  status_fd = -1;
  for (;;) {
    waits[0] = (struct pollfd){self.signals, POLLIN, 0};
    waits[1] = (struct pollfd){self.listener, POLLIN, 0};
    size_t count = client_count;
    for (size_t at = 0; at < count; at++)
      waits[2 + at] = (struct pollfd){clients[at].fd, (short)(POLLIN | (queue_length(&clients[at].out) > 0 ? POLLOUT : 0)), 0};
    /* The next one may follow at once. */
    int ready = poll(waits, 2 + count, client_count > 0 ? -1 : wait);
    if (ready < 0 && errno != EINTR) fail("cannot wait");
    if (ready == 0) break;
    if (waits[0].revents != 0) take_signals();
    /* From the last: one that goes has its place taken by one that was served. */
    for (size_t at = count; at-- > 0;)
      if (waits[2 + at].revents != 0) serve_client(at, waits[2 + at].revents);
    if (waits[1].revents != 0) take_client(), wait = LAST_WAIT_MS;
  }
  /* Who connects from here on is not greeted, and starts another one. */
  char *path = format_text("%s/socket", self.directory);
  unlink(path);
  return 0;
}
