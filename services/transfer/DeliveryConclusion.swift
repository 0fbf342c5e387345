// How a delivery that failed or was cancelled comes to its end: its .part files go where the server can be reached, the
// requester and both tickets are told why and what to do. It is decided before, in the journal; a crash here only means
// that it is done again.
import Destinations
import FerryAPI
import Logging
import RPC
import ServiceKit
import Workflow

struct DeliveryConclusion: Sendable {
  /// Clearing up takes this long at most; what it can't remove is told.
  private static let clearingTime = Duration.seconds(30)
  private static let removalsAtOnce = 4
  /// Files looked after before the next are read from the journal; one commit says what became of them.
  private static let removalsPage = FileGroup.maxFiles

  let workflow: DeliveryWorkflow
  let journal: DeliveryJournal
  let outbox: NoteOutbox

  func run() async throws {
    let meta = await journal.meta
    let outcome: Outcome = meta.ending == .cancelled ? .cancelled : .failed
    let left = try await clearUp()
    let problem = await journal.delivery.problem
    try await journal.change { change in
      if left > 0 { change.note("left", "\(left) .part file(s) could not be removed from the destination.") }
      if let problem {
        change.note("problem", "\(problem.code): \(problem.message) What to do: \(problem.nextStep)")
      }
    }
    try await attempting("telling the requester") {
      try await workflow.announcements.tell(await journal.snapshot(), outcome, attempt: meta.attempt)
    }
    let text = Self.closing(await journal.delivery, outcome)
    try await attempting("closing the tickets") {
      // They may have been opened without our hearing of it; asking again gives the same pair.
      try await workflow.openTickets(journal)
      try await outbox.drain()
      try await workflow.tickets.close(await journal.delivery, outcome, note: text)
    }
    try await journal.change { change in
      change.delivery.status = outcome == .cancelled ? .cancelled : .failed
      change.delivery.finishedAt = change.time
      change.event(.ended, text)
    }
    throw DeliveryEnded(description: text)
  }

  /// What can't be told in the end, after hours or because it is refused, must not keep the delivery from ending.
  private func attempting(_ what: String, _ work: () async throws -> Void) async throws {
    do { try await work() } catch let failure as DeliveryFailure {
      let id = journal.context.id.rawValue
      workflow.logger.error("\(what) failed", metadata: ["delivery": "\(id)", "error": "\(failure)"])
      try await journal.change { $0.event(.note, "\(what) failed: \(failure.problem.message)") }
    }
  }

  private static func closing(_ delivery: Delivery, _ outcome: Outcome) -> String {
    if outcome == .cancelled {
      return "Cancelled: \(delivery.filesDone) of \(ByteText.files(delivery.filesTotal)) had been delivered."
    }
    return "Failed: \(delivery.problem?.message ?? "") \(delivery.problem?.nextStep ?? "")"
  }

  // MARK: Clearing up

  /// Takes away the .part files that may be there still, and says how many are left.
  private func clearUp() async throws -> Int64 {
    var documents = JournalCursor(journal.context, JournalKeys.files)
    let end = ContinuousClock.now + Self.clearingTime
    var (files, left): ([DeliveryFile], Int64) = (try await begun(&documents), 0)
    if files.isEmpty { return 0 }
    let destination = await destination(await journal.delivery)
    while !files.isEmpty {
      let removed = if let destination { await remove(files, destination, until: end) } else { 0 }
      left += Int64(files.count - removed)
      // They are waiting again: what is shown of an ended delivery is not under way.
      var waiting = files.filter { $0.status != .failed }
      for index in waiting.indices { waiting[index].status = .waiting }
      if !waiting.isEmpty { try await journal.put(waiting) }
      files = try await begun(&documents)
    }
    await destination?.close()
    return left
  }

  /// The next files that were begun and not delivered; none at the end.
  private func begun(_ documents: inout JournalCursor) async throws -> [DeliveryFile] {
    var files: [DeliveryFile] = []
    while files.count < Self.removalsPage, let document = try await documents.next() {
      let file = try DeliveryFile(decoding: document.body)
      if file.status == .transferring || file.status == .verifying || file.status == .failed { files.append(file) }
    }
    return files
  }

  private func remove(
    _ files: [DeliveryFile], _ destination: any Destinations.Destination, until end: ContinuousClock.Instant
  ) async -> Int {
    let options = await journal.delivery.options
    let work = Task { () -> Int in
      await withTaskGroup(of: Bool.self) { group in
        var (next, removed) = (0, 0)
        while next < min(Self.removalsAtOnce, files.count) {
          let file = files[next]
          group.addTask { await remove(file, options, destination) }
          next += 1
        }
        for await done in group {
          if done { removed += 1 }
          if next < files.count, !Task.isCancelled {
            let file = files[next]
            group.addTask { await remove(file, options, destination) }
            next += 1
          }
        }
        return removed
      }
    }
    let timer = Task {
      // Only cancellation ends the sleep early; then there is nothing left to bound.
      try? await Task.sleep(until: end)
      work.cancel()
    }
    defer { timer.cancel() }
    return await withTaskCancellationHandler { await work.value } onCancel: { work.cancel() }
  }

  /// A server that is away for a moment is asked again, for as long as clearing up may take.
  private func remove(
    _ file: DeliveryFile, _ options: DeliveryOptions, _ destination: any Destinations.Destination
  ) async -> Bool {
    do {
      try await workflow.persist {
        for name in try file.names(options) {
          try await reaching(connecting: true) { () throws(DestinationError) in try await destination.removePart(of: name) }
        }
      }
      return true
    } catch {
      return false  // counted, and told on the tickets
    }
  }

  private func destination(_ delivery: Delivery) async -> (any Destinations.Destination)? {
    let request = delivery.request ?? DeliveryRequest()
    do {
      let given = try await workflow.archive.credentials(delivery.id)
      let choice = try await DestinationChoice.resolve(
        request.destination, path: request.path, given: given, store: workflow.destinations)
      let known = try await workflow.destinations.knownHostKeys(choice.address.endpoint)
      return try DestinationRegistry.destination(choice.settings(known: known))
    } catch {
      return nil  // what can't be reached can't be cleared: the count of what is left says so
    }
  }
}

extension DeliveryJournal.Change {
  /// Ends what was under way: the first such state with the reason, the others as not finished.
  mutating func giveUp(_ reason: String) {
    end(tracker.failing, .failed, reason)
    for state in StateTracker.order where tracker[state].status == .active {
      end(silently: state, .failed, "not finished")
    }
  }

  /// Ends a state with its event, and no note on the tickets.
  mutating func end(silently state: DeliveryState, _ status: StateStatus, _ note: String) {
    guard tracker.end(state, status, note: note, at: time) else { return }
    event(.state, "\(StateTracker.name(state)) \(status == .failed ? "failed" : "done"): \(note)")
  }
}
