// State that a thread blocked in libcurl and Swift's tasks share: a lock with a condition to wait on.
import Glibc

/// `@unchecked Sendable`: `lock` guards `state`; the condition's memory lives as long as the object.
final class FTPMonitor<State>: @unchecked Sendable {
  private let lock: UnsafeMutablePointer<pthread_mutex_t>
  private let changed: UnsafeMutablePointer<pthread_cond_t>
  private var state: State

  init(_ state: State) {
    self.state = state
    lock = .allocate(capacity: 1)
    changed = .allocate(capacity: 1)
    pthread_mutex_init(lock, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(changed, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(changed)
    pthread_mutex_destroy(lock)
    changed.deallocate()
    lock.deallocate()
  }

  /// Changes the state and wakes whoever waits on it.
  func change<Value>(_ body: (inout State) -> Value) -> Value {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    let value = body(&state)
    pthread_cond_broadcast(changed)
    return value
  }

  /// Looks or takes without waking anybody.
  func look<Value>(_ body: (inout State) -> Value) -> Value {
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    return body(&state)
  }

  /// Blocks this thread until `body` gives a value, asking it at each change; nil after `most` without one.
  func wait<Value>(_ most: Duration, _ body: (inout State) -> Value?) -> Value? {
    var until = SSHThread.now(plus: most)
    pthread_mutex_lock(lock)
    defer { pthread_mutex_unlock(lock) }
    while true {
      if let value = body(&state) { return value }
      if pthread_cond_timedwait(changed, lock, &until) == ETIMEDOUT { return body(&state) }
    }
  }
}
