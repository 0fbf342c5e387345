// Which function of the desk answers which method, and for whom. Who may call a method at all, the access matrix says.
import FerryAPI
import RPC
import ServiceKit

enum TicketingRoutes {
  static func router(_ desk: TicketDesk) -> Router {
    var router = Router()
    router.handle(Ticketing.openTickets) { (request, _) async throws(RPCError) in
      try await desk.open(request)
    }
    router.handle(Ticketing.addWorkNote) { (request, context) async throws(RPCError) in
      try await desk.addNote(request, by: try context.caller.noteAuthor)
    }
    router.handle(Ticketing.closeTickets) { (request, _) async throws(RPCError) in
      try await desk.close(request)
    }
    router.handle(Ticketing.getTicket) { (request, context) async throws(RPCError) in
      try await desk.ticket(request.number, for: TicketReader(try context.caller))
    }
    router.handle(Ticketing.getTicketPair) { (request, context) async throws(RPCError) in
      try await desk.pair(request.pairID, for: TicketReader(try context.caller))
    }
    router.handle(Ticketing.listTickets) { (request, context) async throws(RPCError) in
      try await desk.list(request, for: TicketReader(try context.caller))
    }
    return router
  }
}
