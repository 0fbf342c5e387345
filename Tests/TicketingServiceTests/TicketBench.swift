// A ticket desk on a database of its own and a clock set by hand, and requests to try it with.
import DocumentStore
import FerryAPI
import Foundation
import RPC
import ServiceKit
import Synchronization

@testable import TicketingService

final class HandClock: Sendable {
  private let value = Mutex<UnixMilliseconds>(1_700_000_000_000)
  var now: UnixMilliseconds { value.withLock { $0 } }
  func advance(seconds: Int64) { value.withLock { $0 += seconds * 1000 } }
}

/// A folder that goes with the test.
final class Bench: Sendable {
  let folder: String
  let store: any DocumentStore
  let clock = HandClock()
  let desk: TicketDesk

  /// - Parameter wrap: puts something between the desk and its database.
  init(wrap: (any DocumentStore) -> any DocumentStore = { $0 }) throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("tickets-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    store = wrap(try SQLiteDocumentStore(path: "\(folder)/tickets.sqlite"))
    let clock = clock
    desk = TicketDesk(store, now: { clock.now })
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }
}

/// Fails the commits that a test picks, as a process does that dies between two of them.
final class BrittleStore: DocumentStore {
  let inner: any DocumentStore
  private let breaks = Mutex<@Sendable (Batch) -> Bool>({ _ in false })

  init(_ inner: any DocumentStore) { self.inner = inner }

  func breakCommits(where test: @escaping @Sendable (Batch) -> Bool) { breaks.withLock { $0 = test } }

  func get(_ key: DocumentKey) async throws(DocumentStoreError) -> Document? { try await inner.get(key) }

  func query(
    partition: String, prefix: String, order: QueryOrder, limit: Int, after: PageToken?
  ) async throws(DocumentStoreError) -> DocumentPage {
    try await inner.query(partition: partition, prefix: prefix, order: order, limit: limit, after: after)
  }

  func commit(_ batch: Batch) async throws(DocumentStoreError) -> [DocumentVersion] {
    if breaks.withLock({ $0(batch) }) {
      throw DocumentStoreError(.unavailable, message: "The test broke this commit.", nextStep: "None.")
    }
    return try await inner.commit(batch)
  }

  func sweepExpired(limit: Int) async throws(DocumentStoreError) -> Int { try await inner.sweepExpired(limit: limit) }
}

let ada = Person.with { $0.id = "usr_ada"; $0.name = "Ada Lovelace"; $0.email = "ada@example.com" }
let transfer = Caller(id: "service:transfer", name: "transfer", roles: [])

func reader(_ id: String, _ roles: Role...) -> TicketReader {
  TicketReader(Caller(id: id, name: id, roles: Set(roles)))
}

func opening(_ key: String, requester: Person = ada, title: String = "Deliver a.csv") -> OpenTicketsRequest {
  .with {
    $0.idempotencyKey = key
    $0.deliveryID = key
    $0.title = title
    $0.description = "For the person."
    $0.auditDescription = "Delivery: \(key)"
    $0.requester = requester
    $0.assignmentGroup = "Data Operations"
    $0.environment = .uat
    $0.priority = .high
  }
}

func note(_ pair: TicketPair, _ key: String, _ text: String = "Something happened.") -> AddWorkNoteRequest {
  .with { $0.pairID = pair.pairID; $0.key = key; $0.text = text }
}

func closing(_ pair: TicketPair, _ outcome: Outcome, _ text: String = "Done.") -> CloseTicketsRequest {
  .with { $0.pairID = pair.pairID; $0.outcome = outcome; $0.closingNote = text }
}

/// The error of a call; nil if it did not throw.
func failure(_ call: () async throws -> Void) async -> RPCError? {
  do { try await call(); return nil } catch { return error as? RPCError }
}

extension RPCError {
  var problemCode: String? { details.lazy.compactMap { $0.decoded(as: Problem.self) }.first?.code }
}

extension TicketDesk {
  func add(_ note: AddWorkNoteRequest) async throws -> TicketPair { try await addNote(note, by: transfer.noteAuthor) }
}
