// The part of a delivery's workflow that comes when every file is delivered: the receipt, then the telling of it.
import Destinations
import FerryAPI
import RPC
import ServiceKit
import Workflow

extension DeliveryWorkflow {
  func store(_ choice: DestinationChoice, _ journal: DeliveryJournal) async throws {
    try await journal.begin(.storeMetadata)
    let delivery = await journal.delivery
    let files = try await list(delivery, journal)
    let source = delivery.request?.source ?? Source()
    let address = choice.address
    let server = DestinationAddress(
      scheme: address.scheme, user: address.user, host: address.host, port: address.port, path: RemotePath(.home))
    let shown = server.description.hasSuffix("/~") ? String(server.description.dropLast(2)) : server.description
    let byServer = await journal.meta.hashesSHA256 ?? false
    let receipt = Receipts.make(
      delivery, files: files, hostKey: await journal.meta.hostKey,
      source: try await scheme(source.connection, delivery) + source.bucket, server: shown,
      proof: Receipts.proof(
        delivery.options.proof, byServer: byServer, files: files, compresses: delivery.options.compresses),
      finishedAt: journal.now())
    let signed = try signer.sign(Array(receipt.jsonString().utf8))
    let kid = signer.kid
    let serverHashes = files.byServer.keys.sorted()
    try await journal.change(also: { Receipts.put(signed, into: &$0) }) { change in
      change.delivery.hasReceipt = true
      if !serverHashes.isEmpty { change.meta.serverHashes = serverHashes }
      change.end(.storeMetadata, .done, "receipt signed with key \(kid)")
    }
  }

  private func list(_ delivery: Delivery, _ journal: DeliveryJournal) async throws -> ReceiptFiles {
    let unproven = DeliveryFailure(
      "PROOF_FAILED", "Not every file of the delivery is journalled as proven.", next: "Retry the delivery.",
      scope: .delivery)
    func keep(_ part: ReceiptFiles.Part?) async throws {
      guard let part else { return }
      var batch = journal.context.batch()
      batch.put(JournalKeys.receiptPart(part.number), part.text)
      try await journal.context.commit(batch)
    }
    var files = ReceiptFiles(total: delivery.filesTotal)
    try await journal.each(JournalKeys.files) { document in
      let file = try DeliveryFile(decoding: document.body)
      guard file.status == .delivered, !file.sha256.isEmpty else { throw unproven }
      try await keep(files.add(file))
    }
    try await keep(files.close())
    guard files.count == delivery.filesTotal else { throw unproven }
    return files
  }

  /// "s3://" or "folder://": the connection's provider.
  private func scheme(_ connection: String, _ delivery: Delivery) async throws -> String {
    let name = connection.isEmpty ? "default" : connection
    let all = try await persist {
      do throws(RPCError) {
        let options = try await identity.options(onBehalfOf: delivery.requester?.id, timeout: SourceAccess.timeout)
        return try await broker.listConnections(ListConnectionsRequest(), options).connections
      } catch {
        throw DeliveryFailure(error, from: "storage-broker")
      }
    }
    let provider = all.first { $0.name == name }?.provider ?? ""
    return "\(provider.isEmpty ? "s3" : provider)://"
  }

  func tell(_ journal: DeliveryJournal, _ outbox: NoteOutbox) async throws {
    try await journal.begin(.notify)
    let meta = await journal.meta
    try await announcements.tell(await journal.snapshot(), .succeeded, attempt: meta.attempt)
    // Its own end is noted before the tickets are closed: a closed ticket takes no notes.
    try await journal.change(also: { _ in }) { change in
      if change.tracker[.notify].note.isEmpty {
        change.tracker[.notify].note = "the requester was notified"
        change.note(StateTracker.key(.notify), "Notify done: the requester was notified.")
      }
    }
    try await outbox.drain()
    let (delivery, provenBy) = (await journal.delivery, await journal.meta.provenBy)
    let text =
      "Delivered: \(ByteText.files(delivery.filesTotal)), \(ByteText.describe(delivery.bytesTotal)), to "
      + "\(delivery.destination), "
      + (delivery.options.proof == .size ? "the size alone compared, as chosen." : "\(provenBy).")
    try await tickets.close(delivery, .succeeded, note: text)
    try await journal.change { change in
      change.end(silently: .notify, .done, "the requester was notified, the tickets are closed")
      change.delivery.status = .succeeded
      change.delivery.finishedAt = change.time
      change.event(.ended, text)
    }
  }
}
