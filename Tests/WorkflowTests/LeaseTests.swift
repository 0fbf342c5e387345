// Who may work on a run: one instance at a time, and what a former one writes is refused.

import DocumentStore
import Synchronization
import Testing
import Workflow

@Suite("A lease")
struct LeaseTests {
  let fixture: TemporaryStore
  let time = ManualClock()
  init() throws { fixture = try TemporaryStore() }

  private func engine(_ instance: String, _ events: Log<WorkflowEvent> = Log()) -> WorkflowEngine {
    WorkflowEngine(store: fixture.store, instance: instance, clock: time.clock, observe: { events.add($0) })
  }

  /// Hands out its context, then waits to be let go.
  private func waiting(_ contexts: Log<RunContext>, _ gate: Gate) -> WorkflowKind {
    WorkflowKind("waiting") { context in
      contexts.add(context)
      try await gate.pass()
      return try await context.step("end") { _ in bytes("token \(context.fencingToken)") }
    }
  }

  @Test("left by the same instance's earlier process is taken over at once, and the stale holder's writes are refused")
  func takeover() async throws {
    let (contexts, gate) = (Log<RunContext>(), Gate())
    let old = engine("one")
    await old.register(waiting(contexts, gate))
    try await old.resume()
    try await old.start("run", kind: "waiting")
    await contexts.wait { $0.fencingToken == 1 }

    let new = engine("one")
    await new.register(waiting(contexts, gate))
    try await new.resume()
    await contexts.wait { $0.fencingToken == 2 }

    let stale = try #require(contexts.values.first)
    let effects = Shared(0)
    await #expect(throws: WorkflowError.self) {
      _ = try await stale.step("end") { _ in
        effects.update { $0 += 1 }
        return bytes("stale")
      }
    }
    var batch = stale.batch()
    batch.put("proof", bytes("stale"))
    do {
      try await stale.commit(batch)
      Issue.record("the stale holder wrote")
    } catch { #expect(error.kind == .leaseLost) }
    #expect(try await fixture.store.get(DocumentKey(partition: stale.partition, sort: "proof")) == nil)

    gate.open()
    #expect(text(try await new.wait("run").output) == "token 2")
    await old.stop()
    await new.stop()
  }

  @Test("of another instance is waited for until its term is over")
  func otherInstance() async throws {
    let (contexts, gate, events) = (Log<RunContext>(), Gate(), Log<WorkflowEvent>())
    // Started by an engine that never resumes, taken up by one whose renewals never come: its clock stands.
    let first = WorkflowEngine(store: fixture.store, instance: "one", clock: ManualClock().clock)
    await first.register(waiting(contexts, gate))
    try await first.resume()
    try await first.start("run", kind: "waiting")
    await contexts.wait { $0.fencingToken == 1 }

    let second = engine("two", events)
    await second.register(waiting(contexts, gate))
    try await second.resume()
    await time.waitForSleeper(until: time.now + 15_000)
    time.advance(by: .seconds(15))
    await time.waitForSleeper(until: time.now + 15_000)
    #expect(contexts.values.count == 1)
    time.advance(by: .seconds(15))
    await contexts.wait { $0.fencingToken == 2 }
    gate.open()
    #expect(text(try await second.wait("run").output) == "token 2")
    await first.stop()
    await second.stop()
  }

  @Test("is renewed while the run is under way, so that no other instance takes it")
  func renewal() async throws {
    let (contexts, gate) = (Log<RunContext>(), Gate())
    let holder = engine("one")
    await holder.register(waiting(contexts, gate))
    try await holder.resume()
    try await holder.start("run", kind: "waiting")
    await contexts.wait { $0.fencingToken == 1 }
    let partition = contexts.values[0].partition
    let lease = DocumentKey(partition: partition, sort: "!r/lease")
    for _ in 0..<5 {
      let before = try #require(try await fixture.store.get(lease))
      await time.waitForSleeper(until: time.now + 10_000)
      time.advance(by: .seconds(10))
      while try await fixture.store.get(lease)?.version == before.version { await Task.yield() }
    }
    let other = engine("two")
    await other.register(waiting(contexts, gate))
    try await other.resume()
    gate.open()
    #expect(text(try await holder.wait("run").output) == "token 1")
    #expect(contexts.values.count == 1)
    await holder.stop()
    await other.stop()
  }

  @Test("that was lost cancels the former holder's task at its next renewal, and its end is not recorded")
  func lossIsNoticed() async throws {
    let (contexts, gate, events) = (Log<RunContext>(), Gate(), Log<WorkflowEvent>())
    let old = engine("one", events)
    await old.register(waiting(contexts, gate))
    try await old.resume()
    try await old.start("run", kind: "waiting")
    await contexts.wait { $0.fencingToken == 1 }
    let new = WorkflowEngine(store: fixture.store, instance: "one", clock: ManualClock().clock)
    await new.register(waiting(contexts, gate))
    try await new.resume()
    await contexts.wait { $0.fencingToken == 2 }
    await time.waitForSleeper(until: time.now + 10_000)
    time.advance(by: .seconds(10))
    await events.wait { if case .leaseLost("run") = $0 { true } else { false } }
    #expect(try await new.run("run")?.status == .running)
    gate.open()
    #expect(try await new.wait("run").status == .succeeded)
    await old.stop()
    await new.stop()
  }

  @Test("lets two engines on one store share many runs, and no step's record is made twice or lost")
  func twoEngines() async throws {
    let records = Log<String>()
    let kind = WorkflowKind("shared") { context in
      var results: [UInt8] = []
      for step in 0..<5 {
        let mine = bytes("\(step).\(context.fencingToken);")
        results += try await context.step("\(step)") { _ in mine }
      }
      records.add(context.id.rawValue)
      return results
    }
    let engines = [engine("one"), engine("two")]
    for engine in engines {
      await engine.register(kind)
      try await engine.resume()
    }
    // Both start all the runs: each is one run.
    try await withThrowingTaskGroup(of: Void.self) { group in
      for engine in engines {
        group.addTask { for index in 0..<60 { try await engine.start(RunID("run\(index)"), kind: "shared") } }
      }
      try await group.waitForAll()
    }
    for index in 0..<60 {
      let id = RunID("run\(index)")
      while try await engines[0].run(id)?.status.isFinal != true { await Task.yield() }
      let run = try #require(try await engines[0].run(id))
      #expect(run.status == .succeeded && run.starts == 1)
      #expect(text(run.output) == (0..<5).map { "\($0).1;" }.joined())
    }
    #expect(records.values.count == 60)
    for engine in engines { await engine.stop() }
  }
}

extension RunID: ExpressibleByStringLiteral {
  public init(stringLiteral value: String) { self.init(value) }
}
