// Wakes one waiting task: a ring while nobody waits is kept, several rings are one. What has happened, the woken task
// reads from the store: so a slow reader holds no buffer, and nothing can be lost on the way.
import Synchronization

final class Doorbell: Sendable {
  private struct State {
    var rung = false
    var waiter: CheckedContinuation<Void, Never>?
  }
  private let state = Mutex(State())

  func ring() {
    let waiter = state.withLock { state in
      defer { state.waiter = nil }
      if state.waiter == nil { state.rung = true }
      return state.waiter
    }
    waiter?.resume()
  }

  /// Until the next ring, or the one that came since the last wait; a cancelled task does not wait. One waiter at a
  /// time.
  func wait() async {
    await withTaskCancellationHandler {
      await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
        let goesOn = state.withLock { state in
          if state.rung || Task.isCancelled {
            state.rung = false
            return true
          }
          state.waiter = continuation
          return false
        }
        if goesOn { continuation.resume() }
      }
    } onCancel: {
      ring()
    }
  }

  /// The same, but no longer than this.
  func wait(atMost limit: Duration) async {
    let timer = Task {
      // Cancelled as soon as the wait is over: then there is nothing to ring for.
      guard (try? await Task.sleep(for: limit)) != nil else { return }
      ring()
    }
    await wait()
    timer.cancel()
  }
}
