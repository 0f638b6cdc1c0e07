/* Gives files cap_net_raw=ep, as setcap(8) does. Compiled statically by the tests. */
#include <stdint.h>
#include <stdio.h>
#include <sys/xattr.h>

int main(int argc, char **argv) {
  /* struct vfs_cap_data: revision 2 and the bit for "effective", then permitted and inheritable, of two halves. */
  const uint32_t value[] = {0x02000001, 1u << 13 /* CAP_NET_RAW */, 0, 0, 0};
  for (int at = 1; at < argc; at++)
    if (setxattr(argv[at], "security.capability", value, sizeof value, 0) < 0) {
      perror(argv[at]);
      return 1;
    }
  return 0;
}
