// libcurl's option calls are variadic C, which Swift can't call: one inline function a type of argument. Callers pick
// the right one for the option (its manual page names the type); nothing here keeps a pointer.
#pragma once

#include <curl/curl.h>

// The names are put in parentheses so that curl's type-checking macros, which need constant options, stay out of the
// way.

static inline CURLcode ferry_curl_set_long(CURL *easy, CURLoption option, long value) {
  return (curl_easy_setopt)(easy, option, value);
}

static inline CURLcode ferry_curl_set_offset(CURL *easy, CURLoption option, curl_off_t value) {
  return (curl_easy_setopt)(easy, option, value);
}

// libcurl copies the string, except for CURLOPT_POSTFIELDS.
static inline CURLcode ferry_curl_set_string(CURL *easy, CURLoption option, const char *value) {
  return (curl_easy_setopt)(easy, option, value);
}

// For ...DATA options, CURLOPT_PRIVATE and CURLOPT_ERRORBUFFER: libcurl keeps the pointer until the handle is freed.
static inline CURLcode ferry_curl_set_pointer(CURL *easy, CURLoption option, void *value) {
  return (curl_easy_setopt)(easy, option, value);
}

static inline CURLcode ferry_curl_set_list(CURL *easy, CURLoption option, struct curl_slist *value) {
  return (curl_easy_setopt)(easy, option, value);
}

typedef size_t (*ferry_curl_data_callback)(char *data, size_t size, size_t count, void *context);
typedef int (*ferry_curl_seek_callback)(void *context, curl_off_t offset, int origin);

// For CURLOPT_WRITEFUNCTION, CURLOPT_HEADERFUNCTION and CURLOPT_READFUNCTION, which share one shape.
static inline CURLcode ferry_curl_set_data_callback(CURL *easy, CURLoption option, ferry_curl_data_callback callback) {
  return (curl_easy_setopt)(easy, option, callback);
}

static inline CURLcode ferry_curl_set_seek_callback(CURL *easy, ferry_curl_seek_callback callback) {
  return (curl_easy_setopt)(easy, CURLOPT_SEEKFUNCTION, callback);
}

static inline CURLcode ferry_curl_get_long(CURL *easy, CURLINFO info, long *value) {
  return (curl_easy_getinfo)(easy, info, value);
}

static inline CURLcode ferry_curl_get_offset(CURL *easy, CURLINFO info, curl_off_t *value) {
  return (curl_easy_getinfo)(easy, info, value);
}

static inline CURLcode ferry_curl_get_pointer(CURL *easy, CURLINFO info, void **value) {
  return (curl_easy_getinfo)(easy, info, value);
}

static inline CURLMcode ferry_curl_multi_set_long(CURLM *multi, CURLMoption option, long value) {
  return (curl_multi_setopt)(multi, option, value);
}

// The result of a finished transfer: CURLMsg carries it in a union. -1 when the message is of another sort.
static inline int ferry_curl_message_result(const CURLMsg *message) {
  return message->msg == CURLMSG_DONE ? (int)message->data.result : -1;
}

// libcurl copies the bytes.
static inline CURLcode ferry_curl_set_blob(CURL *easy, CURLoption option, const void *data, size_t length) {
  struct curl_blob blob = {(void *)data, length, CURL_BLOB_COPY};
  return (curl_easy_setopt)(easy, option, &blob);
}

typedef int (*ferry_curl_progress_callback)(
    void *context, curl_off_t download_total, curl_off_t download_now, curl_off_t upload_total, curl_off_t upload_now);
typedef int (*ferry_curl_socket_callback)(void *context, curl_socket_t socket, curlsocktype purpose);
typedef int (*ferry_curl_close_callback)(void *context, curl_socket_t socket);
typedef int (*ferry_curl_debug_callback)(CURL *easy, curl_infotype type, char *data, size_t size, void *context);

static inline CURLcode ferry_curl_set_progress_callback(CURL *easy, ferry_curl_progress_callback callback) {
  return (curl_easy_setopt)(easy, CURLOPT_XFERINFOFUNCTION, callback);
}

static inline CURLcode ferry_curl_set_socket_callback(CURL *easy, ferry_curl_socket_callback callback) {
  return (curl_easy_setopt)(easy, CURLOPT_SOCKOPTFUNCTION, callback);
}

static inline CURLcode ferry_curl_set_close_callback(CURL *easy, ferry_curl_close_callback callback) {
  return (curl_easy_setopt)(easy, CURLOPT_CLOSESOCKETFUNCTION, callback);
}

static inline CURLcode ferry_curl_set_debug_callback(CURL *easy, ferry_curl_debug_callback callback) {
  return (curl_easy_setopt)(easy, CURLOPT_DEBUGFUNCTION, callback);
}
