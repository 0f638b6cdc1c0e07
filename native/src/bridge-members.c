/*
 * Who is in a network that containers share (bridge.c): each gets a port of the bridge, an address, and word of who else is there. A
 * container is in it as long as its connection is open, however it ends.
 *
 * Namespaces that join are passed as descriptors: no process number is trusted, and none is looked up.
 */
#include "bridge-members.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST_METRIC = 100 };

struct client {
  int fd, net;
  struct queue in, out;
  bool joined, closing;
  unsigned number;
  char interface[16];
  char *id, *name, *aliases; /* aliases: each with a space before it */
  struct interface_address v4, v6;
  unsigned char mac[6];
};

static struct bridge *self;
static struct client clients[MOST_MEMBERS];
static size_t client_count;
static unsigned numbers; /* of ports, up to now */

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
  put_line(table, "network %s %d\n", self->name, self->connected);
  for (size_t at = 0; at < client_count; at++) {
    const struct client *client = &clients[at];
    char v4[64] = "-", v6[64] = "-", mac[MAC_TEXT];
    if (!client->joined) continue;
    if (client->v4.family != 0) format_address(&client->v4, false, v4);
    if (client->v6.family != 0) format_address(&client->v6, false, v6);
    format_mac(client->mac, mac);
    /* A line of its own: commands of another version read the first. */
    put_line(table, "at %s %s %s %s%s\nmac %s %s\n", client->id, client->name, v4, v6, client->aliases, client->id, mac);
  }
}

void tell_everybody(void) {
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

bool is_word(const char *text) {
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
      format_address(subnet->range.family == 0 ? &subnet->base : &subnet->range, true, shown);
      refuse(client, "no address of %s is free", shown);
      return false;
    }
  }
  address->prefix = subnet->base.prefix;
  return true;
}

/* The hardware address that was asked for; else it is made of the address, so that who comes back with the same is the same to all others. */
static bool choose_mac(struct client *client, const char *text) {
  char *wanted = line_value(text, "mac");
  bool usable = wanted == NULL || parse_mac(wanted, client->mac);
  free(wanted);
  if (!usable) refuse(client, "the request is malformed");
  if (wanted != NULL) return usable;
  client->mac[0] = 0x02, client->mac[1] = 0x42;
  memcpy(client->mac + 2, client->v4.family != 0 ? (const unsigned char *)&client->v4.v4 : client->v6.v6.s6_addr + 12, 4);
  return true;
}

/* A hole for the kernel's refusal: what failed, and why. */
static bool works(struct client *client, int error, const char *what) {
  if (error != 0) refuse(client, "cannot %s: %s", what, strerror(error));
  return error == 0;
}

static bool connect_container(struct client *client, unsigned metric) {
  char port[16];
  int netlink = netlink_in(client->net);
  if (netlink < 0) {
    refuse(client, "its network cannot be entered");
    return false;
  }
  snprintf(port, sizeof port, "port%u", client->number);
  /* What a bridge that was killed has left goes by itself, but not at once. */
  (void)delete_link(netlink, client->interface);
  bool done = works(client, add_veth(self->netlink, port, "br0", client->net, client->interface, client->mac), "make an interface") &&
              (client->v4.family == 0 || works(client, add_address(netlink, client->interface, &client->v4), "give it an address")) &&
              (client->v6.family == 0 || works(client, add_address(netlink, client->interface, &client->v6), "give it an address")) &&
              works(client, bring_up(netlink, client->interface), "bring it up");
  if (done && !self->internal) {
    if (client->v4.family != 0) done = works(client, add_default_route(netlink, client->interface, &self->v4.gateway, metric), "give it a route");
    if (done && client->v6.family != 0) done = works(client, add_default_route(netlink, client->interface, &self->v6.gateway, metric), "give it a route");
  }
  close(netlink);
  if (!done) (void)delete_link(self->netlink, port);
  return done;
}

static void accept_member(struct client *client) {
  struct queue text = {0};
  char shown[64];
  put_line(&text, "interface %s\noutside %d\n", client->interface, self->connected);
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
  if (!choose_address(client, text, "ip", &self->v4, &client->v4) || !choose_address(client, text, "ip6", &self->v6, &client->v6)) return;
  if (!choose_mac(client, text)) return;
  client->number = ++numbers;
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
  (void)delete_link(self->netlink, port);
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

void take_member(void) {
  int fd = accept4(self->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return;
  if (client_count == MOST_MEMBERS) {
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

void begin_members(struct bridge *bridge) { self = bridge; }

size_t poll_members(struct pollfd *waits) {
  for (size_t at = 0; at < client_count; at++) waits[at] = (struct pollfd){clients[at].fd, (short)(POLLIN | (queue_length(&clients[at].out) > 0 ? POLLOUT : 0)), 0};
  return client_count;
}

void serve_members(const struct pollfd *waits, size_t count) {
  /* From the last: one that goes has its place taken by one that was served. */
  for (size_t at = count; at-- > 0;)
    if (waits[at].revents != 0) serve_client(at, waits[at].revents);
}
