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
      delivery.request, catalog: catalog, path: choice.address.path, isFolder: choice.isFolder
    ) {
      () async throws(DeliveryFailure) in
      try await reaching(connecting: true) { () throws(DestinationError) in
        try await destination.stat(choice.address.path)?.isDirectory ?? false
      }
    }
    let plan = try await planner.plan(delivery.request?.source?.selections ?? [])
    if var problem = plan.problems.first {
      let more = plan.problems.count - 1
      if more > 0 { problem.message += " (And \(more) more such problem\(more == 1 ? "" : "s"); nothing was moved.)" }
      throw DeliveryFailure(problem, scope: .delivery)
    }
    try await write(plan, journal)
  }

  private func write(_ plan: Plan, _ journal: DeliveryJournal) async throws {
    // Files go first: the record that counts them is what makes them count.
    for start in stride(from: 0, to: plan.files.count, by: RunContext.maximumOperations / 2) {
      var batch = journal.context.batch()
      for planned in plan.files[start..<min(start + RunContext.maximumOperations / 2, plan.files.count)] {
        batch.put(JournalKeys.file(planned.file.index), planned.file.encodedBytes())
        if !planned.sourceSHA256.isEmpty {
          batch.put(JournalKeys.checksum(planned.file.index), Array(planned.sourceSHA256.utf8))
        }
      }
      try await journal.context.commit(batch)
    }
    let (files, bytes) = (Int64(plan.files.count), plan.bytes)
    try await journal.change { change in
      change.meta.isPlanned = true
      (change.delivery.filesTotal, change.delivery.bytesTotal) = (files, bytes)
      change.tracker.plan(files: files, bytes: bytes)
      let text = "\(ByteText.files(files)), \(ByteText.describe(bytes)), to \(change.delivery.destination)"
      change.event(.note, "planned: \(text)")
      change.note("planned", "Planned: \(text).")
      change.end(.compress, .skipped, "not asked for")
    }
  }
}
