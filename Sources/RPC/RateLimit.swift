// Holds each caller to a rate of calls, as an interceptor: a token bucket a caller (RFC 2697's idea, one colour).
import NIOCore
import Synchronization

public final class RateLimit: Sendable {
  /// Callers that are told apart; when there are more, those whose buckets are full again are forgotten first.
  public static let maxCallers = 10_000

  private struct Bucket {
    var tokens: Double
    var filledAt: NIODeadline
  }

  public let callsPerSecond: Double
  public let burst: Double
  private let key: @Sendable (CallContext) -> String?
  private let now: @Sendable () -> NIODeadline
  private let buckets = Mutex<[String: Bucket]>([:])

  /// - Parameters:
  ///   - callsPerSecond: what a caller may go on doing.
  ///   - burst: what it may do at once after a pause.
  ///   - key: who the caller is; nil lets the call pass.
  ///   - now: the monotonic clock.
  public init(
    callsPerSecond: Double, burst: Double, now: @escaping @Sendable () -> NIODeadline = { .now() },
    key: @escaping @Sendable (CallContext) -> String?
  ) {
    precondition(callsPerSecond > 0 && burst >= 1, "a rate limit must let something pass")
    self.callsPerSecond = callsPerSecond
    self.burst = burst
    self.now = now
    self.key = key
  }

  /// Refuses with RESOURCE_EXHAUSTED, QuotaFailure and RetryInfo. Behind whatever finds out who calls.
  public var interceptor: ServerInterceptor {
    ServerInterceptor(before: { [self] (context) throws(RPCError) in
      if let caller = key(context), let pause = take(caller) { throw refusal(caller, pause) }
    })
  }

  private func refusal(_ caller: String, _ pause: Duration) -> RPCError {
    var error = RPCError.overloaded(
      "more than \(callsPerSecond.formattedShortly) calls a second; the next is taken in \(pause)", retryAfter: pause)
    error.details.append(
      StatusDetail(
        QuotaFailure.with {
          $0.violations = [
            .with {
              $0.subject = caller
              $0.description = "\(callsPerSecond.formattedShortly) calls a second, \(burst.formattedShortly) at once"
            }
          ]
        }))
    return error
  }

  /// Nil if the caller may call now, else how long until it may.
  func take(_ caller: String) -> Duration? {
    let now = now()
    return buckets.withLock { buckets in
      if buckets[caller] == nil, buckets.count >= Self.maxCallers { makeRoom(&buckets, now) }
      var bucket = buckets[caller] ?? Bucket(tokens: burst, filledAt: now)
      fill(&bucket, now)
      defer { buckets[caller] = bucket }
      guard bucket.tokens >= 1 else { return .seconds((1 - bucket.tokens) / callsPerSecond) }
      bucket.tokens -= 1
      return nil
    }
  }

  private func fill(_ bucket: inout Bucket, _ now: NIODeadline) {
    let seconds = Double((now - bucket.filledAt).nanoseconds) / 1e9
    bucket.tokens = min(burst, bucket.tokens + max(0, seconds) * callsPerSecond)
    bucket.filledAt = now
  }

  /// Full buckets say nothing; if none is full, half of all go, the fullest first.
  private func makeRoom(_ buckets: inout [String: Bucket], _ now: NIODeadline) {
    for name in buckets.keys {
      guard var bucket = buckets[name] else { continue }
      fill(&bucket, now)
      buckets[name] = bucket.tokens >= burst ? nil : bucket
    }
    // Room for many, so that this pass over all is rare.
    guard buckets.count > Self.maxCallers / 4 * 3 else { return }
    for (name, _) in buckets.sorted(by: { $0.value.tokens > $1.value.tokens }).prefix(Self.maxCallers / 2) {
      buckets[name] = nil
    }
  }
}

extension Double {
  /// "50", "0.5"
  fileprivate var formattedShortly: String { self == rounded() && magnitude < 1e15 ? String(Int64(self)) : String(self) }
}
