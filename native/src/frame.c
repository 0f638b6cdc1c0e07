/* The streams of a step over one socket: whoever reads them has them in order, and knows when the step is over without waiting for each. */
#include "helper.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

bool write_frame(int socket, enum frame_kind kind, const void *data, size_t length) {
  unsigned char header[FRAME_HEADER] = {(unsigned char)kind};
  for (size_t at = 1; at < sizeof header; at++) header[at] = (unsigned char)(length >> (8 * (at - 1)));
  struct iovec parts[2] = {{header, sizeof header}, {(void *)(uintptr_t)data, length}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
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
