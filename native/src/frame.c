/* The streams of a step over one socket: whoever reads them has them in order, and knows when the step is over without waiting for each. */
#include "helper.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum { MOST_KEPT = 4096 };

static unsigned char kept[MOST_KEPT];
static size_t kept_length = 0;

static void put_header(unsigned char *header, enum frame_kind kind, size_t length) {
  header[0] = (unsigned char)kind;
  for (size_t at = 1; at < FRAME_HEADER; at++) header[at] = (unsigned char)(length >> (8 * (at - 1)));
}

bool keep_frame(int socket, enum frame_kind kind, const void *data, size_t length) {
  if (FRAME_HEADER + length > sizeof kept - kept_length) return write_frame(socket, kind, data, length);
  put_header(kept + kept_length, kind, length);
  memcpy(kept + kept_length + FRAME_HEADER, data, length);
  kept_length += FRAME_HEADER + length;
  return true;
}

bool write_frame(int socket, enum frame_kind kind, const void *data, size_t length) {
  unsigned char header[FRAME_HEADER];
  put_header(header, kind, length);
  struct iovec parts[3] = {{kept, kept_length}, {header, sizeof header}, {(void *)(uintptr_t)data, length}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 3};
  kept_length = 0;
  while (message.msg_iovlen > 0) {
    ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) return false;
    for (size_t left = (size_t)sent; message.msg_iovlen > 0;) {
      struct iovec *part = message.msg_iov;
      if (left < part->iov_len) {
        part->iov_base = (char *)part->iov_base + left;
        part->iov_len -= left;
        break;
      }
      left -= part->iov_len;
      message.msg_iov++;
      message.msg_iovlen--;
    }
  }
  return true;
}
