// The two tickets of a delivery: opened before anything moves, noted on as it goes, closed with its outcome. Notes wait
// in the journal until ticketing has them, so a ticketing service that is away delays nobody but the end.
import DocumentStore
import FerryAPI
import RPC
import ServiceKit
import Synchronization
import Workflow

struct Tickets: Sendable {
  static let timeout = Duration.seconds(10)
  private static let describeTimeout = Duration.seconds(3)

  let ticketing: Ticketing.Client
  let assist: Assist.Client
  let identity: ServiceIdentity
  let persist: Persistence

  private func call<Value: Sendable>(
    _ service: String, as person: String, _ body: @escaping @Sendable (CallOptions) async throws(RPCError) -> Value
  ) async throws -> Value {
    try await persist { [identity] in
      do throws(RPCError) {
        return try await body(try await identity.options(onBehalfOf: person, timeout: Self.timeout))
      } catch {
        throw DeliveryFailure(error, from: service)
      }
    }
  }

  // MARK: Open

  /// Once for a delivery, as two steps of its workflow: what is asked for is settled first, so that asking again after
  /// a lost answer is the same call.
  func open(_ delivery: Delivery, context: RunContext) async throws -> TicketPair {
    let asked = try await context.step("ticket-text") { _ in await opening(delivery).encodedBytes() }
    let request = try OpenTicketsRequest(decoding: asked)
    let body = try await context.step("tickets") { _ in
      let pair = try await call("ticketing", as: delivery.requester?.id ?? "") { options throws(RPCError) in
        try await ticketing.openTickets(request, options)
      }
      // Numbers are all that is needed later.
      return TicketPair.with {
        $0.pairID = pair.pairID
        $0.user = Ticket.with { $0.number = pair.user?.number ?? "" }
        $0.audit = Ticket.with { $0.number = pair.audit?.number ?? "" }
      }.encodedBytes()
    }
    return try TicketPair(decoding: body)
  }

  /// A note of this key opens closed tickets anew.
  func reopen(_ delivery: Delivery, attempt: Int) async throws {
    try await note(
      AddWorkNoteRequest.with {
        $0.pairID = delivery.ticketPairID
        $0.key = "retry-\(attempt - 1)"
        $0.text = "Retried: attempt \(attempt) begins; what is proven already is not sent again."
      }, as: delivery.requester?.id ?? "")
  }

  private func opening(_ delivery: Delivery) async -> OpenTicketsRequest {
    let wanted = delivery.request ?? DeliveryRequest()
    let text = await describe(delivery)
    var request = OpenTicketsRequest()
    request.idempotencyKey = delivery.id
    request.deliveryID = delivery.id
    request.title = wanted.title.isEmpty ? text.title : wanted.title
    request.description = wanted.description.isEmpty ? text.description : wanted.description
    request.auditDescription = text.auditDescription
    request.requester = delivery.requester
    request.assignmentGroup = wanted.assignmentGroup
    request.environment = wanted.environment
    request.priority = wanted.priority
    return request
  }

  /// Assist's words if it answers; else plain ones of our own. Nobody waits for it.
  private func describe(_ delivery: Delivery) async -> TicketText {
    let request = DescribeTicketRequest.with {
      $0.request = delivery.request
      $0.requester = delivery.requester
      $0.deliveryID = delivery.id
    }
    let own = Self.ownText(delivery)
    do throws(RPCError) {
      let options = try await identity.options(onBehalfOf: delivery.requester?.id, timeout: Self.describeTimeout)
      let told = try await assist.describeTicket(request, options)
      return told.title.isEmpty || told.auditDescription.isEmpty ? own : told
    } catch {
      return own  // assist is a convenience: its absence is no reason to hold up, or to note, anything
    }
  }

  static func ownText(_ delivery: Delivery) -> TicketText {
    let source = delivery.request?.source ?? Source()
    let what = source.selections.prefix(3).map(\.value).joined(separator: ", ")
    let more = source.selections.count > 3 ? " and \(source.selections.count - 3) more" : ""
    let who = delivery.requester.map { $0.email.isEmpty ? $0.name : "\($0.name) <\($0.email)>" } ?? "unknown"
    return TicketText.with {
      $0.title = "Deliver \(what)\(more) from \(source.bucket)"
      $0.description = "\(what)\(more) from bucket \(source.bucket) to \(delivery.destination)."
      $0.auditDescription =
        "Delivery \(delivery.id), asked for by \(who): \(what)\(more) from connection "
        + "\(source.connection.isEmpty ? "default" : source.connection), bucket \(source.bucket), to "
        + "\(delivery.destination)."
    }
  }

  // MARK: Notes and closing

  func note(_ request: AddWorkNoteRequest, as person: String) async throws {
    _ = try await call("ticketing", as: person) { [ticketing] options throws(RPCError) in
      try await ticketing.addWorkNote(request, options)
    }
  }

  func close(_ delivery: Delivery, _ outcome: Outcome, note: String) async throws {
    let request = CloseTicketsRequest.with {
      ($0.pairID, $0.outcome, $0.closingNote) = (delivery.ticketPairID, outcome, note)
    }
    _ = try await call("ticketing", as: delivery.requester?.id ?? "") { [ticketing] options throws(RPCError) in
      try await ticketing.closeTickets(request, options)
    }
  }
}

/// Takes the notes that wait in the journal to ticketing, oldest first.
actor NoteOutbox {
  private let journal: DeliveryJournal
  private let tickets: Tickets
  private let turn = Slots(1)
  private var sender: Task<Void, Never>?
  private var isStopped = false

  init(_ journal: DeliveryJournal, _ tickets: Tickets) {
    self.journal = journal
    self.tickets = tickets
  }

  /// Sends in the background what is there now.
  func kick() {
    guard sender == nil, !isStopped else { return }
    sender = Task {
      // What fails here is met again, and told, by the drain before the tickets are closed.
      try? await drain()
      sender = nil
    }
  }

  /// Returns once no note is left.
  func drain() async throws {
    try await turn.take()
    defer { turn.giveBack() }
    let delivery = await journal.delivery
    guard !delivery.ticketPairID.isEmpty else { return }
    while true {
      let page = try await journal.context.query(prefix: JournalKeys.notes, limit: 20)
      if page.documents.isEmpty { return }
      for document in page.documents {
        var request = try AddWorkNoteRequest(decoding: document.body)
        request.pairID = delivery.ticketPairID
        do { try await tickets.note(request, as: delivery.requester?.id ?? "") } catch let failure as DeliveryFailure {
          // What ticketing is away for is waited for in `tickets`; what it refuses for good must not stop the rest.
          if failure.retryable { throw failure }
          let text = "the work note \(request.key) was refused: \(failure.problem.message)"
          try await journal.change { $0.event(.note, text) }
        }
        var batch = journal.context.batch()
        batch.delete(document.key.sort)
        try await journal.context.commit(batch)
      }
    }
  }

  /// Sends what is there, for no longer than `time`: what is left waits in the journal for the next run.
  func flush(within time: Duration) async {
    // What fails here is met again by the next run's drain.
    let work = Task { try? await drain() }
    let timer = Task {
      // Only cancellation ends the sleep early; then there is nothing left to bound.
      try? await Task.sleep(for: time)
      work.cancel()
    }
    await work.value
    timer.cancel()
  }

  func stop() async {
    isStopped = true
    sender?.cancel()
    await sender?.value
  }
}
