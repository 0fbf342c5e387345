// What tickets say, and that nothing stands there which the request does not say.
import FerryAPI
import Testing

@testable import AssistService

func request(_ fill: (inout DeliveryRequest) -> Void = { _ in }) -> DeliveryRequest {
  var request = DeliveryRequest.with {
    $0.assignmentGroup = "Data Operations"
    $0.environment = .uat
    $0.priority = .high
    $0.source = .with {
      $0.connection = "exports"
      $0.bucket = "acme-exports"
      $0.selections = [.with { $0.kind = .prefix; $0.value = "reports/2026/" }]
    }
    $0.destination = .with { $0.url = "sftp://acme@sftp.partner.example:22/in" }
  }
  fill(&request)
  return request
}

func ticket(_ request: DeliveryRequest, id: String = "dlv_01ARZ3NDEKTSV4RRFFQ69G5FAV") -> TicketText {
  RulesGenerator().describeTicket(
    .with {
      $0.request = request
      $0.requester = .with { $0.id = "usr_ada"; $0.name = "Ada Lovelace"; $0.email = "ada@example.com" }
      $0.deliveryID = id
    })
}

@Suite("Ticket texts")
struct TicketWordsTests {
  @Test("the title says what goes from where to where, environment and priority")
  func title() {
    #expect(ticket(request()).title == "Deliver reports/2026/ from acme-exports to sftp.partner.example (UAT, high)")
  }

  @Test("a title keeps to its bound and to its ending, however long the parts are", arguments: [10, 100, 1000])
  func longTitle(length: Int) {
    let text = ticket(
      request {
        $0.source?.selections[0].value = String(repeating: "é", count: length) + "/end.csv"
        $0.source?.bucket = String(repeating: "b", count: 63)
        $0.destination?.url = "sftp://" + String(repeating: "h", count: length) + ".example/in"
      })
    #expect(text.title.count <= TicketWords.maximumTitle)
    #expect(text.title.hasPrefix("Deliver ") && text.title.hasSuffix("(UAT, high)"))
  }

  @Test("a saved destination is called by its name")
  func savedDestination() {
    let saved = request { $0.destination = .with { $0.name = "acme-partner" } }
    #expect(ticket(saved).title.contains(" to acme-partner ("))
    #expect(ticket(saved).auditDescription.contains("Destination: the saved destination acme-partner\n"))
  }

  @Test("a title and a description of the requester's own are kept")
  func ownWords() {
    let text = ticket(request { $0.title = "Month end"; $0.description = "Please by noon." })
    #expect(text.title == "Month end")
    #expect(text.description == "Please by noon.")
  }

  @Test("the description says the facts in sentences")
  func description() {
    #expect(
      ticket(request()).description == """
        Ada Lovelace asked for a delivery from the bucket acme-exports of the connection exports to \
        sftp://acme@sftp.partner.example:22/in.
        To be delivered: everything under reports/2026/.
        The environment is UAT, the priority is high.
        The assignment group is Data Operations.
        A file that is already there is replaced, but only once the new one is proven.
        """)
  }

  @Test("the audit text has a fixed layout, with the time that the delivery's id carries")
  func audit() {
    #expect(
      ticket(request()).auditDescription == """
        Delivery: dlv_01ARZ3NDEKTSV4RRFFQ69G5FAV
        Requested at: 2016-07-30T23:54:10Z
        Requester: Ada Lovelace <ada@example.com> (usr_ada)
        Source connection: exports
        Source bucket: acme-exports
        Selection 1: prefix reports/2026/
        Destination: sftp://acme@sftp.partner.example:22/in
        Environment: UAT
        Priority: high
        Assignment group: Data Operations
        On conflict: overwrite
        Compression: none
        Chunk size: default
        Host keys: as saved or accepted before
        """)
  }

  @Test("what the request does not say is left out of the description and \"not said\" in the audit text")
  func nothingInvented() {
    let text = RulesGenerator().describeTicket(DescribeTicketRequest())
    #expect(text.title == "Deliver files (normal)")
    #expect(text.description.hasPrefix("A delivery was asked for.\nThe priority is normal."))
    for key in ["Delivery", "Requested at", "Requester", "Source bucket", "Destination", "Environment"] {
      #expect(text.auditDescription.contains("\(key): not said"), "\(key)")
    }
  }

  @Test("a password in a destination's URL is not repeated anywhere")
  func noPassword() {
    let text = ticket(request { $0.destination?.url = "sftp://acme:s3cr3t@host.example/in" })
    let all = text.title + text.description + text.auditDescription
    #expect(!all.contains("s3cr3t"))
    #expect(all.contains("sftp://acme@host.example/in"))
  }

  @Test("a name with line ends or direction marks can't forge a line of the audit text")
  func noForgedLines() {
    let text = ticket(request { $0.source?.selections[0].value = "a\nEnvironment: PROD\u{202E}" })
    #expect(text.auditDescription.contains("Selection 1: prefix a\\u{A}Environment: PROD\\u{202E}\n"))
    #expect(!text.auditDescription.split(separator: "\n").contains("Environment: PROD"))
  }

  @Test("many selections are counted, and some shown")
  func manySelections() {
    let text = ticket(
      request {
        $0.source?.selections = (1...30).map { index in .with { $0.kind = .key; $0.value = "f\(index).csv" } }
      })
    #expect(text.title.contains("f1.csv and 29 more"))
    #expect(text.description.contains("- the file f20.csv\n- and 10 more"))
    #expect(text.auditDescription.contains("Further selections: 10"))
  }

  @Test("the same request gets the same text")
  func repeatable() { #expect(ticket(request()) == ticket(request())) }
}

@Suite("Measures")
struct MeasuresTests {
  @Test("sizes are rounded down to what people read", arguments: [
    (0, "0 bytes"), (1, "1 byte"), (1023, "1,023 bytes"), (1024, "1 KiB"), (1536, "1.5 KiB"), (10 << 20, "10 MiB"),
    (1_048_575, "1023 KiB"), (3_435_973_837, "3.1 GiB"), (Int64.max, "7.9 EiB"),
  ] as [(Int64, String)])
  func sizes(bytes: Int64, text: String) { #expect(Measures.size(bytes) == text) }

  @Test("durations keep two units", arguments: [
    (0, "less than a second"), (42, "42 s"), (60, "1 min"), (252, "4 min 12 s"), (11_100, "3 h 5 min"),
    (187_200, "2 d 4 h"),
  ] as [(Int64, String)])
  func durations(seconds: Int64, text: String) {
    #expect(Measures.duration(from: Timestamp(seconds: 100), to: Timestamp(seconds: 100 + seconds)) == text)
  }

  @Test("no duration is made up from a missing or earlier end")
  func noDuration() {
    #expect(Measures.duration(from: Timestamp(seconds: 5), to: nil) == nil)
    #expect(Measures.duration(from: Timestamp(seconds: 5), to: Timestamp(seconds: 4)) == nil)
  }
}
