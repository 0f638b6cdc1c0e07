/*
 * The networks that a container is in. The process that made the container's own network namespace (network.c) asks the bridge of each
 * network for a port in it, and stays connected: that connection is the membership. It listens at `network.socket` in the container's
 * directory for networks that the container is to join or leave while it runs, keeps what each bridge says of who is there, and hands that
 * to the container's name server (names.c), a process of its own without any right.
 *
 * When a bridge was killed, the container is without that network until some command starts another one; it is joined as soon as it listens.
 */
#include "bridge.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <fcntl.h>

enum { ANSWER_SECONDS = 10, NAMES_AGAIN_MS = 500, NAMES_PORT = 53, NAMES_FDS = 200 };

struct membership {
  char *directory, *text; /* what it joins with */
  int fd, watch;          /* fd: -1 while there is no bridge */
  unsigned number;        /* of its interface */
  bool accepted;
  struct queue in;
  char *ip, *ip6; /* as they were last given */
  char *table;
};

static struct membership memberships[MOST_MEMBERSHIPS];
static size_t membership_count;
static struct {
  const struct membership_options *options;
  int net, listener, changes, udp, tcp;
  int control; /* of the name server */
  pid_t names;
  long long names_at; /* when it is started again */
  char *id;
} own = {.listener = -1, .control = -1, .names_at = -1};

/* ---- the name server ---- */

