/*
 * States and contents of many files at once, for Node: what a build asks of a context, where a call for each file takes several times as
 * long as the kernel does; and the few calls for which Node or we would load modules that take longer than all else: what a build from the
 * cache ends with (naming and locking a file, random bytes, SHA-256), and starting the helper of a container. An add-on by Node-API, whose functions and libc's come from the program that loads it: one file for glibc and
 * musl. It decides nothing: what it cannot do in the plainest way it leaves to its caller, who looks again and finds out why.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of node_api.h, whose binary interface is stable. */
typedef struct napi_env__ *napi_env;
typedef struct napi_value__ *napi_value;
typedef struct napi_callback_info__ *napi_callback_info;
typedef napi_value (*napi_callback)(napi_env, napi_callback_info);
extern int napi_get_cb_info(napi_env, napi_callback_info, size_t *, napi_value *, napi_value *, void **);
extern int napi_get_value_int32(napi_env, napi_value, int32_t *);
extern int napi_get_typedarray_info(napi_env, napi_value, int *, size_t *, void **, napi_value *, size_t *);
extern int napi_create_int32(napi_env, int32_t, napi_value *);
extern int napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);
extern int napi_set_named_property(napi_env, napi_value, const char *, napi_value);
extern int napi_throw_type_error(napi_env, const char *, const char *);

enum {
  NAPI_INT32_ARRAY = 5,
  NAPI_UINT32_ARRAY = 6,
  NAPI_UINT8_ARRAY = 1,
  AT_ITSELF = 0x1000, /* AT_EMPTY_PATH */
  BASIC_STATS = 0x7ff,
  /* Numbers of 32 bits in a row, see src/sys/stat.ts. */
  WORDS = 16,
  /* Bytes that a hash under way takes at most: OpenSSL's SHA256_CTX has 112. */
  HASH_STATE = 256,
  HASH_BYTES = 32,
};

/* OpenSSL, which Node has in itself or is linked with, and hands to add-ons; NULL where it does not. Each gives 1 when it is done. */
extern int SHA256_Init(void *) __attribute__((weak));
extern int SHA256_Update(void *, const void *, size_t) __attribute__((weak));
extern int SHA256_Final(unsigned char *, void *) __attribute__((weak));

struct span {
  void *data;
  size_t length; /* elements */
};

static bool array_of(napi_env env, napi_value value, int type, struct span *span) {
  int found;
  napi_value buffer;
  size_t offset;
  return napi_get_typedarray_info(env, value, &found, &span->length, &span->data, &buffer, &offset) == 0 && found == type;
}

static napi_value number(napi_env env, int32_t value) {
  napi_value result = NULL;
  napi_create_int32(env, value, &result);
  return result;
}

static napi_value refuse(napi_env env) {
  napi_throw_type_error(env, NULL, "Not the arguments of this function");
  return NULL;
}

/* Puts the state of a file into a row. With an empty path, of the descriptor. False with errno where that fails. */
static bool look(int dir, const char *path, uint32_t row[WORDS]) {
  /* struct statx of linux/stat.h */
  uint32_t at[64];
  if (syscall(SYS_statx, dir, path, AT_SYMLINK_NOFOLLOW | (*path == 0 ? AT_ITSELF : 0), BASIC_STATS, at) < 0) return false;
  row[0] = at[7] & 0xffff;                           /* mode */
  row[1] = at[10], row[2] = at[11];                  /* size */
  row[3] = at[28], row[4] = at[29], row[5] = at[30]; /* mtime */
  row[6] = at[24], row[7] = at[25], row[8] = at[26]; /* ctime */
  row[9] = at[8], row[10] = at[9];                   /* inode */
  row[11] = at[34], row[12] = at[35];                /* device */
  row[13] = at[4], row[14] = at[5];                  /* names, owner */
  row[15] = 0;
  return true;
}

/*
 * look(dirfd, names, rows): names are ended by NUL each; as many rows are filled as there is room for, with zeros for what is not there.
 * Gives 0, or the errno of the first other failure.
 */
