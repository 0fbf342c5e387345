// How often and how long to wait before asking a provider again, for requests that may be repeated since they only read:
// full jitter under a doubling bound.

struct ReadRetryPolicy: Sendable {
  var maxAttempts = 4
  var firstDelay: Duration = .milliseconds(100)
  var maxDelay: Duration = .seconds(5)

  /// Before attempt 2, 3, …
  func delay(beforeAttempt attempt: Int, random: Double) -> Duration {
    let bound = min(maxDelay, firstDelay * (1 << min(attempt - 2, 16)))
    return bound * random
  }
}
