// Slows down who guesses passwords: each failed sign-in of a user name beyond the first few doubles the wait for the
// next.
import DocumentStore
import RPC
import ServiceKit
import Synchronization

final class SignInLimiter: Sendable {
  static let freeFailures = 5
  static let firstDelay: UnixMilliseconds = 1000
  static let maximumDelay: UnixMilliseconds = 15 * 60_000
  /// A name nobody tried for so long starts anew.
  static let forgottenAfter: UnixMilliseconds = 60 * 60_000
  /// Names kept; beyond it the one tried longest ago goes.
  static let maximumNames = 10_000

  private struct Entry {
    var failures: Int
    var lastTry: UnixMilliseconds
  }
  private let entries = Mutex<[String: Entry]>([:])
  private let now: @Sendable () -> UnixMilliseconds

  init(now: @escaping @Sendable () -> UnixMilliseconds) { self.now = now }

  /// Called before the password is looked at: the try counts as failed until `succeeded`, so that tries at the same
  /// moment count as well.
  /// - Throws: RESOURCE_EXHAUSTED with the time to wait.
  func begin(_ name: String) throws(RPCError) {
    let now = now()
    let wait = entries.withLock { entries -> UnixMilliseconds in
      var entry = entries[name] ?? Entry(failures: 0, lastTry: now)
      if now - entry.lastTry >= Self.forgottenAfter { entry.failures = 0 }
      let next = entry.lastTry + Self.delay(after: entry.failures)
      if now < next { return next - now }
      entry.failures += 1
      entry.lastTry = now
      if entries[name] == nil, entries.count >= Self.maximumNames { Self.makeRoom(&entries) }
      entries[name] = entry
      return 0
    }
    guard wait > 0 else { return }
    throw .told(
      .resourceExhausted, "TOO_MANY_SIGN_INS", "There were too many failed sign-ins for this user name.",
      next: "Try again in \(Self.words(wait)).", retryable: true, retryAfter: .milliseconds(wait))
  }

  func succeeded(_ name: String) { entries.withLock { _ = $0.removeValue(forKey: name) } }

  var names: Int { entries.withLock { $0.count } }

  static func delay(after failures: Int) -> UnixMilliseconds {
    guard failures >= freeFailures else { return 0 }
    return min(maximumDelay, firstDelay << Int64(min(failures - freeFailures, 20)))
  }

  private static func makeRoom(_ entries: inout [String: Entry]) {
    guard let oldest = entries.min(by: { $0.value.lastTry < $1.value.lastTry })?.key else { return }
    entries[oldest] = nil
  }

  /// "8 seconds", "2 minutes"; rounded up.
  private static func words(_ wait: UnixMilliseconds) -> String {
    let seconds = (wait + 999) / 1000
    if seconds < 120 { return seconds == 1 ? "1 second" : "\(seconds) seconds" }
    return "\((seconds + 59) / 60) minutes"
  }
}
