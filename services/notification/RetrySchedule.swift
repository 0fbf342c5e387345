// When a sending that failed is tried again, and when no more: a budget for each kind of failure, and waits that double
// and spread. Time and chance come from the caller.

struct RetrySchedule: Sendable {
  static let firstWait: Duration = .seconds(2)
  static let longestWait: Duration = .seconds(600)
  /// What the other side may make us wait, at most.
  static let longestRetryAfter: Duration = .seconds(3600)
  /// An entry is given up when it is this old, whatever its budget.
  static let maximumAge: Duration = .seconds(24 * 3600)

  /// Attempts in all, by the kind of the last failure. With the waits above, 40 take about five hours.
  static func budget(of kind: SendFailure.Kind) -> Int32 {
    switch kind {
    case .refused: 1
    case .unreachable, .throttled, .stopped: 40
    case .serverFault: 20
    }
  }

  /// In 0 ..< 1.
  let chance: @Sendable () -> Double

  static let random = RetrySchedule(chance: { Double.random(in: 0..<1) })

  /// The wait before the next attempt; nil: there is none.
  func wait(after failure: SendFailure, attempts: Int32) -> Duration? {
    guard attempts < Self.budget(of: failure.kind) else { return nil }
    var wait = Self.firstWait
    for _ in 1..<max(1, attempts) where wait < Self.longestWait { wait = min(wait * 2, Self.longestWait) }
    // Half of it is left to chance, so that what failed together is not tried again together.
    wait = wait * (0.5 + chance() / 2)
    guard let asked = failure.retryAfter else { return wait }
    return max(wait, min(asked, Self.longestRetryAfter))
  }
}

extension Duration {
  var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
