// Opens a pair: both tickets in one batch. The pair's id is made of the idempotency key, so that "once for a key" and
// "the pair does not exist yet" are one and the same condition of that batch.
import DocumentStore
import FerryAPI
import RPC
import ServiceKit

extension TicketDesk {
  func open(_ request: OpenTicketsRequest) async throws(RPCError) -> TicketPair {
    try OpeningRules.check(request)
    let pairID = "pair_\(request.idempotencyKey)"
    // Before a number is drawn, so that a call made again leaves no gap.
    if let known = try await known(pairID, request) { return known }

    let number = try await numbers.next()
    let requester = request.requester?.id ?? ""
    return try await Retry.onConflict("ticket") {
      try await documents.index(number, pair: pairID, requester: requester)
      let (user, audit) = tickets(number, pairID, request)
      do throws(DocumentStoreError) {
        let record = PairRecord.with {
          $0.openedWith = request
          $0.number = number
        }
        try await documents.insert(user: user, audit: audit, record: record)
      } catch {
        guard case .conflict = error.kind else { throw error }
        // Somebody opened the pair at the same moment: theirs counts, and this number stays a gap.
        try await documents.removeIndex(number, requester: requester)
        if let known = try await known(pairID, request) { return known }
        throw error
      }
      return try await whole(pairID)
    }
  }

  /// The pair of this id if it was opened by the same request; nil if there is none.
  private func known(_ pairID: String, _ request: OpenTicketsRequest) async throws(RPCError) -> TicketPair? {
    let stored = try await Retry.onConflict("ticket") { try await documents.pair(pairID) }
    guard let stored else { return nil }
    guard stored.record.openedWith == request else {
      throw .told(
        .alreadyExists, "IDEMPOTENCY_KEY_REUSED",
        "The idempotency key \(request.idempotencyKey) has opened \(stored.user.number) and \(stored.audit.number) "
          + "with other content.",
        next: "Send exactly the first request again, or take a new key for new tickets.",
        subject: stored.user.number)
    }
    return try await whole(pairID)
  }

  private func tickets(
    _ number: Int64, _ pairID: String, _ request: OpenTicketsRequest
  ) -> (user: Ticket, audit: Ticket) {
    let time = timestamp
    let make = { (kind: TicketKind, description: String) in
      Ticket.with {
        $0.number = TicketNumber(kind, number).text
        $0.kind = kind
        $0.pairID = pairID
        $0.deliveryID = request.deliveryID
        $0.status = .open
        $0.title = request.title
        $0.description = description
        $0.requester = request.requester
        $0.assignmentGroup = request.assignmentGroup
        $0.environment = request.environment
        $0.priority = request.priority == .unspecified ? .normal : request.priority
        $0.openedAt = time
        $0.updatedAt = time
      }
    }
    return (make(.user, request.description), make(.audit, request.auditDescription))
  }
}

enum OpeningRules {
  static func check(_ request: OpenTicketsRequest) throws(RPCError) {
    try text("idempotency_key", request.idempotencyKey, atMost: TicketLimits.idempotencyKey, required: true)
    guard request.idempotencyKey.utf8.allSatisfy(isKeyByte) else {
      throw .invalid(
        "The idempotency key has characters other than letters, digits, '-', '_', '.' and ':'.",
        next: "Take the delivery's id as the key.", subject: "idempotency_key")
    }
    try text("delivery_id", request.deliveryID, atMost: TicketLimits.identifier, required: true)
    try text("requester.id", request.requester?.id ?? "", atMost: TicketLimits.identifier, required: true)
    try text("requester.name", request.requester?.name ?? "", atMost: TicketLimits.identifier)
    try text("requester.email", request.requester?.email ?? "", atMost: TicketLimits.identifier)
    try text("title", request.title, atMost: TicketLimits.title, required: true)
    try text("description", request.description, atMost: TicketLimits.description)
    try text("audit_description", request.auditDescription, atMost: TicketLimits.description, required: true)
    try text("assignment_group", request.assignmentGroup, atMost: TicketLimits.assignmentGroup)
  }

  static func text(
    _ field: String, _ value: String, atMost limit: Int, required: Bool = false
  ) throws(RPCError) {
    if required && value.isEmpty {
      throw .invalid("The field \(field) is empty.", next: "Fill it in.", subject: field)
    }
    if value.utf8.count > limit {
      throw .invalid(
        "The field \(field) has \(value.utf8.count) bytes; \(limit) are allowed.", next: "Shorten it.", subject: field)
    }
    if value.utf8.contains(0) {
      throw .invalid("The field \(field) holds a NUL character.", next: "Remove it.", subject: field)
    }
  }

  private static func isKeyByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: "-_.:".utf8.contains(byte)
    }
  }
}
