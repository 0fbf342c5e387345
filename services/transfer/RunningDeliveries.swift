// The deliveries whose files are moving in this process, so that a cancel or a pause reaches them at once. That it was
// asked for is in the journal; this only spares the wait until somebody reads it.
import Synchronization

final class RunningDeliveries: Sendable {
  private struct Entry {
    var task: Task<Void, any Error>
    var isCancelled = false
    var isPaused = false
    /// All that was asked for is delivered: there is nothing left to cancel.
    var isSealed = false
  }
  private let entries = Mutex<[String: Entry]>([:])

  /// Runs `work` until it ends, the delivery is cancelled, or the calling task is.
  func perform(_ id: String, _ work: @escaping @Sendable () async throws -> Void) async throws {
    // Made under the lock: the work may ask at once for its own end.
    let task = entries.withLock { entries in
      let task = Task { try await work() }
      entries[id] = Entry(task: task)
      return task
    }
    try await withTaskCancellationHandler {
      try await task.value
    } onCancel: {
      task.cancel()
    }
  }

  func forget(_ id: String) { entries.withLock { $0[id] = nil } }

  func cancel(_ id: String) { interrupt(id) { $0.isCancelled = true } }

  /// A cancel counts more: a delivery that is both is cancelled.
  func pause(_ id: String) { interrupt(id) { $0.isPaused = true } }

  private func interrupt(_ id: String, _ mark: (inout Entry) -> Void) {
    let task = entries.withLock { entries -> Task<Void, any Error>? in
      guard var entry = entries[id], !entry.isSealed else { return nil }
      mark(&entry)
      entries[id] = entry
      return entry.task
    }
    task?.cancel()
  }

  func isCancelled(_ id: String) -> Bool { entries.withLock { $0[id]?.isCancelled ?? false } }
  func isPaused(_ id: String) -> Bool { entries.withLock { $0[id]?.isPaused ?? false } }

  /// From now on neither a cancel nor a pause changes anything. False if one came first.
  func seal(_ id: String) -> Bool {
    entries.withLock { entries in
      guard let entry = entries[id], !entry.isCancelled, !entry.isPaused else { return false }
      entries[id]?.isSealed = true
      return true
    }
  }
}

/// Which delivery is writing to which path of which login at this moment: two at once on one path would write into the same
/// .part file. It holds the files under way, and no others.
final class TargetClaims: Sendable {
  private let holders = Mutex<[String: String]>([:])

  /// Nil if it is this delivery's now; else the delivery that holds it.
  func take(_ target: String, for id: String) -> String? {
    holders.withLock { holders in
      if let holder = holders[target] { return holder }
      holders[target] = id
      return nil
    }
  }

  func giveBack(_ target: String) { holders.withLock { $0[target] = nil } }
}
