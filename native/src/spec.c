/*
 * The step's description: fields of a 4-byte little-endian length and as many bytes, in pairs of key and value. It comes
 * through a descriptor, so that no secret stands in an argument list or an environment. It is written by tsbuild itself;
 * checks here are against mistakes, checks against hostile images come when paths are used.
 */
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FILTER_INSTRUCTION = 8, FILTER_LIMIT = 4096 };

static void append(struct list *list, char *item) {
  /* Doubles at powers of two; one slot more for the NULL. */
  if ((list->count & (list->count - 1)) == 0) {
    size_t capacity = list->count == 0 ? 1 : list->count * 2;
    list->items = realloc(list->items, (capacity + 1) * sizeof *list->items);
    if (list->items == NULL) fail_with(ENOMEM, "cannot allocate a list");
  }
  list->items[list->count++] = item;
  list->items[list->count] = NULL;
}

static void *grow(void *array, size_t count, size_t size) {
  array = realloc(array, (count + 1) * size);
  if (array == NULL) fail_with(ENOMEM, "cannot allocate an array");
  memset((char *)array + count * size, 0, size);
  return array;
}

static void read_filter(struct filter *filter, const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("cannot open the seccomp filter \"%s\"", path);
  size_t length;
  filter->instructions = read_fd(fd, FILTER_LIMIT * FILTER_INSTRUCTION, &length);
  close(fd);
  if (length == 0 || length % FILTER_INSTRUCTION != 0) fail_with(0, "the seccomp filter \"%s\" is damaged", path);
  filter->count = length / FILTER_INSTRUCTION;
}

static void add_limit(struct step_spec *spec, char *text) {
  spec->limits = grow(spec->limits, spec->limit_count, sizeof *spec->limits);
  struct limit *limit = &spec->limits[spec->limit_count++];
  limit->resource = (int)parse_number(strsep(&text, ":"), 64);
  if (text == NULL) fail_with(0, "malformed limit");
  char *soft = strsep(&text, ":");
  if (text == NULL) fail_with(0, "malformed limit");
  limit->soft = parse_number(soft, ~0ull);
  limit->hard = parse_number(text, ~0ull);
}

static void add_mount(struct step_spec *spec, const char *kind) {
  spec->mounts = grow(spec->mounts, spec->mount_count, sizeof *spec->mounts);
  struct mount_spec *mount = &spec->mounts[spec->mount_count++];
  if (strcmp(kind, "bind") == 0) mount->kind = MOUNT_BIND;
  else if (strcmp(kind, "device") == 0) mount->kind = MOUNT_DEVICE;
  else if (strcmp(kind, "layers") == 0) mount->kind = MOUNT_LAYERS;
  else if (strcmp(kind, "tmpfs") == 0) mount->kind = MOUNT_TMPFS;
  else if (strcmp(kind, "file") == 0) mount->kind = MOUNT_FILE;
  else fail_with(0, "unknown kind of mount \"%.40s\"", kind);
}

static bool is_true(const char *value) {
  if (strcmp(value, "1") == 0) return true;
  if (strcmp(value, "0") == 0) return false;
  fail_with(0, "\"%.40s\" is neither 0 nor 1", value);
}

static bool take_mount_field(struct mount_spec *mount, const char *key, char *value, size_t length) {
  if (strcmp(key, "m.target") == 0) mount->target = value;
  else if (strcmp(key, "m.source") == 0) mount->source = value;
  else if (strcmp(key, "m.subpath") == 0) mount->subpath = value;
  else if (strcmp(key, "m.lower") == 0) append(&mount->lowers, value);
  else if (strcmp(key, "m.upper") == 0) mount->upper = value;
  else if (strcmp(key, "m.tree") == 0) mount->tree = value;
  else if (strcmp(key, "m.movable") == 0) mount->movable = is_true(value);
  else if (strcmp(key, "m.work") == 0) mount->work = value;
  else if (strcmp(key, "m.size") == 0) mount->size = value;
  else if (strcmp(key, "m.mode") == 0) mount->mode = (unsigned)parse_number(value, 07777);
  else if (strcmp(key, "m.uid") == 0) mount->uid = (unsigned)parse_number(value, 4294967294);
  else if (strcmp(key, "m.gid") == 0) mount->gid = (unsigned)parse_number(value, 4294967294);
  else if (strcmp(key, "m.fill") == 0) mount->fill = is_true(value);
  else if (strcmp(key, "m.noexec") == 0) mount->noexec = is_true(value);
  else if (strcmp(key, "m.readonly") == 0) mount->readonly = is_true(value);
  else if (strcmp(key, "m.data") == 0) mount->data = value, mount->data_length = length;
  else return false;
  return true;
}

