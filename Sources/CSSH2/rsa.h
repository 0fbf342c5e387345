// RSA user keys with SHA-2 signatures (RFC 8332). libssh2 before 1.11 signs RSA logins with SHA-1 alone, which OpenSSH
// has refused by default since 8.8. Here the key is read and used with the libcrypto that libssh2 itself links.
#pragma once
#include <libssh2.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#define FERRY_RSA_METHOD "rsa-sha2-512"

// The context of a session. While `step` is 1 or 2 a login is being prepared: libssh2 takes the method's name from the
// beginning of the key's blob, but RFC 8332 keeps "ssh-rsa" there. So the blob begins with the method's name until
// libssh2 has copied it (its next allocation), and is put right before anything is sent.
struct ferry_ssh_context {
  int step;
  unsigned char *blob;
  unsigned char *right;
  size_t length;
  EVP_PKEY *key;
};

static inline void *ferry_ssh_alloc(size_t count, void **abstract) {
  struct ferry_ssh_context *context = (struct ferry_ssh_context *)*abstract;
  if (context && context->step == 2) {
    memcpy(context->blob, context->right, context->length);
    context->step = 3;
  } else if (context && context->step == 1 && count == strlen(FERRY_RSA_METHOD)) {
    context->step = 2;
  }
  return malloc(count ? count : 1);
}
static inline void *ferry_ssh_realloc(void *memory, size_t count, void **abstract) {
  (void)abstract;
  return realloc(memory, count ? count : 1);
}
static inline void ferry_ssh_free(void *memory, void **abstract) {
  (void)abstract;
  free(memory);
}

static inline int ferry_rsa_no_passphrase(char *buffer, int size, int writing, void *passphrase) {
  (void)writing;
  if (!passphrase) return 0;
  size_t length = strlen((const char *)passphrase);
  if (length > (size_t)size) return 0;
  memcpy(buffer, passphrase, length);
  return (int)length;
}

// An RSA key from PEM text; NULL if it is no RSA key or the passphrase is wrong.
static inline EVP_PKEY *ferry_rsa_from_pem(const char *text, size_t length, const char *passphrase) {
  BIO *input = BIO_new_mem_buf(text, (int)length);
  if (!input) return NULL;
  EVP_PKEY *key = PEM_read_bio_PrivateKey(input, NULL, ferry_rsa_no_passphrase, (void *)passphrase);
  BIO_free(input);
  ERR_clear_error();
  if (key && EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
    EVP_PKEY_free(key);
    return NULL;
  }
  return key;
}

// An RSA key from its numbers, big-endian.
static inline EVP_PKEY *ferry_rsa_from_numbers(
    const unsigned char *n, size_t n_length, const unsigned char *e, size_t e_length, const unsigned char *d,
    size_t d_length) {
  EVP_PKEY *key = NULL;
  BIGNUM *bn = BN_bin2bn(n, (int)n_length, NULL), *be = BN_bin2bn(e, (int)e_length, NULL);
  BIGNUM *bd = BN_bin2bn(d, (int)d_length, NULL);
  OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
  OSSL_PARAM *parameters = NULL;
  EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
  if (bn && be && bd && build && context && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, bn) &&
      OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, be) &&
      OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_D, bd) && (parameters = OSSL_PARAM_BLD_to_param(build)) &&
      EVP_PKEY_fromdata_init(context) > 0) {
    if (EVP_PKEY_fromdata(context, &key, EVP_PKEY_KEYPAIR, parameters) <= 0) key = NULL;
  }
  OSSL_PARAM_free(parameters);
  OSSL_PARAM_BLD_free(build);
  EVP_PKEY_CTX_free(context);
  BN_free(bn);
  BN_free(be);
  BN_clear_free(bd);
  ERR_clear_error();
  return key;
}

