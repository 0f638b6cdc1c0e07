/* Interfaces, addresses and routes, as the kernel is asked for them: rtnetlink, without `ip`. */
#ifndef TSBUILD_NETLINK_H
#define TSBUILD_NETLINK_H

#include "helper.h"

#include <netinet/in.h>

/* A socket that belongs to a network namespace, which this process need not be in. */
int socket_in(int net, int family, int type, int protocol);
/* The same for rtnetlink: what is asked through it concerns that namespace. */
int netlink_in(int net);

/* An address of an interface, of either family. */
struct interface_address {
  int family; /* AF_INET or AF_INET6; 0 for none */
  union {
    struct in_addr v4;
    struct in6_addr v6;
  };
  unsigned prefix;
};

/* All of these give 0, or the errno with which the kernel refused. */
int add_bridge(int netlink, const char *name);
/* A pair of interfaces: `name` here, a port of the bridge, and `peer` in another namespace with that hardware address. */
int add_veth(int netlink, const char *name, const char *bridge, int peer_net, const char *peer, const unsigned char mac[6]);
int delete_link(int netlink, const char *name);
int bring_up(int netlink, const char *name);
int add_address(int netlink, const char *name, const struct interface_address *address);
/* The lowest `metric` counts. */
int add_default_route(int netlink, const char *name, const struct interface_address *gateway, unsigned metric);

/* ---- one message: for those that write other kinds of netlink (nat.c) ---- */

enum { MESSAGE_SIZE = 4096 };
struct message {
  size_t length;
  _Alignas(8) unsigned char data[MESSAGE_SIZE];
};
enum { NLM_REQUEST = 1, NLM_ACK = 4, NLM_EXCL = 0x200, NLM_CREATE = 0x400, NLM_APPEND = 0x800 };
/* Begins a message within `message`, with the header of its kind. Gives where it begins. */
size_t begin_message(struct message *message, uint16_t type, uint16_t flags, uint32_t sequence, const void *header, size_t size);
void end_message(struct message *message, size_t begin);
void put_attribute(struct message *message, uint16_t type, const void *data, size_t length);
size_t begin_nest(struct message *message, uint16_t type);
void end_nest(struct message *message, size_t begin);
/* Sends what is in `message` and waits for `acks` answers. Gives 0 or the first errno. */
int transact(int netlink, const struct message *message, unsigned acks);

#endif
