// Deliveries as the store has them, for those who ask: one, lists, files, chunks, events, receipts. It writes only what
// is written before a run begins; everything after that is the journal's.
import DocumentStore
import FerryAPI
import FoundationEssentials
import ProtoWire
import RPC
import ServiceKit

struct DeliveryArchive: Sendable {
  let store: any DocumentStore
  let box: SecretBox

  private func key(_ id: String, _ sort: String) -> DocumentKey {
    DocumentKey(partition: JournalKeys.partition(id), sort: sort)
  }

  func get(_ id: String, _ sort: String) async throws(RPCError) -> Document? {
    let key = key(id, sort)
    return try await storing { () throws(DocumentStoreError) in try await store.get(key) }
  }

  func page(
    _ partition: String, prefix: String = "", order: QueryOrder = .ascending, limit: Int,
    after: PageToken? = nil
  ) async throws(RPCError) -> DocumentPage {
    try await storing { () throws(DocumentStoreError) in
      try await store.query(partition: partition, prefix: prefix, order: order, limit: limit, after: after)
    }
  }

  func decoded<M: Message>(_ document: Document, as type: M.Type = M.self) throws(RPCError) -> M {
    do { return try M(decoding: document.body) } catch {
      throw .fault("The journal's document \(document.key.sort) can't be read.")
    }
  }

  // MARK: Deliveries

  func delivery(_ id: String) async throws(RPCError) -> Delivery? {
    guard id.utf8.count <= 128, !id.isEmpty, let document = try await get(id, JournalKeys.delivery) else { return nil }
    return try decoded(document)
  }

  func credentials(_ id: String) async throws(RPCError) -> DestinationCredentials? {
    guard let sealed = try await get(id, JournalKeys.credentials)?.body else { return nil }
    do { return try DestinationCredentials(decoding: try box.open(sealed, context: Self.context(id))) } catch {
      throw .fault(
        "The credentials of delivery \(id) can't be opened with this service's seal key.",
        next: "Restore the seal key that belongs to the data, or retry the delivery with its credentials.")
    }
  }

  private static func context(_ id: String) -> String { "delivery/\(id)/credentials" }

  func sealed(_ credentials: DestinationCredentials, _ id: String) -> [UInt8] {
    box.seal(credentials.encodedBytes(), context: Self.context(id))
  }

  // MARK: Before a run

  /// Writes everything down that a run begins with. Safe to repeat.
  func create(_ delivery: Delivery, _ credentials: DestinationCredentials?) async throws(RPCError) {
    var batch = Batch(partition: JournalKeys.partition(delivery.id))
    batch.put(JournalKeys.delivery, delivery.encodedBytes(), if: .absent)
    batch.put(JournalKeys.meta, try encoded(DeliveryMeta()))
    if let credentials { batch.put(JournalKeys.credentials, sealed(credentials, delivery.id)) }
    let ready = batch
    // First the promise to hand it to the engine, then the delivery, then the lists it stands in.
    try await put(JournalKeys.starting, delivery.id, [])
    try await storing { () throws(DocumentStoreError) in _ = try await store.commit(ready) }
    try await put(JournalKeys.all, delivery.id, [])
    try await put(JournalKeys.of(requester: delivery.requester?.id ?? ""), delivery.id, [])
  }

