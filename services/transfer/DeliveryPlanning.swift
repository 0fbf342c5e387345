// The part of a delivery's workflow that settles which files move: asked of source and destination once, then
// journalled.
import Destinations
import FerryAPI
import RPC
import ServiceKit
import Workflow

extension DeliveryWorkflow {
  func source(_ delivery: Delivery) -> SourceAccess {
    let source = delivery.request?.source ?? Source()
    let (identity, person) = (identity, delivery.requester?.id)
    return SourceAccess(broker: broker, connection: source.connection, bucket: source.bucket) {
      () async throws(RPCError) in try await identity.options(onBehalfOf: person, timeout: SourceAccess.timeout)
    }
  }

  func plan(
    _ choice: DestinationChoice, _ destination: any Destinations.Destination, _ journal: DeliveryJournal
  ) async throws {
    guard await !journal.meta.isPlanned else { return }
    let delivery = await journal.delivery
    let retried: @Sendable (DeliveryFailure) async throws -> Void = { try await journal.retried("planning", $0) }
    let catalog = PersistentCatalog(source: source(delivery), persist: persist, onRetry: retried)
    let planner = try Planner(
      delivery.request, ticket: delivery.userTicket, now: journal.now(), catalog: catalog, path: choice.address.path,
      isFolder: choice.isFolder
    ) {
      () async throws(DeliveryFailure) in
      try await reaching(connecting: true) { () throws(DestinationError) in
        try await destination.stat(choice.address.path)?.isDirectory ?? false
      }
    }
    // Of a plan that was cut short.
    try await clear(journal)
    let plan = try await planner.plan(delivery.request?.source?.selections ?? []) { try await write($0, journal) }
    if var problem = plan.problems.first {
      let more = plan.problems.count - 1
      if more > 0 { problem.message += " (And \(more) more such problem\(more == 1 ? "" : "s"); nothing was moved.)" }
      try await clear(journal)
      throw DeliveryFailure(problem, scope: .delivery)
    }
    try await settle(plan, journal)
  }

  private func clear(_ journal: DeliveryJournal) async throws {
    for prefix in [JournalKeys.files, JournalKeys.checksums] {
      while true {
        let page = try await journal.context.query(prefix: prefix, limit: RunContext.maximumOperations)
        if page.documents.isEmpty { break }
        var batch = journal.context.batch()
        for document in page.documents { batch.delete(document.key.sort) }
        try await journal.context.commit(batch)
      }
    }
  }

  /// Files go first: the record that counts them is what makes them count.
  private func write(_ files: [PlannedFile], _ journal: DeliveryJournal) async throws {
    for start in stride(from: 0, to: files.count, by: RunContext.maximumOperations / 2) {
      var batch = journal.context.batch()
      for planned in files[start..<min(start + RunContext.maximumOperations / 2, files.count)] {
        batch.put(JournalKeys.file(planned.file.index), planned.file.encodedBytes())
        if !planned.sourceSHA256.isEmpty {
          batch.put(JournalKeys.checksum(planned.file.index), Array(planned.sourceSHA256.utf8))
        }
      }
      try await journal.context.commit(batch)
    }
  }

  private func settle(_ plan: Plan, _ journal: DeliveryJournal) async throws {
    let (files, bytes) = (plan.files, plan.bytes)
    try await journal.change { change in
      change.meta.isPlanned = true
      (change.delivery.filesTotal, change.delivery.bytesTotal) = (files, bytes)
      let compresses = change.delivery.options.compresses
      change.tracker.plan(files: files, bytes: bytes, compresses: compresses)
      let text = "\(ByteText.files(files)), \(ByteText.describe(bytes)), to \(change.delivery.destination)"
      change.event(.note, "planned: \(text)")
      change.note("planned", "Planned: \(text).")
      if !compresses { change.end(.compress, .skipped, "not asked for") }
    }
  }
}
