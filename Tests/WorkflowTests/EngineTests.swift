// Starting, waiting, cancelling, retrying, stopping; places by priority; timers that outlive the process.

import DocumentStore
import Synchronization
import Testing
import Workflow

@Suite("The engine")
struct EngineTests {
  struct Broken: Error, CustomStringConvertible {
    var description: String { "It broke." }
  }

  let fixture: TemporaryStore
  let time = ManualClock()
  init() throws { fixture = try TemporaryStore() }

  private func engine(
    _ kinds: WorkflowKind..., options: WorkflowEngine.Options = WorkflowEngine.Options(),
    events: Log<WorkflowEvent> = Log()
  ) async -> WorkflowEngine {
    let engine = WorkflowEngine(
      store: fixture.store, instance: "one", clock: time.clock, options: options, observe: { events.add($0) })
    for kind in kinds { await engine.register(kind) }
    return engine
  }

  @Test("the same id started twice is one run; with another input it is refused")
  func idempotentStart() async throws {
    let bodies = Log<RunID>()
    let engine = await engine(WorkflowKind("echo") { bodies.add($0.id); return $0.input })
    try await engine.resume()
    try await engine.start("a", kind: "echo", input: bytes("x"))
    #expect(try await engine.wait("a").output == bytes("x"))
    #expect(try await engine.start("a", kind: "echo", input: bytes("x")).status == .succeeded)
    #expect(bodies.values == ["a"])
    do {
      try await engine.start("a", kind: "echo", input: bytes("y"))
      Issue.record("it was taken")
    } catch { #expect(error.kind == .idInUse) }
    do {
      try await engine.start("b", kind: "nobody knows")
      Issue.record("it was taken")
    } catch { #expect(error.kind == .unknownKind) }
    do { _ = try await engine.wait("c"); Issue.record("it was found") } catch {
      #expect((error as? WorkflowError)?.kind == .unknownRun)
    }
    await engine.stop()
  }

  @Test("a failed run keeps its problem and its journal, and a retry goes on where it failed")
  func retryFailed() async throws {
    let (world, isBroken) = (World(), Gate())
    let kind = WorkflowKind("fragile") { context in
      let first = try await context.step("first") { world.act($0, bytes("1")) }
      do { try await isBroken.passNow() } catch { throw Broken() }
      return first
    }
    let engine = await engine(kind)
    try await engine.resume()
    try await engine.start("a", kind: "fragile")
    let failed = try await engine.wait("a")
    #expect(failed.status == .failed && text(failed.problem) == "It broke.")
    isBroken.open()
    #expect(try await engine.retry("a").problem == nil)
    let run = try await engine.wait("a")
    #expect(run.status == .succeeded && run.starts == 2 && run.problem == nil)
    #expect(world.asked("a/first") == 1)
    do { try await engine.retry("a"); Issue.record("it was retried") } catch {
      #expect(error.kind == .wrongState(.succeeded))
    }
    await engine.stop()
  }

  @Test("a cancel ends the body, then cleans up; a retry begins afresh")
  func cancelAndRetry() async throws {
    let (world, steps, gate) = (World(), Log<String>(), Gate())
    let kind = WorkflowKind(
      "long",
      cleanup: { context in
        steps.add("cleanup cancelled: \(Task.isCancelled)")
        _ = try await context.step("undo") { world.act($0, []) }
      },
      body: { context in
        _ = try await context.step("first") { _ in steps.add("first"); return [] }
        var batch = context.batch()
        batch.put("mine", [])
        try await context.commit(batch)
        steps.add("waits")
        try await gate.pass()
        return bytes("done")
      })
    let engine = await engine(kind)
    try await engine.resume()
    try await engine.start("a", kind: "long")
    await steps.wait { $0 == "waits" }
    try await engine.cancel("a")
    let run = try await engine.wait("a")
    #expect(run.status == .cancelled && run.cancelRequested && run.problem == nil)
    #expect(steps.values == ["first", "waits", "cleanup cancelled: false"])
    #expect(try await engine.cancel("a").status == .cancelled)
    gate.open()
    let again = try await engine.retry("a")
    #expect(!again.cancelRequested)
    #expect(try await engine.wait("a").output == bytes("done"))
    #expect(steps.values.filter { $0 == "first" }.count == 2)
    try await engine.forget("a")
    #expect(try await engine.run("a") == nil)
    #expect(try await fixture.store.query(partition: "workflow/run/a").documents.isEmpty)
    await engine.stop()
  }

  @Test("a run that never started is cancelled without one")
  func cancelPending() async throws {
    let bodies = Log<RunID>()
    let engine = await engine(WorkflowKind("echo") { bodies.add($0.id); return [] })
    try await engine.start("a", kind: "echo")
    #expect(try await engine.cancel("a").status == .cancelled)
    try await engine.resume()
    try await engine.start("b", kind: "echo")
    _ = try await engine.wait("b")
    #expect(bodies.values == ["b"])
    await engine.stop()
  }

  @Test("a stop leaves runs unfinished and unleased, and the next start resumes them from their journal")
  func stopAndResume() async throws {
    let (world, steps, gate) = (World(), Log<String>(), Gate())
    let kind = WorkflowKind("long") { context in
      _ = try await context.step("first") { world.act($0, []) }
      steps.add("start \(context.start)")
      try await gate.pass()
      return []
    }
    let first = await engine(kind)
    try await first.resume()
    try await first.start("a", kind: "long")
    await steps.wait { $0 == "start 1" }
    let waiter = Task { try await first.wait("a") }
    await first.stop()
    await #expect(throws: CancellationError.self) { _ = try await waiter.value }
    #expect(try await first.run("a")?.status == .running)
    #expect(try await fixture.store.get(DocumentKey(partition: "workflow/run/a", sort: "!r/lease")) == nil)
    // Another instance need not wait for the term.
    let second = WorkflowEngine(store: fixture.store, instance: "two", clock: time.clock)
    await second.register(kind)
    try await second.resume()
    await steps.wait { $0 == "start 2" }
    gate.open()
    #expect(try await second.wait("a").status == .succeeded)
    #expect(world.asked("a/first") == 1)
    await second.stop()
  }

  @Test("no more than the bound run at once, the most urgent first, then the oldest", arguments: [1, 3])
  func places(bound: Int) async throws {
    let (order, now, most) = (Log<String>(), Shared(0), Shared(0))
    let kind = WorkflowKind("short") { context in
      let count = now.update { $0 += 1; return $0 }
      most.update { $0 = max($0, count) }
      order.add(context.id.rawValue)
      for _ in 0..<20 { await Task.yield() }
      now.update { $0 -= 1 }
      return []
    }
    // A queue shorter than the number of runs: the rest is found in the store.
    let engine = await engine(kind, options: .init(maximumRunning: bound, maximumQueued: 4))
    var expected: [String] = []
    for priority in RunPriority.allCases.reversed() {
      for index in 0..<5 { expected.append("\(priority)-\(index)") }
    }
    for index in 0..<5 {
      time.advance(by: .milliseconds(1))
      for priority in RunPriority.allCases {
        try await engine.start(RunID("\(priority)-\(index)"), kind: "short", priority: priority)
      }
    }
    try await engine.resume()
    for id in expected { _ = try await engine.wait(RunID(id)) }
    #expect(most.value <= bound)
    if bound == 1 { #expect(order.values == expected) }
    #expect(order.values.sorted() == expected.sorted())
    await engine.stop()
  }

  @Test("a timer keeps its moment over a restart")
  func timer() async throws {
    let kind = WorkflowKind("patient") { context in
      try await context.sleep("nap", for: .seconds(3600))
      return bytes("\(context.start)")
    }
    let wake = time.now + 3_600_000
    let first = await engine(kind)
    try await first.resume()
    try await first.start("a", kind: "patient")
    await time.waitForSleeper(until: wake)
    await first.stop()
    time.advance(by: .seconds(1800))
    let second = await engine(kind)
    try await second.resume()
    await time.waitForSleeper(until: wake)
    time.advance(by: .seconds(1800))
    #expect(text(try await second.wait("a").output) == "2")
    await second.stop()
  }

  @Test("a run that sleeps leaves its place to another, and waits for a free one when it wakes")
  func sleepingPlaces() async throws {
    let (order, gate) = (Log<String>(), Gate())
    let engine = await engine(
      WorkflowKind("sleeper") { context in
        try await context.sleep("nap", for: .seconds(3600))
        order.add("sleeper awake")
        return []
      },
      WorkflowKind("worker") { _ in
        order.add("worker begins")
        try await gate.pass()
        order.add("worker ends")
        return []
      },
      options: .init(maximumRunning: 1))
    try await engine.resume()
    let wake = time.now + 3_600_000
    try await engine.start("sleeper", kind: "sleeper")
    await time.waitForSleeper(until: wake)
    try await engine.start("worker", kind: "worker")
    await order.wait { $0 == "worker begins" }
    time.advance(by: .seconds(3600))
    // A second worker stands in line behind the one that woke.
    try await engine.start("last", kind: "worker", priority: .critical)
    gate.open()
    _ = try await engine.wait("last")
    #expect(
      order.values == ["worker begins", "worker ends", "sleeper awake", "worker begins", "worker ends"]
        || order.values == ["worker begins", "worker ends", "worker begins", "worker ends", "sleeper awake"])
    #expect(try await engine.wait("sleeper").status == .succeeded)
    await engine.stop()
  }

  @Test("an index entry whose run was never written is removed once it is old, not before")
  func orphan() async throws {
    let index = "workflow/unfinished"
    let dying = CrashingStore(fixture.store, at: 1, .after)
    let crashed = WorkflowEngine(store: dying, instance: "one", clock: time.clock)
    await crashed.register(WorkflowKind("echo") { $0.input })
    await #expect(throws: WorkflowError.self) { try await crashed.start("a", kind: "echo") }
    #expect(try await fixture.store.query(partition: index).documents.count == 1)

    time.advance(by: .seconds(599))
    let engine = await engine(WorkflowKind("echo") { $0.input })
    try await engine.resume()
    try await engine.start("b", kind: "echo")
    _ = try await engine.wait("b")
    #expect(try await fixture.store.query(partition: index).documents.count == 1)
    await time.waitForSleeper(until: time.now + 15_000)
    time.advance(by: .seconds(15))
    while try await !fixture.store.query(partition: index).documents.isEmpty { await Task.yield() }
    await engine.stop()
  }

  @Test("a body can't write the engine's documents or another partition")
  func reservedKeys() async throws {
    let kinds = Log<WorkflowError.Kind>()
    let engine = await engine(
      WorkflowKind("nosy") { context in
        var own = context.batch()
        own.put("!r/record", [])
        var other = Batch(partition: "elsewhere")
        other.put("a", [])
        for batch in [own, other] {
          do { try await context.commit(batch) } catch let error as WorkflowError { kinds.add(error.kind) }
        }
        return []
      })
    try await engine.resume()
    try await engine.start("a", kind: "nosy")
    #expect(try await engine.wait("a").status == .succeeded)
    #expect(kinds.values == [.invalid, .invalid])
    await engine.stop()
  }

  @Test("a store in trouble postpones a run to the next scan instead of failing it")
  func storeTrouble() async throws {
    let (events, world) = (Log<WorkflowEvent>(), World())
    // The third commit is the take-up, the fourth the first step's record.
    let store = TroubledStore(fixture.store, failing: 4)
    let engine = WorkflowEngine(store: store, instance: "one", clock: time.clock, observe: { events.add($0) })
    await engine.register(
      WorkflowKind("one step") { context in
        do { return try await context.step("first") { world.act($0, bytes("1")) } } catch { throw Broken() }
      })
    try await engine.resume()
    try await engine.start("a", kind: "one step")
    await events.wait { if case .postponed("a", _) = $0 { true } else { false } }
    #expect(try await engine.run("a")?.status == .running)
    await time.waitForSleeper(until: time.now + 15_000)
    time.advance(by: .seconds(15))
    #expect(try await engine.wait("a").status == .succeeded)
    await engine.stop()
  }
}

extension Gate {
  /// Throws at once if it is closed.
  func passNow() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await self.pass() }
      group.cancelAll()
      try await group.waitForAll()
    }
  }
}

/// Fails one commit, then works again.
final class TroubledStore: DocumentStore {
  private let base: any DocumentStore
  private let failing: Int
  private let commits = Mutex(0)

  init(_ base: any DocumentStore, failing: Int) {
    self.base = base
    self.failing = failing
  }

  func get(_ key: DocumentKey) async throws(DocumentStoreError) -> Document? { try await base.get(key) }

  func query(
    partition: String, prefix: String, order: QueryOrder, limit: Int, after: PageToken?
  ) async throws(DocumentStoreError) -> DocumentPage {
    try await base.query(partition: partition, prefix: prefix, order: order, limit: limit, after: after)
  }

  func commit(_ batch: Batch) async throws(DocumentStoreError) -> [DocumentVersion] {
    let number = commits.withLock { $0 += 1; return $0 }
    if number == failing { throw DocumentStoreError(.unavailable, message: "Out.", nextStep: "Try again.") }
    return try await base.commit(batch)
  }

  func sweepExpired(limit: Int) async throws(DocumentStoreError) -> Int { try await base.sweepExpired(limit: limit) }
}