static napi_value look_all(napi_env env, napi_callback_info info) {
  size_t argc = 3;
  napi_value argv[3];
  int32_t dir;
  struct span names, rows;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != 0 || argc != 3 || napi_get_value_int32(env, argv[0], &dir) != 0 ||
      !array_of(env, argv[1], NAPI_UINT8_ARRAY, &names) || !array_of(env, argv[2], NAPI_UINT32_ARRAY, &rows))
    return refuse(env);
  const char *name = names.data, *end = name + names.length;
  uint32_t *row = rows.data;
  for (size_t left = rows.length / WORDS; left > 0; left--, row += WORDS) {
    size_t length = strnlen(name, (size_t)(end - name));
    /* An empty name would be the directory itself. */
    if (length == 0 || name + length == end) return refuse(env);
    if (!look(dir, name, row)) {
      if (errno != ENOENT && errno != ENOTDIR) return number(env, errno);
      memset(row, 0, WORDS * sizeof *row);
    }
    name += length + 1;
  }
  return number(env, 0);
}

/* Bytes of a file in that state, without extended attributes that count; -1 for any other, and for one that there is no room for. */
static int32_t read_one(const char *path, const uint32_t expected[WORDS], unsigned char *room, size_t size) {
  uint32_t now[WORDS];
  if (expected[2] != 0 || expected[1] >= size) return -1;
  int fd = openat(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t got = -1;
  if (look(fd, "", now) && memcmp(now, expected, sizeof now) == 0) {
    /* One byte more than there should be, so that one that grew is not taken for whole. */
    got = read(fd, room, expected[1] + 1);
    if (got != (ssize_t)expected[1]) got = -1;
    else if (syscall(SYS_fgetxattr, fd, "security.capability", NULL, 0) >= 0 || (errno != ENODATA && errno != EOPNOTSUPP)) got = -1;
    else if (!look(fd, "", now) || memcmp(now, expected, sizeof now) != 0) got = -1;
  }
  close(fd);
  return (int32_t)got;
}

/*
 * read(paths, rows, room, lengths): contents of regular files, one after the other in `room`, each as long as `lengths` says or, where
 * that is -1, left out. Paths are ended by NUL each, rows are the states that the files must have before and after. Gives the number of
 * files that were looked at: fewer than there are lengths where the next might not fit.
 */
static napi_value read_all(napi_env env, napi_callback_info info) {
  size_t argc = 4;
  napi_value argv[4];
  struct span paths, rows, room, lengths;
  if (napi_get_cb_info(env, info, &argc, argv, NULL, NULL) != 0 || argc != 4 ||
      !array_of(env, argv[0], NAPI_UINT8_ARRAY, &paths) || !array_of(env, argv[1], NAPI_UINT32_ARRAY, &rows) ||
      !array_of(env, argv[2], NAPI_UINT8_ARRAY, &room) || !array_of(env, argv[3], NAPI_INT32_ARRAY, &lengths) ||
      rows.length < lengths.length * WORDS)
    return refuse(env);
  const char *path = paths.data, *end = path + paths.length;
  const uint32_t *row = rows.data;
  size_t used = 0;
  for (size_t at = 0; at < lengths.length; at++, row += WORDS) {
    size_t length = strnlen(path, (size_t)(end - path));
    if (path + length == end) return refuse(env);
    /* In a fresh room it is left out; in this one others are in its way. */
    if (used > 0 && row[2] == 0 && row[1] >= room.length - used) return number(env, (int32_t)at);
    int32_t got = read_one(path, row, (unsigned char *)room.data + used, room.length - used);
    ((int32_t *)lengths.data)[at] = got;
    if (got > 0) used += (size_t)got;
    path += length + 1;
  }
  return number(env, (int32_t)lengths.length);
}

/* The arguments of a function that takes so many. */
static bool arguments(napi_env env, napi_callback_info info, size_t wanted, napi_value argv[]) {
  size_t argc = wanted;
  return napi_get_cb_info(env, info, &argc, argv, NULL, NULL) == 0 && argc == wanted;
}

/* name(fd, path): gives a file that has no name one that nothing has. The path is ended by NUL. Gives 0 or the errno. */
static napi_value name_file(napi_env env, napi_callback_info info) {
  napi_value argv[2];
  int32_t fd;
  struct span path;
  if (!arguments(env, info, 2, argv) || napi_get_value_int32(env, argv[0], &fd) != 0 || !array_of(env, argv[1], NAPI_UINT8_ARRAY, &path) ||
      path.length == 0 || strnlen(path.data, path.length) != path.length - 1)
    return refuse(env);
  char self[40];
  snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
  return number(env, linkat(AT_FDCWD, self, AT_FDCWD, path.data, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno);
}

/* lock(fd): takes the exclusive lock of an open file if nobody has it. Gives 0 or the errno. */
static napi_value lock_file(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int32_t fd;
  if (!arguments(env, info, 1, argv) || napi_get_value_int32(env, argv[0], &fd) != 0) return refuse(env);
  return number(env, flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : errno);
}

/* random(bytes): fills at most 256 with what nobody can guess; so many come whole. Gives 0 or the errno. */
static napi_value fill_random(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  struct span bytes;
  if (!arguments(env, info, 1, argv) || !array_of(env, argv[0], NAPI_UINT8_ARRAY, &bytes) || bytes.length > 256) return refuse(env);
  long got = syscall(SYS_getrandom, bytes.data, bytes.length, 0);
  return number(env, got == (long)bytes.length ? 0 : got < 0 ? errno : EIO);
}

/* The state of a hash, which JavaScript keeps, and with `more` a second array. */
static bool hash_arguments(napi_env env, napi_callback_info info, struct span *state, struct span *more) {
  napi_value argv[2];
  return arguments(env, info, more == NULL ? 1 : 2, argv) && array_of(env, argv[0], NAPI_UINT8_ARRAY, state) &&
         state->length == HASH_STATE && (more == NULL || array_of(env, argv[1], NAPI_UINT8_ARRAY, more));
}

/* hashInit(state), hashUpdate(state, bytes), hashFinal(state, digest): SHA-256. Each gives 0, or EIO where OpenSSL does not do it. */
static napi_value hash_init(napi_env env, napi_callback_info info) {
  struct span state;
  if (!hash_arguments(env, info, &state, NULL)) return refuse(env);
  return number(env, SHA256_Init(state.data) == 1 ? 0 : EIO);
}

static napi_value hash_update(napi_env env, napi_callback_info info) {
  struct span state, bytes;
  if (!hash_arguments(env, info, &state, &bytes)) return refuse(env);
  return number(env, bytes.length == 0 || SHA256_Update(state.data, bytes.data, bytes.length) == 1 ? 0 : EIO);
}

static napi_value hash_final(napi_env env, napi_callback_info info) {
  struct span state, digest;
  if (!hash_arguments(env, info, &state, &digest) || digest.length != HASH_BYTES) return refuse(env);
  return number(env, SHA256_Final(digest.data, state.data) == 1 ? 0 : EIO);
}

enum {
  MOST_WORDS = 256,
  KERNEL_SIGNALS = 64,
  /* Above all numbers that a program is given. */
  ABOVE = 16,
};

/* rt_sigaction(2) and rt_sigprocmask(2) themselves: libraries lay out their own forms in their own ways. */
struct kernel_action {
  void *handler;
  unsigned long flags;
  void *restorer;
  uint64_t mask;
};

/* Between vfork and execve, in memory that is the caller's: signals as a new program expects them, and `fds` as 0 and so on. Gives errno. */
static int become(char *words[], int fds[], int count) {
  static char *nothing[] = {NULL};
  const struct kernel_action as_ever = {0};
  const uint64_t none = 0;
  for (int signal = 1; signal <= KERNEL_SIGNALS; signal++) syscall(SYS_rt_sigaction, signal, &as_ever, NULL, sizeof none);
  /* Of its own: signals of the terminal are not for it. */
  setsid();
  for (int at = 0; at < count; at++)
    if ((fds[at] = fcntl(fds[at], F_DUPFD_CLOEXEC, ABOVE)) < 0) return errno;
  for (int at = 0; at < count; at++)
    if (dup2(fds[at], at) < 0) return errno;
  syscall(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &none, NULL, sizeof none);
  execve(words[0], words, nothing);
  return errno;
}

/*
 * start(words, streams, started): executes the first word, a path, with all of them as arguments, without an environment and in a session of
 * its own. Words are ended by NUL each; `streams` are its standard streams. It reads at 3 and writes at 4. `started` is told its process, and
 * the other ends of these two. By vfork: what fork copies of Node takes some ms, and as long again page by page while the copy is there.
 * Gives 0 or the errno.
 */
static napi_value start_program(napi_env env, napi_callback_info info) {
  napi_value argv[3];
  struct span words, streams, started;
  if (!arguments(env, info, 3, argv) || !array_of(env, argv[0], NAPI_UINT8_ARRAY, &words) ||
      !array_of(env, argv[1], NAPI_INT32_ARRAY, &streams) || streams.length != 3 || !array_of(env, argv[2], NAPI_INT32_ARRAY, &started) ||
      started.length != 3 || words.length == 0 || ((char *)words.data)[words.length - 1] != 0)
    return refuse(env);
  char *list[MOST_WORDS + 1];
  size_t count = 0;
  for (char *word = words.data, *end = word + words.length; word < end; word += strlen(word) + 1) {
    if (count == MOST_WORDS) return number(env, E2BIG);
    list[count++] = word;
  }
  list[count] = NULL;
  int to[2], from[2];
  if (pipe2(to, O_CLOEXEC) < 0) return number(env, errno);
  if (pipe2(from, O_CLOEXEC) < 0) {
    int failed = errno;
    close(to[0]), close(to[1]);
    return number(env, failed);
  }
  const int32_t *given = streams.data;
  int fds[] = {given[0], given[1], given[2], to[0], from[1]};
  /* A handler of Node's must not run in the child, which has Node's memory. */
  const uint64_t all = ~(uint64_t)0;
  uint64_t before;
  syscall(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &all, &before, sizeof all);
  volatile int failed = 0;
  pid_t child = vfork();
  if (child == 0) {
    failed = become(list, fds, sizeof fds / sizeof *fds);
    _exit(127);
  }
  if (child < 0) failed = errno;
  syscall(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &before, NULL, sizeof before);
  close(to[0]), close(from[1]);
  if (failed != 0) {
    if (child > 0) waitpid(child, NULL, 0);
    close(to[1]), close(from[0]);
    return number(env, failed);
  }
  int32_t *result = started.data;
  result[0] = child, result[1] = to[1], result[2] = from[0];
  return number(env, 0);
}

/* ended(process): how it ended, as wait(2) has it; -1 while it runs. Afterwards the number may be another's. */
static napi_value end_of_program(napi_env env, napi_callback_info info) {
  napi_value argv[1];
  int32_t process;
  if (!arguments(env, info, 1, argv) || napi_get_value_int32(env, argv[0], &process) != 0 || process <= 0) return refuse(env);
  int status = 0;
  return number(env, waitpid(process, &status, WNOHANG) == 0 ? -1 : status);
}

__attribute__((visibility("default"))) int32_t node_api_module_get_api_version_v1(void);
int32_t node_api_module_get_api_version_v1(void) { return 8; }

__attribute__((visibility("default"))) napi_value napi_register_module_v1(napi_env env, napi_value exports);
napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  static const struct {
    const char *name;
    napi_callback call;
  } functions[] = {
      {"look", look_all},      {"read", read_all},          {"name", name_file},        {"lock", lock_file},
      {"random", fill_random}, {"hashInit", hash_init},     {"hashUpdate", hash_update}, {"hashFinal", hash_final},
      {"start", start_program}, {"ended", end_of_program},
  };
  bool hashes = SHA256_Init != NULL && SHA256_Update != NULL && SHA256_Final != NULL;
  for (size_t at = 0; at < sizeof functions / sizeof *functions; at++) {
    if (!hashes && strncmp(functions[at].name, "hash", 4) == 0) continue;
    napi_value function;
    if (napi_create_function(env, functions[at].name, strlen(functions[at].name), functions[at].call, NULL, &function) != 0) return NULL;
    if (napi_set_named_property(env, exports, functions[at].name, function) != 0) return NULL;
  }
  return exports;
}
