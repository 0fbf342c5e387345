// Retries and hedging (gRFC A6, "client retries"): which failed attempts are made again, when, and when no more.
import Synchronization

/// A channel's budget for retries: each failure costs a token, each success gives a part of one back, and nothing is
/// retried while half or less is left.
final class RetryThrottle: Sendable {
  private let maxTokens: Double
  private let tokenRatio: Double
  private let tokens: Mutex<Double>

  init(_ throttling: ServiceConfig.RetryThrottling) {
    maxTokens = throttling.maxTokens
    tokenRatio = throttling.tokenRatio
    tokens = Mutex(throttling.maxTokens)
  }

  var allowsRetry: Bool { tokens.withLock { $0 > maxTokens / 2 } }
  func failed() { tokens.withLock { $0 = max(0, $0 - 1) } }
  func succeeded() { tokens.withLock { $0 = min(maxTokens, $0 + tokenRatio) } }
}

/// The attempts of one call under a retry policy.
struct RetryState {
  private let policy: ServiceConfig.RetryPolicy
  private let throttle: RetryThrottle?
  private let random: @Sendable () -> Double
  private let deadline: Deadline?
  /// Made so far.
  private(set) var attempts = 0
  private var backoff: Duration

  init(
    _ policy: ServiceConfig.RetryPolicy, _ throttle: RetryThrottle?, deadline: Deadline?,
    random: @escaping @Sendable () -> Double
  ) {
    self.policy = policy
    self.throttle = throttle
    self.deadline = deadline
    self.random = random
    backoff = policy.initialBackoff
  }

  mutating func began() { attempts += 1 }

  /// How long to wait before the next attempt, or nil if this error is the call's. An attempt that the server has answered
  /// with a header block is committed: its error counts.
  mutating func pause(after error: RPCError, isCommitted: Bool) -> Duration? {
    let isRetryable = policy.retryableStatusCodes.contains(error.code)
    if isRetryable || error.forbidsRetry { throttle?.failed() }
    guard isRetryable, !isCommitted, !error.forbidsRetry, attempts < min(policy.maxAttempts, ServiceConfig.maxAttempts),
      throttle?.allowsRetry ?? true
    else { return nil }
    let pause: Duration
    if let pushback = error.retryPushback {
      pause = pushback
      backoff = policy.initialBackoff
    } else {
      pause = backoff * random()
      // In seconds: a Duration does not hold every product.
      let next = (backoff / .seconds(1)) * policy.backoffMultiplier
      backoff = next < policy.maxBackoff / .seconds(1) ? .seconds(next) : policy.maxBackoff
    }
    // An attempt that could not even begin in time would only hide the error that there is.
    if let deadline, deadline.remaining <= pause { return nil }
    return pause
  }

  func succeeded() { throttle?.succeeded() }
}

/// Runs an attempt at once and another after each delay or non-fatal failure; the first answer counts and ends the others.
enum Hedging {
  private enum Event<R: Sendable>: Sendable {
    case answer(Result<R, RPCError>)
    /// The time for the attempt of this number has come.
    case due(Int)
  }

  /// - Parameter discard: gets answers that came too late to count.
  static func run<R: Sendable>(
    _ policy: ServiceConfig.HedgingPolicy, _ throttle: RetryThrottle?, discard: @Sendable (R) -> Void,
    _ attempt: @escaping @Sendable (_ number: Int) async throws(RPCError) -> R
  ) async throws(RPCError) -> R {
    let most = min(policy.maxAttempts, ServiceConfig.maxAttempts)
    let result: Result<R, RPCError> = await withTaskGroup(of: Event<R>.self) { group in
      var started = 0
      var running = 0
      var mayStart = true
      var outcome: Result<R, RPCError>?
      func schedule(after pause: Duration) {
        let number = started + 1
        group.addTask {
          // A cancelled sleep only means that the call is over.
          try? await Task.sleep(for: pause)
          return .due(number)
        }
      }
      func start() {
        started += 1
        running += 1
        let number = started
        group.addTask {
          do throws(RPCError) { return .answer(.success(try await attempt(number))) } catch {
            return .answer(.failure(error))
          }
        }
        if started < most { schedule(after: policy.hedgingDelay) }
      }
      start()
      while let event = await group.next() {
        switch event {
        case .answer(.success(let answer)):
          running -= 1
          guard outcome == nil else {
            discard(answer)
            continue
          }
          throttle?.succeeded()
          outcome = .success(answer)
          group.cancelAll()
        case .answer(.failure(let error)):
          running -= 1
          guard outcome == nil else { continue }
          if error.forbidsRetry { mayStart = false }
          let isFatal = !policy.nonFatalStatusCodes.contains(error.code) || Task.isCancelled
          if !isFatal { throttle?.failed() }
          mayStart = mayStart && (throttle?.allowsRetry ?? true) && started < most
          if isFatal || (running == 0 && !mayStart) {
            outcome = .failure(error)
            group.cancelAll()
          } else if mayStart {
            if let pushback = error.retryPushback { schedule(after: pushback) } else { start() }
          }
        case .due(let number):
          let isWanted = outcome == nil && mayStart && number == started + 1 && !Task.isCancelled
          if isWanted, throttle?.allowsRetry ?? true { start() }
        }
      }
      return outcome ?? .failure(RPCError(.cancelled, "the call was cancelled"))
    }
    return try result.get()
  }
}
