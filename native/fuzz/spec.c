/* The reader of a step's description (spec.c): no bytes make it read or write where it must not, and what it accepts is whole. */
#include "harness.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check_list(const struct list *list) {
  for (size_t at = 0; at < list->count; at++) must(list->items[at] != NULL && strlen(list->items[at]) < 1u << 20, "items are texts");
  must(list->count == 0 || list->items[list->count] == NULL, "a list ends with NULL");
}

static void parse(void *argument) {
  struct step_spec *spec = argument;
  parse_spec(spec, 0);
  check_list(&spec->lowers);
  check_list(&spec->args);
  check_list(&spec->env);
  must(spec->args.count > 0 && spec->cwd != NULL && spec->user != NULL && spec->id_count > 0, "nothing is missing");
  must(spec->filter.count > 0 || spec->insecure, "a step without a filter is insecure");
  for (size_t at = 0; at < spec->mount_count; at++) {
    const struct mount_spec *mount = &spec->mounts[at];
    check_list(&mount->lowers);
    must(mount->target != NULL && *mount->source_fd == -1 && *mount->upper_fd == -1, "mounts have targets and numbers");
    for (size_t lower = 0; lower < mount->lowers.count; lower++) must(mount->lower_fds[lower] == -1, "lower directories have numbers");
    unsigned sum = 0;
    for (size_t byte = 0; byte < mount->data_length; byte++) sum += (unsigned char)mount->data[byte];
    must(mount->data_length == 0 || sum <= 255u * mount->data_length, "data is as long as it says");
  }
}

/* Fields are divided by 0xff, so that lengths need not be guessed. The second byte counts how much of the end is cut off. */
static size_t encode(const uint8_t *data, size_t size, uint8_t *out) {
  size_t used = 0;
  for (size_t start = 0; start <= size;) {
    const uint8_t *end = start < size ? memchr(data + start, 0xff, size - start) : NULL;
    size_t length = end == NULL ? size - start : (size_t)(end - (data + start));
    for (int shift = 0; shift < 32; shift += 8) out[used++] = (uint8_t)(length >> shift);
    if (length > 0) memcpy(out + used, data + start, length);
    used += length;
    start += length + 1;
  }
  return used;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2 || size > 1 << 16) return 0;
  uint8_t *bytes = malloc(size * 5 + 8);
  size_t length = 0;
  if (data[0] & 1) length = encode(data + 2, size - 2, bytes);
  else memcpy(bytes, data + 2, length = size - 2);
  if (data[1] < length && (data[0] & 2)) length -= data[1];
  /* parse_spec may name files to read (seccomp): only what it is given on descriptor 0 plays a part here. */
  int input = bytes_fd(bytes, length);
  dup2(input, 0);
  close(input);
  struct step_spec spec = {0};
  survives(parse, &spec);
  clean_slate();
  return 0;
}
