// libssh2 as Swift sees it, with its function-like macros and callbacks spelled out as functions.
#include <libssh2.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include "gmac.h"
#include "keystream.h"
#include "line.h"
#include "rsa.h"

// Belongs to the line, which must outlive it. Nothing of it blocks.
static inline LIBSSH2_SESSION *ferry_ssh_session(struct ferry_ssh_line *line) {
  LIBSSH2_SESSION *session = libssh2_session_init_ex(ferry_ssh_alloc, ferry_ssh_free, ferry_ssh_realloc, line);
  if (!session) return NULL;
  libssh2_session_set_blocking(session, 0);
  libssh2_session_callback_set(session, LIBSSH2_CALLBACK_SEND, (void *)ferry_line_send);
  libssh2_session_callback_set(session, LIBSSH2_CALLBACK_RECV, (void *)ferry_line_recv);
  libssh2_session_callback_set(session, LIBSSH2_CALLBACK_DISCONNECT, (void *)ferry_line_farewell);
  return session;
}

// Hidden prompts are answered with the line's password, shown ones with nothing. It is given once, so that no later
// prompt (a one-time code) gets it.
static inline void ferry_ssh_respond(
    const char *name, int name_length, const char *instruction, int instruction_length, int count,
    const LIBSSH2_USERAUTH_KBDINT_PROMPT *prompts, LIBSSH2_USERAUTH_KBDINT_RESPONSE *responses, void **abstract) {
  struct ferry_ssh_line *line = (struct ferry_ssh_line *)*abstract;
  (void)name, (void)name_length, (void)instruction, (void)instruction_length;
  for (int i = 0; i < count; i++) {
    responses[i].text = NULL;
    responses[i].length = 0;
    if (!line->password || line->password_given || prompts[i].echo) continue;
    responses[i].text = (char *)malloc(line->password_length + 1);  // libssh2 frees it
    if (!responses[i].text) continue;
    memcpy(responses[i].text, line->password, line->password_length);
    responses[i].length = (unsigned int)line->password_length;
    line->password_given = 1;
  }
}

// `password` is looked at during this call alone.
static inline int ferry_ssh_keyboard_interactive(
    LIBSSH2_SESSION *session, struct ferry_ssh_line *line, const char *user, size_t user_length, const char *password,
    size_t length) {
  line->password = password;
  line->password_length = length;
  int status = libssh2_userauth_keyboard_interactive_ex(session, user, (unsigned int)user_length, ferry_ssh_respond);
  line->password = NULL;
  return status;
}

// An eventfd(2) that only serves to end a poll.
static inline int ferry_wake_make(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }
static inline void ferry_wake_signal(int descriptor) { eventfd_write(descriptor, 1); }
static inline void ferry_wake_drain(int descriptor) {
  eventfd_t count;
  eventfd_read(descriptor, &count);
}
