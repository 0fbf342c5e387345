// The engine's promise: a run whose process dies at any commit ends, after the next start, as if nothing had happened.

import DocumentStore
import Synchronization
import Testing
import Workflow

@Suite("A crash")
struct CrashTests {
  struct Refused: Error {}

  let fixture: TemporaryStore
  init() throws { fixture = try TemporaryStore() }

  /// Five steps (two at once), a timer, and documents of the body's own.
  static func delivery(_ world: World) -> WorkflowKind {
    WorkflowKind("delivery", cleanup: { context in
      _ = try await context.step("undo") { world.act($0, bytes("undone")) }
    }) { context in
      let first = try await context.step("open") { world.act($0, bytes("ticket 7")) }
      try await withThrowingTaskGroup(of: Void.self) { group in
        for chunk in 0..<2 {
          group.addTask {
            _ = try await context.step("chunk/\(chunk)") { world.act($0, bytes("\(chunk)")) }
            var batch = context.batch()
            batch.put("proof/\(chunk)", bytes("hash \(chunk)"))
            try await context.commit(batch)
          }
        }
        try await group.waitForAll()
      }
      try await context.sleep("settle", for: .milliseconds(1))
      let proofs = try await context.query(prefix: "proof/").documents.compactMap { text($0.body) }
      let last = try await context.step("receipt") { world.act($0, bytes(proofs.joined(separator: ","))) }
      if context.input == bytes("refuse") { throw Refused() }
      return first + bytes(": ") + last
    }
  }

  /// One boot of the process: the engine lives until the run ends or its store is dead.
  private func boot(
    _ store: any DocumentStore, _ world: World, _ id: RunID, cancel: Bool, input: String
  ) async -> Run? {
    let engine = WorkflowEngine(store: store, instance: "one")
    await engine.register(Self.delivery(world))
    let run = await withTaskGroup(of: Run?.self) { group in
      group.addTask {
        do {
          if cancel {
            // Cancelled once started, so that there is something to clean up.
            try await engine.start(id, kind: "delivery", input: bytes(input))
            try await engine.cancel(id)
            try await engine.resume()
          } else {
            try await engine.resume()
            try await engine.start(id, kind: "delivery", input: bytes(input))
          }
          return try await engine.wait(id)
        } catch { return nil }
      }
      group.addTask {
        // The stand-in for the kill: once the store is dead, nothing of this process reaches it any more.
        while !Task.isCancelled {
          if let store = store as? CrashingStore, store.hasCrashed { return nil }
          await Task.yield()
        }
        return nil
      }
      let first = await group.next() ?? nil
      group.cancelAll()
      return first
    }
    await engine.stop()
    return run
  }

  @Test(
    "at any commit, before or after it is applied, changes neither the result nor the effects",
    arguments: CrashingStore.Moment.allCases, ["", "refuse"])
  func everyCommit(moment: CrashingStore.Moment, input: String) async throws {
    var crashes = 0
    for number in 1... {
      let id = RunID("\(moment)-\(input)-\(number)")
      let world = World()
      let store = CrashingStore(fixture.store, at: number, moment)
      _ = await boot(store, world, id, cancel: false, input: input)
      if !store.hasCrashed { break }
      crashes += 1
      let resumed = await boot(fixture.store, world, id, cancel: false, input: input)
      let run = try #require(resumed)
      #expect(run.status == (input.isEmpty ? .succeeded : .failed))
      #expect(text(run.output) == (input.isEmpty ? "ticket 7: hash 0,hash 1" : nil))
      #expect(world.keys == ["chunk/0", "chunk/1", "open", "receipt"].map { "\(id)/\($0)" })
      for key in world.keys { #expect(world.asked(key) <= 2) }
      // Nothing is left to do. (An entry whose run was not yet written stays until it is old: see EngineTests.)
      let left = try await fixture.store.query(partition: "workflow/unfinished").documents
      #expect(left.filter { $0.key.sort.hasSuffix("/\(id)") }.count <= (number <= 2 ? 1 : 0))
    }
    // index, record, take-up, open, 2 chunks, 2 proofs, timer, receipt, end, index.
    #expect(crashes == 12)
  }

  @Test("again and again at each of the first commits of every boot still ends in the result")
  func crashLoop() async throws {
    // Each boot takes the run up and writes both proofs anew before it comes to the next step: four commits at least.
    for distance in 4...7 {
      let id = RunID("loop-\(distance)")
      let world = World()
      var run: Run?
      var boots = 0
      while run == nil {
        boots += 1
        try #require(boots < 40)
        let store = CrashingStore(fixture.store, at: distance, boots.isMultiple(of: 2) ? .before : .after)
        run = await boot(store, world, id, cancel: false, input: "")
      }
      #expect(boots > 1)
      #expect(text(run?.output) == "ticket 7: hash 0,hash 1")
    }
  }

  @Test("in the midst of a run, then a cancel: the clean-up runs although the body's process is gone", arguments: 4...9)
  func cancelAfterCrash(number: Int) async throws {
    let id = RunID("cancel-\(number)")
    let world = World()
    let dying = CrashingStore(fixture.store, at: number, .after)
    _ = await boot(dying, world, id, cancel: false, input: "")
    #expect(dying.hasCrashed)
    for commit in 1... {
      // The cancelling process too is killed at each of its commits.
      let store = CrashingStore(fixture.store, at: commit, commit.isMultiple(of: 2) ? .before : .after)
      if let run = await boot(store, world, id, cancel: true, input: ""), !store.hasCrashed {
        #expect(run.status == .cancelled && run.cancelRequested)
        break
      }
    }
    #expect(world.keys.contains("\(id)/undo"))
    #expect(!world.keys.contains("\(id)/receipt"))
  }
}
