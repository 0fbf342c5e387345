// The body of a delivery's workflow: tickets, connection, plan, files, receipt, and the telling of it; or, when it
// failed or was cancelled, the clearing up and the telling of that. Each part finds in the journal how far an earlier
// run came. A pause ends the run where it stands: a resume is the next run.
import Destinations
import DocumentStore
import FerryAPI
import FoundationEssentials
import Logging
import RPC
import ServiceKit
import Transport
import Workflow

/// The run ended as its journal says; to the engine that is a failed run, which a person may set going again.
struct DeliveryEnded: Error, CustomStringConvertible {
  let description: String
}

struct DeliveryWorkflow: Sendable {
  /// What is on its way when a delivery is cancelled or paused may still arrive, and counts then.
  private static let lastChunksPatience = Duration.seconds(2)

  let archive: DeliveryArchive
  let destinations: DestinationStore
  let broker: StorageBroker.Client
  let tickets: Tickets
  let announcements: Announcements
  let identity: ServiceIdentity
  let http: HTTPClient
  let threads: WorkThreads
  let persist: Persistence
  let hub: WatchHub
  let running: RunningDeliveries
  let claims: TargetClaims
  let throttles: DestinationThrottles
  let sharedReads = SharedReads()
  let signer: ReceiptSigner
  let logger: Logger

  var kind: WorkflowKind {
    WorkflowKind(JournalKeys.kind) { context in try await run(context) }
  }

  private func run(_ context: RunContext) async throws -> [UInt8] {
    let id = context.id.rawValue
    let journal = try await DeliveryJournal.open(context, hub: hub)
    let outbox = NoteOutbox(journal, tickets)
    hub.enter(id, journal)
    defer {
      running.forget(id)
      hub.leave(id)
    }
    do {
      // First of all: what is shown and journalled from here on counts what earlier runs have proven.
      let sums = await journal.meta.isPlanned ? try await JournalSums(journal) : nil
      try await attempt(journal, outbox, sums)
      await outbox.stop()
      return []
    } catch {
      await outbox.stop()
      throw error
    }
  }

  private func attempt(_ journal: DeliveryJournal, _ outbox: NoteOutbox, _ sums: JournalSums?) async throws {
    let id = journal.context.id.rawValue
    if await journal.meta.ending == nil {
      do {
        return try await running.perform(id) { try await deliver(journal, outbox, sums) }
      } catch {
        // A lost lease, a store in trouble or a service that stops: the run goes on later, here or elsewhere.
        if Task.isCancelled || error is WorkflowError { throw error }
        if running.isPaused(id), !running.isCancelled(id) { try await DeliveryPause(journal, outbox).begin() }
        try await decide(error, journal)
      }
    }
    try await DeliveryConclusion(workflow: self, journal: journal, outbox: outbox).run()
  }

  private func decide(_ error: any Error, _ journal: DeliveryJournal) async throws {
    let id = journal.context.id.rawValue
    if running.isCancelled(id) || error is CancellationError {
      let reason = try await journal.context.get(JournalKeys.cancel).map { String(decoding: $0.body, as: UTF8.self) }
      return try await journal.change { change in
        _ = change.leavePause()
        change.meta.ending = .cancelled
        change.giveUp("cancelled" + (reason.map { $0.isEmpty ? "" : ": \($0)" } ?? ""))
      }
    }
    let failure = error as? DeliveryFailure
    if failure == nil {
      logger.error("a delivery failed by a fault of our own", metadata: ["delivery": "\(id)", "error": "\(error)"])
    }
    var problem = failure?.problem ?? Problem.with {
      $0.code = "INTERNAL"
      $0.message = "The transfer service met an error of its own."
      $0.nextStep = "Retry the delivery; if it stays, an administrator finds more in the service's log."
    }
    problem.time = journal.now()
    let told = problem
    try await journal.change { change in
      change.meta.ending = .failed
      change.delivery.problem = told
      change.giveUp("\(told.message) \(told.nextStep)")
    }
  }

  // MARK: The way of a delivery

  private func deliver(_ journal: DeliveryJournal, _ outbox: NoteOutbox, _ sums: JournalSums?) async throws {
    let id = journal.context.id.rawValue
    // Before anything that may take its time: what others of the group read from now on is held for this one, too.
    let group = await journal.delivery.groupID
    let shared = group.isEmpty ? nil : sharedReads.join(group, id)
    defer { if shared != nil { sharedReads.leave(group, id) } }
    try await journal.change { $0.delivery.runs += 1 }
    // What was asked for while no run was there to hear it.
    if try await journal.context.get(JournalKeys.cancel) != nil {
      running.cancel(id)
    } else if try await journal.context.get(JournalKeys.pause) != nil {
      running.pause(id)
    }
    try Task.checkCancellation()
    try await DeliveryPause(journal, outbox).end()
    try await openTickets(journal)
    await outbox.kick()
    if await journal.delivery.hasReceipt { return try await tell(journal, outbox) }

    let choice = try await resolve(journal)
    let destination = try await connect(choice, journal)
    do {
      try await withTaskCancellationHandler {
        try await plan(choice, destination, journal)
        let files = if let sums { sums } else { try await JournalSums(journal) }
        try await move(files, choice, destination, journal, outbox, shared)
      } onCancel: {
        Task {
          // Nobody cancels this sleep.
          try? await Task.sleep(for: Self.lastChunksPatience)
          await destination.abort()
        }
      }
      await destination.close()
    } catch {
      await destination.close()
      throw error
    }
    guard running.seal(id) else { throw CancellationError() }
    try await store(choice, journal)
    try await tell(journal, outbox)
  }

