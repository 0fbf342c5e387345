// Tickets, to read: they are opened and closed by deliveries.
import FerryAPI
import Hummingbird

enum Tickets {
  static let routes: [Route] = [
    .get(
      "tickets", "listTickets", "Lists tickets, the newest first.",
      [
        .choice("kind", TicketKind.self, "Only those of a kind."),
        .choice("status", TicketStatus.self, "Only those in a state."),
      ] + RouteParameter.page, returns: .message(ListTicketsResponse.self), list),
    .get(
      "tickets/{number}", "getTicket", "Shows a ticket with its work notes.", returns: .message(Ticket.self), get),
  ]

  @Sendable static func list(_ call: RestCall) async throws -> Response {
    var request = ListTicketsRequest()
    request.kind = try call.choice("kind")
    request.status = try call.choice("status")
    request.pageSize = try call.pageSize()
    request.pageToken = call.query("pageToken")
    return call.json(try await call.backends.ticketing.unary(Ticketing.listTickets, request, call.onward()))
  }

  @Sendable static func get(_ call: RestCall) async throws -> Response {
    let number = try call.path("number")
    return call.json(
      try await call.backends.ticketing.unary(Ticketing.getTicket, .with { $0.number = number }, call.onward()))
  }
}
