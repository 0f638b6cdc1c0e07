/*
 * `--network=none` where no network namespace can be made: a seccomp filter that lets a process make unix sockets only. It cannot be lifted.
 * Unlike in a namespace there is no loopback either. Without CAP_SYS_ADMIN the kernel asks for no_new_privs in return, so that setuid
 * programs give nothing in such a step.
 */
#include "copies.h"
#include "filter.h"

#include <errno.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* As in linux/audit.h, filter.h and seccomp.h. */
#if defined(__x86_64__)
#define OWN_ARCH 0xc000003eu /* AUDIT_ARCH_X86_64 */
/* 32-bit programs: socket has a number of its own, and socketcall hides its arguments behind a pointer. */
#define OTHER_ARCH 0x40000003u /* AUDIT_ARCH_I386 */
enum { OTHER_SOCKET = 359, OTHER_SOCKETCALL = 102 };
#elif defined(__aarch64__)
#define OWN_ARCH 0xc00000b7u /* AUDIT_ARCH_AARCH64 */
#define OTHER_ARCH 0x40000028u /* AUDIT_ARCH_ARM */
enum { OTHER_SOCKET = 281, OTHER_SOCKETCALL = 102 };
#else
#error "no numbers of system calls for this processor"
#endif

enum { NR_io_uring_setup = 425, X32_BIT = 0x40000000, SECCOMP_FILTER = 2 };

#define IF_AT_LEAST(value, yes, no) {0x35 /* JMP | JGE | K */, yes, no, value}
#define REFUSE(error) {0x06, 0, 0, 0x00050000u /* SECCOMP_RET_ERRNO */ | (error)}

void deny_network(void) {
  stage = "network";
  /* The low half of the first argument comes first on both processors, which are little-endian. */
  static struct instruction filter[] = {
      LOAD(arch),
      IF_EQUAL(OWN_ARCH, 2, 0),
      IF_EQUAL(OTHER_ARCH, 6, 0),
      REFUSE(ENOSYS),
      /* 4: own */
      LOAD(number),
      IF_AT_LEAST(X32_BIT, 10, 0),
      IF_EQUAL(NR_io_uring_setup, 9, 0),
      IF_EQUAL(SYS_socket, 5, 0),
      ALLOW,
      /* 9: other */
      LOAD(number),
      IF_EQUAL(NR_io_uring_setup, 5, 0),
      IF_EQUAL(OTHER_SOCKETCALL, 4, 0),
      IF_EQUAL(OTHER_SOCKET, 0, 2),
      /* 13: socket */
      LOAD(arguments[0]),
      IF_EQUAL(AF_UNIX, 0, 2),
      ALLOW,
      /* 16: refused calls */
      REFUSE(ENOSYS),
      /* 17: refused families */
      REFUSE(EAFNOSUPPORT),
  };
  struct {
    unsigned short length;
    struct instruction *instructions;
  } program = {sizeof filter / sizeof *filter, filter};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) fail("cannot set no_new_privs");
  if (prctl(PR_SET_SECCOMP, SECCOMP_FILTER, &program, 0, 0) < 0) fail("cannot take the network away");
}
