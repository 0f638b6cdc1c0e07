/*
 * USER and supplementary groups. The rules are those of runc and BuildKit, except that numbers out of range in the image's files
 * make a line invalid instead of wrapping (CVE-2024-40635), and that only regular files of bounded size are read
 * (CVE-2024-9676, GHSA-7236-3392-c5c6).
 */
#include "step.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_LIMIT = 10 << 20, GROUP_LIMIT = 65536 };
#define MAX_ID 2147483647u

/* A canonical decimal number up to MAX_ID: no sign, no space, no leading zero. */
static bool parse_id(const char *text, unsigned *id) {
  unsigned long long value = 0;
  if (text == NULL || *text == 0 || (text[0] == '0' && text[1] != 0)) return false;
  for (; *text != 0; text++) {
    if (*text < '0' || *text > '9') return false;
    value = value * 10 + (unsigned)(*text - '0');
    if (value > MAX_ID) return false;
  }
  *id = (unsigned)value;
  return true;
}

static bool looks_numeric(const char *text) {
  return *text != 0 && strspn(text, "0123456789+-") == strlen(text);
}

/* The whole of /etc/passwd or /etc/group; empty when missing. `reason` says why a file was not read. */
static char *read_user_file(int root, const char *path, const char **reason) {
  *reason = NULL;
  int fd = sys_openat2(root, path, O_PATH, 0, RESOLVE_IN_ROOT_ | RESOLVE_NO_MAGICLINKS_ | RESOLVE_NO_XDEV_);
  if (fd < 0) {
    if (errno != ENOENT && errno != ENOTDIR) *reason = strerror(errno);
    return format_text("%s", "");
  }
  struct stat info;
  char reopen[40], *data = NULL;
  size_t length;
  if (fstat(fd, &info) < 0) fail("cannot stat %s", path);
  if (!S_ISREG(info.st_mode)) *reason = "it is not a regular file";
  else if (info.st_size > FILE_LIMIT) *reason = "it is larger than 10 MiB";
  else {
    snprintf(reopen, sizeof reopen, "/proc/self/fd/%d", fd);
    int readable = open(reopen, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (readable < 0) fail("cannot open %s", path);
    data = read_fd(readable, FILE_LIMIT, &length);
    close(readable);
    /* A NUL must not hide the lines behind it from this program alone. */
    for (size_t at = 0; at < length; at++)
      if (data[at] == 0) data[at] = '?';
  }
  close(fd);
  return data == NULL ? format_text("%s", "") : data;
}

/* Splits the next line of `rest` at colons. Gives false at the end; missing fields are empty. */
static bool next_line(char **rest, char **fields, size_t count) {
  char *line;
  do {
    if (*rest == NULL || **rest == 0) return false;
    line = strsep(rest, "\n");
    line += strspn(line, " \t\r");
  } while (*line == 0 || *line == '#');
  for (size_t at = 0; at < count; at++) {
    fields[at] = line == NULL ? "" : at + 1 == count ? line : strsep(&line, ":");
    if (at + 1 < count && fields[at] == NULL) fields[at] = "";
  }
  return true;
}

struct account {
  bool found;
  char *name, *home;
  unsigned uid, gid;
};

/* The first entry with this name, or with this id when `name` is NULL. */
static struct account find_account(char *passwd, const char *name, unsigned id) {
  char *fields[7];
  for (char *rest = passwd; next_line(&rest, fields, 7);) {
    struct account account = {true, fields[0], fields[5], 0, 0};
    if (!parse_id(fields[2], &account.uid) || !parse_id(fields[3], &account.gid)) continue;
    if (name == NULL ? account.uid == id : strcmp(fields[0], name) == 0) return account;
  }
  return (struct account){0};
}

static bool find_group(char *group, const char *name, unsigned *gid) {
  char *fields[4];
  for (char *rest = group; next_line(&rest, fields, 4);)
    if (strcmp(fields[0], name) == 0 && parse_id(fields[2], gid)) return true;
  return false;
}

static bool is_member(char *members, const char *name) {
  char *member;
  while ((member = strsep(&members, ", \r")) != NULL)
    if (strcmp(member, name) == 0) return true;
  return false;
}

static void add_group(struct identity *identity, gid_t gid) {
  for (size_t at = 0; at < identity->group_count; at++)
    if (identity->groups[at] == gid) return;
  if (identity->group_count == GROUP_LIMIT) fail_with(0, "the user is in more than 65536 groups");
  if ((identity->group_count & (identity->group_count - 1)) == 0) {
    size_t capacity = identity->group_count == 0 ? 1 : identity->group_count * 2;
    identity->groups = realloc(identity->groups, capacity * sizeof *identity->groups);
    if (identity->groups == NULL) fail_with(ENOMEM, "cannot allocate groups");
  }
  identity->groups[identity->group_count++] = gid;
}

static void add_memberships(struct identity *identity, char *group, const char *name, unsigned id_count) {
  char *fields[4];
  unsigned gid;
  for (char *rest = group; next_line(&rest, fields, 4);)
    if (parse_id(fields[2], &gid) && gid < id_count && is_member(fields[3], name)) add_group(identity, gid);
}

static void check_range(const char *what, const char *name, unsigned id, unsigned id_count) {
  if (id >= id_count) fail_with(0, "%s \"%.100s\" has id %u, but only ids up to %u are mapped", what, name, id, id_count - 1);
}

struct identity find_identity(int root, const char *user, unsigned id_count) {
  stage = "user";
  struct identity identity = {.home = "/"};
  char *copy = format_text("%s", user), *group_name = strchr(copy, ':');
  if (group_name != NULL) *group_name++ = 0;
  const char *name = *copy == 0 ? "0" : copy, *reason;
  unsigned id = 0;
  bool numeric = parse_id(name, &id);
  if (!numeric && looks_numeric(name)) fail_with(0, "user \"%.100s\" is not an id from 0 to %u", name, MAX_ID);

  char *passwd = read_user_file(root, "etc/passwd", &reason);
  struct account account = find_account(passwd, numeric ? NULL : name, id);
  if (!account.found && !numeric) {
    if (reason != NULL) fail_with(0, "user \"%.100s\" cannot be looked up in the image's /etc/passwd: %s", name, reason);
    fail_with(0, "user \"%.100s\" is not in the image's /etc/passwd", name);
  }
  identity.uid = account.found ? account.uid : id;
  identity.gid = account.found ? account.gid : 0;
  if (account.found && account.home[0] == '/') identity.home = account.home;
  check_range("user", name, identity.uid, id_count);

  char *group = read_user_file(root, "etc/group", &reason);
  if (group_name != NULL && *group_name != 0) {
    unsigned gid;
    if (!parse_id(group_name, &gid)) {
      if (looks_numeric(group_name)) fail_with(0, "group \"%.100s\" is not an id from 0 to %u", group_name, MAX_ID);
      if (reason != NULL) fail_with(0, "group \"%.100s\" cannot be looked up in the image's /etc/group: %s", group_name, reason);
      if (!find_group(group, group_name, &gid)) fail_with(0, "group \"%.100s\" is not in the image's /etc/group", group_name);
    }
    identity.gid = gid;
  }
  check_range("group", group_name == NULL ? name : group_name, identity.gid, id_count);
  /* The primary group is among the supplementary ones too, else a program could shed it (CVE-2023-25173). */
  add_group(&identity, identity.gid);
  if (account.found && (group_name == NULL || *group_name == 0)) add_memberships(&identity, group, account.name, id_count);
  return identity;
}

void add_groups(struct identity *identity, int root, const struct list *groups, unsigned id_count) {
  stage = "user";
  for (size_t at = 0; at < groups->count; at++) {
    const char *name = groups->items[at], *reason;
    unsigned gid;
    if (!parse_id(name, &gid)) {
      /* Read anew for each: its lines are cut up where they are. */
      char *group = read_user_file(root, "etc/group", &reason);
      if (looks_numeric(name)) fail_with(0, "additional group %.100s is not an id from 0 to %u", name, MAX_ID);
      if (reason != NULL) fail_with(0, "additional group \"%.100s\" cannot be looked up in the image's /etc/group: %s", name, reason);
      if (!find_group(group, name, &gid)) fail_with(0, "additional group \"%.100s\" is not in the image's /etc/group", name);
    }
    check_range("additional group", name, gid, id_count);
    add_group(identity, gid);
  }
}
