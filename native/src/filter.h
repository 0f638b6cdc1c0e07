/* Instructions of small seccomp filters that are written by hand. */
#ifndef FILTER_H
#define FILTER_H

#include <stddef.h>
#include <stdint.h>

/* What the filter sees of a call. */
struct call {
  int32_t number;
  uint32_t arch;
  uint64_t instruction, arguments[6];
};
struct instruction {
  uint16_t code;
  uint8_t if_true, if_false;
  uint32_t value;
};
#define LOAD(field) {0x20 /* LD | W | ABS */, 0, 0, offsetof(struct call, field)}
#define IF_EQUAL(value, yes, no) {0x15 /* JMP | JEQ | K */, yes, no, value}
#define ALLOW {0x06 /* RET | K */, 0, 0, 0x7fff0000u /* SECCOMP_RET_ALLOW */}

#endif
