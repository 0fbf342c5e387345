// Where notifications stand in the document store, and how they are read and written.
//
//   recipient/<person id>   head             RecipientHead
//                           n/<sequence>     the notification, with what became of it in each channel
//                           key/<key>        its sequence: each key is told a person once
//                           id/<id>          its sequence
//   delivery/<delivery id>  <id>             index: the recipient's id
//
// The index is another partition, so it is written first: an entry without its notification is passed over.
import DocumentStore
import FerryAPI
import ProtoWire

struct NotificationDocuments: Sendable {
  let store: any DocumentStore

  private static let headSort = "head"
  private static func partition(of recipient: String) -> String { "recipient/\(recipient)" }
  private static func sort(_ sequence: Int64) -> String { "n/\(SortNumber.text(sequence))" }

  struct Stored {
    var notification: FerryAPI.Notification
    var version: DocumentVersion
  }

  // MARK: Reads

  func head(of recipient: String) async throws(DocumentStoreError) -> (head: RecipientHead, version: DocumentVersion?) {
    let key = DocumentKey(partition: Self.partition(of: recipient), sort: Self.headSort)
    guard let document = try await store.get(key) else { return (RecipientHead(), nil) }
    return (try Self.decode(document), document.version)
  }

  func notification(
    of recipient: String, sequence: Int64
  ) async throws(DocumentStoreError) -> Stored? {
    let key = DocumentKey(partition: Self.partition(of: recipient), sort: Self.sort(sequence))
    guard let document = try await store.get(key) else { return nil }
    return Stored(notification: try Self.decode(document), version: document.version)
  }

  func notification(of recipient: String, id: String) async throws(DocumentStoreError) -> Stored? {
    try await notification(of: recipient, through: "id/\(id)")
  }

  func notification(of recipient: String, key: String) async throws(DocumentStoreError) -> Stored? {
    try await notification(of: recipient, through: "key/\(key)")
  }

  private func notification(of recipient: String, through sort: String) async throws(DocumentStoreError) -> Stored? {
    let key = DocumentKey(partition: Self.partition(of: recipient), sort: sort)
    guard let pointer = try await store.get(key) else { return nil }
    guard let sequence = Int64(String(decoding: pointer.body, as: UTF8.self)) else { throw Self.damaged(pointer) }
    return try await notification(of: recipient, sequence: sequence)
  }

  /// Newest first.
  func notifications(
    of recipient: String, limit: Int, after token: PageToken?
  ) async throws(DocumentStoreError) -> (notifications: [FerryAPI.Notification], next: PageToken?) {
    let page = try await store.query(
      partition: Self.partition(of: recipient), prefix: "n/", order: .descending, limit: limit, after: token)
    var notifications: [FerryAPI.Notification] = []
    for document in page.documents { notifications.append(try Self.decode(document)) }
    return (notifications, page.next)
  }

  /// The notifications of a delivery, whoever they went to, newest first: ids, and whose they are.
  func index(
    ofDelivery delivery: String, limit: Int, after token: PageToken?
  ) async throws(DocumentStoreError) -> (entries: [(id: String, recipient: String)], next: PageToken?) {
    let page = try await store.query(
      partition: "delivery/\(delivery)", prefix: "", order: .descending, limit: limit, after: token)
    return (page.documents.map { ($0.key.sort, String(decoding: $0.body, as: UTF8.self)) }, page.next)
  }

  // MARK: Writes

  func addToIndex(_ notification: FerryAPI.Notification) async throws(DocumentStoreError) {
    if notification.deliveryID.isEmpty { return }
    let key = DocumentKey(partition: "delivery/\(notification.deliveryID)", sort: notification.id)
    try await store.put(key, Array((notification.recipient?.id ?? "").utf8))
  }

  func removeFromIndex(_ notification: FerryAPI.Notification) async throws(DocumentStoreError) {
    if notification.deliveryID.isEmpty { return }
    try await store.delete(DocumentKey(partition: "delivery/\(notification.deliveryID)", sort: notification.id))
  }

  /// Writes a new notification with the recipient's next sequence; a conflict if its key is there, or somebody else was
  /// first with that sequence.
  func insert(_ notification: FerryAPI.Notification) async throws(DocumentStoreError) -> FerryAPI.Notification {
    let recipient = notification.recipient?.id ?? ""
    var (head, version) = try await head(of: recipient)
    head.lastSequence += 1
    head.unread += 1
    var notification = notification
    notification.sequence = head.lastSequence
    let pointer = Array(String(notification.sequence).utf8)
    var batch = Batch(partition: Self.partition(of: recipient))
    batch.put(Self.headSort, head.encodedBytes(), if: version.map { .version($0) } ?? .absent)
    batch.put(Self.sort(notification.sequence), notification.encodedBytes(), if: .absent)
    batch.put("key/\(notification.key)", pointer, if: .absent)
    batch.put("id/\(notification.id)", pointer, if: .absent)
    try await store.commit(batch)
    return notification
  }

  /// A conflict if the notification has changed since it was read.
  func update(_ stored: Stored) async throws(DocumentStoreError) {
    let recipient = stored.notification.recipient?.id ?? ""
    let key = DocumentKey(partition: Self.partition(of: recipient), sort: Self.sort(stored.notification.sequence))
    try await store.put(key, stored.notification.encodedBytes(), if: .version(stored.version))
  }

  /// Marks those that are unread, and counts them off; a conflict if one of them has changed since it was read.
  func markRead(_ all: [Stored], of recipient: String) async throws(DocumentStoreError) {
    let unread = all.filter { !$0.notification.read }
    if unread.isEmpty { return }
    var (head, version) = try await head(of: recipient)
    head.unread = max(0, head.unread - Int64(unread.count))
    var batch = Batch(partition: Self.partition(of: recipient))
    batch.put(Self.headSort, head.encodedBytes(), if: version.map { .version($0) } ?? .absent)
    for var stored in unread {
      stored.notification.read = true
      batch.put(
        Self.sort(stored.notification.sequence), stored.notification.encodedBytes(), if: .version(stored.version))
    }
    try await store.commit(batch)
  }

  private static func decode<M: Message>(_ document: Document) throws(DocumentStoreError) -> M {
    do throws(WireError) { return try M(decoding: document.body) } catch { throw damaged(document) }
  }

  static func damaged(_ document: Document) -> DocumentStoreError {
    DocumentStoreError(
      .corrupt, message: "The document \(document.key) can't be read.", nextStep: "Restore the database from a backup.")
  }
}
