// What is between libssh2 and the socket: libssh2 reads from and writes to memory alone, and the socket is filled and
// emptied in large pieces when its owner says so. So libssh2 never meets a socket that is full: it can't get stuck with
// half a packet, after which it would take no other call than the one that made it.
#pragma once
#include <errno.h>
#include <libssh2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "rsa.h"

// Received and not yet taken by libssh2.
#define FERRY_LINE_IN (256u << 10)
// Made by libssh2 and not yet taken by the socket. The owner stops far below; beyond it are only libssh2's own answers
// to a server that asks and doesn't read.
#define FERRY_LINE_OUT (2u << 20)
// Sent bytes are let stand at the front until there are so many.
#define FERRY_LINE_SENT (512u << 10)

struct ferry_ssh_line {
  struct ferry_ssh_context context;  // first: the allocator looks at it
  unsigned char *in, *out;
  size_t in_start, in_end, out_start, out_end;
  int is_dead;  // nothing is sent or received any more
  const char *password;
  size_t password_length;
  int password_given;
  char farewell[256];  // why the server ended the connection, in its own words
};

static inline ssize_t ferry_line_recv(libssh2_socket_t socket, void *buffer, size_t length, int flags, void **abstract) {
  struct ferry_ssh_line *line = (struct ferry_ssh_line *)*abstract;
  (void)socket, (void)flags;
  size_t count = line->in_end - line->in_start;
  if (count > length) count = length;
  if (!count) return line->is_dead ? -ECONNRESET : -EAGAIN;
  memcpy(buffer, line->in + line->in_start, count);
  line->in_start += count;
  return (ssize_t)count;
}

static inline ssize_t ferry_line_send(
    libssh2_socket_t socket, const void *buffer, size_t length, int flags, void **abstract) {
  struct ferry_ssh_line *line = (struct ferry_ssh_line *)*abstract;
  (void)socket, (void)flags;
  if (line->is_dead) return (ssize_t)length;
  if (line->out_start >= FERRY_LINE_SENT) {
    memmove(line->out, line->out + line->out_start, line->out_end - line->out_start);
    line->out_end -= line->out_start;
    line->out_start = 0;
  }
  if (line->out_end + length > FERRY_LINE_OUT) return -ENOBUFS;
  memcpy(line->out + line->out_end, buffer, length);
  line->out_end += length;
  return (ssize_t)length;
}

static inline void ferry_line_farewell(
    LIBSSH2_SESSION *session, int reason, const char *message, int length, const char *language, int language_length,
    void **abstract) {
  struct ferry_ssh_line *line = (struct ferry_ssh_line *)*abstract;
  (void)session, (void)reason, (void)language, (void)language_length;
  if (!message || length < 0) return;
  size_t count = (size_t)length < sizeof line->farewell - 1 ? (size_t)length : sizeof line->farewell - 1;
  memcpy(line->farewell, message, count);
  line->farewell[count] = 0;
}

static inline struct ferry_ssh_line *ferry_line_make(void) {
  struct ferry_ssh_line *line = (struct ferry_ssh_line *)calloc(1, sizeof *line);
  if (!line) return NULL;
  line->in = (unsigned char *)malloc(FERRY_LINE_IN);
  line->out = (unsigned char *)malloc(FERRY_LINE_OUT);
  if (line->in && line->out) return line;
  free(line->in);
  free(line->out);
  free(line);
  return NULL;
}

static inline void ferry_line_free(struct ferry_ssh_line *line) {
  free(line->in);
  free(line->out);
  free(line);
}

static inline size_t ferry_line_unsent(const struct ferry_ssh_line *line) { return line->out_end - line->out_start; }
static inline size_t ferry_line_unread(const struct ferry_ssh_line *line) { return line->in_end - line->in_start; }

// Gives the socket what it takes. 0, or -1 if the connection is gone.
static inline int ferry_line_flush(struct ferry_ssh_line *line, int descriptor) {
  while (line->out_start < line->out_end) {
    ssize_t count =
        send(descriptor, line->out + line->out_start, line->out_end - line->out_start, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) {
      line->out_start += (size_t)count;
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return 0;
    } else if (errno != EINTR) {
      return -1;
    }
  }
  line->out_start = line->out_end = 0;
  return 0;
}

// Takes what the socket has, as far as there is room: once, so that a turn is bounded. 0, or -1 if the connection is
// gone.
static inline int ferry_line_fill(struct ferry_ssh_line *line, int descriptor) {
  if (line->in_start == line->in_end) line->in_start = line->in_end = 0;
  if (line->in_end == FERRY_LINE_IN) return 0;
  ssize_t count = recv(descriptor, line->in + line->in_end, FERRY_LINE_IN - line->in_end, MSG_DONTWAIT);
  if (count > 0) line->in_end += (size_t)count;
  if (count > 0 || (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))) return 0;
  return -1;
}
