// How runs lie in the document store. A run is a partition: the engine's own documents under "!", the body's beside
// them. Unfinished runs are also named in one index partition, ordered by priority and age. An index entry is
// written before its run and removed after the run's end, so it may be stale but is never missing.

import DocumentStore
import FoundationEssentials

enum RunKeys {
  /// Bodies may not write sort keys that start with this.
  static let reserved = UInt8(ascii: "!")
  static let head = "!r/"
  static let record = "!r/record"
  static let input = "!r/input"
  static let output = "!r/output"
  static let problem = "!r/problem"
  static let cancel = "!r/cancel"
  static let fence = "!r/fence"
  static let lease = "!r/lease"
  static func step(_ key: String) -> String { "!s/\(key)" }
  static func timer(_ key: String) -> String { "!t/\(key)" }
}

/// The part of a run that changes with its state.
struct RunRecord: Codable, Sendable {
  var kind: String
  var priority: RunPriority
  var status: RunStatus
  var starts: Int
  var createdAt: UnixMilliseconds
  /// When it was started or last retried: its age in the queue.
  var queuedAt: UnixMilliseconds
  var updatedAt: UnixMilliseconds
}

/// A document of the run's head with its version.
struct Versioned<Value: Sendable>: Sendable {
  var value: Value
  var version: DocumentVersion
}

/// Everything of a run but its journal, as read at one time.
struct RunSnapshot: Sendable {
  var id: RunID
  var record: Versioned<RunRecord>
  var input: [UInt8]
  var output: [UInt8]?
  var problem: [UInt8]?
  var cancelRequested: Bool
  var fence: Versioned<Fence>?
  var lease: Versioned<LeaseTerm>?

  /// The run's key in the index while it is unfinished.
  var rank: String { RunDocuments.indexSort(id, record.value.priority, record.value.queuedAt) }

  var run: Run {
    let record = record.value
    return Run(
      id: id, kind: record.kind, input: input, priority: record.priority, status: record.status,
      cancelRequested: cancelRequested, starts: record.starts, createdAt: record.createdAt,
      updatedAt: record.updatedAt, output: output, problem: problem)
  }
}

struct RunDocuments: Sendable {
  let store: any DocumentStore
  let namespace: String

  func partition(_ id: RunID) -> String { "\(namespace)/run/\(id)" }
  var indexPartition: String { "\(namespace)/unfinished" }

  // MARK: A run

  func load(_ id: RunID) async throws(WorkflowError) -> RunSnapshot? {
    var found: [String: Document] = [:]
    var token: PageToken?
    repeat {
      let after = token
      let page = try await storing { () throws(DocumentStoreError) in
        try await store.query(partition: partition(id), prefix: RunKeys.head, after: after)
      }
      for document in page.documents { found[document.key.sort] = document }
      token = page.next
    } while token != nil
    guard let record = found[RunKeys.record] else { return nil }
    return RunSnapshot(
      id: id, record: try decode(record), input: found[RunKeys.input]?.body ?? [],
      output: found[RunKeys.output]?.body, problem: found[RunKeys.problem]?.body,
      cancelRequested: found[RunKeys.cancel] != nil, fence: try found[RunKeys.fence].map(decode),
      lease: try found[RunKeys.lease].map(decode))
  }

  func commit(_ batch: Batch) async throws(WorkflowError) -> [DocumentVersion] {
    try await storing { () throws(DocumentStoreError) in try await store.commit(batch) }
  }

  func encode(_ value: some Encodable) throws(WorkflowError) -> [UInt8] {
    do { return [UInt8](try JSONEncoder().encode(value)) } catch {
      throw WorkflowError(
        .invalid, message: "A workflow document can't be encoded: \(error).", nextStep: "Report this as a defect.")
    }
  }

  private func decode<Value: Decodable>(_ document: Document) throws(WorkflowError) -> Versioned<Value> {
    do {
      let value = try JSONDecoder().decode(Value.self, from: Data(document.body))
      return Versioned(value: value, version: document.version)
    } catch {
      throw .store(
        DocumentStoreError(
          .corrupt, message: "The document \(document.key) can't be read: \(error).",
          nextStep: "Restore the store from a backup, or delete this run."))
    }
  }

  func isCancelRequested(_ id: RunID) async throws(WorkflowError) -> Bool {
    try await storing { () throws(DocumentStoreError) in
      try await store.get(DocumentKey(partition: partition(id), sort: RunKeys.cancel)) != nil
    }
  }

  // MARK: The index of unfinished runs

  /// Sorts the most urgent first, then the oldest.
  static func indexSort(_ id: RunID, _ priority: RunPriority, _ queuedAt: UnixMilliseconds) -> String {
    let urgency = RunPriority.critical.rawValue - priority.rawValue
    let digits = String(queuedAt)
    return "\(urgency)/\(String(repeating: "0", count: max(0, 15 - digits.count)))\(digits)/\(id)"
  }

  static func indexEntry(_ sort: String) -> (id: RunID, queuedAt: UnixMilliseconds)? {
    let parts = sort.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
    guard parts.count == 3, let queuedAt = UnixMilliseconds(parts[1]) else { return nil }
    return (RunID(String(parts[2])), queuedAt)
  }

  func enlist(_ sort: String) async throws(WorkflowError) {
    var batch = Batch(partition: indexPartition)
    batch.put(sort, [])
    _ = try await commit(batch)
  }

  func delist(_ sort: String) async throws(WorkflowError) {
    var batch = Batch(partition: indexPartition)
    batch.delete(sort)
    _ = try await commit(batch)
  }

  /// Deletes every document of the run's partition whose sort key `matches`, a batch at a time.
  func wipe(_ id: RunID, where matches: (String) -> Bool) async throws(WorkflowError) {
    var token: PageToken?
    repeat {
      let after = token
      let page = try await storing { () throws(DocumentStoreError) in
        try await store.query(partition: partition(id), limit: Batch.maximumOperations, after: after)
      }
      var batch = Batch(partition: partition(id))
      for document in page.documents where matches(document.key.sort) { batch.delete(document.key.sort) }
      if !batch.operations.isEmpty { _ = try await commit(batch) }
      token = page.next
    } while token != nil
  }
}