  /// An ended delivery's record set back to its beginning; what is proven of its files stays.
  func reset(_ id: String, credentials: DestinationCredentials?) async throws(RPCError) {
    guard let record = try await get(id, JournalKeys.delivery), let old = try await get(id, JournalKeys.meta) else {
      throw .fault("The journal of delivery \(id) has no record.")
    }
    var delivery: Delivery = try decoded(record)
    var meta: DeliveryMeta
    do { meta = try JSONDecoder().decode(DeliveryMeta.self, from: Data(old.body)) } catch {
      throw .fault("The journal's document \(JournalKeys.meta) can't be read.")
    }
    meta.attempt += 1
    meta.ending = nil
    delivery.status = .pending
    delivery.waitingFor = ""
    (delivery.problem, delivery.finishedAt, delivery.filesFailed) = (nil, nil, 0)
    var tracker = StateTracker()
    if meta.isPlanned {
      let compresses = delivery.options.compresses
      tracker.plan(files: delivery.filesTotal, bytes: delivery.bytesTotal, compresses: compresses)
      let time = Timestamp(milliseconds: SystemTime.now())
      if !compresses { _ = tracker.end(.compress, .skipped, note: "not asked for", at: time) }
      if delivery.hasReceipt {
        for state in StateTracker.order where state != .notify {
          _ = tracker.end(state, .done, note: "done by an earlier attempt", at: time)
        }
      }
    }
    delivery.states = tracker.states
    var batch = Batch(partition: JournalKeys.partition(id))
    batch.put(JournalKeys.delivery, delivery.encodedBytes(), if: .version(record.version))
    batch.put(JournalKeys.meta, try encoded(meta), if: .version(old.version))
    batch.delete(JournalKeys.cancel)
    batch.delete(JournalKeys.pause)
    if let credentials { batch.put(JournalKeys.credentials, sealed(credentials, id)) }
    let ready = batch
    try await put(JournalKeys.starting, id, [])
    try await storing { () throws(DocumentStoreError) in _ = try await store.commit(ready) }
  }

  private func encoded(_ meta: DeliveryMeta) throws(RPCError) -> [UInt8] {
    do { return [UInt8](try JSONEncoder().encode(meta)) } catch {
      throw .fault("A journal document can't be written.")
    }
  }

  func put(_ partition: String, _ sort: String, _ body: [UInt8]) async throws(RPCError) {
    try await storing { () throws(DocumentStoreError) in
      _ = try await store.put(DocumentKey(partition: partition, sort: sort), body)
    }
  }

  func delete(_ partition: String, _ sort: String) async throws(RPCError) {
    try await storing { () throws(DocumentStoreError) in
      try await store.delete(DocumentKey(partition: partition, sort: sort))
    }
  }

  /// The delivery that a person's key made first: this one, if the key is new.
  func claim(_ key: String, of person: String, for id: String) async throws(RPCError) -> String {
    let place = DocumentKey(partition: JournalKeys.idempotency, sort: JournalKeys.idempotency(person, key))
    do throws(DocumentStoreError) {
      _ = try await store.put(place, Array(id.utf8), if: .absent)
      return id
    } catch {
      guard error.conflictingKey != nil else { throw RPCError(error) }
      let found = try await storing { () throws(DocumentStoreError) in try await store.get(place) }
      return found.map { String(decoding: $0.body, as: UTF8.self) } ?? id
    }
  }

  // MARK: Parts of a delivery

  /// Events after a sequence, oldest first. Sequences have no gaps, so each event's key is known.
  func events(_ id: String, after sequence: Int64, limit: Int) async throws(RPCError) -> [DeliveryEvent] {
    var events: [DeliveryEvent] = []
    while events.count < limit {
      let key = JournalKeys.event(sequence + 1 + Int64(events.count))
      guard let document = try await get(id, key) else { break }
      events.append(try decoded(document))
    }
    return events
  }

  /// Lines of a long receipt's list of files; nil if it has no such part.
  func receiptPart(_ id: String, _ part: Int32) async throws(RPCError) -> String? {
    guard part >= 0, let document = try await get(id, JournalKeys.receiptPart(Int(part))) else { return nil }
    return String(decoding: document.body, as: UTF8.self)
  }

  func receipt(_ id: String) async throws(RPCError) -> SignedReceipt? {
    var pieces: [[UInt8]] = []
    var token: PageToken?
    repeat {
      let page = try await page(
        JournalKeys.partition(id), prefix: JournalKeys.receiptPieces, limit: PageBounds.maximumDocuments, after: token)
      pieces += page.documents.map(\.body)
      token = page.next
    } while token != nil
    if pieces.isEmpty { return nil }
    do { return try Receipts.open(pieces) } catch { throw .fault("The receipt of delivery \(id) can't be read.") }
  }
}
