// Who sees what, and lists: newest first, filtered, in pages.
import FerryAPI
import ServiceKit
import Testing

@testable import TicketingService

@Suite("Reading tickets")
struct ReadingTests {
  let bench: Bench
  let grace = Person.with { $0.id = "usr_grace"; $0.name = "Grace Hopper" }

  /// Five pairs: Ada's 1, 3 and 5, Grace's 2 and 4; the third is closed.
  init() async throws {
    bench = try Bench()
    for index in 1...5 {
      let requester = index % 2 == 1 ? ada : grace
      let pair = try await bench.desk.open(opening("dlv_\(index)", requester: requester))
      _ = try await bench.desk.add(note(pair, "n"))
      if index == 3 { _ = try await bench.desk.close(closing(pair, .succeeded)) }
    }
  }

  func numbers(_ reader: TicketReader, _ fill: (inout ListTicketsRequest) -> Void = { _ in }) async throws -> [String] {
    try await bench.desk.list(.with(fill), for: reader).tickets.map(\.number)
  }

  @Test("a requester lists their own user tickets, newest first, without notes")
  func ownTickets() async throws {
    #expect(try await numbers(reader("usr_ada", .requester)) == ["REQ0000005", "REQ0000003", "REQ0000001"])
    let list = try await bench.desk.list(ListTicketsRequest(), for: reader("usr_ada", .requester))
    #expect(list.tickets.allSatisfy { $0.workNotes.isEmpty })
  }

  @Test("auditors, operators, admins and services list everybody's tickets of both kinds", arguments: [
    reader("u", .auditor), reader("u", .operator), reader("u", .admin), TicketReader(transfer),
  ])
  func allTickets(reader: TicketReader) async throws {
    let all = try await numbers(reader)
    #expect(all.count == 10)
    #expect(all.prefix(2) == ["REQ0000005", "AUD0000005"])
    #expect(try await numbers(reader) { $0.kind = .audit } == (1...5).reversed().map { "AUD000000\($0)" })
  }

  @Test("an approver lists all user tickets and no audit tickets")
  func approver() async throws {
    #expect(try await numbers(reader("u", .approver)) == (1...5).reversed().map { "REQ000000\($0)" })
    let error = await failure { _ = try await self.numbers(reader("u", .approver)) { $0.kind = .audit } }
    #expect(error?.code == .permissionDenied)
  }

  @Test("the status filters")
  func status() async throws {
    #expect(try await numbers(reader("u", .auditor)) { $0.status = .closed } == ["REQ0000003", "AUD0000003"])
    #expect(try await numbers(reader("usr_grace", .requester)) { $0.status = .closed } == [])
  }

  @Test("pages join to the whole list, whatever their size", arguments: [1, 2, 3, 7, 200] as [Int32])
  func pages(size: Int32) async throws {
    let auditor = reader("u", .auditor)
    var collected: [String] = []
    var token = ""
    repeat {
      let page = try await bench.desk.list(.with { $0.pageSize = size; $0.pageToken = token }, for: auditor)
      #expect(page.tickets.count <= Int(size))
      collected += page.tickets.map(\.number)
      token = page.nextPageToken
    } while !token.isEmpty
    #expect(try await collected == numbers(auditor))
  }

  @Test("a page token that is none, and a negative size, are refused")
  func badPage() async throws {
    let auditor = reader("u", .auditor)
    #expect(await failure { _ = try await self.numbers(auditor) { $0.pageToken = "%" } }?.code == .invalidArgument)
    #expect(await failure { _ = try await self.numbers(auditor) { $0.pageSize = -1 } }?.code == .invalidArgument)
  }

  @Test("a ticket is found by its number, with its notes, by those who may see it")
  func byNumber() async throws {
    #expect(try await bench.desk.ticket("REQ0000001", for: reader("usr_ada", .requester)).workNotes.count == 1)
    #expect(try await bench.desk.ticket("AUD0000001", for: reader("u", .auditor)).kind == .audit)
    for (number, reader) in [
      ("REQ0000002", reader("usr_ada", .requester)), ("AUD0000001", reader("usr_ada", .requester)),
      ("REQ0000099", reader("u", .admin)), ("rubbish", reader("u", .admin)),
    ] {
      let error = await failure { _ = try await self.bench.desk.ticket(number, for: reader) }
      #expect(error?.code == .notFound, "\(number)")
    }
  }

  @Test("the requester's view of a pair tells of the audit ticket only that it is there")
  func pairForRequester() async throws {
    let pair = try await bench.desk.pair("pair_dlv_1", for: reader("usr_ada", .requester))
    #expect(pair.user?.description == "For the person.")
    let audit = try #require(pair.audit)
    #expect(audit == Ticket.with { $0.number = "AUD0000001"; $0.kind = .audit; $0.status = .inProgress })
  }

  @Test("somebody else's pair is as if it were not there")
  func pairOfOthers() async throws {
    let desk = bench.desk
    let other = await failure { _ = try await desk.pair("pair_dlv_2", for: reader("usr_ada", .requester)) }
    let missing = await failure { _ = try await desk.pair("pair_dlv_9", for: reader("usr_ada", .requester)) }
    #expect(other?.code == .notFound)
    #expect(other?.message.replacing("dlv_2", with: "dlv_9") == missing?.message)
  }

  @Test("a service that acts for a requester sees what the requester sees")
  func actingService() async throws {
    let acting = TicketReader(Caller(id: "usr_ada", name: "Ada", roles: [.requester], actor: "gateway"))
    #expect(try await numbers(acting).count == 3)
    #expect(!acting.seesAudit)
  }
}
