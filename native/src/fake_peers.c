/*
 * Who is at the other end of a unix socket: to the kernel that is root, whoever he has become. The kernel has his process, too, and who that believes
 * to be is known.
 *
 * The kernel takes down who somebody is when he connects, listens or makes a pair of sockets. Here it is who he is when that is asked, for the call
 * alone is seen that asks: a server which became another after it had begun to listen is told as that other. Whoever has ended meanwhile, or is
 * in other namespaces than the asker (another step, or a container that shares a directory), is told as ever.
 */
#include "fakes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NR_pidfd_getfd = 438 };

/* The socket that is asked about; -1 where the kernel (5.6) or what is around does not give it. */
static int open_socket(int fd) {
  int process = open_process((pid_t)supervisor.asked.pid);
  /* A thread, before 6.9: all of a process mostly have the same descriptors. */
  const char *leader = process < 0 && supervisor.own_proc ? process_field(asker_number(), "Tgid") : NULL;
  if (leader != NULL) process = sys_pidfd_open((pid_t)atoi(leader));
  int got = process < 0 ? -1 : (int)syscall(NR_pidfd_getfd, process, fd, 0);
  if (process >= 0) close(process);
  return got;
}

static bool is_same_namespace(int one, int other, const char *kind) {
  char path[64];
  struct stat a, b;
  snprintf(path, sizeof path, "%d/ns/%s", one, kind);
  if (fstatat(supervisor.proc, path, &a, 0) < 0) return false;
  snprintf(path, sizeof path, "%d/ns/%s", other, kind);
  return fstatat(supervisor.proc, path, &b, 0) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/*
 * The number by which the asker has a process; 0 where it has none, or the process may be of those whom another supervisor tells who they are: a step
 * has a mount namespace to itself, also where it shares its processes.
 */
static pid_t number_for_asker(pid_t pid) {
  int asker = asker_number(), number = number_of(pid);
  if (asker == 0 || number == 0 || !is_same_namespace(asker, number, "pid") || !is_same_namespace(asker, number, "mnt")) return 0;
  /* From that of /proc inwards. */
  const char *numbers = process_field(number, "NSpid"), *last = numbers == NULL ? NULL : strrchr(numbers, '\t');
  return last == NULL ? 0 : atoi(last + 1);
}

static struct reply give_value(const struct call *call, const void *value, int size) {
  bool given = (size == 0 || write_memory(call->arguments[3], value, (size_t)size)) && write_memory(call->arguments[4], &size, sizeof size);
  return given ? reply_value(0) : reply_error(EFAULT);
}

/* A buffer that is too small is told how large it must be. */
static struct reply give_groups(const struct call *call, const struct ids *ids, int room) {
  int size = (int)(ids->group_count * sizeof *ids->groups);
  if (room >= size) return give_value(call, ids->groups, size);
  return write_memory(call->arguments[4], &size, sizeof size) ? reply_error(ERANGE) : reply_error(EFAULT);
}

struct reply fake_peer(const struct call *call) {
  struct ucred peer = {0};
  socklen_t length = sizeof peer;
  int socket = open_socket((int)call->arguments[0]), room;
  /* Of the process that asks, and not of one that has its number by now. */
  bool known = socket >= 0 && still_asks() && getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.pid > 0;
  if (socket >= 0) close(socket);
  const struct ids *ids = known ? ids_of(peer.pid) : NULL;
  pid_t number = ids == NULL ? 0 : number_for_asker(peer.pid);
  if (number == 0) return reply_proceed();
  if (!read_memory(call->arguments[4], &room, sizeof room)) return reply_error(EFAULT);
  if (room < 0) return reply_error(EINVAL);
  if ((int)call->arguments[2] == SO_PEERGROUPS_) return give_groups(call, ids, room);
  peer = (struct ucred){number, ids->euid, ids->egid};
  return give_value(call, &peer, room < (int)sizeof peer ? room : (int)sizeof peer);
}
