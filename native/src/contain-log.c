/*
 * The log has a line for each line that was printed, in the form that kubelet and podman have ("k8s-file"):
 *
 *   2026-11-29T17:40:00.123456789Z stdout F what was printed
 *
 * P instead of F: the line goes on in the next entry of its stream. Bytes stay as they are, whatever encoding they have. The program never
 * waits for a full disk: what cannot be written is left out, and so is what would take the last of it.
 */
#include "contain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* Bytes of a disk that a log leaves: a program that never stops printing would take what commands need to stop and remove it. */
enum { LEFT = 4 << 20 };

static void open_file(struct log *log) {
  struct stat info;
  log->file = openat(log->dir, "log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  log->size = log->file >= 0 && fstat(log->file, &info) == 0 ? (unsigned long long)info.st_size : 0;
}

void log_open(struct log *log, int dir, unsigned long long limit, unsigned files) {
  log->dir = dir;
  log->limit = limit;
  log->files = files;
  log->file = -1;
  if (files > 0) open_file(log);
}

/* log becomes log.1, log.1 becomes log.2, and the last one goes. */
static void rotate(struct log *log) {
  char from[24], to[24];
  if (log->file >= 0) close(log->file);
  for (unsigned number = log->files - 1; number > 0; number--) {
    snprintf(to, sizeof to, "log.%u", number);
    if (number == 1) snprintf(from, sizeof from, "log");
    else snprintf(from, sizeof from, "log.%u", number - 1);
    renameat(log->dir, from, log->dir, to);
  }
  if (log->files <= 1) unlinkat(log->dir, "log", 0);
  open_file(log);
}

static bool has_room(int dir, size_t length) {
  struct statvfs disk;
  return fstatvfs(dir, &disk) < 0 || (unsigned long long)disk.f_bavail * disk.f_frsize >= LEFT + length;
}

static void flush(struct log *log) {
  size_t length = queue_length(&log->out);
  if (length == 0) return;
  if (log->limit > 0 && log->size > 0 && log->size + length > log->limit) rotate(log);
  ssize_t written = log->file < 0 || !has_room(log->dir, length) ? -1 : write(log->file, log->out.data + log->out.start, length);
  if (written == (ssize_t)length) log->size += length;
  /* Half a line would make nonsense of the next one. */
  else if (log->file >= 0 && written > 0 && ftruncate(log->file, (off_t)log->size) < 0) close(log->file), log->file = -1;
  log->out.start = log->out.end = 0;
}

static void put_line(struct log *log, int stream, const char *now, bool whole) {
  static const char *const names[] = {"stdout", "stderr"};
  char header[TIME_TEXT + 16];
  int length = snprintf(header, sizeof header, "%s %s %c ", now, names[stream], whole ? 'F' : 'P');
  queue_put(&log->out, header, (size_t)length);
  queue_put(&log->out, log->line[stream].bytes, log->line[stream].used);
  queue_put(&log->out, "\n", 1);
  log->line[stream].used = 0;
}

void log_take(struct log *log, int stream, const char *data, size_t length) {
  char now[TIME_TEXT];
  if (log->files == 0) return;
  time_text(now);
  while (length > 0) {
    size_t *used = &log->line[stream].used, room = LOG_LINE - *used;
    size_t most = length < room ? length : room;
    const char *newline = memchr(data, '\n', most);
    size_t part = newline == NULL ? most : (size_t)(newline - data);
    memcpy(log->line[stream].bytes + *used, data, part);
    *used += part;
    if (newline != NULL) part++;
    data += part;
    length -= part;
    if (newline != NULL || *used == LOG_LINE) put_line(log, stream, now, newline != NULL);
  }
  flush(log);
}

void log_finish(struct log *log) {
  char now[TIME_TEXT];
  time_text(now);
  for (int stream = 0; stream < 2; stream++)
    if (log->line[stream].used > 0) put_line(log, stream, now, false);
  flush(log);
}
