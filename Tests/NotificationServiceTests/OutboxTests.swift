// The outbox: what is sent, tried again, given up, and what happens when the process dies at each step in between.
import FerryAPI
import Testing

@testable import NotificationService

@Suite("Outbox")
struct OutboxTests {
  @Test("a notification is sent once and its state journalled")
  func sends() async throws {
    let bench = try Bench()
    let told = try await bench.desk.tell(telling("done"))
    #expect(try await bench.channel(told)?.status == .queued)
    #expect(try await bench.drain() == .empty)
    #expect(bench.messenger.sent.map(\.notification.id) == [told.id])
    let state = try #require(try await bench.channel(told))
    #expect(state.status == .sent && state.attempts == 1 && state.problem == nil)
    #expect(try await bench.drain() == .empty)
    #expect(bench.messenger.sent.count == 1)
  }

  @Test("a passing failure is shown, and tried again when its wait is over")
  func triesAgain() async throws {
    let bench = try Bench()
    bench.messenger.fail(failing(.unreachable))
    let told = try await bench.desk.tell(telling("done"))
    #expect(try await bench.drain() == .waits(until: bench.clock.now + 2000))
    let waiting = try #require(try await bench.channel(told))
    #expect(waiting.status == .queued && waiting.attempts == 1 && waiting.problem?.message == "The test said no.")
    bench.clock.advance(.seconds(2))
    #expect(try await bench.drain() == .empty)
    let sent = try #require(try await bench.channel(told))
    #expect(sent.status == .sent && sent.attempts == 2 && sent.problem == nil)
    #expect(!bench.messenger.sent.contains { $0.mayBeRepeat })
  }

  @Test("a wait that the other side asks for is kept, but not beyond an hour")
  func retryAfter() async throws {
    let bench = try Bench()
    bench.messenger.fail(
      failing(.throttled, retryAfter: .seconds(90)), failing(.throttled, retryAfter: .seconds(90_000)))
    _ = try await bench.desk.tell(telling("done"))
    #expect(try await bench.drain() == .waits(until: bench.clock.now + 90_000))
    bench.clock.advance(.seconds(90))
    #expect(try await bench.drain() == .waits(until: bench.clock.now + 3_600_000))
  }

  @Test("a refusal is final and says why")
  func refused() async throws {
    let bench = try Bench()
    bench.messenger.fail(failing(.refused))
    let told = try await bench.desk.tell(telling("done"))
    #expect(try await bench.drain() == .empty)
    let state = try #require(try await bench.channel(told))
    #expect(state.status == .failed && state.problem?.code == "TEST" && state.problem?.nextStep == "Nothing.")
    #expect(bench.messenger.sent.count == 1)
  }

  @Test("what always fails is given up after its budget")
  func budget() async throws {
    let bench = try Bench()
    for _ in 0..<100 { bench.messenger.fail(failing(.serverFault)) }
    let told = try await bench.desk.tell(telling("done"))
    while case .waits(let due) = try await bench.drain() {
      bench.clock.advance(.milliseconds(due - bench.clock.now))
    }
    #expect(bench.messenger.sent.count == Int(RetrySchedule.budget(of: .serverFault)))
    #expect(try await bench.channel(told)?.status == .failed)
  }

  @Test("what has waited for a day is given up")
  func expires() async throws {
    let bench = try Bench()
    bench.messenger.fail(failing(.unreachable))
    let told = try await bench.desk.tell(telling("done"))
    _ = try await bench.drain()
    bench.clock.advance(.seconds(25 * 3600))
    #expect(try await bench.drain() == .empty)
    #expect(try await bench.channel(told)?.problem?.code == "EXPIRED")
    #expect(bench.messenger.sent.count == 1)
  }

  @Test("one that waits does not hold up the next")
  func noBlocking() async throws {
    let bench = try Bench()
    bench.messenger.fail(failing(.unreachable))
    _ = try await bench.desk.tell(telling("first"))
    _ = try await bench.drain()
    let second = try await bench.desk.tell(telling("second"))
    _ = try await bench.drain()
    #expect(try await bench.channel(second)?.status == .sent)
  }

  // MARK: Dying in between

