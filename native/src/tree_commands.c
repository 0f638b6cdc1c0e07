/*
 * assemble and capture: what the worker has in place of an overlay that it writes to. Between the two, a file has what the tree looked like.
 */
#include "copies.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int open_path(const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail("cannot open directory \"%s\"", path);
  return fd;
}

/* assemble TREE STATE: puts the layers whose paths come on standard input, bottom first and each ended by a NUL, into an empty directory. */
int command_assemble(int argc, char **argv) {
  stage = "assemble";
  if (argc != 2) fail_with(0, "incomplete arguments");
  raise_descriptor_limit();
  size_t length;
  char *paths = read_fd(STDIN_FILENO, 64 << 20, &length);
  int tree = open_path(argv[0]);
  for (char *path = paths; path < paths + length; path += strlen(path) + 1) {
    int layer = open_path(path);
    apply_layer(layer, tree);
    close(layer);
  }
  int state = open(argv[1], O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (state < 0) fail("cannot make \"%s\"", argv[1]);
  write_remembered(remember_tree(tree), state);
  return 0;
}

/* capture TREE STATE UPPER: writes what has changed in the tree since into an upper directory. */
int command_capture(int argc, char **argv) {
  stage = "capture";
  if (argc != 3) fail_with(0, "incomplete arguments");
  raise_descriptor_limit();
  int state = open(argv[1], O_RDONLY | O_CLOEXEC);
  if (state < 0) fail("cannot open \"%s\"", argv[1]);
  struct remembered *before = read_remembered(state);
  capture_changes(before, open_path(argv[0]), open_path(argv[2]));
  return 0;
}
