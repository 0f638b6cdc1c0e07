/* Networks that several processes share: a namespace with a holder, and a program that connects it with the machine's network. */
#ifndef TSBUILD_NETWORK_H
#define TSBUILD_NETWORK_H

#include "helper.h"

/* A network namespace that something keeps alive. */
struct network {
  int net, user;  /* descriptors of the namespaces; `user` is -1 where no own user namespace owns the network */
  int number;     /* of the holder, as /proc has it */
  pid_t holder;
};

/*
 * Makes a network namespace whose loopback interface is up, and a process that keeps it until this one dies. It belongs to a user
 * namespace that has one id: `root` of this process's ids is 0 there. Where there are no more of them it belongs to this one's.
 */
struct network make_network(unsigned root);
/* Lets steps listen at ports below 1024 and ping, neither of which they have a capability for in a network that is not theirs. */
void open_network(const struct network *network);

/*
 * Passes on what is said to a port of the network's loopback interface to a unix socket, by a process without rights that ends with this one.
 * Returns when it listens. The path, which is absolute, is cut in pieces.
 */
pid_t start_proxy(const struct network *network, uint16_t port, char *path);

/* Programs that connect a network namespace with the machine's network from outside, without a right to that. */
enum outside_kind { OUTSIDE_NONE, OUTSIDE_PASTA, OUTSIDE_SLIRP };
struct outside {
  enum outside_kind kind;
  const char *program; /* its absolute path */
  const char *mac;     /* hardware address of the interface; NULL for any */
  const char *dns;     /* pasta: an address at which it answers with the machine's own resolver; else NULL */
};
/* Starts it and waits until the network is connected. When it cannot be, it has said why on stderr. */
bool connect_network(const struct network *network, const struct outside *outside, int signals);

#endif