/* What the namespaces of a step, its /proc, /dev and /sys follow from: nothing else of the step may be needed to make them. */
static bool take_surroundings(struct step_spec *spec, const char *key, char *value) {
  if (strcmp(key, "proc") == 0) spec->proc = strcmp(value, "own") == 0 ? PROC_OWN : PROC_AROUND;
  else if (strcmp(key, "hostname") == 0) spec->hostname = value;
  else if (strcmp(key, "shm-size") == 0) spec->shm_size = value;
  else if (strcmp(key, "network") == 0) spec->network = value;
  else if (strcmp(key, "private-network") == 0) spec->private_network = is_true(value);
  else if (strcmp(key, "insecure") == 0) spec->insecure = is_true(value);
  else if (strcmp(key, "host-processes") == 0) spec->host_processes = is_true(value);
  else if (strcmp(key, "pid-namespace") == 0) spec->pid_namespace = value;
  else if (strcmp(key, "user-namespace") == 0) spec->user_namespace = value;
  else if (strcmp(key, "ipc-namespace") == 0) spec->ipc_namespace = value;
  else if (strcmp(key, "host-ipc") == 0) spec->host_ipc = is_true(value);
  else if (strcmp(key, "no-ipc") == 0) spec->no_ipc = is_true(value);
  else if (strcmp(key, "host-uts") == 0) spec->host_uts = is_true(value);
  else if (strcmp(key, "unfiltered") == 0) spec->unfiltered = is_true(value);
  else if (strcmp(key, "unmasked") == 0) spec->unmasked = is_true(value);
  else if (strcmp(key, "tty") == 0) spec->tty = is_true(value);
  else if (strcmp(key, "stdin") == 0) spec->stdin_open = is_true(value);
  else if (strcmp(key, "keep-uid") == 0) spec->keep_uid = value;
  else if (strcmp(key, "keep-gid") == 0) spec->keep_gid = value;
  else if (strcmp(key, "nest") == 0) spec->nest = is_true(value);
  else if (strcmp(key, "fakes") == 0) spec->fakes = is_true(value);
  else if (strcmp(key, "shift") == 0) spec->shift = (unsigned)parse_number(value, 4294967294);
  else if (strcmp(key, "id-count") == 0) spec->id_count = (unsigned)parse_number(value, 4294967295);
  else if (strcmp(key, "seccomp") == 0) read_filter(&spec->filter, value);
  else if (strcmp(key, "emulator") == 0) spec->emulator.name = value;
  else if (strcmp(key, "e.directory") == 0) spec->emulator.directory = value;
  else if (strcmp(key, "e.interpreter") == 0) spec->emulator.interpreter = value;
  else if (strcmp(key, "e.rule") == 0) spec->emulator.rule = value;
  else if (strcmp(key, "cgroup") == 0) append(&spec->cgroups, value);
  else if (strcmp(key, "sysctl") == 0) append(&spec->sysctls, value);
  else if (strcmp(key, "place") == 0) spec->place = value;
  else return false;
  return true;
}

static bool take_field(struct step_spec *spec, const char *key, char *value) {
  if (strcmp(key, "lower") == 0) append(&spec->lowers, value);
  else if (strcmp(key, "arg") == 0) append(&spec->args, value);
  else if (strcmp(key, "env") == 0) append(&spec->env, value);
  else if (strcmp(key, "upper") == 0) spec->upper = value;
  else if (strcmp(key, "work") == 0) spec->work = value;
  else if (strcmp(key, "tree") == 0) spec->tree = value;
  else if (strcmp(key, "tree-layer") == 0) append(&spec->tree_layers, value);
  else if (strcmp(key, "aside") == 0) spec->aside = value;
  else if (strcmp(key, "tree-state") == 0) spec->tree_state = value;
  else if (strcmp(key, "keep-trees") == 0) spec->keep_trees = is_true(value);
  else if (strcmp(key, "bare") == 0) spec->bare = is_true(value);
  else if (strcmp(key, "cwd") == 0) spec->cwd = value;
  else if (strcmp(key, "user") == 0) spec->user = value;
  else if (strcmp(key, "prepare-upper") == 0) spec->prepare_upper = is_true(value);
  else if (strcmp(key, "readonly-root") == 0) spec->readonly_root = is_true(value);
  else if (strcmp(key, "no-new-privileges") == 0) spec->no_new_privileges = is_true(value);
  else if (strcmp(key, "init") == 0) spec->init = is_true(value);
  else if (strcmp(key, "discard") == 0) spec->discard = is_true(value);
  else if (strcmp(key, "hold") == 0) spec->hold = is_true(value);
  else if (strcmp(key, "process-limit") == 0) spec->process_limit = parse_number(value, 1 << 30);
  else if (strcmp(key, "capabilities") == 0) spec->capabilities = parse_number(value, ~0ull);
  else if (strcmp(key, "group") == 0) append(&spec->groups, value);
  else if (strcmp(key, "limit") == 0) add_limit(spec, value);
  else if (strcmp(key, "mount") == 0) add_mount(spec, value);
  else return false;
  return true;
}

size_t field_length(const char *at) {
  const unsigned char *bytes = (const unsigned char *)at;
  return (size_t)bytes[0] | (size_t)bytes[1] << 8 | (size_t)bytes[2] << 16 | (size_t)bytes[3] << 24;
}

