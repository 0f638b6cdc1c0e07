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

/* What the last step on this tree has left, unless layers came on top of it. It is good for one step. */
static struct remembered *known_state(const struct step_spec *spec) {
  int file = open(spec->tree_state, O_RDONLY | O_CLOEXEC);
  if (file < 0) return NULL;
  if (unlink(spec->tree_state) < 0) fail("cannot remove \"%s\"", spec->tree_state);
  if (spec->tree_layers.count == 0) return read_remembered(file);
  close(file);
  return NULL;
}

static void keep_state(const struct step_spec *spec, const struct remembered *now) {
  int file = open(spec->tree_state, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0) fail("cannot make \"%s\"", spec->tree_state);
  write_remembered(now, file);
}

void prepare_trees(struct step_spec *spec) {
  stage = "tree";
  struct rlimit limit = raise_descriptor_limit();
  int root = make_tree(spec->tree, spec->shift);
  apply_layers(&spec->tree_layers, root);
  if (!spec->keep_trees && (spec->before = known_state(spec)) == NULL) spec->before = remember_tree(root);
  close(root);
  for (size_t at = 0; at < spec->mount_count; at++) {
    struct mount_spec *mount = &spec->mounts[at];
    if (mount->tree == NULL) continue;
    int tree = make_tree(mount->tree, spec->shift);
    apply_layers(&mount->lowers, tree);
    if (!spec->keep_trees && mount->upper != NULL) mount->before = remember_tree(tree);
    close(tree);
  }
  setrlimit(RLIMIT_NOFILE, &limit);
}

static struct remembered *capture(struct remembered *before, const char *tree, const char *upper) {
  int from = open_path(tree), to = open_path(upper);
  struct remembered *now = capture_changes(before, from, to);
  close(from);
  close(to);
  return now;
}

void finish_trees(struct step_spec *spec, struct stubs *stubs) {
  raise_descriptor_limit();
  int root = open_path(spec->tree);
  remove_stubs(root, stubs);
  close(root);
  if (spec->keep_trees) return;
  stage = "capture";
  const struct remembered *now = capture(spec->before, spec->tree, spec->upper);
  if (now != NULL) keep_state(spec, now);
  for (size_t at = 0; at < spec->mount_count; at++) {
    struct mount_spec *mount = &spec->mounts[at];
    if (mount->tree == NULL) continue;
    if (mount->before != NULL) capture(mount->before, mount->tree, mount->upper);
    remove_tree(mount->tree);
  }
}
