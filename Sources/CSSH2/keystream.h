// The keystream of an AES cipher in counter mode (RFC 4344 section 4), made in pages. libssh2 enciphers 16 bytes a call,
// and OpenSSL's way into a cipher costs far more than 16 bytes of AES. So one call fills a page, and each 16 bytes are
// XORed with their part of it. The bytes are the same: a counter's keystream doesn't depend on what it hides.
#pragma once
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FERRY_KEYSTREAM_PAGE 4096u
#define FERRY_KEYSTREAM_BLOCK 16u

typedef int (*ferry_cipher)(EVP_CIPHER_CTX *, unsigned char *, const unsigned char *, unsigned int);

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
    unsigned int length, ferry_cipher cipher) {
  static const unsigned char zeros[FERRY_KEYSTREAM_PAGE];
  unsigned int done = 0;
  while (done < length) {
    if (stream->position == FERRY_KEYSTREAM_PAGE) {
      if (cipher(context, stream->page, zeros, FERRY_KEYSTREAM_PAGE) != (int)FERRY_KEYSTREAM_PAGE) return -1;
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

static inline int ferry_keystream_cipher(
    EVP_CIPHER_CTX *context, unsigned char *out, const unsigned char *in, unsigned int length, ferry_cipher cipher) {
  struct ferry_keystream *stream = ferry_keystream_of(context);
  if (!stream && in && out) stream = ferry_keystream_begin(context, length);
  if (!stream || !in || !out) return cipher(context, out, in, length);
  return ferry_keystream_apply(stream, context, out, in, length, cipher);
}

// Before the context itself is freed.
static inline void ferry_keystream_end(EVP_CIPHER_CTX *context) {
  if (!context) return;
  struct ferry_keystream *stream = ferry_keystream_of(context);
  if (!stream) return;
  EVP_CIPHER_CTX_set_app_data(context, NULL);
  OPENSSL_cleanse(stream, sizeof *stream);
  free(stream);
}
