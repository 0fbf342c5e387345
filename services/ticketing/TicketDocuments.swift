// Where tickets stand in the document store, and how they are read and written. A pair is one partition, so that both
// tickets change in one batch; what a change means is decided elsewhere.
//
//   pair/<pair id>       pair/audit, pair/record, pair/user   the two tickets without notes, and PairRecord
//                        note/<number>                        the notes of both tickets, oldest first
//                        key/<note's key>                     marks a note as written
//   tickets              <number>/user, <number>/audit        index of all tickets: the pair's id
//   tickets/<person id>  <number>/user                        index of one requester's tickets
//
// The indexes are other partitions, so they are written before the pair: an entry whose pair is missing, or has another
// number, belongs to an opening that did not happen, and is passed over.
import DocumentStore
import FerryAPI
import ProtoWire

/// A pair as it was read, and what its next write builds upon.
struct StoredPair {
  var user: Ticket
  var audit: Ticket
  var record: PairRecord
  /// Of user, audit and record.
  var versions: (user: DocumentVersion, audit: DocumentVersion, record: DocumentVersion)

  var id: String { user.pairID }

  /// Applies a change to both tickets.
  mutating func both(_ change: (inout Ticket) -> Void) {
    change(&user)
    change(&audit)
  }
}

/// A ticket's place in an index.
struct IndexEntry: Sendable {
  let pairID: String
  let kind: TicketKind
  private let sort: String

  init(_ document: Document) {
    pairID = String(decoding: document.body, as: UTF8.self)
    sort = document.key.sort
    kind = TicketNumber.kind(ofSortKey: sort)
  }

  /// False if the entry's opening did not happen, and another one of the same key did.
  func belongs(to pair: StoredPair) -> Bool { TicketNumber(kind, pair.record.number).sortKey == sort }
}

struct TicketDocuments: Sendable {
  static let allTickets = "tickets"
  static func tickets(of person: String) -> String { "tickets/\(person)" }
  static func partition(of pair: String) -> String { "pair/\(pair)" }

  private static let userSort = "pair/user"
  private static let auditSort = "pair/audit"
  private static let recordSort = "pair/record"

  let store: any DocumentStore

  // MARK: Pairs

  /// Nil if there is no such pair.
  func pair(_ id: String) async throws(DocumentStoreError) -> StoredPair? {
    guard !id.isEmpty, id.utf8.count <= TicketLimits.identifier, !id.utf8.contains(0) else { return nil }
    let page = try await store.query(partition: Self.partition(of: id), prefix: "pair/", limit: 3)
    let found = Dictionary(uniqueKeysWithValues: page.documents.map { ($0.key.sort, $0) })
    guard let user = found[Self.userSort], let audit = found[Self.auditSort], let record = found[Self.recordSort] else {
      return nil
    }
    return StoredPair(
      user: try Self.decode(user), audit: try Self.decode(audit), record: try Self.decode(record),
      versions: (user.version, audit.version, record.version))
  }

  /// Writes a new pair whole; a conflict if there is one of this id.
  func insert(user: Ticket, audit: Ticket, record: PairRecord) async throws(DocumentStoreError) {
    var batch = Batch(partition: Self.partition(of: user.pairID))
    batch.put(Self.userSort, user.encodedBytes(), if: .absent)
    batch.put(Self.auditSort, audit.encodedBytes(), if: .absent)
    batch.put(Self.recordSort, record.encodedBytes(), if: .absent)
    try await store.commit(batch)
  }

  /// Writes both tickets and the notes that are new, all or nothing; a conflict if the pair has changed since it was
  /// read.
  func update(_ pair: StoredPair, adding notes: [WorkNote] = []) async throws(DocumentStoreError) {
    var pair = pair
    var batch = Batch(partition: Self.partition(of: pair.id))
    for note in notes {
      pair.record.notes += 1
      pair.record.noteBytes += Int64(note.text.utf8.count)
      batch.put(Self.noteSort(pair.record.notes), note.encodedBytes(), if: .absent)
      batch.put("key/\(note.key)", [], if: .absent)
    }
    batch.put(Self.userSort, pair.user.encodedBytes(), if: .version(pair.versions.user))
    batch.put(Self.auditSort, pair.audit.encodedBytes(), if: .version(pair.versions.audit))
    batch.put(Self.recordSort, pair.record.encodedBytes(), if: .version(pair.versions.record))
    try await store.commit(batch)
  }

  // MARK: Notes

  func hasNote(_ key: String, in pair: String) async throws(DocumentStoreError) -> Bool {
    try await store.get(DocumentKey(partition: Self.partition(of: pair), sort: "key/\(key)")) != nil
  }

  /// All of a pair, oldest first; TicketLimits bounds them.
  func notes(of pair: String) async throws(DocumentStoreError) -> [WorkNote] {
    var notes: [WorkNote] = []
    var token: PageToken?
    repeat {
      let page = try await store.query(partition: Self.partition(of: pair), prefix: "note/", after: token)
      for document in page.documents { notes.append(try Self.decode(document)) }
      token = page.next
    } while token != nil
    return notes
  }

  private static func noteSort(_ number: Int32) -> String {
    let digits = String(number)
    return "note/" + String(repeating: "0", count: max(0, 6 - digits.count)) + digits
  }

  // MARK: Indexes

  func index(_ number: Int64, pair: String, requester: String) async throws(DocumentStoreError) {
    let user = TicketNumber(.user, number).sortKey
    let body = Array(pair.utf8)
    var all = Batch(partition: Self.allTickets)
    all.put(user, body)
    all.put(TicketNumber(.audit, number).sortKey, body)
    try await store.commit(all)
    try await store.put(DocumentKey(partition: Self.tickets(of: requester), sort: user), body)
  }

  /// Takes back what `index` wrote, for a pair that somebody else had opened already.
  func removeIndex(_ number: Int64, requester: String) async throws(DocumentStoreError) {
    let user = TicketNumber(.user, number).sortKey
    var all = Batch(partition: Self.allTickets)
    all.delete(user)
    all.delete(TicketNumber(.audit, number).sortKey)
    try await store.commit(all)
    try await store.delete(DocumentKey(partition: Self.tickets(of: requester), sort: user))
  }

  /// The pair that a number belongs to; nil if no ticket has it.
  func pair(numbered number: TicketNumber) async throws(DocumentStoreError) -> StoredPair? {
    let key = DocumentKey(partition: Self.allTickets, sort: number.sortKey)
    guard let entry = try await store.get(key).map(IndexEntry.init) else { return nil }
    return try await pair(entry.pairID).flatMap { entry.belongs(to: $0) ? $0 : nil }
  }

  /// Newest first.
  func entries(
    of partition: String, limit: Int, after token: PageToken?
  ) async throws(DocumentStoreError) -> (entries: [IndexEntry], next: PageToken?) {
    let page = try await store.query(partition: partition, prefix: "", order: .descending, limit: limit, after: token)
    return (page.documents.map(IndexEntry.init), page.next)
  }

  private static func decode<M: Message>(_ document: Document) throws(DocumentStoreError) -> M {
    do throws(WireError) { return try M(decoding: document.body) } catch {
      throw DocumentStoreError(
        .corrupt, message: "The document \(document.key) can't be read.",
        nextStep: "Restore the database from a backup.")
    }
  }
}
