// How often and how long something is tried again. What the outside world refuses for a moment is retried under a small
// budget, chunk by chunk; a service of our own that is down is waited for, for hours.
import Synchronization
import Workflow

struct Persistence: Sendable {
  /// For the source and the destination.
  var budget = RetryPolicy(
    initialDelay: .milliseconds(250), maximumDelay: .seconds(10), maximumAttempts: 12, maximumElapsed: .seconds(60))
  /// For our own services: tries are counted apart, so that waiting for them uses up none of the budget.
  var patience = RetryPolicy(
    initialDelay: .milliseconds(250), maximumDelay: .seconds(30), maximumAttempts: .max,
    maximumElapsed: .seconds(12 * 3600))
  var clock = WorkflowClock.system
  var random: @Sendable () -> Double = { Double.random(in: 0..<1) }

  init(budgetSeconds: Int = 60) {
    budget.maximumElapsed = .seconds(budgetSeconds)
  }

  /// Calls `operation` until it succeeds, fails for good, or the budget of that kind of failure is spent.
  /// - Parameter onRetry: told of each failure that will be followed by another try.
  func callAsFunction<Value: Sendable>(
    onRetry: @Sendable (DeliveryFailure) async throws -> Void = { _ in },
    _ operation: @Sendable () async throws -> Value
  ) async throws -> Value {
    var tries = (budget: 0, patience: 0)
    var begin: (budget: Int64?, patience: Int64?)
    while true {
      do { return try await operation() } catch let failure as DeliveryFailure {
        try Task.checkCancellation()
        guard failure.retryable else { throw failure }
        let now = clock.now()
        let delay: Duration?
        if failure.peerIsDown {
          tries.patience += 1
          begin.patience = begin.patience ?? now
          delay = Self.delay(patience, tries.patience, now - (begin.patience ?? now), failure, random())
        } else {
          tries.budget += 1
          begin.budget = begin.budget ?? now
          delay = Self.delay(budget, tries.budget, now - (begin.budget ?? now), failure, random())
        }
        guard let delay else { throw failure }
        try await onRetry(failure)
        try await clock.sleep(for: delay)
      }
    }
  }

  private static func delay(
    _ policy: RetryPolicy, _ tries: Int, _ elapsed: Int64, _ failure: DeliveryFailure, _ random: Double
  ) -> Duration? {
    policy.delay(
      afterAttempts: tries, elapsed: .milliseconds(elapsed), retryAfter: failure.retryAfter, random: random)
  }
}
