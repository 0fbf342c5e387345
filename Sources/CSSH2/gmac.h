// GMAC with AES-128 (NIST SP 800-38D) from libcrypto's EVP_MAC.
#pragma once
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdint.h>

#define FERRY_GMAC_KEY 16
#define FERRY_GMAC_NONCE 12
#define FERRY_GMAC_TAG 16

static inline EVP_MAC_CTX *ferry_gmac_make(void) {
  EVP_MAC *mac = EVP_MAC_fetch(NULL, "GMAC", NULL);
  EVP_MAC_CTX *context = mac ? EVP_MAC_CTX_new(mac) : NULL;  // with a reference of its own
  EVP_MAC_free(mac);
  return context;
}

// 1, or 0 on failure; so all three.
static inline int ferry_gmac_begin(EVP_MAC_CTX *context, const uint8_t *key, uint8_t *nonce) {
  OSSL_PARAM params[] = {
    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, (char *)"AES-128-GCM", 0),
    OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_IV, nonce, FERRY_GMAC_NONCE),
    OSSL_PARAM_construct_end(),
  };
  return EVP_MAC_init(context, key, FERRY_GMAC_KEY, params);
}

static inline int ferry_gmac_end(EVP_MAC_CTX *context, uint8_t *tag) {
  size_t length = 0;
  return EVP_MAC_final(context, tag, &length, FERRY_GMAC_TAG) && length == FERRY_GMAC_TAG;
}
