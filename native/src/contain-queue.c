#include "contain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_SIZE = 65536 };

static void make_space(struct queue *queue, size_t length) {
  if (queue->start > 0) {
    memmove(queue->data, queue->data + queue->start, queue_length(queue));
    queue->end -= queue->start;
    queue->start = 0;
  }
  if (queue->end + length <= queue->capacity) return;
  size_t capacity = queue->capacity == 0 ? 4096 : queue->capacity;
  while (capacity < queue->end + length) capacity *= 2;
  queue->data = realloc(queue->data, capacity);
  if (queue->data == NULL) fail_with(ENOMEM, "cannot allocate %zu bytes", capacity);
  queue->capacity = capacity;
}

void queue_put(struct queue *queue, const void *data, size_t length) {
  if (length == 0) return;
  if (queue->end + length > queue->capacity) make_space(queue, length);
  memcpy(queue->data + queue->end, data, length);
  queue->end += length;
}

void queue_put_frame(struct queue *queue, char kind, const void *data, size_t length) {
  char header[FRAME_HEADER] = {kind};
  for (size_t at = 1; at < sizeof header; at++) header[at] = (char)(unsigned char)(length >> (8 * (at - 1)));
  queue_put(queue, header, sizeof header);
  queue_put(queue, data, length);
}

bool queue_fill(struct queue *queue, int fd) {
  make_space(queue, READ_SIZE);
  ssize_t got = read(fd, queue->data + queue->end, READ_SIZE);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  queue->end += (size_t)got;
  return got > 0;
}

bool queue_drain(struct queue *queue, int fd) {
  while (queue_length(queue) > 0) {
    ssize_t sent = send(fd, queue->data + queue->start, queue_length(queue), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == ENOTSOCK) sent = write(fd, queue->data + queue->start, queue_length(queue));
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    queue->start += (size_t)sent;
  }
  queue->start = queue->end = 0;
  /* What was large once need not stay so. */
  if (queue->capacity > 2 * READ_SIZE) {
    free(queue->data);
    *queue = (struct queue){0};
  }
  return true;
}

bool queue_take_frame(struct queue *queue, struct frame *frame, bool *broken) {
  if (queue_length(queue) < FRAME_HEADER) return false;
  const unsigned char *header = (unsigned char *)queue->data + queue->start;
  size_t length = (size_t)header[1] | (size_t)header[2] << 8 | (size_t)header[3] << 16 | (size_t)header[4] << 24;
  if (length > FRAME_LIMIT) *broken = true;
  if (*broken || queue_length(queue) - FRAME_HEADER < length) return false;
  *frame = (struct frame){(char)header[0], queue->data + queue->start + FRAME_HEADER, length};
  queue->start += FRAME_HEADER + length;
  return true;
}

char *frame_text(const struct frame *frame) {
  char *text = allocate(frame->length + 1);
  memcpy(text, frame->data, frame->length);
  return text;
}
