// The keystream of an AES cipher in counter mode (RFC 4344 section 4), made in pages. libssh2 enciphers 16 bytes a call,
// and OpenSSL's way into a cipher costs far more than 16 bytes of AES. So one call fills a page, and each 16 bytes are
// XORed with their part of it. The bytes are the same: a counter's keystream doesn't depend on what it hides.
#pragma once
#include <dlfcn.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FERRY_KEYSTREAM_PAGE 4096u
#define FERRY_KEYSTREAM_BLOCK 16u

typedef int (*ferry_cipher)(EVP_CIPHER_CTX *, unsigned char *, const unsigned char *, unsigned int);

// libcrypto's own, which is the symbol behind this program's: RTLD_NEXT, which glibc shows to GNU C only.
static inline ferry_cipher ferry_libcrypto_cipher(void) {
  static ferry_cipher known;
  ferry_cipher found = __atomic_load_n(&known, __ATOMIC_RELAXED);
  if (!found) {
    found = (ferry_cipher)dlsym((void *)-1L, "EVP_Cipher");
    if (!found) abort();  // libssh2 could not have been loaded without it
    __atomic_store_n(&known, found, __ATOMIC_RELAXED);
  }
  return found;
}

// Hangs on its context as OpenSSL's "app data", and goes with it.
struct ferry_keystream {
  const EVP_CIPHER_CTX *owner;  // tells it from somebody else's app data
  size_t position;              // of the next byte; bytes before it are used up and never used again
  unsigned char page[FERRY_KEYSTREAM_PAGE];
};

static inline struct ferry_keystream *ferry_keystream_of(const EVP_CIPHER_CTX *context) {
  struct ferry_keystream *stream = (struct ferry_keystream *)EVP_CIPHER_CTX_get_app_data(context);
  return stream && stream->owner == context ? stream : NULL;
}

// A context gets its keystream with the first call for a single block in counter mode, which only libssh2 makes.
static inline struct ferry_keystream *ferry_keystream_begin(EVP_CIPHER_CTX *context, unsigned int length) {
  const EVP_CIPHER *cipher = EVP_CIPHER_CTX_get0_cipher(context);
  if (length != FERRY_KEYSTREAM_BLOCK || !cipher || EVP_CIPHER_get_mode(cipher) != EVP_CIPH_CTR_MODE) return NULL;
  if (EVP_CIPHER_CTX_get_app_data(context)) return NULL;
  struct ferry_keystream *stream = (struct ferry_keystream *)malloc(sizeof *stream);
  if (!stream) return NULL;
  stream->owner = context;
  stream->position = FERRY_KEYSTREAM_PAGE;
  EVP_CIPHER_CTX_set_app_data(context, stream);
  return stream;
}

// As EVP_Cipher: the count of bytes, or -1.
static inline int ferry_keystream_apply(
    struct ferry_keystream *stream, EVP_CIPHER_CTX *context, unsigned char *out, const unsigned char *in,
    unsigned int length) {
  static const unsigned char zeros[FERRY_KEYSTREAM_PAGE];
  unsigned int done = 0;
  while (done < length) {
    if (stream->position == FERRY_KEYSTREAM_PAGE) {
      if (ferry_libcrypto_cipher()(context, stream->page, zeros, FERRY_KEYSTREAM_PAGE) != (int)FERRY_KEYSTREAM_PAGE) return -1;
      stream->position = 0;
    }
    const unsigned char *key = stream->page + stream->position;
    size_t left = FERRY_KEYSTREAM_PAGE - stream->position;
    if (length - done >= FERRY_KEYSTREAM_BLOCK && left >= FERRY_KEYSTREAM_BLOCK) {
      uint64_t text[2], stencil[2];
      memcpy(text, in + done, sizeof text);
      memcpy(stencil, key, sizeof stencil);
      text[0] ^= stencil[0];
      text[1] ^= stencil[1];
      memcpy(out + done, text, sizeof text);
      stream->position += FERRY_KEYSTREAM_BLOCK;
      done += FERRY_KEYSTREAM_BLOCK;
    } else {
      out[done] = in[done] ^ *key;
      stream->position += 1;
      done += 1;
    }
  }
  return (int)length;
}

// Counts contexts that are gone, so that what a thread remembers of one is not taken for another's at the same address.
static inline unsigned ferry_keystream_ended(unsigned more) {
  static unsigned ended;
  return more ? __atomic_add_fetch(&ended, more, __ATOMIC_RELEASE) : __atomic_load_n(&ended, __ATOMIC_ACQUIRE);
}

// What a thread used last: a packet is some two thousand calls for one context, whose stream is looked up once.
struct ferry_keystream_last {
  EVP_CIPHER_CTX *context;
  struct ferry_keystream *stream;
  unsigned ended;
};

static inline struct ferry_keystream_last *ferry_keystream_last_used(void) {
  // Where it is is known when the program is loaded: asking for it would be a call, and cost all registers.
  static _Thread_local struct ferry_keystream_last last __attribute__((tls_model("initial-exec")));
  return &last;
}

// The first call for a context, the end of a page, and whatever isn't libssh2's counter mode.
__attribute__((noinline)) static int ferry_keystream_cipher_slowly(
    EVP_CIPHER_CTX *context, unsigned char *out, const unsigned char *in, unsigned int length) {
  struct ferry_keystream_last *last = ferry_keystream_last_used();
  struct ferry_keystream *stream = NULL;
  if (context == last->context && last->ended == ferry_keystream_ended(0)) {
    stream = last->stream;
  } else {
    last->ended = ferry_keystream_ended(0);
    stream = ferry_keystream_of(context);
    if (!stream && in && out) stream = ferry_keystream_begin(context, length);
    last->context = stream ? context : NULL;
    last->stream = stream;
  }
  if (!stream || !in || !out) return ferry_libcrypto_cipher()(context, out, in, length);
  return ferry_keystream_apply(stream, context, out, in, length);
}

// One block after another from the page is nearly every call, and nothing but this.
static inline int ferry_keystream_cipher(
    EVP_CIPHER_CTX *context, unsigned char *out, const unsigned char *in, unsigned int length) {
  struct ferry_keystream_last *last = ferry_keystream_last_used();
  if (__builtin_expect(
          context && context == last->context && length == FERRY_KEYSTREAM_BLOCK && in && out &&
              last->ended == ferry_keystream_ended(0) &&
              last->stream->position <= FERRY_KEYSTREAM_PAGE - FERRY_KEYSTREAM_BLOCK, 1)) {
    struct ferry_keystream *stream = last->stream;
    uint64_t text[2], stencil[2];
    memcpy(text, in, sizeof text);
    memcpy(stencil, stream->page + stream->position, sizeof stencil);
    text[0] ^= stencil[0];
    text[1] ^= stencil[1];
    memcpy(out, text, sizeof text);
    stream->position += FERRY_KEYSTREAM_BLOCK;
    return (int)FERRY_KEYSTREAM_BLOCK;
  }
  return ferry_keystream_cipher_slowly(context, out, in, length);
}

// Before the context itself is freed.
static inline void ferry_keystream_end(EVP_CIPHER_CTX *context) {
  if (!context) return;
  struct ferry_keystream *stream = ferry_keystream_of(context);
  if (!stream) return;
  EVP_CIPHER_CTX_set_app_data(context, NULL);
  ferry_keystream_ended(1);
  OPENSSL_cleanse(stream, sizeof *stream);
  free(stream);
}