static void tell_names(void) {
  struct queue text = {0}, out = {0};
  if (own.control < 0) return;
  char *line = format_text("self %s %s\n", own.id == NULL ? "-" : own.id, own.options->hostname == NULL ? "-" : own.options->hostname);
  queue_put(&text, line, strlen(line));
  free(line);
  for (size_t at = 0; at < membership_count; at++)
    if (memberships[at].table != NULL) queue_put(&text, memberships[at].table, strlen(memberships[at].table));
  queue_put_frame(&out, NAMES_TABLE, text.data, queue_length(&text));
  /* It reads all the time; should it hang, it is the one to go. */
  struct timeval wait = {1, 0};
  setsockopt(own.control, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  for (size_t sent = 0; sent < queue_length(&out);) {
    ssize_t now = send(own.control, out.data + out.start + sent, queue_length(&out) - sent, MSG_NOSIGNAL);
    if (now < 0 && errno == EINTR) continue;
    if (now < 0) {
      kill(own.names, SIGKILL);
      break;
    }
    sent += (size_t)now;
  }
  free(text.data), free(out.data);
}

static void start_names(void) {
  int pair[2], parent = sys_pidfd_open(getpid());
  own.names_at = -1;
  if (own.control >= 0) close(own.control);
  if (parent < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) fail("cannot make descriptors");
  own.names = fork();
  if (own.names < 0) fail("cannot fork");
  if (own.names == 0) {
    die_with_parent(parent);
    status_fd = -1;
    struct name_service service = {fcntl(own.udp, F_DUPFD, NAMES_FDS), fcntl(own.tcp, F_DUPFD, NAMES_FDS), fcntl(pair[1], F_DUPFD, NAMES_FDS), &own.options->upstreams};
    sys_close_range(3, NAMES_FDS - 1, 0);
    sys_close_range(NAMES_FDS + 3, ~0u, 0);
    give_up_capabilities();
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    serve_names(&service);
  }
  close(pair[1]);
  close(parent);
  own.control = pair[0];
  tell_names();
}

static void listen_for_names(struct sockaddr_in address, uint16_t port) {
  int on = 1;
  address.sin_port = htons(port);
  own.udp = socket_in(own.net, AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  own.tcp = socket_in(own.net, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (own.udp < 0 || own.tcp < 0) fail_with(0, "cannot make sockets in the container's network");
  setsockopt(own.tcp, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(own.udp, (struct sockaddr *)&address, sizeof address) < 0 || bind(own.tcp, (struct sockaddr *)&address, sizeof address) < 0 || listen(own.tcp, 64) < 0)
    fail("cannot listen for questions about names");
}

static uint16_t port_of(int fd) {
  struct sockaddr_in address;
  socklen_t size = sizeof address;
  if (getsockname(fd, (struct sockaddr *)&address, &size) < 0) fail("cannot ask for a port");
  return ntohs(address.sin_port);
}

/*
 * Where docker has its own, so that what names that address works; and as docker's, at ports that nobody else wants, to which the kernel leads
 * what is sent to 53: a name server that runs in the container has that port, at all addresses. Where the kernel does not, it is taken.
 */
static void open_names(void) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  inet_pton(AF_INET, "127.0.0.11", &address.sin_addr);
  listen_for_names(address, 0);
  const struct redirect redirects[] = {{IPPROTO_UDP, address.sin_addr, NAMES_PORT, port_of(own.udp)}, {IPPROTO_TCP, address.sin_addr, NAMES_PORT, port_of(own.tcp)}};
  if (redirect_own(own.net, redirects, 2) == 0) return;
  close(own.udp), close(own.tcp);
  listen_for_names(address, NAMES_PORT);
}

/* ---- joining ---- */

static unsigned free_number(void) {
  for (unsigned number = 0;; number++) {
    bool used = false;
    for (size_t at = 0; at < membership_count; at++) used |= memberships[at].number == number;
    if (!used) return number;
  }
}

static bool send_join(struct membership *membership) {
  struct queue out = {0};
  char *had = format_text("%s%s%s%s%s%s", membership->ip ? "had-ip " : "", membership->ip ? membership->ip : "", membership->ip ? "\n" : "", membership->ip6 ? "had-ip6 " : "",
                          membership->ip6 ? membership->ip6 : "", membership->ip6 ? "\n" : "");
  char *text = format_text("%s\ninterface eth%u\nmetric %u\n%s", membership->text, membership->number, membership->number, had);
  queue_put_frame(&out, BRIDGE_JOIN, text, strlen(text));
  free(text), free(had);
  char control[CMSG_SPACE(sizeof(int))] = {0};
  struct iovec part = {out.data, queue_length(&out)};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  memcpy(CMSG_DATA(header), &own.net, sizeof own.net);
  ssize_t sent;
  while ((sent = sendmsg(membership->fd, &message, MSG_NOSIGNAL)) < 0 && errno == EINTR) continue;
  bool whole = sent == (ssize_t)queue_length(&out);
  free(out.data);
  return whole;
}

static void lose(struct membership *membership) {
  if (membership->fd >= 0) close(membership->fd);
  membership->fd = -1;
  membership->accepted = false;
  free(membership->in.data);
  membership->in = (struct queue){0};
  free(membership->table);
  membership->table = NULL;
}

static void replace(char **text, char *with) {
  free(*text);
  *text = with;
}

/* Takes what has come. Gives false at the end; `refused` gets the reason of a refusal. */
static bool take_news(struct membership *membership, char **refused) {
  bool broken = false, open = queue_fill(&membership->in, membership->fd), news = false;
  for (struct frame frame; queue_take_frame(&membership->in, &frame, &broken);) {
    char *text = frame_text(&frame), *address;
    switch (frame.kind) {
    case BRIDGE_ACCEPTED:
      membership->accepted = true;
      if ((address = line_value(text, "ip")) != NULL) replace(&membership->ip, address);
      if ((address = line_value(text, "ip6")) != NULL) replace(&membership->ip6, address);
      break;
    case BRIDGE_REFUSED: replace(refused, format_text("%s", text)); break;
    case BRIDGE_TABLE: replace(&membership->table, format_text("%s", text)), news = true; break;
    default: break;
    }
    free(text);
  }
  if (news) tell_names();
  return open && !broken;
}

static bool begin(struct membership *membership) {
  membership->fd = connect_in(membership->directory, "socket");
  if (membership->fd < 0) return false;
  struct timeval wait = {ANSWER_SECONDS, 0};
  setsockopt(membership->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  setsockopt(membership->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  if (send_join(membership)) return true;
  lose(membership);
  return false;
}

static void forget(struct membership *membership) {
  lose(membership);
  if (membership->watch >= 0) inotify_rm_watch(own.changes, membership->watch);
  free(membership->directory), free(membership->text), free(membership->ip), free(membership->ip6);
  *membership = memberships[--membership_count];
}

/* Joins and waits for the answer. Gives NULL, or why not. */
static char *join_now(const char *text) {
  char *refused = NULL, *directory = line_value(text, "network");
  if (directory == NULL) return format_text("the request is malformed");
  for (size_t at = 0; at < membership_count; at++)
    if (strcmp(memberships[at].directory, directory) == 0) return format_text("the container is in it already");
  if (membership_count == MOST_MEMBERSHIPS) return format_text("a container can be in %d networks", MOST_MEMBERSHIPS);
  unsigned number = free_number();
  struct membership *membership = &memberships[membership_count++];
  *membership = (struct membership){.directory = directory, .text = format_text("%s", text), .number = number};
  if (own.id == NULL) own.id = line_value(text, "id");
  membership->watch = inotify_add_watch(own.changes, directory, IN_MOVED_TO | IN_ONLYDIR);
  long long end = clock_ms() + ANSWER_SECONDS * 1000;
  bool open = begin(membership);
  while (open && !membership->accepted && refused == NULL && clock_ms() < end) open = take_news(membership, &refused);
  if (membership->accepted) return NULL;
  forget(membership);
  return refused != NULL ? refused : format_text("the process of the network does not answer");
}

/* Leaves, and waits until the interface is gone. */
static char *leave_now(const char *directory) {
  for (size_t at = 0; at < membership_count; at++) {
    struct membership *membership = &memberships[at];
    char *refused = NULL;
    if (strcmp(membership->directory, directory) != 0) continue;
    struct queue out = {0};
    queue_put_frame(&out, BRIDGE_LEAVE, "", 0);
    if (membership->fd >= 0 && send(membership->fd, out.data, queue_length(&out), MSG_NOSIGNAL) == (ssize_t)queue_length(&out))
      /* The answer is followed by the end. */
      while (take_news(membership, &refused)) continue;
    free(out.data), free(refused);
    forget(membership);
    tell_names();
    return NULL;
  }
  return format_text("the container is not in it");
}

/* ---- requests of commands, one after the other ---- */

static void serve_request(void) {
  struct queue in = {0}, out = {0};
  struct frame frame;
  bool broken = false, open = true;
  int fd = accept4(own.listener, NULL, NULL, SOCK_CLOEXEC);
  if (fd < 0) return;
  struct timeval wait = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  long long end = clock_ms() + 2000;
  bool got = false;
  while (open && !broken && clock_ms() < end && !(got = queue_take_frame(&in, &frame, &broken))) open = queue_fill(&in, fd);
  if (got) {
    char *text = frame_text(&frame);
    char *why = frame.kind == BRIDGE_JOIN ? join_now(text) : frame.kind == BRIDGE_LEAVE ? leave_now(text) : format_text("unknown request");
    queue_put_frame(&out, why == NULL ? BRIDGE_ACCEPTED : BRIDGE_REFUSED, why == NULL ? "" : why, why == NULL ? 0 : strlen(why));
    (void)queue_drain(&out, fd);
    free(text), free(why);
  }
  free(in.data), free(out.data);
  close(fd);
}

/* Bridges that were started again. */
static void join_again(void) {
  _Alignas(struct inotify_event) char events[4096];
  while (read(own.changes, events, sizeof events) > 0) continue;
  for (size_t at = 0; at < membership_count; at++)
    if (memberships[at].fd < 0) (void)begin(&memberships[at]);
}

void begin_memberships(const struct membership_options *options, int net) {
  stage = "join";
  own.options = options;
  own.net = net;
  own.changes = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (own.changes < 0) fail("cannot watch directories");
  open_names();
  for (size_t at = 0; at < options->join_count; at++) {
    char *why = join_now(options->joins[at]);
    if (why != NULL) fail_with(0, "%s", why);
  }
  start_names();
  own.listener = listen_in(options->directory, "network.socket");
  stage = "network";
}

size_t poll_memberships(struct pollfd *waits) {
  waits[0] = (struct pollfd){own.listener, POLLIN, 0};
  waits[1] = (struct pollfd){own.listener < 0 ? -1 : own.changes, POLLIN, 0};
  for (size_t at = 0; at < membership_count; at++) waits[2 + at] = (struct pollfd){memberships[at].fd, POLLIN, 0};
  return 2 + membership_count;
}

void serve_memberships(const struct pollfd *waits, size_t count) {
  if (own.listener < 0) return;
  bool lost = false;
  for (size_t at = count - 2; at-- > 0;) {
    struct membership *membership = &memberships[at];
    char *refused = NULL;
    if (waits[2 + at].revents == 0 || membership->fd < 0) continue;
    bool open = take_news(membership, &refused);
    if (refused != NULL) dprintf(STDERR_FILENO, "warning: cannot join a network again: %s\n", refused);
    free(refused);
    if (open) continue;
    lose(membership);
    lost = true;
  }
  if (lost) tell_names();
  if (lost || waits[1].revents != 0) join_again();
  if (waits[0].revents != 0) serve_request();
  if (own.names_at >= 0 && clock_ms() >= own.names_at) start_names();
}

int memberships_due(void) {
  if (own.names_at < 0) return -1;
  long long left = own.names_at - clock_ms();
  return left < 0 ? 0 : (int)left;
}

bool memberships_reaped(pid_t pid) {
  if (pid != own.names || own.names == 0) return false;
  own.names = 0;
  own.names_at = clock_ms() + NAMES_AGAIN_MS;
  return true;
}
