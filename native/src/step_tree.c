/* The trees of one step: made before it, compared after it. By the outer half, which has namespace A's rights over all files. */
#include "copies.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int open_path(const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) fail("cannot open directory \"%s\"", path);
  return fd;
}

/* A new tree looks like one without layers: a root directory that belongs to the step's root. */
static int make_tree(const char *path, unsigned shift) {
  if (mkdir(path, 0755) < 0) {
    if (errno != EEXIST) fail("cannot make directory \"%s\"", path);
    return open_path(path);
  }
  int fd = open_path(path);
  if (fchmod(fd, 0755) < 0 || (shift > 0 && fchown(fd, shift, shift) < 0)) fail("cannot prepare directory \"%s\"", path);
  return fd;
}

static void apply_layers(const struct list *layers, int tree) {
  for (size_t at = 0; at < layers->count; at++) {
    int layer = open_path(layers->items[at]);
    apply_layer(layer, tree);
    close(layer);
  }
}

void prepare_trees(struct step_spec *spec) {
  stage = "tree";
  struct rlimit limit = raise_descriptor_limit();
  int root = make_tree(spec->tree, spec->shift);
  apply_layers(&spec->tree_layers, root);
  spec->before = remember_tree(root);
  close(root);
  for (size_t at = 0; at < spec->mount_count; at++) {
    struct mount_spec *mount = &spec->mounts[at];
    if (mount->tree == NULL) continue;
    int tree = make_tree(mount->tree, spec->shift);
    apply_layers(&mount->lowers, tree);
    if (mount->upper != NULL) mount->before = remember_tree(tree);
    close(tree);
  }
  setrlimit(RLIMIT_NOFILE, &limit);
}

static void capture(struct remembered *before, const char *tree, const char *upper) {
  int from = open_path(tree), to = open_path(upper);
  capture_changes(before, from, to);
  close(from);
  close(to);
}

void finish_trees(struct step_spec *spec, struct stubs *stubs) {
  raise_descriptor_limit();
  int root = open_path(spec->tree);
  remove_stubs(root, stubs);
  close(root);
  stage = "capture";
  capture(spec->before, spec->tree, spec->upper);
  for (size_t at = 0; at < spec->mount_count; at++) {
    struct mount_spec *mount = &spec->mounts[at];
    if (mount->tree == NULL) continue;
    if (mount->before != NULL) capture(mount->before, mount->tree, mount->upper);
    remove_tree(mount->tree);
  }
}
