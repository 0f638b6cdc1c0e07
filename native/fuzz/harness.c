#include "harness.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static jmp_buf back;
static int last_own_fd = -1;

/* ---- memory: the linker sends the helper's calls here (--wrap) ---- */

enum { MOST = 1 << 16 };
static void *blocks[MOST];
static size_t block_count;
static struct {
  void *address;
  size_t size;
} maps[64];
static size_t map_count;

void *__real_malloc(size_t), *__real_calloc(size_t, size_t), *__real_realloc(void *, size_t);
void __real_free(void *);
void *__real_mmap(void *, size_t, int, int, int, off_t);
int __real_vasprintf(char **, const char *, va_list);

static void *keep(void *block) {
  if (block != NULL && block_count < MOST) blocks[block_count++] = block;
  return block;
}

static void forget(void *block) {
  /* What was allocated last is mostly freed first. */
  for (size_t at = block_count; at-- > 0;) {
    if (blocks[at] != block) continue;
    blocks[at] = blocks[--block_count];
    return;
  }
}

void *__wrap_malloc(size_t size) { return keep(__real_malloc(size)); }
void *__wrap_calloc(size_t count, size_t size) { return keep(__real_calloc(count, size)); }
void *__wrap_realloc(void *block, size_t size) {
  forget(block);
  return keep(__real_realloc(block, size));
}
void __wrap_free(void *block) {
  forget(block);
  __real_free(block);
}
int __wrap_vasprintf(char **text, const char *format, va_list arguments) {
  int length = __real_vasprintf(text, format, arguments);
  if (length >= 0) keep(*text);
  return length;
}
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
  void *map = __real_mmap(address, size, protection, flags, fd, offset);
  if (map != MAP_FAILED && map_count < sizeof maps / sizeof *maps) {
    maps[map_count].address = map;
    maps[map_count++].size = size;
  }
  return map;
}

void clean_slate(void) {
  while (block_count > 0) __real_free(blocks[--block_count]);
  while (map_count > 0) {
    map_count--;
    munmap(maps[map_count].address, maps[map_count].size);
  }
  if (last_own_fd >= 0) sys_close_range((unsigned)last_own_fd + 1, ~0u, 0);
}

/* No byte more than there is, so that AddressSanitizer sees a read behind the end. */
char *__real_read_fd(int, size_t, size_t *);
char *__wrap_read_fd(int fd, size_t limit, size_t *length) {
  char *data = __real_read_fd(fd, limit, length), *exact = __wrap_malloc(*length + 1);
  memcpy(exact, data, *length + 1);
  __wrap_free(data);
  return exact;
}

/* ---- faults ---- */

static void jump_back(void) { longjmp(back, 1); }

bool survives(void (*body)(void *), void *argument) {
  if (status_fd < 0) {
    /* Lines about faults go nowhere, as fast as they can. */
    status_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    last_own_fd = status_fd;
    before_exit = jump_back;
  }
  if (setjmp(back) != 0) return false;
  body(argument);
  return true;
}

void must(bool holds, const char *promise) {
  if (holds) return;
  fprintf(stderr, "does not hold: %s\n", promise);
  abort();
}

/* ---- input ---- */

int bytes_fd(const void *data, size_t size) {
  int fd = memfd_create("input", MFD_CLOEXEC);
  must(fd >= 0 && write(fd, data, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0, "a file for the input can be made");
  return fd;
}

uint8_t next_byte(struct input *input) {
  if (input->left == 0) return 0;
  input->left--;
  return *input->data++;
}

char *next_text(struct input *input) {
  char *text = allocate(input->left + 1);
  for (size_t at = 0; input->left > 0;) {
    uint8_t byte = next_byte(input);
    if (byte == 0xff) break;
    if (byte != 0) text[at++] = (char)byte;
  }
  return text;
}

static char directory[64];

static void remove_directory(void) {
  int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  remove_contents(fd);
  rmdir(directory);
}

const char *fresh_directory(void) {
  if (directory[0] == 0) {
    /* In memory where that is possible: a tree is made and removed for each input. */
    snprintf(directory, sizeof directory, "%s/tsbuild-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    must(mkdtemp(directory) != NULL, "a directory can be made");
    atexit(remove_directory);
  }
  int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  remove_contents(fd);
  must(mkdirat(fd, "root", 0755) == 0, "a root can be made");
  close(fd);
  return directory;
}
