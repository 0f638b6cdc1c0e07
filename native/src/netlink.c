/*
 * rtnetlink. The numbers are those of linux/netlink.h, rtnetlink.h, if_link.h and veth.h, which a C library need not have.
 *
 * The kernel wants rights over both namespaces of a pair of interfaces: they must be owned by user namespaces at or below this process's.
 */
#include "netlink.h"

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NETLINK_FAMILY = 16, NETLINK_ROUTE_ = 0, NLMSG_ERROR_ = 2 };
enum { RTM_NEWLINK_ = 16, RTM_DELLINK_ = 17, RTM_NEWADDR_ = 20, RTM_NEWROUTE_ = 24 };
enum { IFLA_ADDRESS_ = 1, IFLA_IFNAME_ = 3, IFLA_MASTER_ = 10, IFLA_LINKINFO_ = 18, IFLA_NET_NS_FD_ = 28 };
enum { IFLA_INFO_KIND_ = 1, IFLA_INFO_DATA_ = 2, VETH_INFO_PEER_ = 1, IFLA_BR_FORWARD_DELAY_ = 1 };
enum { IFA_ADDRESS_ = 1, IFA_LOCAL_ = 2, IFA_F_NODAD_ = 2 };
enum { RTA_OIF_ = 4, RTA_GATEWAY_ = 5, RTA_PRIORITY_ = 6, RT_TABLE_MAIN_ = 254, RTPROT_BOOT_ = 3, RTN_UNICAST_ = 1 };

struct message_header {
  uint32_t length;
  uint16_t type, flags;
  uint32_t sequence, port;
};
struct link_header {
  uint8_t family, pad;
  uint16_t type;
  int32_t index;
  uint32_t flags, change;
};
struct address_header {
  uint8_t family, prefix, flags, scope;
  uint32_t index;
};
struct route_header {
  uint8_t family, destination, source, tos, table, protocol, scope, type;
  uint32_t flags;
};
struct attribute_header {
  uint16_t length, type;
};

static size_t aligned(size_t length) { return (length + 3) & ~(size_t)3; }

static void append(struct message *message, const void *data, size_t length) {
  if (aligned(message->length + length) > sizeof message->data) fail_with(0, "a message to the kernel is too long");
  if (length > 0) memcpy(message->data + message->length, data, length);
  memset(message->data + message->length + length, 0, aligned(length) - length);
  message->length += aligned(length);
}

size_t begin_message(struct message *message, uint16_t type, uint16_t flags, uint32_t sequence, const void *header, size_t size) {
  size_t begin = message->length;
  struct message_header own = {.type = type, .flags = flags | NLM_REQUEST, .sequence = sequence};
  append(message, &own, sizeof own);
  append(message, header, size);
  return begin;
}

void end_message(struct message *message, size_t begin) {
  uint32_t length = (uint32_t)(message->length - begin);
  memcpy(message->data + begin, &length, sizeof length);
}

void put_attribute(struct message *message, uint16_t type, const void *data, size_t length) {
  struct attribute_header header = {(uint16_t)(sizeof header + length), type};
  append(message, &header, sizeof header);
  append(message, data, length);
}

size_t begin_nest(struct message *message, uint16_t type) {
  size_t begin = message->length;
  put_attribute(message, type, NULL, 0);
  return begin;
}

void end_nest(struct message *message, size_t begin) {
  uint16_t length = (uint16_t)(message->length - begin);
  memcpy(message->data + begin, &length, sizeof length);
}

int transact(int netlink, const struct message *message, unsigned acks) {
  _Alignas(8) unsigned char answer[8192];
  while (send(netlink, message->data, message->length, 0) < 0)
    if (errno != EINTR) return errno;
  int first = 0;
  while (acks > 0) {
    ssize_t got = recv(netlink, answer, sizeof answer, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    for (size_t at = 0; at + sizeof(struct message_header) + sizeof(int32_t) <= (size_t)got;) {
      struct message_header header;
      int32_t error;
      memcpy(&header, answer + at, sizeof header);
      memcpy(&error, answer + at + sizeof header, sizeof error);
      if (header.length < sizeof header) return EBADMSG;
      at += aligned(header.length);
      if (header.type != NLMSG_ERROR_) continue;
      if (acks > 0) acks--;
      if (error != 0 && first == 0) first = -error;
      /* A batch that was refused as a whole is not answered further. */
      if (error != 0) return first;
    }
  }
  return first;
}

int socket_in(int net, int family, int type, int protocol) {
  int pair[2], status;
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) fail("cannot make descriptors");
  pid_t child = fork();
  if (child < 0) fail("cannot fork");
  if (child == 0) {
    status_fd = -1;
    /* The way back into the machine's own network is closed to most: so a process of its own goes in. */
    if (setns(net, CLONE_NEWNET) < 0) _exit(EXIT_SETUP);
    int made = socket(family, type | SOCK_CLOEXEC, protocol);
    if (made < 0) _exit(EXIT_SETUP);
    send_fd(pair[1], made);
    _exit(0);
  }
  close(pair[1]);
  int fd = receive_fd(pair[0]);
  close(pair[0]);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  return fd;
}

