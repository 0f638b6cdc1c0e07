/* A network that containers share: the process that owns its bridge (bridge.c), and who is in it (member.c). docs/dev/containers.md has the protocol. */
#ifndef TSBUILD_BRIDGE_H
#define TSBUILD_BRIDGE_H

#include "contain.h"
#include "netlink.h"

enum bridge_frame {
  BRIDGE_GREETING = 'g', /* to whoever connects */
  BRIDGE_JOIN = 'J',     /* lines of text, and a descriptor of the network namespace that joins */
  BRIDGE_LEAVE = 'L',
  BRIDGE_ACCEPTED = 'a', /* lines of text: interface, addresses, whether there is an outside */
  BRIDGE_REFUSED = 'r',  /* why */
  BRIDGE_TABLE = 't',    /* who is there: a line for the network, one for each member */
};

/* Connects to `socket` in a directory; -1 with errno. */
int connect_in(const char *directory, const char *name);
/* Listens at `name` there. A file of that name appears only when connections are taken. */
int listen_in(const char *directory, const char *name);
/* The value of the first line `KEY VALUE` of a text, as a copy; NULL where there is none. */
char *line_value(const char *text, const char *key);
/* Calls for each value of lines with that key. */
void each_value(const char *text, const char *key, void (*take)(void *context, const char *value), void *context);
/* `10.1.2.3/24` or `fd00::1/64`, and without a prefix. False for what is neither. */
bool parse_address(const char *text, struct interface_address *address);
void format_address(const struct interface_address *address, bool prefix, char text[64]);
enum { MAC_TEXT = 18 };
/* `02:42:0a:59:00:02`. False for what is no hardware address of one interface. */
bool parse_mac(const char *text, unsigned char mac[6]);
void format_mac(const unsigned char mac[6], char text[MAC_TEXT]);

/* ---- addresses.c: which of a subnet are free ---- */

struct subnet {
  struct interface_address base; /* family 0: none */
  struct interface_address gateway;
  struct interface_address range; /* a part of it, from which addresses are given; family 0: all of it */
};
bool in_subnet(const struct subnet *subnet, const struct interface_address *address);
bool same_address(const struct interface_address *one, const struct interface_address *other);
/* The lowest address of its range that `taken` does not know; false when there is none. */
bool free_address(const struct subnet *subnet, bool (*taken)(const struct interface_address *address), struct interface_address *found);
/* Whether a member may have it: no network's, no broadcast's, not the gateway's. */
bool usable_address(const struct subnet *subnet, const struct interface_address *address);

/* ---- nat.c ---- */

/* What goes out of the namespace by `interface` gets its address. 0 or an errno. */
int masquerade(int net, const char *interface, bool v6);

struct redirect {
  uint8_t protocol; /* IPPROTO_UDP, IPPROTO_TCP */
  struct in_addr address;
  uint16_t from, to; /* ports */
};
/* What the namespace itself sends to a port of one of its own addresses comes to another one there. 0 or an errno. */
int redirect_own(int net, const struct redirect *redirects, size_t count);

/* ---- member.c: the networks that a container is in, within its `network` process ---- */

enum { MOST_MEMBERSHIPS = 16 };
struct membership_options {
  const char *directory; /* where `network.socket` is made; NULL: no networks are shared */
  const char *hostname;
  const char *joins[MOST_MEMBERSHIPS];
  size_t join_count;
  struct list upstreams;
};
/* Joins all; fails when one refuses. `net`: the container's. */
void begin_memberships(const struct membership_options *options, int net);
enum { MEMBER_WAITS = 4 + MOST_MEMBERSHIPS * 2 };
struct pollfd;
size_t poll_memberships(struct pollfd *waits);
void serve_memberships(const struct pollfd *waits, size_t count);
/* ms until there is something to do without an event, -1 for never. */
int memberships_due(void);
/* Whether a child that ended was one of theirs. */
bool memberships_reaped(pid_t pid);
/* Descriptors that have to stay: for who closes all others. */

/* ---- names.c: the name server of one container ---- */

enum { NAMES_TABLE = 'T' };
struct name_service {
  int udp, tcp;   /* bound, in the container's network */
  int control;    /* tables come from here */
  const struct list *upstreams;
};
_Noreturn void serve_names(const struct name_service *service);

#endif
