// What is tried again, how often, and what ends at once.
import FerryAPI
import RPC
import Synchronization
import Testing
import Workflow

@testable import TransferService

@Suite struct PersistenceTests {
  /// A clock that moves only when somebody sleeps.
  private static func persistence(_ seconds: Int, _ slept: Number) -> Persistence {
    var persist = Persistence(budgetSeconds: seconds)
    persist.random = { 0.999 }
    persist.clock = WorkflowClock(now: { slept.value }, sleepUntil: { slept.value = $0 })
    return persist
  }

  final class Number: Sendable {
    private let state = Mutex<Int64>(0)
    var value: Int64 {
      get { state.withLock { $0 } }
      set { state.withLock { $0 = newValue } }
    }
  }

  private func failing(_ failure: DeliveryFailure, budget: Int) async -> (calls: Int64, milliseconds: Int64) {
    let (clock, calls) = (Number(), Number())
    let persist = Self.persistence(budget, clock)
    do {
      try await persist {
        calls.value += 1
        throw failure
      }
    } catch {}
    return (calls.value, clock.value)
  }

  @Test("a lost connection is tried until the budget is spent, and not longer")
  func budget() async {
    let lost = DeliveryFailure("CONNECTION_LOST", "m", next: "n", retryable: true)
    let (calls, time) = await failing(lost, budget: 20)
    #expect(calls > 3)
    #expect(time <= 20_000)
    #expect(await failing(lost, budget: 0).calls == 1)
  }

  @Test("what can't pass ends at once")
  func fatal() async {
    let refused = DeliveryFailure("LOGIN_REFUSED", "m", next: "n")
    #expect(await failing(refused, budget: 60).calls == 1)
  }

  @Test("a service of our own is waited for, for hours")
  func peers() async {
    let down = DeliveryFailure(RPCError(.unavailable, "no connection"), from: "ticketing")
    #expect(down.peerIsDown)
    let (_, time) = await failing(down, budget: 5)
    #expect(time > 11 * 3600 * 1000)
    #expect(time <= 12 * 3600 * 1000)
  }

  @Test("a provider's trouble told by a service is not that service being down")
  func provider() {
    let problem = Problem.with { ($0.code, $0.message, $0.provider, $0.retryable) = ("THROTTLED", "m", "s3", true) }
    let failure = DeliveryFailure(RPCError(.unavailable, problem), from: "storage-broker")
    #expect(!failure.peerIsDown)
    #expect(failure.retryable)
    #expect(failure.scope == .delivery)
  }

  @Test("slots are taken in order, and a cancelled wait takes none")
  func slots() async throws {
    let slots = Slots(1)
    try await slots.take()
    let waiter = Task { try await slots.take() }
    waiter.cancel()
    await #expect(throws: CancellationError.self) { try await waiter.value }
    slots.giveBack()
    try await slots.take()
    let next = Task { try await slots.take() }
    slots.giveBack()
    try await next.value
  }

  @Test("a request is refused with what to do", arguments: [
    DeliveryRequest(), DeliveryRequest.with { $0.source = Source.with { $0.bucket = "b" } },
    DeliveryRequest.with {
      $0.source = Source.with { ($0.bucket, $0.selections) = ("b", [Selection()]) }
      $0.options = DeliveryOptions.with { $0.chunkSize = 1000 }
    },
    DeliveryRequest.with {
      $0.source = Source.with { ($0.bucket, $0.selections) = ("b", [Selection.with { $0.kind = .key }]) }
    },
    DeliveryRequest.with {
      $0.source = Source.with { ($0.bucket, $0.selections) = ("b", [Selection()]) }
      $0.title = "a\u{7}b"
    },
  ])
  func refused(_ request: DeliveryRequest) {
    do throws(RPCError) {
      _ = try RequestCheck.check(request)
      Issue.record("it was accepted")
    } catch {
      #expect(error.code == .invalidArgument)
      #expect(error.problem?.nextStep.isEmpty == false)
    }
  }
}