int netlink_in(int net) { return socket_in(net, NETLINK_FAMILY, SOCK_RAW, NETLINK_ROUTE_); }

static uint32_t index_of(int netlink, const char *name) {
  struct ifreq request = {0};
  memcpy(request.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
  return ioctl(netlink, SIOCGIFINDEX, &request) < 0 ? 0 : (uint32_t)request.ifr_ifindex;
}

static void put_text(struct message *message, uint16_t type, const char *text) { put_attribute(message, type, text, strlen(text) + 1); }
static void put_number(struct message *message, uint16_t type, uint32_t number) { put_attribute(message, type, &number, sizeof number); }

static int finish(int netlink, struct message *message, size_t begin) {
  end_message(message, begin);
  return transact(netlink, message, 1);
}

int add_bridge(int netlink, const char *name) {
  struct message message = {0};
  struct link_header header = {0};
  size_t begin = begin_message(&message, RTM_NEWLINK_, NLM_ACK | NLM_CREATE | NLM_EXCL, 1, &header, sizeof header);
  put_text(&message, IFLA_IFNAME_, name);
  size_t info = begin_nest(&message, IFLA_LINKINFO_);
  put_text(&message, IFLA_INFO_KIND_, "bridge");
  size_t data = begin_nest(&message, IFLA_INFO_DATA_);
  put_number(&message, IFLA_BR_FORWARD_DELAY_, 0);
  end_nest(&message, data);
  end_nest(&message, info);
  return finish(netlink, &message, begin);
}

int add_veth(int netlink, const char *name, const char *bridge, int peer_net, const char *peer, const unsigned char mac[6]) {
  struct message message = {0};
  struct link_header header = {.flags = IFF_UP, .change = IFF_UP};
  size_t begin = begin_message(&message, RTM_NEWLINK_, NLM_ACK | NLM_CREATE | NLM_EXCL, 1, &header, sizeof header);
  put_text(&message, IFLA_IFNAME_, name);
  put_number(&message, IFLA_MASTER_, index_of(netlink, bridge));
  size_t info = begin_nest(&message, IFLA_LINKINFO_);
  put_text(&message, IFLA_INFO_KIND_, "veth");
  size_t data = begin_nest(&message, IFLA_INFO_DATA_), other = begin_nest(&message, VETH_INFO_PEER_);
  struct link_header peer_header = {0};
  append(&message, &peer_header, sizeof peer_header);
  put_text(&message, IFLA_IFNAME_, peer);
  put_attribute(&message, IFLA_ADDRESS_, mac, 6);
  put_number(&message, IFLA_NET_NS_FD_, (uint32_t)peer_net);
  end_nest(&message, other);
  end_nest(&message, data);
  end_nest(&message, info);
  return finish(netlink, &message, begin);
}

int delete_link(int netlink, const char *name) {
  struct message message = {0};
  struct link_header header = {.index = (int32_t)index_of(netlink, name)};
  if (header.index == 0) return ENODEV;
  return finish(netlink, &message, begin_message(&message, RTM_DELLINK_, NLM_ACK, 1, &header, sizeof header));
}

int bring_up(int netlink, const char *name) {
  struct message message = {0};
  struct link_header header = {.index = (int32_t)index_of(netlink, name), .flags = IFF_UP, .change = IFF_UP};
  if (header.index == 0) return ENODEV;
  return finish(netlink, &message, begin_message(&message, RTM_NEWLINK_, NLM_ACK, 1, &header, sizeof header));
}

static size_t size_of(const struct interface_address *address) { return address->family == AF_INET ? 4 : 16; }

int add_address(int netlink, const char *name, const struct interface_address *address) {
  struct message message = {0};
  /* Nobody else has it: this process gives them all. */
  struct address_header header = {
      .family = (uint8_t)address->family, .prefix = (uint8_t)address->prefix, .flags = address->family == AF_INET6 ? IFA_F_NODAD_ : 0, .index = index_of(netlink, name)};
  size_t begin = begin_message(&message, RTM_NEWADDR_, NLM_ACK | NLM_CREATE | NLM_EXCL, 1, &header, sizeof header);
  put_attribute(&message, IFA_LOCAL_, &address->v4, size_of(address));
  put_attribute(&message, IFA_ADDRESS_, &address->v4, size_of(address));
  return finish(netlink, &message, begin);
}

int add_default_route(int netlink, const char *name, const struct interface_address *gateway, unsigned metric) {
  struct message message = {0};
  struct route_header header = {.family = (uint8_t)gateway->family, .table = RT_TABLE_MAIN_, .protocol = RTPROT_BOOT_, .type = RTN_UNICAST_};
  size_t begin = begin_message(&message, RTM_NEWROUTE_, NLM_ACK | NLM_CREATE, 1, &header, sizeof header);
  put_attribute(&message, RTA_GATEWAY_, &gateway->v4, size_of(gateway));
  put_number(&message, RTA_OIF_, index_of(netlink, name));
  put_number(&message, RTA_PRIORITY_, metric);
  return finish(netlink, &message, begin);
}