// Appends an SSH string, or an mpint's bytes with the leading zero that a set top bit needs (RFC 4251 section 5).
static inline unsigned char *ferry_rsa_put(unsigned char *to, const unsigned char *bytes, size_t length, int number) {
  int zero = number && length && (bytes[0] & 0x80);
  size_t whole = length + (zero ? 1 : 0);
  for (int shift = 24; shift >= 0; shift -= 8) *to++ = (unsigned char)(whole >> shift);
  if (zero) *to++ = 0;
  memcpy(to, bytes, length);
  return to + length;
}

// The "ssh-rsa" blob of RFC 4253 section 6.6; the caller frees it.
static inline unsigned char *ferry_rsa_blob(EVP_PKEY *key, size_t *length) {
  BIGNUM *n = NULL, *e = NULL;
  unsigned char *blob = NULL;
  if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) && EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e)) {
    size_t n_length = (size_t)BN_num_bytes(n), e_length = (size_t)BN_num_bytes(e);
    unsigned char *numbers = (unsigned char *)malloc(n_length + e_length);
    blob = (unsigned char *)malloc(n_length + e_length + 32);
    if (numbers && blob) {
      BN_bn2bin(n, numbers);
      BN_bn2bin(e, numbers + n_length);
      unsigned char *end = ferry_rsa_put(blob, (const unsigned char *)"ssh-rsa", 7, 0);
      end = ferry_rsa_put(end, numbers + n_length, e_length, 1);
      end = ferry_rsa_put(end, numbers, n_length, 1);
      *length = (size_t)(end - blob);
    } else {
      free(blob);
      blob = NULL;
    }
    free(numbers);
  }
  BN_free(n);
  BN_free(e);
  return blob;
}

static inline int ferry_rsa_sign(
    LIBSSH2_SESSION *session, unsigned char **signature, size_t *signature_length, const unsigned char *data,
    size_t length, void **abstract) {
  (void)session;
  EVP_PKEY *key = ((struct ferry_ssh_context *)*abstract)->key;
  EVP_MD_CTX *digest = EVP_MD_CTX_new();
  size_t size = 0;
  int status = -1;
  if (digest && EVP_DigestSignInit(digest, NULL, EVP_sha512(), NULL, key) > 0 &&
      EVP_DigestSign(digest, NULL, &size, data, length) > 0 && (*signature = (unsigned char *)malloc(size))) {
    if (EVP_DigestSign(digest, *signature, &size, data, length) > 0) {
      *signature_length = size;
      status = 0;
    } else {
      free(*signature);
    }
  }
  EVP_MD_CTX_free(digest);
  ERR_clear_error();
  return status;
}

// Prepares a login with the key; `ferry_rsa_end` follows. 0, or libssh2's error.
static inline int ferry_rsa_begin(struct ferry_ssh_context *context, EVP_PKEY *key) {
  size_t length = 0, method_length = strlen(FERRY_RSA_METHOD);
  unsigned char *right = ferry_rsa_blob(key, &length);
  unsigned char *blob = right ? (unsigned char *)malloc(length) : NULL;
  if (!blob || length <= method_length + 4) {
    free(blob);
    free(right);
    return LIBSSH2_ERROR_ALLOC;
  }
  memcpy(blob, right, length);
  ferry_rsa_put(blob, (const unsigned char *)FERRY_RSA_METHOD, method_length, 0);
  *context = (struct ferry_ssh_context){1, blob, right, length, key};
  return 0;
}

// To be repeated while it says LIBSSH2_ERROR_EAGAIN. The session must have been made by ferry_ssh_session.
static inline int ferry_rsa_login(LIBSSH2_SESSION *session, const char *user, struct ferry_ssh_context *context) {
  // libssh2 hands this address to ferry_rsa_sign as its `abstract`.
  void *mine = context;
  int status = libssh2_userauth_publickey(session, user, context->blob, context->length, ferry_rsa_sign, &mine);
  // Another order of allocations than that of libssh2 1.10 would have sent a blob that is none.
  return context->step == 3 ? status : LIBSSH2_ERROR_METHOD_NOT_SUPPORTED;
}

static inline void ferry_rsa_end(struct ferry_ssh_context *context) {
  free(context->blob);
  free(context->right);
  *context = (struct ferry_ssh_context){0, NULL, NULL, 0, NULL};
}
