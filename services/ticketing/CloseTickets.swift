// Closes both tickets of a pair with an outcome. The same outcome again changes nothing; another one is refused.
import FerryAPI
import RPC
import ServiceKit

extension TicketDesk {
  func close(_ request: CloseTicketsRequest) async throws(RPCError) -> TicketPair {
    guard [.succeeded, .failed, .cancelled].contains(request.outcome) else {
      throw .invalid(
        "The outcome is none that a ticket can be closed with.", next: "Give succeeded, failed or cancelled.",
        subject: "outcome")
    }
    try OpeningRules.text("closing_note", request.closingNote, atMost: TicketLimits.closingNote)
    let time = timestamp
    return try await change(request.pairID) { pair in
      if pair.user.status == .closed {
        guard pair.user.outcome == request.outcome else { throw RPCError.closed(pair) }
        return nil
      }
      pair.both {
        $0.status = .closed
        $0.outcome = request.outcome
        $0.closingNote = request.closingNote
        $0.closedAt = time
        $0.updatedAt = time
      }
      return []
    }
  }
}

extension RPCError {
  static func closed(_ pair: StoredPair) -> RPCError {
    let outcome =
      switch pair.user.outcome {
      case .succeeded: "succeeded"
      case .failed: "failed"
      default: "cancelled"
      }
    return .told(
      .failedPrecondition, "TICKET_CLOSED", "\(pair.user.number) and \(pair.audit.number) are closed as \(outcome).",
      next: "Retry the delivery to open them again.", subject: pair.user.number)
  }

  static func noPair(_ id: String) -> RPCError {
    .notFound("There is no pair of tickets \(String(id.prefix(100)).debugDescription) that you may see.",
      next: "Check its id.", subject: "pair_id")
  }
}
