// The two functions of Swift's runtime that `TaskLocal.withValue` is made of. They are in its ABI, because programs inline
// `withValue` ("TaskLocal.swift", swiftlang/swift stdlib/public/Concurrency); Swift has no name for them by itself.

__attribute__((swiftcall)) void swift_task_localValuePush(const void *key, void *value, const void *valueType);
__attribute__((swiftcall)) void swift_task_localValuePop(void);

/// Binds `*value`, which it takes over, in the running task until the matching pop.
/// `key` is the address of the value's `TaskLocal`, `valueType` the metadata of its type.
static inline void pushTaskLocalValue(const void *key, void *value, const void *valueType) {
  swift_task_localValuePush(key, value, valueType);
}

static inline void popTaskLocalValue(void) { swift_task_localValuePop(); }
