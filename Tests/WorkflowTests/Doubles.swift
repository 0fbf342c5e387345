// What the tests rule the engine with: a clock moved by hand, a store that dies at a chosen commit, an outside world
// that remembers each effect, and the events the engine tells.

import DocumentStore
import Foundation
import Synchronization
import Workflow

/// Time stands still until `advance`.
final class ManualClock: Sendable {
  private struct Sleeper {
    var wake: UnixMilliseconds
    var continuation: CheckedContinuation<Void, any Error>
  }

  private struct State {
    var now: UnixMilliseconds = 1_700_000_000_000
    var next = 0
    var sleepers: [Int: Sleeper] = [:]
    var cancelled: Set<Int> = []
  }

  private let state = Mutex(State())

  var clock: WorkflowClock {
    WorkflowClock(now: { self.now }, sleepUntil: { try await self.sleep(until: $0) })
  }

  var now: UnixMilliseconds { state.withLock { $0.now } }

  func advance(by duration: Duration) {
    let due = state.withLock { state -> [CheckedContinuation<Void, any Error>] in
      state.now += duration.components.seconds * 1000 + duration.components.attoseconds / 1_000_000_000_000_000
      let due = state.sleepers.filter { $0.value.wake <= state.now }
      for id in due.keys { state.sleepers[id] = nil }
      return due.values.map(\.continuation)
    }
    for continuation in due { continuation.resume() }
  }

  /// Returns once somebody sleeps until exactly this moment.
  func waitForSleeper(until wake: UnixMilliseconds) async {
    while !state.withLock({ $0.sleepers.values.contains { $0.wake == wake } }) { await Task.yield() }
  }

  private func sleep(until wake: UnixMilliseconds) async throws {
    let id = state.withLock { state in
      state.next += 1
      return state.next
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        let outcome = state.withLock { state -> Result<Void, any Error>? in
          if state.cancelled.remove(id) != nil { return .failure(CancellationError()) }
          if wake <= state.now { return .success(()) }
          state.sleepers[id] = Sleeper(wake: wake, continuation: continuation)
          return nil
        }
        if let outcome { continuation.resume(with: outcome) }
      }
    } onCancel: {
      let sleeper = state.withLock { state in
        if state.sleepers[id] == nil { state.cancelled.insert(id) }
        return state.sleepers.removeValue(forKey: id)
      }
      sleeper?.continuation.resume(throwing: CancellationError())
    }
  }
}

/// Passes commits on until the chosen one; from then on this process is dead to the store.
final class CrashingStore: DocumentStore {
  enum Moment: String, Sendable, CaseIterable {
    case before, after
  }

  private let base: any DocumentStore
  private let crashAt: Int
  private let moment: Moment
  private let commits = Mutex(0)
  private let isDead = Mutex(false)
  private let onCrash: @Sendable () -> Void

  init(_ base: any DocumentStore, at crashAt: Int, _ moment: Moment, onCrash: @escaping @Sendable () -> Void = {}) {
    self.base = base
    self.crashAt = crashAt
    self.moment = moment
    self.onCrash = onCrash
  }

  var hasCrashed: Bool { isDead.withLock { $0 } }
  private static let crash = DocumentStoreError(.unavailable, message: "Crashed.", nextStep: "Start again.")

  private func check() throws(DocumentStoreError) {
    if hasCrashed { throw Self.crash }
  }

  func get(_ key: DocumentKey) async throws(DocumentStoreError) -> Document? {
    try check()
    return try await base.get(key)
  }

  func query(
    partition: String, prefix: String, order: QueryOrder, limit: Int, after: PageToken?
  ) async throws(DocumentStoreError) -> DocumentPage {
    try check()
    return try await base.query(partition: partition, prefix: prefix, order: order, limit: limit, after: after)
  }

  func commit(_ batch: Batch) async throws(DocumentStoreError) -> [DocumentVersion] {
    try check()
    let number = commits.withLock { count in
      count += 1
      return count
    }
    if number < crashAt { return try await base.commit(batch) }
    let isFirst = isDead.withLock { dead in
      defer { dead = true }
      return !dead
    }
    if isFirst && moment == .after { _ = try await base.commit(batch) }
    if isFirst { onCrash() }
    throw Self.crash
  }

  func sweepExpired(limit: Int) async throws(DocumentStoreError) -> Int {
    try check()
    return try await base.sweepExpired(limit: limit)
  }
}

/// The outside: does an effect once for each idempotency key, and counts how often it was asked.
final class World: Sendable {
  private let state = Mutex<[String: (asked: Int, result: [UInt8])]>([:])

  func act(_ key: String, _ result: [UInt8]) -> [UInt8] {
    state.withLock { state in
      let first = state[key]?.result ?? result
      state[key] = ((state[key]?.asked ?? 0) + 1, first)
      return first
    }
  }

  var keys: [String] { state.withLock { $0.keys.sorted() } }
  func asked(_ key: String) -> Int { state.withLock { $0[key]?.asked ?? 0 } }
}

/// Values in the order they came, and a wait for the first that fits.
final class Log<Value: Sendable>: Sendable {
  private let state = Mutex<[Value]>([])

  func add(_ value: Value) { state.withLock { $0.append(value) } }
  var values: [Value] { state.withLock { $0 } }

  func wait(for matches: @Sendable (Value) -> Bool) async {
    while !values.contains(where: matches) { await Task.yield() }
  }
}

/// One value under a lock.
final class Shared<Value: Sendable>: Sendable {
  private let state: Mutex<Value>

  init(_ value: Value) { state = Mutex(value) }

  var value: Value { state.withLock { $0 } }

  @discardableResult
  func update<Result: Sendable>(_ change: @Sendable (inout Value) -> Result) -> Result {
    state.withLock { change(&$0) }
  }
}

/// A one-way gate: whoever comes waits until it is opened, or until cancelled.
final class Gate: Sendable {
  private let isOpen = Mutex(false)

  func open() { isOpen.withLock { $0 = true } }

  func pass() async throws {
    while !isOpen.withLock({ $0 }) {
      try Task.checkCancellation()
      await Task.yield()
    }
  }
}

/// A store on a file that goes with the test.
final class TemporaryStore: Sendable {
  let path: String
  let store: SQLiteDocumentStore

  init() throws {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("workflow-\(UUID().uuidString).db").path
    store = try SQLiteDocumentStore(path: path)
  }

  deinit {
    for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
  }
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }
func text(_ bytes: [UInt8]?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }
