// Backoff: how long, how often, and for which errors.

import DocumentStore
import Testing
import Workflow

@Suite("Retrying")
struct RetryPolicyTests {
  struct Failure: RetryableError, Equatable {
    var retryable = true
    var retryAfter: Duration?
  }

  struct Unknown: Error {}

  /// A clock on which sleeping is instant, and the waits it was asked for.
  private func clock(_ waits: Log<Int64>) -> WorkflowClock {
    let now = Shared<UnixMilliseconds>(0)
    return WorkflowClock(now: { now.value }) { moment in
      waits.add(moment - now.value)
      now.update { $0 = max($0, moment) }
    }
  }

  let policy = RetryPolicy(
    initialDelay: .milliseconds(100), maximumDelay: .seconds(1), maximumAttempts: 7, maximumElapsed: .seconds(60))

  @Test("waits a random part of a ceiling that doubles up to its bound", arguments: [0.0, 0.5, 0.99])
  func ceilings(random: Double) throws {
    for (attempts, ceiling) in [(1, 100), (2, 200), (3, 400), (4, 800), (5, 1000), (6, 1000)] {
      let delay = policy.delay(afterAttempts: attempts, elapsed: .zero, retryAfter: nil, random: random)
      #expect(delay == Duration.milliseconds(ceiling) * random)
    }
    #expect(policy.delay(afterAttempts: 7, elapsed: .zero, retryAfter: nil, random: random) == nil)
  }

  @Test("never comes back before the other side asked, nor after the budget")
  func budget() {
    #expect(policy.delay(afterAttempts: 1, elapsed: .zero, retryAfter: .seconds(9), random: 0) == .seconds(9))
    #expect(policy.delay(afterAttempts: 1, elapsed: .seconds(55), retryAfter: .seconds(9), random: 0) == nil)
  }

  @Test("ends with the success, the last error, or at once for an error that can't pass")
  func outcomes() async throws {
    let waits = Log<Int64>()
    let result = try await retrying(policy, clock: clock(waits), random: { 0.5 }) { attempt in
      if attempt < 4 { throw Failure() }
      return attempt
    }
    #expect(result == 4)
    #expect(waits.values == [50, 100, 200])

    let attempts = Log<Int>()
    await #expect(throws: Failure()) {
      try await retrying(policy, clock: clock(Log()), random: { 0 }) { attempts.add($0); throw Failure() }
    }
    #expect(attempts.values == [1, 2, 3, 4, 5, 6, 7])

    for error in [Failure(retryable: false), Unknown()] as [any Error] {
      let calls = Log<Int>()
      await #expect(throws: (any Error).self) {
        try await retrying(policy, clock: clock(Log())) { calls.add($0); throw error }
      }
      #expect(calls.values == [1])
    }
  }
}
