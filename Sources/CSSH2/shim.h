// libssh2 as Swift sees it, with its function-like macros and callbacks spelled out as functions.
#include <libssh2.h>
#include <libssh2_sftp.h>
#include <stdlib.h>
#include <string.h>
#include "rsa.h"

static inline LIBSSH2_SESSION *ferry_ssh_session(void) {
  return libssh2_session_init_ex(ferry_ssh_alloc, ferry_ssh_free, ferry_ssh_realloc, NULL);
}

// Answers the first round of keyboard-interactive prompts: hidden ones with the password, shown ones with nothing.
// It answers once, so that no later prompt (a one-time code) is given the password.
struct ferry_ssh_answer {
  struct ferry_ssh_context context;  // first: the allocator looks at it
  const char *password;
  unsigned int length;
  int given;
};

static inline void ferry_ssh_respond(
    const char *name, int name_length, const char *instruction, int instruction_length, int count,
    const LIBSSH2_USERAUTH_KBDINT_PROMPT *prompts, LIBSSH2_USERAUTH_KBDINT_RESPONSE *responses, void **abstract) {
  struct ferry_ssh_answer *answer = (struct ferry_ssh_answer *)*abstract;
  (void)name, (void)name_length, (void)instruction, (void)instruction_length;
  for (int i = 0; i < count; i++) {
    responses[i].text = NULL;
    responses[i].length = 0;
    if (!answer || answer->given || prompts[i].echo) continue;
    responses[i].text = (char *)malloc(answer->length + 1);  // libssh2 frees it
    if (!responses[i].text) continue;
    memcpy(responses[i].text, answer->password, answer->length);
    responses[i].length = answer->length;
    answer->given = 1;
  }
}

static inline int ferry_ssh_keyboard_interactive(
    LIBSSH2_SESSION *session, const char *user, unsigned int user_length, const char *password, unsigned int length) {
  struct ferry_ssh_answer answer = {{0, NULL, NULL, 0, NULL}, password, length, 0};
  void **context = libssh2_session_abstract(session);
  void *before = *context;
  *context = &answer;
  int status = libssh2_userauth_keyboard_interactive_ex(session, user, user_length, ferry_ssh_respond);
  *context = before;
  return status;
}
