// What a body sees of the engine: its input, and the journal. Whatever has to survive a crash goes through step,
// sleep or commit; each of these is refused once another instance has taken the run over.

import DocumentStore
import Synchronization

public final class RunContext: Sendable {
  /// UTF-8 bytes of a step's or timer's key, at most.
  public static let maximumKeySize = 512
  /// Operations a body's own commit may hold: the fence takes one.
  public static let maximumOperations = Batch.maximumOperations - 1

  public let id: RunID
  public let kind: String
  public let input: [UInt8]
  /// 1 at the first start; more after a restart, a takeover or a retry.
  public let start: Int
  /// Larger than that of any earlier holder of this run: for outside systems that can compare.
  public let fencingToken: Int64
  public let clock: WorkflowClock

  private let lease: Lease
  private let leases: Leases
  private let engine: WorkflowEngine
  private let interruption = Mutex<WorkflowError?>(nil)

  init(run: RunSnapshot, lease: Lease, engine: WorkflowEngine) {
    id = run.id
    kind = run.record.value.kind
    input = run.input
    start = run.record.value.starts + 1
    fencingToken = lease.fencingToken
    clock = engine.clock
    self.lease = lease
    self.engine = engine
    leases = engine.leases
  }

  /// The store trouble or lost lease that kept the journal from being read or written, if any: the body's end then says
  /// nothing about the run.
  var interruptedBy: WorkflowError? { interruption.withLock { $0 } }

  // MARK: The journal

  /// The result of the step `key`: from the journal if it is there, else by running `effect` and writing its result
  /// down before it is returned. The record is made exactly once; the effect may run again after a crash, so it has to be
  /// idempotent by the key it is handed, which is the same at each start. An error of the effect is not journalled.
  /// - Parameter key: unique within the run, the same at each start.
  /// - Parameter effect: returns up to `Batch.maximumBodySize` bytes.
  public func step(
    _ key: String, isolation: isolated (any Actor)? = #isolation,
    _ effect: (_ idempotencyKey: String) async throws -> [UInt8]
  ) async throws -> [UInt8] {
    try checkKey(key)
    try Task.checkCancellation()
    let sort = RunKeys.step(key)
    if let recorded = try await read(sort) { return recorded.body }
    let result = try await effect("\(id)/\(key)")
    return try await record(sort, result)
  }

  /// Waits until `duration` after this was first reached, over restarts too. Meanwhile another run may have this one's
  /// place: sleep when the body does nothing else. (Short waits between tries are `retrying`'s.)
  public func sleep(_ key: String, for duration: Duration) async throws {
    try await sleep(key, until: clock.now() + duration.inMilliseconds)
  }

  /// Waits until the moment that was given when this was first reached.
  public func sleep(_ key: String, until moment: UnixMilliseconds) async throws {
    try checkKey(key)
    try Task.checkCancellation()
    let sort = RunKeys.timer(key)
    var recorded = try await read(sort)?.body
    if recorded == nil { recorded = try await record(sort, Array(String(moment).utf8)) }
    let wake = recorded.flatMap { UnixMilliseconds(String(decoding: $0, as: UTF8.self)) } ?? moment
    if wake <= clock.now() { return }
    try await engine.withoutPlace { try await clock.sleepUntil(wake) }
  }

  /// Writes a result that must not be there yet; if this run wrote it meanwhile, that one is the result.
  private func record(_ sort: String, _ body: [UInt8]) async throws(WorkflowError) -> [UInt8] {
    var batch = leases.fenced(lease)
    batch.put(sort, body, if: .absent)
    do {
      _ = try await leases.commit(batch, under: lease)
      return body
    } catch {
      if case .store(let cause) = error.kind, cause.conflictingKey?.sort == sort, let first = try await read(sort) {
        return first.body
      }
      throw note(error)
    }
  }

  // MARK: The body's own documents

  /// The partition of this run. Sort keys that start with "!" are the engine's.
  public var partition: String { leases.documents.partition(id) }

  /// A batch in this run's partition.
  public func batch() -> Batch { Batch(partition: partition) }

  /// Commits up to `maximumOperations` writes to the run's own partition, bound to the lease.
  /// One version for each operation, as DocumentStore.commit.
  @discardableResult
  public func commit(_ batch: Batch) async throws(WorkflowError) -> [DocumentVersion] {
    guard batch.partition == partition, !batch.operations.contains(where: { $0.sort.utf8.first == RunKeys.reserved })
    else {
      throw WorkflowError(
        .invalid, message: "A body's commit names another partition, or a key of the engine.",
        nextStep: "Use the context's batch(), and sort keys that don't start with '!'.")
    }
    var fenced = leases.fenced(lease)
    fenced.append(contentsOf: batch)
    do { return Array(try await leases.commit(fenced, under: lease).dropFirst()) } catch { throw note(error) }
  }

  public func get(_ sort: String) async throws(WorkflowError) -> Document? {
    try await read(sort)
  }

  public func query(
    prefix: String, limit: Int = PageBounds.maximumDocuments, after: PageToken? = nil
  ) async throws(WorkflowError) -> DocumentPage {
    do {
      return try await leases.documents.store.query(
        partition: partition, prefix: prefix, order: .ascending, limit: limit, after: after)
    } catch { throw note(.store(error)) }
  }

  private func read(_ sort: String) async throws(WorkflowError) -> Document? {
    do {
      return try await leases.documents.store.get(DocumentKey(partition: partition, sort: sort))
    } catch { throw note(.store(error)) }
  }

  /// Remembers what is the journal's failure and not the body's: the run is then resumed later, not failed.
  private func note(_ error: WorkflowError) -> WorkflowError {
    switch error.kind {
    case .store(let cause) where cause.kind == .invalid || cause.conflictingKey != nil: break
    case .store, .leaseLost: interruption.withLock { $0 = error }
    default: break
    }
    return error
  }

  private func checkKey(_ key: String) throws(WorkflowError) {
    if key.isEmpty || key.utf8.count > Self.maximumKeySize {
      throw WorkflowError(
        .invalid, message: "A step's key has \(key.utf8.count) bytes.", nextStep: "Use 1 to \(Self.maximumKeySize).")
    }
  }
}