  func openTickets(_ journal: DeliveryJournal) async throws {
    let (delivery, meta) = (await journal.delivery, await journal.meta)
    guard delivery.status == .pending else { return }
    if delivery.ticketPairID.isEmpty {
      let pair = try await tickets.open(delivery, context: journal.context)
      try await journal.change { change in
        change.delivery.ticketPairID = pair.pairID
        change.delivery.userTicket = pair.user?.number ?? ""
        change.delivery.auditTicket = pair.audit?.number ?? ""
        change.event(.note, "tickets \(change.delivery.userTicket) and \(change.delivery.auditTicket) opened")
        change.take()
      }
    } else {
      try await tickets.reopen(delivery, attempt: meta.attempt)
      try await journal.change { change in
        change.event(.note, "attempt \(meta.attempt) begins")
        change.take()
      }
    }
  }

  private func resolve(_ journal: DeliveryJournal) async throws -> DestinationChoice {
    let delivery = await journal.delivery
    let request = delivery.request ?? DeliveryRequest()
    let choice: DestinationChoice
    do throws(RPCError) {
      let given = try await archive.credentials(delivery.id)
      choice = try await DestinationChoice.resolve(
        request.destination, path: request.path, given: given, store: destinations)
    } catch {
      throw DeliveryFailure(error, from: "transfer")
    }
    guard choice.url == delivery.destination else {
      throw DeliveryFailure(
        "DESTINATION_CHANGED",
        "The saved destination leads to \(choice.url) now, and this delivery was made for \(delivery.destination).",
        next: "Start a new delivery.", scope: .delivery, subject: choice.url)
    }
    return choice
  }

  /// Logs in before anything moves, so that a wrong password or host key is told at once.
  private func connect(
    _ choice: DestinationChoice, _ journal: DeliveryJournal
  ) async throws -> any Destinations.Destination {
    let endpoint = choice.address.endpoint
    let folderMode = await journal.delivery.options.folderPermissions
    var known = try await keeping { () throws(RPCError) in try await destinations.knownHostKeys(endpoint) }
    while true {
      let destination = try open(choice, known: known, folderMode: folderMode)
      do {
        let retried: @Sendable (DeliveryFailure) async throws -> Void = {
          try await journal.retried("connecting to \(endpoint)", $0)
        }
        let server = try await persist(onRetry: retried) {
          try await reaching(endpoint.description, connecting: true) { () throws(DestinationError) in
            try await destination.identity()
          }
        }
        if server.isNew { try await remember(server.fingerprint, of: endpoint) }
        try await journal.change { $0.meta.hostKey = server.fingerprint }
        return destination
      } catch let failure as DeliveryFailure {
        await destination.close()
        // TLS has no way to accept a key as it is shown; it is told, and then pinned.
        guard failure.problem.code == "HOST_KEY_UNKNOWN", choice.hostKeys.acceptNew, known.isEmpty,
          let shown = failure.shownHostKey, choice.address.scheme != "sftp"
        else { throw failure }
        try await remember(shown, of: endpoint)
        known = [shown]
      } catch {
        await destination.close()
        throw error
      }
    }
  }

  private func open(
    _ choice: DestinationChoice, known: [String], folderMode: UInt16?
  ) throws -> any Destinations.Destination {
    do throws(DestinationError) {
      return try DestinationRegistry.destination(choice.settings(known: known, folderMode: folderMode))
    } catch {
      throw DeliveryFailure(error, connecting: true, subject: choice.url)
    }
  }

  private func remember(_ fingerprint: String, of endpoint: SSHEndpoint) async throws {
    try await keeping { () throws(RPCError) in try await destinations.remember(fingerprint, of: endpoint) }
  }

  /// A call on this service's own store.
  private func keeping<Value: Sendable>(_ call: () async throws(RPCError) -> Value) async throws -> Value {
    do { return try await call() } catch { throw DeliveryFailure(error, from: "transfer") }
  }

  // MARK: Files

