/*
 * What the fuzz targets share. The helper's code ends its process where it finds a fault, which frees everything and closes every
 * descriptor; here it jumps back, and the harness does both.
 */
#ifndef TSBUILD_FUZZ_H
#define TSBUILD_FUZZ_H

#include "../src/step.h"

/* Runs `body`; false when it failed as the helper fails. Memory and descriptors of it are still there. */
bool survives(void (*body)(void *), void *argument);
/* Frees what was allocated and closes what was opened since the last call. */
void clean_slate(void);
/* Ends the run when a promise does not hold: libFuzzer keeps the input. */
void must(bool holds, const char *promise);
/* A descriptor at the start of `size` bytes. */
int bytes_fd(const void *data, size_t size);
/* An empty directory of this process, and one in it that stands for a root. Removed at the end. */
const char *fresh_directory(void);

/* Takes the input apart. */
struct input {
  const uint8_t *data;
  size_t left;
};
uint8_t next_byte(struct input *input);
/* Text up to the next 0xff byte, without NUL bytes. */
char *next_text(struct input *input);

#endif
