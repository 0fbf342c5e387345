// Schedules as the store has them. They hold no secrets: they deliver to saved destinations.
import DocumentStore
import FerryAPI
import RPC
import ServiceKit

struct ScheduleStore: Sendable {
  /// In all: they are listed, and looked through, as one page.
  static let maxSchedules = 500
  private static let maxTries = 5
  private static let partition = "schedules"

  let store: any DocumentStore

  private func key(_ name: String) -> DocumentKey { DocumentKey(partition: Self.partition, sort: name) }

  func load(_ name: String) async throws(RPCError) -> Schedule? {
    guard !name.isEmpty, name.utf8.count <= SavedName.maxBytes else { return nil }
    return try await document(name).map { (found) throws(RPCError) in try decoded(found) }
  }

  /// By name.
  func all() async throws(RPCError) -> [Schedule] {
    let page = try await storing { () throws(DocumentStoreError) in
      try await store.query(partition: Self.partition, limit: Self.maxSchedules)
    }
    return try page.documents.map { (document) throws(RPCError) in try decoded(document) }
  }

  /// Writes what `change` makes of the schedule as it stands, nil if there is none. It may be asked again, when somebody
  /// else was quicker.
  /// - Returns: what was written; nil if `change` wanted none.
  @discardableResult
  func update(
    _ name: String, isolation: isolated (any Actor)? = #isolation,
    _ change: (Schedule?) throws(RPCError) -> Schedule?
  ) async throws(RPCError) -> Schedule? {
    let key = key(name)
    for _ in 0..<Self.maxTries {
      let old = try await document(name)
      guard let new = try change(try old.map { (found) throws(RPCError) in try decoded(found) }) else { return nil }
      let condition = old.map { Condition.version($0.version) } ?? .absent
      do throws(DocumentStoreError) {
        _ = try await store.put(key, new.encodedBytes(), if: condition)
        return new
      } catch {
        if error.conflictingKey == nil { throw RPCError(error) }
      }
    }
    throw .told(
      .aborted, "CONFLICT", "The schedule \(name) was changed by others all the time.", next: "Try again.", retryable: true)
  }

  func delete(_ name: String) async throws(RPCError) {
    let key = key(name)
    try await storing { () throws(DocumentStoreError) in try await store.delete(key) }
  }

  private func document(_ name: String) async throws(RPCError) -> Document? {
    let key = key(name)
    return try await storing { () throws(DocumentStoreError) in try await store.get(key) }
  }

  private func decoded(_ document: Document) throws(RPCError) -> Schedule {
    do { return try Schedule(decoding: document.body) } catch {
      throw .fault("The saved schedule \(document.key.sort) can't be read.")
    }
  }
}
