/* A network's own process (bridge.c), and those who are connected to it (bridge-members.c). */
#ifndef TSBUILD_BRIDGE_MEMBERS_H
#define TSBUILD_BRIDGE_MEMBERS_H

#include "bridge.h"
#include "network.h"

#include <poll.h>

enum { MOST_MEMBERS = 1100 };

struct bridge {
  const char *directory, *name;
  unsigned root;
  struct subnet v4, v6;
  struct outside outside;
  bool internal, connected; /* connected: whether it leads outside */
  struct network network;
  int netlink, listener, signals, lock;
};

/* What goes into lines of a table must not be able to make others. */
bool is_word(const char *text);
/* From here on, for this network. */
void begin_members(struct bridge *bridge);
/* Takes who has connected. */
void take_member(void);
/* Fills in what is to be waited for, and gives how many that are. */
size_t poll_members(struct pollfd *waits);
void serve_members(const struct pollfd *waits, size_t count);
/* Sends all the table of who is there. */
void tell_everybody(void);

#endif
