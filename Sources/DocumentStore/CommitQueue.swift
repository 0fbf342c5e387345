// The queue before the one writer. Whoever commits while the writer is busy waits here, and the writer takes all who
// wait into its next transaction: N callers share one fsync. It knows nothing of SQL.

import Synchronization

final class CommitQueue: Sendable {
  typealias Outcome = Result<[DocumentVersion], DocumentStoreError>

  struct Waiting: Sendable {
    let batch: Batch
    let reply: CheckedContinuation<Outcome, Never>
  }

  private struct State {
    var waiting: [Waiting] = []
    var writerIsBusy = false
    var isClosed = false
    var closers: [CheckedContinuation<Void, Never>] = []
  }

  enum Entry {
    /// The batch waits; the caller has to wake the writer.
    case wakeWriter
    /// The batch waits; the writer is at work and will come to it.
    case waits
    case refused(DocumentStoreError)
  }

  private let maximumWaiting: Int
  private let maximumGroup: Int
  private let state = Mutex(State())

  init(maximumWaiting: Int, maximumGroup: Int) {
    self.maximumWaiting = maximumWaiting
    self.maximumGroup = maximumGroup
  }

  func enter(_ waiting: Waiting) -> Entry {
    state.withLock { state in
      if state.isClosed { return .refused(.storeClosed) }
      if state.waiting.count >= maximumWaiting {
        return .refused(
          DocumentStoreError(
            .overloaded, message: "\(maximumWaiting) commits wait for the disk already.",
            nextStep: "Try again in a moment, or give the service a faster disk."))
      }
      state.waiting.append(waiting)
      if state.writerIsBusy { return .waits }
      state.writerIsBusy = true
      return .wakeWriter
    }
  }

  /// The writer's next group, oldest first; empty when nobody waits, and then the writer rests until woken.
  func takeGroup() -> [Waiting] {
    let (group, closers) = state.withLock { state in
      let group = Array(state.waiting.prefix(maximumGroup))
      state.waiting.removeFirst(group.count)
      var closers: [CheckedContinuation<Void, Never>] = []
      if group.isEmpty {
        state.writerIsBusy = false
        swap(&closers, &state.closers)
      }
      return (group, closers)
    }
    for closer in closers { closer.resume() }
    return group
  }

  /// Refuses newcomers, and returns when those who wait have been served.
  func close() async {
    await withCheckedContinuation { (closer: CheckedContinuation<Void, Never>) in
      let isIdle = state.withLock { state in
        state.isClosed = true
        if state.writerIsBusy { state.closers.append(closer) }
        return !state.writerIsBusy
      }
      if isIdle { closer.resume() }
    }
  }

  var count: Int { state.withLock { $0.waiting.count } }
  var isClosed: Bool { state.withLock { $0.isClosed } }
}

extension DocumentStoreError {
  static var storeClosed: DocumentStoreError {
    DocumentStoreError(
      .closed, message: "The document store is closed.", nextStep: "Don't use it once the service shuts down.")
  }
}
