// Opening a pair: both or none, once for a key, numbers that nobody gets twice.
import DocumentStore
import FerryAPI
import Testing

@testable import TicketingService

@Suite("Opening tickets")
struct OpeningTests {
  @Test("both tickets are opened with one number and their own descriptions")
  func opensBoth() async throws {
    let bench = try Bench()
    let pair = try await bench.desk.open(opening("dlv_1"))
    let user = try #require(pair.user)
    let audit = try #require(pair.audit)
    #expect((user.number, audit.number) == ("REQ0000001", "AUD0000001"))
    #expect((user.kind, audit.kind) == (.user, .audit))
    #expect((user.description, audit.description) == ("For the person.", "Delivery: dlv_1"))
    #expect((user.status, audit.status) == (.open, .open))
    #expect(user.requester == ada && user.priority == .high && user.environment == .uat)
    #expect(user.openedAt?.milliseconds == bench.clock.now)
  }

  @Test("the same key and content give the same pair, and no number is spent")
  func idempotent() async throws {
    let bench = try Bench()
    let first = try await bench.desk.open(opening("dlv_1"))
    #expect(try await bench.desk.open(opening("dlv_1")) == first)
    let next = try await bench.desk.open(opening("dlv_2"))
    #expect(next.user?.number == "REQ0000002")
  }

  @Test("the same key with other content is refused and says whose key it is")
  func otherContent() async throws {
    let bench = try Bench()
    _ = try await bench.desk.open(opening("dlv_1"))
    let error = await failure { _ = try await bench.desk.open(opening("dlv_1", title: "Something else")) }
    #expect(error?.code == .alreadyExists)
    #expect(error?.problemCode == "IDEMPOTENCY_KEY_REUSED")
    #expect(error?.message.contains("REQ0000001") == true)
  }

  @Test("many at once for one key get one pair")
  func concurrentSameKey() async throws {
    let bench = try Bench()
    let pairs = try await withThrowingTaskGroup(of: TicketPair.self) { group in
      for _ in 0..<20 { group.addTask { try await bench.desk.open(opening("dlv_1")) } }
      return try await group.reduce(into: [TicketPair]()) { $0.append($1) }
    }
    #expect(Set(pairs.map { $0.user?.number ?? "" }).count == 1)
    let all = try await bench.desk.list(ListTicketsRequest(), for: reader("usr_audit", .auditor))
    #expect(all.tickets.count == 2)
  }

  @Test("many at once, from two services on one database, never share a number")
  func concurrentNumbers() async throws {
    let bench = try Bench()
    let other = TicketDesk(bench.store)
    let numbers = try await withThrowingTaskGroup(of: String.self) { group in
      for index in 0..<60 {
        let desk = index % 2 == 0 ? bench.desk : other
        group.addTask { try await desk.open(opening("dlv_\(index)")).user?.number ?? "" }
      }
      return try await group.reduce(into: [String]()) { $0.append($1) }
    }
    #expect(Set(numbers).count == 60)
  }

  @Test("dying before the pair is written leaves no ticket, and the retry opens both")
  func allOrNothing() async throws {
    let bench = try Bench(wrap: BrittleStore.init)
    let store = try #require(bench.store as? BrittleStore)
    let auditor = reader("usr_audit", .auditor)
    store.breakCommits { $0.partition.hasPrefix("pair/") }
    let error = await failure { _ = try await bench.desk.open(opening("dlv_1")) }
    #expect(error?.code == .unavailable)
    #expect(try await bench.desk.list(ListTicketsRequest(), for: auditor).tickets.isEmpty)
    #expect(await failure { _ = try await bench.desk.ticket("REQ0000001", for: auditor) }?.code == .notFound)

    store.breakCommits { _ in false }
    let pair = try await bench.desk.open(opening("dlv_1"))
    #expect(pair.user?.number == "REQ0000002" && pair.audit?.number == "AUD0000002")
    #expect(try await bench.desk.list(ListTicketsRequest(), for: auditor).tickets.count == 2)
  }

  struct Spoilt: Sendable {
    let field: String
    let spoil: @Sendable (inout OpenTicketsRequest) -> Void
  }

  static let spoilt = [
    Spoilt(field: "requester.id") { $0.requester = nil },
    Spoilt(field: "title") { $0.title = "" },
    Spoilt(field: "audit_description") { $0.auditDescription = "" },
    Spoilt(field: "idempotency_key") { $0.idempotencyKey = "a/b" },
    Spoilt(field: "delivery_id") { $0.deliveryID = "" },
    Spoilt(field: "description") { $0.description = String(repeating: "x", count: TicketLimits.description + 1) },
  ]

  @Test("a request with a field that is missing, strange or too long is refused and names it", arguments: spoilt)
  func refused(spoilt: Spoilt) async throws {
    let bench = try Bench()
    var request = opening("dlv_1")
    spoilt.spoil(&request)
    let error = await failure { [request] in _ = try await bench.desk.open(request) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.details.first?.decoded(as: Problem.self)?.subject == spoilt.field)
  }

  @Test("numbers are read in any case, and nothing else is one")
  func numbers() {
    #expect(TicketNumber("req0000042") == TicketNumber(.user, 42))
    #expect(TicketNumber("AUD12345678")?.text == "AUD12345678")
    for text in ["", "REQ42", "REQ00000x2", "XYZ0000042", "REQ-000042", "REQ0000000", "REQ99999999999999999999"] {
      #expect(TicketNumber(text) == nil, "\(text)")
    }
  }
}