  private func move(
    _ sums: JournalSums, _ choice: DestinationChoice, _ destination: any Destinations.Destination,
    _ journal: DeliveryJournal, _ outbox: NoteOutbox, _ shared: GroupReads?
  ) async throws {
    let delivery = await journal.delivery
    try await sums.tellResumption(journal)
    try await journal.settle()
    let capabilities = try await persist(onRetry: { try await journal.retried("asking the destination", $0) }) {
      try await reaching(connecting: true) { () throws(DestinationError) in try await destination.capabilities() }
    }
    let server = "\(choice.address.user)@\(choice.address.endpoint)"
    let throttles = try caps(delivery, choice, server, now: journal.context.clock.now)
    defer { if choice.bandwidth != nil { self.throttles.release(server) } }
    let hashing = RemoteHashing(capabilities.remoteHashes, delivery.options.proof)
    if hashing.hasSHA256, await journal.meta.hashesSHA256 == nil { try await journal.change { $0.meta.hashesSHA256 = true } }
    // A chunk that is being compressed is there twice.
    let inFlight = DeliveryWork.chunksInFlight(chunkSize: sums.largestChunk * (delivery.options.compresses ? 2 : 1))
    // A server that takes one stream is sent it in its own time.
    let resting = capabilities.writesAtOffsets || inFlight == 1 ? 0 : 1
    let buffers = BufferPool(most: inFlight, resting: resting)
    let tools = DeliveryTools(
      journal: journal, destination: destination, threads: threads, reader: reader(delivery, journal, buffers, shared),
      persist: persist, chunks: Slots(inFlight - resting), buffers: buffers, codes: ChunkCodes(key: try await chunkKey(journal)),
      options: delivery.options,
      writesAtOffsets: capabilities.writesAtOffsets, hashing: hashing,
      protocolName: choice.address.scheme, claims: claims, server: server,
      throttles: throttles)
    let work = DeliveryWork(tools: tools, sums: sums, atOnce: choice.maxConnections)
    let ticker = Task {
      var last = journal.progress.current
      while !Task.isCancelled {
        // Only cancellation ends a sleep early, and the loop with it.
        try? await Task.sleep(for: WatchHub.progressInterval)
        let current = journal.progress.current
        if current != last { hub.publish(delivery.id, sequence: 0) }
        last = current
        await outbox.kick()
      }
    }
    defer { ticker.cancel() }
    let failed = try await work.run()
    if let first = failed.first { throw Self.failure(of: failed.count, first, delivery) }
  }

  /// The same for all runs.
  private func chunkKey(_ journal: DeliveryJournal) async throws -> [UInt8] {
    if let kept = await journal.meta.chunkKey.flatMap({ Data(base64Encoded: $0) }) { return Array(kept) }
    let key = ChunkCodes.makeKey()
    try await journal.change { $0.meta.chunkKey = Data(key).base64EncodedString() }
    return key
  }

  private func reader(
    _ delivery: Delivery, _ journal: DeliveryJournal, _ buffers: BufferPool, _ shared: GroupReads?
  ) -> @Sendable (DeliveryFile) -> RangeReader {
    let (source, http, threads, now) = (source(delivery), http, threads, journal.context.clock.now)
    let wanted = delivery.options.chunkSize
    return { file in
      RangeReader(
        subject: "\(source.bucket)/\(file.key)", size: file.size, etag: file.etag, http: http, threads: threads,
        buffers: buffers, now: now, sharing: shared.map { Self.sharing($0, file, delivery.id) }
      ) { () async throws(DeliveryFailure) in
        try await source.grant(file, chunkSize: Planner.chunkSize(file.size, wanted: wanted))
      }
    }
  }

  private static func sharing(_ reads: GroupReads, _ file: DeliveryFile, _ delivery: String) -> RangeReader.Sharing {
    let source = "\(file.key) \(file.etag) \(file.versionID)"
    return { (range, load) async throws(DeliveryFailure) in
      try await reads.read(
        GroupReads.Place(file: file.index, offset: range.lowerBound), of: source, size: range.count, by: delivery, load)
    }
  }

  /// The delivery's own, and that which it shares with others to the same server.
  private func caps(
    _ delivery: Delivery, _ choice: DestinationChoice, _ server: String, now: @escaping @Sendable () -> UnixMilliseconds
  ) throws -> [Throttle] {
    let own = try delivery.options.bandwidth.map { Throttle(try RequestCheck.bandwidth($0), now: now) }
    return [own, choice.bandwidth.map { throttles.take(server, $0, now: now) }].compactMap { $0 }
  }

  static func failure(of failed: Int64, _ first: DeliveryFile, _ delivery: Delivery) -> DeliveryFailure {
    var problem = first.problem ?? Problem()
    problem.retryable = false
    if delivery.filesTotal > 1 {
      let done = delivery.filesTotal - failed
      problem.message =
        "\(done) of \(delivery.filesTotal) files were delivered; \(first.key.prefix(255)) was not: \(problem.message)"
    }
    return DeliveryFailure(problem, scope: .delivery)
  }
}