  @Test("stopped while sending, mail goes out again as the same mail", arguments: [1, 3])
  func crashWhileSendingMail(crashes: Int) async throws {
    let bench = try Bench()
    for _ in 0..<crashes { bench.messenger.fail(failing(.stopped)) }
    let told = try await bench.desk.tell(telling("done"))
    for _ in 0..<crashes { #expect(try await bench.drain() == .stopped) }
    #expect(try await bench.drain() == .empty)
    #expect(bench.messenger.sent.map(\.notification.id) == [String](repeating: told.id, count: crashes + 1))
    #expect(try await bench.channel(told)?.status == .sent)
  }

  @Test("stopped while sending, a channel that can't tell repeats gets one more, which says so")
  func crashWhileSendingCard() async throws {
    let bench = try Bench(ScriptedMessenger("teams", deduplicates: false))
    bench.messenger.fail(failing(.stopped))
    let told = try await bench.desk.tell(telling("done"))
    #expect(try await bench.drain() == .stopped)
    #expect(try await bench.drain() == .empty)
    #expect(bench.messenger.sent.map(\.mayBeRepeat) == [false, true])
    #expect(try await bench.channel(told)?.status == .sent)
  }

  @Test("cut off twice, such a channel gets no third, and the reader is told", arguments: [
    (failing(.stopped), failing(.stopped)),
    (failing(.unreachable, mayHaveArrived: true), failing(.unreachable, mayHaveArrived: true)),
    (failing(.stopped), failing(.unreachable, mayHaveArrived: true)),
  ])
  func cutOffTwice(first: SendFailure, second: SendFailure) async throws {
    let bench = try Bench(ScriptedMessenger("teams", deduplicates: false))
    bench.messenger.fail(first, second)
    let told = try await bench.desk.tell(telling("done"))
    for _ in 0..<4 {
      _ = try await bench.drain()
      bench.clock.advance(.seconds(60))
    }
    #expect(bench.messenger.sent.count == 2)
    let state = try #require(try await bench.channel(told))
    #expect(state.status == .failed && state.problem?.code == "OUTCOME_UNKNOWN")
  }

  @Test("dying after the outcome was journalled sends nothing again")
  func crashAfterOutcome() async throws {
    let bench = try Bench()
    let told = try await bench.desk.tell(telling("done"))
    bench.store.breakCommits { $0.operations.contains { $0.action == .delete } }
    await #expect(throws: (any Error).self) { try await bench.drain() }
    #expect(try await bench.channel(told)?.status == .sent)
    bench.store.mend()
    #expect(try await bench.drain() == .empty)
    #expect(bench.messenger.sent.count == 1)
  }

  @Test("without a mark in the journal nothing is sent")
  func noMark() async throws {
    let bench = try Bench()
    _ = try await bench.desk.tell(telling("done"))
    bench.store.breakCommits { $0.partition == "outbox/email" }
    await #expect(throws: (any Error).self) { try await bench.drain() }
    #expect(bench.messenger.sent.isEmpty)
  }

  @Test("an entry whose notification was never stored is dropped after a while")
  func orphan() async throws {
    let bench = try Bench()
    bench.store.breakCommits { $0.partition.hasPrefix("recipient/") }
    #expect(await failure { _ = try await bench.desk.tell(telling("done")) }?.code == .unavailable)
    bench.store.mend()
    #expect(try await bench.drain() == .waits(until: bench.clock.now + 1000))
    bench.clock.advance(.seconds(61))
    #expect(try await bench.drain() == .empty)
    #expect(bench.messenger.sent.isEmpty)
  }

  @Test("the lane wakes when something is put into the outbox, and ends when it is cancelled")
  func laneRuns() async throws {
    let bench = try Bench()
    let lanes = bench.desk.startLanes(logger: bench.lane.logger)
    let told = try await bench.desk.tell(telling("done"))
    while try await bench.channel(told)?.status != .sent { await Task.yield() }
    for lane in lanes { lane.cancel() }
    for lane in lanes { await lane.value }
    #expect(bench.messenger.sent.count == 1)
  }
}

@Suite("Retry schedule")
struct RetryScheduleTests {
  @Test("waits double up to ten minutes and spread over their upper half")
  func doubles() {
    let longest = RetrySchedule(chance: { 1 })
    let shortest = RetrySchedule(chance: { 0 })
    let waits = (1...12).map { longest.wait(after: failing(.unreachable), attempts: Int32($0)) }
    #expect(waits.prefix(4) == [.seconds(2), .seconds(4), .seconds(8), .seconds(16)])
    #expect(waits.suffix(2) == [.seconds(600), .seconds(600)])
    #expect(shortest.wait(after: failing(.unreachable), attempts: 3) == .seconds(4))
  }

  @Test("a refusal gets no second attempt, and every budget ends")
  func budgets() {
    for kind in [SendFailure.Kind.refused, .unreachable, .throttled, .serverFault] {
      #expect(RetrySchedule.random.wait(after: failing(kind), attempts: RetrySchedule.budget(of: kind)) == nil)
    }
    #expect(RetrySchedule.budget(of: .refused) == 1)
  }
}
