// Reads tickets as far as the caller may see them: one by its number, a pair by its id, and lists, newest first. What
// is not for the caller's eyes is answered as if it were not there.
import DocumentStore
import FerryAPI
import RPC
import ServiceKit

extension TicketDesk {
  func ticket(_ number: String, for reader: TicketReader) async throws(RPCError) -> Ticket {
    let missing = RPCError.notFound(
      "There is no ticket \(String(number.prefix(32)).debugDescription) that you may see.",
      next: "Check the number: it looks like REQ0000042 or AUD0000042.", subject: "number")
    guard let parsed = TicketNumber(number) else { throw missing }
    let pair = try await Retry.onConflict("ticket") { try await documents.pair(numbered: parsed) }
    guard let pair, reader.maySee(parsed.kind, of: pair.user.requester) else { throw missing }
    let whole = try await whole(pair.id)
    guard let ticket = parsed.kind == .audit ? whole.audit : whole.user else { throw missing }
    return ticket
  }

  func pair(_ id: String, for reader: TicketReader) async throws(RPCError) -> TicketPair {
    var pair = try await whole(id)
    guard reader.maySee(.user, of: pair.user?.requester) else { throw .noPair(id) }
    pair.audit = pair.audit.map(reader.visible)
    return pair
  }

  func list(_ request: ListTicketsRequest, for reader: TicketReader) async throws(RPCError) -> ListTicketsResponse {
    guard request.pageSize >= 0 else {
      throw .invalid(
        "The page size is negative.", next: "Ask for 1 to \(TicketLimits.maximumPage).", subject: "page_size")
    }
    if request.kind == .audit && !reader.seesAudit {
      throw .denied("Audit tickets are for auditors, operators and admins.", next: "List your own tickets instead.")
    }
    let size = Int(request.pageSize == 0 ? TicketLimits.defaultPage : min(request.pageSize, TicketLimits.maximumPage))
    return try await Retry.onConflict("ticket") { try await page(size, request, reader) }
  }

  private func page(
    _ size: Int, _ request: ListTicketsRequest, _ reader: TicketReader
  ) async throws(DocumentStoreError) -> ListTicketsResponse {
    var response = ListTicketsResponse()
    var token = request.pageToken.isEmpty ? nil : PageToken(rawValue: request.pageToken)
    var scanned = 0
    var last: (id: String, pair: StoredPair?)?  // a pair's two entries stand beside each other
    repeat {
      let wanted = min(size - response.tickets.count, TicketLimits.scanned - scanned)
      let page = try await documents.entries(of: reader.index, limit: wanted, after: token)
      for entry in page.entries {
        scanned += 1
        let kind = entry.kind
        guard request.kind == .unspecified || request.kind == kind else { continue }
        if last?.id != entry.pairID { last = (entry.pairID, try await documents.pair(entry.pairID)) }
        guard let pair = last?.pair, entry.belongs(to: pair), reader.maySee(kind, of: pair.user.requester) else {
          continue
        }
        let ticket = kind == .audit ? pair.audit : pair.user
        guard request.status == .unspecified || request.status == ticket.status else { continue }
        response.tickets.append(ticket)
      }
      token = page.next
    } while token != nil && response.tickets.count < size && scanned < TicketLimits.scanned
    response.nextPageToken = token?.rawValue ?? ""
    return response
  }
}
