// Rates of calls under a clock that the tests move.
import InteropMessages
import NIOCore
@testable import RPC
import Synchronization
import Testing

@Suite("Rate limits", .timeLimit(.minutes(2)))
struct RateLimitTests {
  /// A clock that stands still until it is moved.
  private final class Clock: Sendable {
    private let time = Mutex(NIODeadline.uptimeNanoseconds(1_000_000_000))
    var now: NIODeadline { time.withLock { $0 } }
    func move(_ amount: TimeAmount) { time.withLock { $0 = $0 + amount } }
  }

  private func limit(_ rate: Double, burst: Double, _ clock: Clock) -> RateLimit {
    RateLimit(callsPerSecond: rate, burst: burst, now: { clock.now }, key: { $0.header("x-caller") })
  }

  @Test("a burst passes, then the rate; a pause earns a burst and no more")
  func burst() {
    let clock = Clock()
    let limit = limit(2, burst: 3, clock)
    func passes(_ calls: Int) -> [Bool] { (0..<calls).map { _ in limit.take("anna") == nil } }
    #expect(passes(5) == [true, true, true, false, false])
    #expect(limit.take("anna") == .milliseconds(500), "when the next is taken")
    clock.move(.milliseconds(499))
    #expect(passes(1) == [false])
    clock.move(.milliseconds(1))
    #expect(passes(2) == [true, false])
    clock.move(.seconds(1))
    #expect(passes(3) == [true, true, false])
    clock.move(.hours(1))
    #expect(passes(5) == [true, true, true, false, false])
  }

  @Test("each caller has a bucket of its own")
  func callers() {
    let limit = limit(1, burst: 1, Clock())
    #expect(limit.take("anna") == nil)
    #expect(limit.take("bert") == nil)
    #expect(limit.take("anna") != nil)
    #expect(limit.take("bert") != nil)
  }

  @Test("a clock that stands still or goes back earns nothing and breaks nothing")
  func clockGoesBack() {
    let clock = Clock()
    let limit = limit(10, burst: 1, clock)
    #expect(limit.take("anna") == nil)
    clock.move(.seconds(-5))
    #expect(limit.take("anna") != nil)
    clock.move(.milliseconds(100))
    #expect(limit.take("anna") == nil)
  }

  @Test("callers beyond the bound are forgotten, those that have rested first, and never the one who calls most")
  func bound() {
    let clock = Clock()
    let limit = limit(1, burst: 2, clock)
    #expect(limit.take("greedy") == nil)
    #expect(limit.take("greedy") == nil)
    for number in 0..<RateLimit.maxCallers * 3 { #expect(limit.take("caller \(number)") == nil) }
    #expect(limit.take("greedy") != nil, "many others do not wash a bucket full again")
  }

  @Test("a refusal names the limit, the caller and the time to try again")
  func refusal() async throws {
    let clock = Clock()
    let limit = limit(0.5, burst: 1, clock)
    try await Pair.with(interceptors: [limit.interceptor]) { pair in
      let anna = CallOptions(metadata: Metadata([("x-caller", "user:anna")]))
      func call(_ options: CallOptions) async -> RPCError? {
        await failure { () async throws(RPCError) in
          try await pair.channel.unary(TestService.emptyCall, Empty(), options)
        }
      }
      #expect(await call(anna) == nil)
      let error = await call(anna)
      #expect(error?.code == .resourceExhausted)
      let violation = try #require(error?.detail(QuotaFailure.self)?.violations.first)
      #expect(violation.subject == "user:anna")
      #expect(violation.description == "0.5 calls a second, 1 at once")
      #expect(error?.detail(RetryInfo.self)?.retryDelay?.duration == .seconds(2))
      #expect(error?.retryPushback == .seconds(2))
      // Whoever has no name has no limit.
      for _ in 0..<10 { #expect(await call(CallOptions()) == nil) }
      clock.move(.seconds(2))
      #expect(await call(anna) == nil)
    }
  }
}