char *next_field(char *data, size_t total, size_t *at, size_t *length) {
  if (total - *at < 4) fail_with(0, "the description is cut off");
  *length = field_length(data + *at);
  *at += 4;
  if (*length > total - *at) fail_with(0, "the description is cut off");
  char *field = allocate(*length + 1);
  memcpy(field, data + *at, *length);
  *at += *length;
  return field;
}

size_t surroundings_length(const char *data, size_t total) {
  static const char mark[] = "step";
  for (size_t at = 0; total - at >= 4;) {
    const char *key = data + at + 4;
    size_t key_length = field_length(data + at);
    if (key_length > total - at - 4) return 0;
    at += 4 + key_length;
    if (total - at < 4 || field_length(data + at) > total - at - 4) return 0;
    at += 4 + field_length(data + at);
    if (key_length == sizeof mark - 1 && memcmp(key, mark, key_length) == 0) return at;
  }
  return 0;
}

/* The process that opens the sources need not be the one that mounts them: both see these numbers. */
static void share_descriptors(struct step_spec *spec, int *numbers) {
  size_t count = 3 + spec->lowers.count;
  for (size_t at = 0; at < spec->mount_count; at++) count += 3 + spec->mounts[at].lowers.count;
  int *next = numbers != NULL ? numbers : mmap(NULL, count * sizeof *next, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (next == MAP_FAILED) fail("cannot allocate shared memory");
  if (numbers == NULL) memset(next, -1, count * sizeof *next);
  spec->upper_fd = next++;
  spec->work_fd = next++;
  spec->tree_fd = next++;
  spec->lower_fds = next;
  next += spec->lowers.count;
  for (size_t at = 0; at < spec->mount_count; at++) {
    struct mount_spec *mount = &spec->mounts[at];
    mount->source_fd = next++;
    mount->upper_fd = next++;
    mount->work_fd = next++;
    mount->lower_fds = next;
    next += mount->lowers.count;
  }
}

void parse_spec(struct step_spec *spec, int fd) {
  stage = "spec";
  size_t total;
  char *data = read_fd(fd, SPEC_LIMIT, &total);
  parse_description(spec, data, total);
  free(data);
}

static void complete_surroundings(struct step_spec *spec) {
  if (spec->insecure) spec->unfiltered = spec->unmasked = true;
  if (spec->hostname == NULL || spec->shm_size == NULL || spec->id_count == 0) fail_with(0, "the description is incomplete");
  if ((spec->pid_namespace == NULL) != (spec->user_namespace == NULL)) fail_with(0, "a pid namespace without its user namespace");
}

size_t parse_surroundings(struct step_spec *spec, char *data, size_t total) {
  stage = "spec";
  size_t at = 0, end = surroundings_length(data, total);
  while (at < end) {
    size_t key_length, length;
    char *key = next_field(data, end, &at, &key_length), *value = next_field(data, end, &at, &length);
    if (strlen(key) != key_length || strlen(value) != length) fail_with(0, "a NUL byte in \"%.40s\"", key);
    if (at < end && !take_surroundings(spec, key, value)) fail_with(0, "unknown key \"%.40s\"", key);
  }
  if (end > 0) complete_surroundings(spec);
  return end;
}

void parse_rest(struct step_spec *spec, char *data, size_t total, size_t at, int *numbers) {
  stage = "spec";
  bool all = at == 0;
  spec->fakes_socket = -1;
  for (;;) {
    size_t key_length, length;
    char *key = next_field(data, total, &at, &key_length);
    if (strcmp(key, "end") == 0) break;
    char *value = next_field(data, total, &at, &length);
    bool binary = strcmp(key, "m.data") == 0;
    if (strlen(key) != key_length || (!binary && strlen(value) != length)) fail_with(0, "a NUL byte in \"%.40s\"", key);
    if (spec->mount_count > 0 && take_mount_field(&spec->mounts[spec->mount_count - 1], key, value, length)) continue;
    if (take_field(spec, key, value) || (all && take_surroundings(spec, key, value))) continue;
    fail_with(0, "unknown key \"%.40s\"", key);
  }
  complete_surroundings(spec);
  if (spec->upper == NULL || spec->work == NULL || spec->args.count == 0 || spec->cwd == NULL || spec->user == NULL)
    fail_with(0, "the description is incomplete");
  if (spec->filter.count == 0 && !spec->unfiltered) fail_with(0, "a step without a seccomp filter must be said to have none");
  for (size_t index = 0; index < spec->mount_count; index++)
    if (spec->mounts[index].target == NULL) fail_with(0, "a mount without a target");
  if (spec->tree != NULL && spec->tree_state == NULL) fail_with(0, "a tree without a state");
  if (spec->bare && (spec->tree == NULL || spec->aside == NULL)) fail_with(0, "a step without namespaces must have a tree");
  for (size_t index = 0; index < spec->mount_count; index++)
    if ((spec->mounts[index].tree != NULL) != (spec->tree != NULL && spec->mounts[index].kind == MOUNT_LAYERS))
      fail_with(0, "trees for some stacks only");
  share_descriptors(spec, numbers);
}

void parse_description(struct step_spec *spec, char *data, size_t total) {
  parse_rest(spec, data, total, parse_surroundings(spec, data, total), NULL);
}
