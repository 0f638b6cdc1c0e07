/*
 * A step whose layers are copied need not wait for the disk: what it wrote is worth something only when the layer is, and layers are flushed
 * when they are named (an overlay is mounted `volatile` for the same reason). dpkg alone asks for it several times for each package. A filter
 * that answers such calls with success; it holds for the step and all that descends from it.
 */
#include "copies.h"
#include "filter.h"

#include <errno.h>
#include <stddef.h>
#include <sys/prctl.h>

enum { SECCOMP_FILTER = 2 };

#define SUCCEED {0x06, 0, 0, 0x00050000u /* SECCOMP_RET_ERRNO, 0 */}

#if defined(__x86_64__)
#define OWN_ARCH 0xc000003eu /* AUDIT_ARCH_X86_64 */
enum { NR_sync = 162, NR_fsync = 74, NR_fdatasync = 75, NR_syncfs = 306, NR_sync_file_range = 277 };
#elif defined(__aarch64__)
#define OWN_ARCH 0xc00000b7u /* AUDIT_ARCH_AARCH64 */
enum { NR_sync = 81, NR_fsync = 82, NR_fdatasync = 83, NR_syncfs = 267, NR_sync_file_range = 84 };
#else
#error "no numbers of system calls for this processor"
#endif

bool writes_layers_only(const struct step_spec *spec) {
  for (size_t at = 0; at < spec->mount_count; at++)
    if (spec->mounts[at].kind == MOUNT_BIND && !spec->mounts[at].readonly) return false;
  return true;
}

void skip_syncs(void) {
  /* Programs of the 32-bit kind wait. */
  static struct instruction filter[] = {
      LOAD(arch),
      IF_EQUAL(OWN_ARCH, 0, 6),
      LOAD(number),
      IF_EQUAL(NR_fsync, 5, 0),
      IF_EQUAL(NR_fdatasync, 4, 0),
      IF_EQUAL(NR_sync, 3, 0),
      IF_EQUAL(NR_syncfs, 2, 0),
      IF_EQUAL(NR_sync_file_range, 1, 0),
      ALLOW,
      SUCCEED,
  };
  struct {
    unsigned short length;
    struct instruction *instructions;
  } program = {sizeof filter / sizeof *filter, filter};
  /* Root of a container that may not load filters without giving up setuid programs: then it waits. */
  if (prctl(PR_SET_SECCOMP, SECCOMP_FILTER, &program, 0, 0) < 0 && errno != EACCES) fail("cannot load a seccomp filter");
}
