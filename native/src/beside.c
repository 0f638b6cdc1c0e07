/*
 * Containers that share a network must share a user namespace: the kernel lets nobody join what belongs to one beside his own. It is found by a
 * process that is in it, or in one below, and which the kernel itself names: who listens at a socket. As long as the connection to it is there,
 * that number is no other's.
 */
#include "beside.h"
#include "bridge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* As in linux/nsfs.h. */
enum { NS_GET_PARENT_ = 0xb702 };

/* Whether the other side is still there. */
static bool is_open(int fd) {
  char byte;
  ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got > 0 || (got < 0 && errno == EAGAIN);
}

static bool same_namespace(int fd, const struct stat *other) {
  struct stat info;
  return fstat(fd, &info) == 0 && info.st_ino == other->st_ino && info.st_dev == other->st_dev;
}

int namespace_beside(const char *directory) {
  struct ucred peer;
  socklen_t size = sizeof peer;
  struct stat own;
  char path[64];
  int fd = connect_in(directory, "socket"), found = -1;
  if (fd < 0) return -1;
  if (stat("/proc/self/ns/user", &own) == 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 0) {
    snprintf(path, sizeof path, "/proc/%d/ns/user", peer.pid);
    found = open(path, O_RDONLY | O_CLOEXEC);
  }
  while (found >= 0) {
    int parent = ioctl(found, NS_GET_PARENT_);
    if (parent >= 0) fcntl(parent, F_SETFD, FD_CLOEXEC);
    if (parent >= 0 && same_namespace(parent, &own)) {
      close(parent);
      break;
    }
    /* Not below this process's own at all. */
    close(found);
    found = parent;
  }
  if (found >= 0 && !is_open(fd)) {
    close(found);
    found = -1;
  }
  close(fd);
  return found;
}
