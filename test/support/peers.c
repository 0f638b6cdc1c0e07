/* Asks who is at the other end of sockets, and prints a line for each. Compiled statically by the tests. */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

/* What is asked for, the pid as one of those whom the asker knows by that number. */
static void tell(const char *name, int fd, pid_t pid) {
  struct ucred peer;
  socklen_t length = sizeof peer;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) {
    printf("%s: %s\n", name, strerror(errno));
    return;
  }
  gid_t groups[100];
  socklen_t size = sizeof groups;
  int got = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size);
  printf("%s: %s %d:%d", name, peer.pid == pid ? "the process" : "another", (int)peer.uid, (int)peer.gid);
  for (socklen_t at = 0; got == 0 && at < size / sizeof *groups; at++) printf("%c%d", at == 0 ? ' ' : ',', (int)groups[at]);
  printf(", %d bytes\n", (int)length);
}

static void become(uid_t uid, gid_t gid, size_t count, const gid_t *groups) {
  if (setgroups(count, groups) < 0 || setgid(gid) < 0 || setuid(uid) < 0) perror("become");
}

static int listener(struct sockaddr_un *address) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  *address = (struct sockaddr_un){AF_UNIX, "/tmp/socket"};
  if (bind(fd, (struct sockaddr *)address, sizeof *address) < 0 || listen(fd, 5) < 0) perror("listen");
  return fd;
}

static int connected(const struct sockaddr_un *address) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, (const struct sockaddr *)address, sizeof *address) < 0) perror("connect");
  return fd;
}

static int asked_by_thread;
static void *ask(void *name) {
  tell(name, asked_by_thread, getpid());
  return NULL;
}

static void ask_wrongly(int fd) {
  struct ucred peer = {-5, 7, 7};
  socklen_t length = sizeof(pid_t);
  int got = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
  printf("of four bytes: %d, %s %d, %d bytes\n", got, peer.pid > 0 ? "a pid and" : "no pid,", (int)peer.uid, (int)length);
  length = (socklen_t)-1;
  got = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length);
  printf("of less than none: %d %s\n", got, strerror(errno));
  length = sizeof peer;
  got = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, (void *)8, &length);
  printf("no buffer: %d %s\n", got, strerror(errno));
  got = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, (socklen_t *)8);
  printf("no length: %d %s\n", got, strerror(errno));
  length = sizeof(gid_t);
  got = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, &peer, &length);
  printf("one group: %d %s, %d bytes\n", got, strerror(errno), (int)length);
  tell("no descriptor", 99, 0);
  tell("no socket", 0, 0);
  length = sizeof got;
  if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &got, &length) == 0) printf("type: %d\n", got);
  length = sizeof got;
  /* The number of SO_PEERCRED at another level: no such thing. */
  if (getsockopt(fd, IPPROTO_TCP, SO_PEERCRED, &got, &length) < 0) printf("level: %s\n", strerror(errno));
}

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  umask(0);
  alarm(30);
  int pair[2], ready[2], more[2];
  struct sockaddr_un address;
  pthread_t thread;
  if (pipe(ready) < 0 || pipe(more) < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) return 1;
  tell("pair", pair[0], getpid());
  int listening = listener(&address);
  /* A client who became somebody, who also asks who serves him. */
  char byte = 0;
  pid_t client = fork();
  if (client == 0) {
    close(more[1]);
    gid_t groups[] = {20, 10, 4};
    become(1000, 50, 3, groups);
    int fd = connected(&address);
    tell("server", fd, getppid());
    asked_by_thread = socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0 ? -1 : pair[0];
    if (pthread_create(&thread, NULL, ask, "by a thread") == 0) pthread_join(thread, NULL);
    if (write(ready[1], &byte, 1) != 1 || read(more[0], &byte, 1) != 0) return 1;
    _exit(0);
  }
  int served = accept(listening, NULL, NULL);
  if (read(ready[0], &byte, 1) != 1) return 1;
  tell("client", served, client);
  ask_wrongly(served);
  close(more[1]);
  waitpid(client, NULL, 0);
  /* No peer at all. */
  int lone = socket(AF_INET, SOCK_STREAM, 0);
  tell("no peer", lone, 0);
  /* One who serves and is not root. */
  gid_t group = 33;
  become(33, 33, 1, &group);
  unlink("/tmp/socket");
  int own = socket(AF_UNIX, SOCK_STREAM, 0);
  strcpy(address.sun_path, "/tmp/own");
  if (bind(own, (struct sockaddr *)&address, sizeof address) < 0 || listen(own, 5) < 0) perror("listen");
  tell("daemon", connected(&address), getpid());
  return 0;
}
