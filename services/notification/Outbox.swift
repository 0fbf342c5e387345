// The durable queue of what has to leave through a channel. An entry's sort key begins with the time it is due, so that
// the next one is always the first, and those that wait cost nothing. What is done with an entry is OutboxLane's part.
//
//   outbox/<channel>   <due, milliseconds>/<notification id>   OutboxEntry
import DocumentStore
import FerryAPI
import ProtoWire

struct Outbox: Sendable {
  struct Queued: Sendable {
    var entry: OutboxEntry
    var dueAt: UnixMilliseconds
    fileprivate(set) var sort: String
    fileprivate(set) var version: DocumentVersion
  }

  let store: any DocumentStore
  let channel: String

  private var partition: String { "outbox/\(channel)" }

  private static func sort(_ due: UnixMilliseconds, _ notification: String) -> String {
    "\(SortNumber.text(due))/\(notification)"
  }

  /// Written before the notification itself: an entry without one is passed over, a notification without its entry
  /// would never be sent.
  func add(_ notification: FerryAPI.Notification, at now: UnixMilliseconds) async throws(DocumentStoreError) {
    let entry = OutboxEntry.with {
      $0.recipientID = notification.recipient?.id ?? ""
      $0.notificationID = notification.id
      $0.createdAt = now
    }
    try await store.put(DocumentKey(partition: partition, sort: Self.sort(now, notification.id)), entry.encodedBytes())
  }

  /// Takes back what `add` wrote.
  func remove(_ notification: FerryAPI.Notification, addedAt time: UnixMilliseconds) async throws(DocumentStoreError) {
    try await store.delete(DocumentKey(partition: partition, sort: Self.sort(time, notification.id)))
  }

  /// The entry that is due first.
  func first() async throws(DocumentStoreError) -> Queued? {
    let page = try await store.query(partition: partition, limit: 1)
    guard let document = page.documents.first else { return nil }
    guard let due = Int64(document.key.sort.prefix { $0 != "/" }) else { throw NotificationDocuments.damaged(document) }
    do throws(WireError) {
      return Queued(
        entry: try OutboxEntry(decoding: document.body), dueAt: due, sort: document.key.sort, version: document.version)
    } catch { throw NotificationDocuments.damaged(document) }
  }

  /// A conflict if somebody else has taken it up since it was read, as with every write below.
  func save(_ queued: inout Queued) async throws(DocumentStoreError) {
    let key = DocumentKey(partition: partition, sort: queued.sort)
    queued.version = try await store.put(key, queued.entry.encodedBytes(), if: .version(queued.version))
  }

  func move(_ queued: Queued, to due: UnixMilliseconds) async throws(DocumentStoreError) {
    let sort = Self.sort(due, queued.entry.notificationID)
    var batch = Batch(partition: partition)
    if sort == queued.sort {
      batch.put(sort, queued.entry.encodedBytes(), if: .version(queued.version))
    } else {
      batch.delete(queued.sort, if: .version(queued.version))
      batch.put(sort, queued.entry.encodedBytes(), if: .absent)
    }
    try await store.commit(batch)
  }

  func finish(_ queued: Queued) async throws(DocumentStoreError) {
    try await store.delete(DocumentKey(partition: partition, sort: queued.sort), if: .version(queued.version))
  }
}
