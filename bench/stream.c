/* stream serve PORT BYTES: gives so many to each who connects. stream take HOST PORT: takes all and prints megabytes per second. IPv4 alone. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char buffer[1 << 17];

static int serve(const char *port, long long bytes) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(fd, (void *)&address, sizeof address) < 0 || listen(fd, 16) < 0) return 1;
  puts("listening");
  fflush(stdout);
  for (;;) {
    int peer = accept(fd, NULL, NULL);
    for (long long left = bytes; peer >= 0 && left > 0;) {
      ssize_t sent = send(peer, buffer, left < (long long)sizeof buffer ? (size_t)left : sizeof buffer, MSG_NOSIGNAL);
      if (sent <= 0) break;
      left -= sent;
    }
    close(peer);
  }
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int take(const char *host, const char *port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
  inet_pton(AF_INET, host, &address.sin_addr);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  /* Who serves may just have been started. */
  for (int tries = 0; connect(fd, (void *)&address, sizeof address) < 0; tries++) {
    if (tries == 500) return 1;
    usleep(10000);
    close(fd);
    fd = socket(AF_INET, SOCK_STREAM, 0);
  }
  double begun = now(), bytes = 0;
  for (ssize_t got; (got = read(fd, buffer, sizeof buffer)) > 0;) bytes += (double)got;
  printf("%.0f\n", bytes / (now() - begun) / 1e6);
  return bytes == 0;
}

int main(int argc, char **argv) {
  if (argc > 3 && strcmp(argv[1], "serve") == 0) return serve(argv[2], atoll(argv[3]));
  if (argc > 3 && strcmp(argv[1], "take") == 0) return take(argv[2], argv[3]);
  return 2;
}
