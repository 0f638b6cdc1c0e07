/* Tries what a step must not be able to do, and prints `name=errno` (0: it worked) for each. Compiled statically by the tests. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

static void say(const char *name, long result) { printf("%s=%d\n", name, result < 0 ? errno : 0); }

#if defined(__x86_64__)
/* The 32-bit entry: results are negative errnos. */
static long call32(long number, long a) {
  long result;
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(0), "d"(0), "S"(0), "D"(0) : "memory", "r8", "r9", "r10", "r11");
  if ((int)result < 0 && (int)result > -4096) {
    errno = -(int)result;
    return -1;
  }
  return result;
}
#endif

/* Takes back the signal that its parent's death would give it, and ignores what can be ignored. */
static int immortal(const char *seconds) {
  prctl(PR_SET_PDEATHSIG, 0);
  for (int number = 1; number < 32; number++) signal(number, SIG_IGN);
  return execl("/bin/sleep", "sleep", seconds, NULL);
}

/* Connects to an abstract unix socket: one that belongs to the network namespace and lies in no file system. */
static int connect_abstract(const char *name) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  strncpy(address.sun_path + 1, name, sizeof address.sun_path - 2);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  say("abstract", connect(fd, (struct sockaddr *)&address, sizeof(sa_family_t) + 1 + strlen(name)));
  return 0;
}

/* Exchanges two names of the working directory until it is killed; nothing is ever missing under either. */
static int swap(const char *a, const char *b) {
  for (;;) {
    if (syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 2 /* RENAME_EXCHANGE */) != 0) return 1;
    /* Others are let at the directory, too. */
    usleep(20);
  }
}

/* Types a line into the terminal that it has, as if its user had. */
static int type(const char *line) {
  for (; *line; line++) ioctl(0, TIOCSTI, line);
  say("type", ioctl(0, TIOCSTI, "\n"));
  return 0;
}

int main(int argc, char **argv) {
  if (argc == 3 && strcmp(argv[1], "type") == 0) return type(argv[2]);
  if (argc == 4 && strcmp(argv[1], "swap") == 0) return swap(argv[2], argv[3]);
  if (argc == 3 && strcmp(argv[1], "abstract") == 0) return connect_abstract(argv[2]);
  if (argc == 3 && strcmp(argv[1], "immortal") == 0) return immortal(argv[2]);
  say("socket-inet", socket(AF_INET, SOCK_STREAM, 0));
  say("socket-alg", socket(38, SOCK_SEQPACKET, 0));
  say("socket-vsock", socket(40, SOCK_STREAM, 0));
  /* The kernel takes 32 bits of the family: a filter that compares 64 lets this pass. */
  say("socket-alg-high", syscall(SYS_socket, 0x100000026ull, SOCK_SEQPACKET, 0));
  say("unshare-user", unshare(CLONE_NEWUSER));
  say("unshare-mount", unshare(CLONE_NEWNS));
  say("clone-user", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
  say("clone3", syscall(435, NULL, 0));
  say("mount", mount("none", "/tmp", "tmpfs", 0, ""));
  say("fsopen", syscall(430, "tmpfs", 0));
  say("open-tree", syscall(428, AT_FDCWD, "/", 1));
  say("pivot-root", syscall(SYS_pivot_root, "/", "/"));
  say("keyctl", syscall(SYS_keyctl, 0, -3, 0, 0, 0));
  say("add-key", syscall(SYS_add_key, "user", "x", "y", 1, -3));
  say("bpf", syscall(SYS_bpf, 0, NULL, 0));
  say("perf", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
  say("userfaultfd", syscall(SYS_userfaultfd, 0));
  say("io-uring", syscall(425, 1, NULL));
  say("kexec", syscall(SYS_kexec_load, 0, 0, NULL, 0));
  say("init-module", syscall(SYS_init_module, NULL, 0, ""));
  say("open-by-handle", syscall(SYS_open_by_handle_at, AT_FDCWD, NULL, 0));
  say("setns", setns(0, 0));
  say("reboot", syscall(SYS_reboot, 0, 0, 0, 0));
  say("swapon", syscall(SYS_swapon, "/", 0));
  say("settimeofday", syscall(SYS_settimeofday, NULL, NULL));
  say("personality-query", syscall(SYS_personality, 0xffffffff));
  say("personality-aslr", syscall(SYS_personality, 0x0040000));
  say("chroot", chroot("/"));
  say("mknod-fifo", mknod("/tmp/fifo", S_IFIFO | 0600, 0));
  say("mknod-disk", mknod("/tmp/disk", S_IFBLK | 0600, makedev(8, 0)));
  say("newest", syscall(9999));
  say("tiocsti", ioctl(0, 0x5412, "x"));
  say("tty", open("/dev/tty", O_RDWR));
#if defined(__x86_64__)
  say("i386-getpid", call32(20, 0));
  say("i386-unshare", call32(310, CLONE_NEWUSER));
  say("i386-keyctl", call32(288, 0));
  say("i386-newest", call32(9999, 0));
  say("x32-getpid", syscall(0x40000000 + 39));
  say("x32-unshare", syscall(0x40000000 + 272, CLONE_NEWUSER));
#endif
  for (int fd = 0; fd < 1024; fd++)
    if (fcntl(fd, F_GETFD) >= 0) printf("fd-%d\n", fd);
  return 0;
}
