/*
 * What a program in a sandbox can do in its network. Each prints what came of it, on one line.
 *   connect HOST PORT [TEXT]   name or address; sends TEXT, then prints the last line that comes
 *   abstract NAME              the same with an abstract socket
 *   listen PORT                "listening", or why not; ends at once
 *   serve PORT TEXT            prints "listening" and answers one connection with TEXT
 *   pour PORT BYTES            prints "listening", sends so many to one connection, and prints how many came from there
 *   echo PORT                  prints "listening" and sends back the datagrams of UDP, for ever
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static int finish(const char *what) {
  printf("%s: %s\n", what, strerror(errno));
  return 1;
}

static int talk(int fd, const char *text) {
  char buffer[65536];
  size_t used = 0;
  if (text != NULL && write(fd, text, strlen(text)) < 0) return finish("write");
  for (ssize_t got; used < sizeof buffer - 1 && (got = read(fd, buffer + used, sizeof buffer - 1 - used)) != 0; used += (size_t)got)
    if (got < 0) return finish("read");
  while (used > 0 && buffer[used - 1] == '\n') used--;
  buffer[used] = 0;
  const char *line = strrchr(buffer, '\n');
  printf("%s\n", line == NULL ? buffer : line + 1);
  return 0;
}

static int reach(const char *host, const char *port, const char *text) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
  int error = getaddrinfo(host, port, &hints, &found);
  if (error != 0) {
    printf("%s\n", gai_strerror(error));
    return 1;
  }
  struct timeval limit = {5, 0};
  int fd = socket(found->ai_family, SOCK_STREAM, 0);
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (connect(fd, found->ai_addr, found->ai_addrlen) < 0) return finish("connect");
  return talk(fd, text);
}

static int reach_abstract(const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = strlen(name);
  memcpy(address.sun_path + 1, name, length);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(fd, (void *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length)) < 0) return finish("connect");
  return talk(fd, NULL);
}

static int bound(int type, const char *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
  int fd = socket(AF_INET, type, 0), on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (void *)&address, sizeof address) < 0) exit(finish("bind"));
  if (type == SOCK_STREAM && listen(fd, 16) < 0) exit(finish("listen"));
  puts("listening");
  fflush(stdout);
  return fd;
}

/* Both ways at a time, each until its end. */
static int pour(int fd, long bytes) {
  static char buffer[65536];
  if (fork() == 0) {
    while (bytes > 0) {
      ssize_t sent = write(fd, buffer, (size_t)(bytes < (long)sizeof buffer ? bytes : (long)sizeof buffer));
      if (sent < 0) return finish("write");
      bytes -= sent;
    }
    shutdown(fd, SHUT_WR);
    _exit(0);
  }
  long received = 0;
  for (ssize_t got; (got = read(fd, buffer, sizeof buffer)) > 0;) received += got;
  wait(NULL);
  printf("%ld\n", received);
  return 0;
}

int main(int argc, char **argv) {
  const char *what = argc > 2 ? argv[1] : "";
  if (strcmp(what, "connect") == 0 && argc > 3) return reach(argv[2], argv[3], argv[4]);
  if (strcmp(what, "abstract") == 0) return reach_abstract(argv[2]);
  if (strcmp(what, "listen") == 0) return bound(SOCK_STREAM, argv[2]) < 0;
  if (strcmp(what, "serve") == 0 && argc > 3) {
    int fd = accept(bound(SOCK_STREAM, argv[2]), NULL, NULL);
    return fd < 0 || write(fd, argv[3], strlen(argv[3])) < 0;
  }
  if (strcmp(what, "pour") == 0 && argc > 3) return pour(accept(bound(SOCK_STREAM, argv[2]), NULL, NULL), atol(argv[3]));
  if (strcmp(what, "echo") == 0) {
    char buffer[65536];
    struct sockaddr_storage from;
    int fd = bound(SOCK_DGRAM, argv[2]);
    for (;;) {
      socklen_t size = sizeof from;
      ssize_t got = recvfrom(fd, buffer, sizeof buffer, 0, (void *)&from, &size);
      if (got < 0 || sendto(fd, buffer, (size_t)got, 0, (void *)&from, size) < 0) return finish("echo");
    }
  }
  return 2;
}
