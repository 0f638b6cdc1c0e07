/* USER against hostile /etc/passwd and /etc/group (user.c): whoever is found has ids that are mapped. */
#include "harness.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <string.h>

enum { ID_COUNT = 65536 };

struct question {
  int root;
  const char *user;
};

static void find(void *argument) {
  const struct question *question = argument;
  struct identity identity = find_identity(question->root, question->user, ID_COUNT);
  struct list more = {.items = (char *[]){"0", "7"}, .count = 2};
  add_groups(&identity, question->root, &more, ID_COUNT);
  must(identity.uid < ID_COUNT && identity.gid < ID_COUNT, "ids are mapped");
  must(identity.home[0] == '/' && strlen(identity.home) < 1u << 20, "the home directory is absolute");
  bool primary = false;
  for (size_t at = 0; at < identity.group_count; at++) {
    must(identity.groups[at] < ID_COUNT, "groups are mapped");
    for (size_t before = 0; before < at; before++) must(identity.groups[at] != identity.groups[before], "no group is named twice");
    primary |= identity.groups[at] == identity.gid;
  }
  must(primary, "the primary group is among the groups");
}

static void write_file(int root, const char *path, const uint8_t *data, size_t size) {
  int fd = openat(root, path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);
  must(fd >= 0 && write(fd, data, size) == (ssize_t)size, "a file can be written");
  close(fd);
}

/* Up to the next 0xff. */
static size_t part(struct input *input, const uint8_t **start) {
  *start = input->data;
  const uint8_t *end = input->left > 0 ? memchr(input->data, 0xff, input->left) : NULL;
  size_t length = end == NULL ? input->left : (size_t)(end - input->data);
  input->data += length;
  input->left -= length;
  if (input->left > 0) input->data++, input->left--;
  return length;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static int root = -1;
  if (root < 0) {
    root = open(fresh_directory(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    must(mkdirat(root, "etc", 0755) == 0, "etc can be made");
  }
  struct input input = {data, size};
  const uint8_t *passwd, *group;
  char *user = next_text(&input);
  size_t passwd_size = part(&input, &passwd), group_size = part(&input, &group);
  write_file(root, "etc/passwd", passwd, passwd_size);
  write_file(root, "etc/group", group, group_size);
  survives(find, &(struct question){root, user});
  clean_slate();
  return 0;
}
