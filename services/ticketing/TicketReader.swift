// What a caller may see of tickets. Everybody sees the tickets of their own requests; who steers, approves or audits
// sees those of others; audit's tickets are for auditors, operators and admins.
import FerryAPI
import ServiceKit

struct TicketReader: Sendable, Equatable {
  let id: String
  let seesAllRequests: Bool
  let seesAudit: Bool

  init(_ caller: Caller) {
    id = caller.id
    // A service that acts for a person sees what that person sees.
    seesAudit = caller.isService || caller.has(anyOf: .auditor, .operator, .admin)
    seesAllRequests = seesAudit || caller.has(anyOf: .approver)
  }

  func maySee(_ kind: TicketKind, of requester: Person?) -> Bool {
    kind == .audit ? seesAudit : seesAllRequests || requester?.id == id
  }

  /// Of an audit ticket that is not for this reader, what tells that it is there.
  func visible(_ audit: Ticket) -> Ticket {
    if seesAudit { return audit }
    return Ticket.with {
      $0.number = audit.number
      $0.kind = audit.kind
      $0.status = audit.status
    }
  }

  /// The index that holds all that this reader may see, and perhaps more.
  var index: String { seesAllRequests ? TicketDocuments.allTickets : TicketDocuments.tickets(of: id) }
}
