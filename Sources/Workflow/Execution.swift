// One run under way in this process: the task of its body or clean-up, the lease it works under, and why it is to stop.

import Synchronization

final class Execution: Sendable {
  enum Interruption: Sendable {
    case cancelRequested, leaseLost, stopping
  }

  /// What the task does: a cancel request ends a body, but not the clean-up that follows from it.
  enum Phase: Sendable {
    case body, cleanup
  }

  private struct State {
    var interruption: Interruption?
    var phase = Phase.body
    var task: Task<[UInt8], any Error>?
    var lease: Lease?

    var mustStop: Bool {
      guard let interruption else { return false }
      return phase == .body || interruption != .cancelRequested
    }
  }

  private let state = Mutex(State())

  var interruption: Interruption? { state.withLock { $0.interruption } }

  var lease: Lease? {
    get { state.withLock { $0.lease } }
    set { state.withLock { $0.lease = newValue } }
  }

  /// Notes a renewal, unless the run ended meanwhile.
  func extend(_ lease: Lease) {
    state.withLock { if $0.lease != nil { $0.lease = lease } }
  }

  /// Cancels what is under way. A lost lease or a stop outweighs a cancel request; a cancel request never the others.
  func interrupt(_ reason: Interruption) {
    let task = state.withLock { state -> Task<[UInt8], any Error>? in
      if state.interruption == nil || state.interruption == .cancelRequested { state.interruption = reason }
      return state.mustStop ? state.task : nil
    }
    task?.cancel()
  }

  func run(
    _ phase: Phase, _ work: @escaping @Sendable () async throws -> [UInt8]
  ) async -> Result<[UInt8], any Error> {
    let task = Task { try await work() }
    let mustStop = state.withLock { state in
      state.phase = phase
      state.task = task
      return state.mustStop
    }
    if mustStop { task.cancel() }
    let result = await task.result
    state.withLock { $0.task = nil }
    return result
  }
}
