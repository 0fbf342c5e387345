// Retries of one effect inside a process: exponential backoff with full jitter under a budget, for errors that say
// they may pass. Source: AWS Architecture Blog, "Exponential Backoff And Jitter". Retries across restarts are the
// journal's.

import DocumentStore

/// An error that knows whether trying again may help.
public protocol RetryableError: Error {
  var retryable: Bool { get }
  /// The shortest wait the other side asked for (an HTTP Retry-After), if it did.
  var retryAfter: Duration? { get }
}

extension RetryableError {
  public var retryAfter: Duration? { nil }
}

extension DocumentStoreError: RetryableError {}
extension WorkflowError: RetryableError {}

public struct RetryPolicy: Sendable, Equatable {
  /// The first wait is a random part of this; each later one of twice the one before.
  public var initialDelay: Duration
  public var maximumDelay: Duration
  /// Tries in all, the first one included.
  public var maximumAttempts: Int
  /// No try begins later than this after the first one began.
  public var maximumElapsed: Duration

  public init(
    initialDelay: Duration = .milliseconds(200), maximumDelay: Duration = .seconds(30), maximumAttempts: Int = 8,
    maximumElapsed: Duration = .seconds(300)
  ) {
    self.initialDelay = initialDelay
    self.maximumDelay = maximumDelay
    self.maximumAttempts = maximumAttempts
    self.maximumElapsed = maximumElapsed
  }

  /// The wait before the next try; nil if the budget is spent.
  /// - Parameters:
  ///   - attempts: tries made so far, at least one.
  ///   - random: 0 up to but not including 1.
  public func delay(
    afterAttempts attempts: Int, elapsed: Duration, retryAfter: Duration?, random: Double
  ) -> Duration? {
    if attempts >= maximumAttempts { return nil }
    var ceiling = min(initialDelay, maximumDelay)
    for _ in 1..<max(attempts, 1) {
      ceiling = ceiling * 2
      if ceiling >= maximumDelay { ceiling = maximumDelay; break }
    }
    let delay = max(ceiling * random, retryAfter ?? .zero)
    return elapsed + delay > maximumElapsed ? nil : delay
  }
}

/// Calls `operation` until it succeeds, fails for good, or the budget is spent; then throws its last error.
/// - Parameters:
///   - random: a number from 0 up to but not including 1, for the jitter.
///   - operation: gets the number of this try, from 1.
public func retrying<Value>(
  _ policy: RetryPolicy, clock: WorkflowClock = .system,
  random: @Sendable () -> Double = { Double.random(in: 0..<1) },
  isolation: isolated (any Actor)? = #isolation,
  _ operation: (_ attempt: Int) async throws -> Value
) async throws -> Value {
  let begin = clock.now()
  var attempt = 1
  while true {
    do { return try await operation(attempt) } catch {
      let elapsed = Duration.milliseconds(clock.now() - begin)
      guard let known = error as? any RetryableError, known.retryable,
        let delay = policy.delay(
          afterAttempts: attempt, elapsed: elapsed, retryAfter: known.retryAfter, random: random())
      else { throw error }
      // Rounded up: a wait the other side asked for is never cut short.
      try await clock.sleepUntil(clock.now() + (delay + .nanoseconds(999_999)).inMilliseconds)
      attempt += 1
    }
  }
}
