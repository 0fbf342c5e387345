// A value that several tasks wait for, each with its own deadline. Unlike a Task's value, waiting for it ends when the waiting
// task is cancelled.
import NIOCore
import Synchronization

final class Pending<Value: Sendable>: Sendable {
  private struct State {
    var value: Value?
    var waiters: [Int: CheckedContinuation<Value?, Never>] = [:]
    var callbacks: [@Sendable (Value) -> Void] = []
    var nextWaiter = 0
  }
  private let state = Mutex(State())

  /// The first value counts.
  func complete(_ value: Value) {
    let (waiters, callbacks) = state.withLock { state in
      guard state.value == nil else { return ([CheckedContinuation<Value?, Never>](), [@Sendable (Value) -> Void]()) }
      state.value = value
      defer {
        state.waiters = [:]
        state.callbacks = []
      }
      return (Array(state.waiters.values), state.callbacks)
    }
    for waiter in waiters { waiter.resume(returning: value) }
    for callback in callbacks { callback(value) }
  }

  func whenComplete(_ callback: @escaping @Sendable (Value) -> Void) {
    let value = state.withLock { state in
      if state.value == nil { state.callbacks.append(callback) }
      return state.value
    }
    if let value { callback(value) }
  }

  /// Nil once the deadline has passed or the task is cancelled.
  func value(by deadline: Deadline?, on loop: any EventLoop) async -> Value? {
    let id = state.withLock { state in
      state.nextWaiter += 1
      return state.nextWaiter
    }
    let timer = deadline.map { deadline in loop.scheduleTask(deadline: deadline.instant) { self.giveUp(id) } }
    defer { timer?.cancel() }
    return await withTaskCancellationHandler {
      await withCheckedContinuation { continuation in
        let (isDone, value): (Bool, Value?) = state.withLock { state in
          if let value = state.value { return (true, value) }
          if Task.isCancelled || deadline.map({ $0.instant <= .now() }) ?? false { return (true, nil) }
          state.waiters[id] = continuation
          return (false, nil)
        }
        if isDone { continuation.resume(returning: value) }
      }
    } onCancel: {
      giveUp(id)
    }
  }

  private func giveUp(_ id: Int) {
    state.withLock { $0.waiters.removeValue(forKey: id) }?.resume(returning: nil)
  }
}
