// Time and chance as the engine sees them: handed in, so that a test rules both.

import DocumentStore

public struct WorkflowClock: Sendable {
  /// The wall clock, the same on all replicas to within a small part of the lease time.
  public var now: @Sendable () -> UnixMilliseconds
  /// Returns once `now` has reached the moment; throws CancellationError when the task is cancelled first.
  public var sleepUntil: @Sendable (UnixMilliseconds) async throws -> Void

  public init(
    now: @escaping @Sendable () -> UnixMilliseconds,
    sleepUntil: @escaping @Sendable (UnixMilliseconds) async throws -> Void
  ) {
    self.now = now
    self.sleepUntil = sleepUntil
  }

  public static let system = WorkflowClock(now: SystemTime.now) { moment in
    // The wall clock may be set back meanwhile: look again.
    while case let rest = moment - SystemTime.now(), rest > 0 {
      try await Task.sleep(for: .milliseconds(rest))
    }
  }

  public func sleep(for duration: Duration) async throws {
    try await sleepUntil(now() + duration.inMilliseconds)
  }
}

extension Duration {
  /// Whole milliseconds, rounded down.
  var inMilliseconds: Int64 {
    let (seconds, attoseconds) = components
    return seconds * 1000 + attoseconds / 1_000_000_000_000_000
  }
}
