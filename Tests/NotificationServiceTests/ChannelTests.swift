// Mail and Teams: what goes out, how answers are judged, and that secrets stay inside.
import FerryAPI
import Foundation
import NIOCore
import ServiceKit
import Testing
import Transport

@testable import NotificationService

private let sample = FerryAPI.Notification.with {
  $0.id = "ntf_01ARZ3NDEKTSV4RRFFQ69G5FAV"
  $0.recipient = ada
  $0.severity = .error
  $0.title = "Not delivered: [x](http://evil.example)"
  $0.body = "First line.\n\nSecond *line*."
  $0.facts = [.with { $0.name = "File"; $0.value = "a_b[1](c).csv" }]
  $0.time = Timestamp(seconds: 1_751_367_157)
}

private func options(_ fill: (inout MessengerOptions) -> Void) throws -> MessengerOptions {
  var options = try MessengerOptions.parse([])
  fill(&options)
  return options
}

private func file(_ text: String) throws -> String {
  let path = FileManager.default.temporaryDirectory.appendingPathComponent("secret-\(UUID().uuidString)").path
  try Data(text.utf8).write(to: URL(fileURLWithPath: path))
  return path
}

@Suite("Mail")
struct EmailTests {
  @Test("a mail has a Message-ID and date of its notification, so that sent twice it is the same")
  func stable() {
    let mail = EmailMessenger.mail(sample, from: SMTPMailbox("ferry@example.com", name: "FileFerry"))
    #expect(mail.messageID == "<ntf_01ARZ3NDEKTSV4RRFFQ69G5FAV@example.com>")
    #expect(mail.date == "Tue, 01 Jul 2025 10:52:37 +0000")
    #expect(mail.to == [SMTPMailbox("ada@example.com", name: "Ada Lovelace")])
    #expect(mail.text == "First line.\n\nSecond *line*.\n\nFile: a_b[1](c).csv\n")
  }

  @Test("line ends in a title can't add a header")
  func noInjection() {
    var spoilt = sample
    spoilt.title = "Hello\r\nBcc: x@example.com"
    #expect(EmailMessenger.mail(spoilt, from: SMTPMailbox("f@example.com")).subject == "Hello  Bcc: x@example.com")
  }

  @Test("addresses of mail servers are read, with the usual ports", arguments: [
    ("smtp://mail.example.com:25", false, "mail.example.com", 25),
    ("smtp://mail.example.com", false, "mail.example.com", 587),
    ("smtps://mail.example.com/", true, "mail.example.com", 465), ("smtp://[::1]:2525", false, "::1", 2525),
  ])
  func addresses(url: String, implicit: Bool, host: String, port: Int) throws {
    let address = try EmailSettings.address(url)
    #expect(address.isImplicit == implicit && address.host == host && address.port == port)
  }

  @Test("others are refused, a password in them too", arguments: [
    "mail.example.com", "http://mail.example.com", "smtp://", "smtp://me:pw@mail.example.com", "smtp://h:0",
    "smtp://h:x",
  ])
  func badAddresses(url: String) {
    #expect(throws: ServiceFailure.self) { try EmailSettings.address(url) }
  }

  @Test("with a login, TLS is required unless said otherwise")
  func security() throws {
    let password = try file("s3cr3t\n")
    defer { try? FileManager.default.removeItem(atPath: password) }
    let plain = try EmailSettings.configuration(try options { $0.smtpURL = "smtp://h" })
    #expect(plain.security == .startTLSIfOffered && plain.user == nil)
    let login = try EmailSettings.configuration(
      try options { $0.smtpURL = "smtp://h"; $0.smtpUser = "me"; $0.smtpPasswordFile = password })
    #expect(login.security == .startTLS && login.password == "s3cr3t")
    #expect(throws: ServiceFailure.self) {
      try EmailSettings.configuration(try options { $0.smtpURL = "smtp://h"; $0.smtpUser = "me" })
    }
    let messenger = try #require(
      try EmailMessenger(
        try options {
          $0.smtpURL = "smtps://mail.example.com"
          $0.mailFrom = "ferry@example.com"
          $0.smtpUser = "me"
          $0.smtpPasswordFile = password
        }))
    #expect(messenger.detail == "Mails from ferry@example.com through mail.example.com:465, TLS.")
  }

  @Test("without an address nothing is queued, and the reader is told why")
  func noAddress() throws {
    let messenger = try #require(
      try EmailMessenger(try options { $0.smtpURL = "smtp://h"; $0.mailFrom = "ferry@example.com" }))
    #expect(messenger.obstacle(to: sample) == nil)
    var without = sample
    without.recipient?.email = ""
    #expect(messenger.obstacle(to: without)?.code == "NO_MAIL_ADDRESS")
  }

  @Test("a refusal is final, a passing one and a lost connection are not", arguments: [
    (.refused, false, .refused, false), (.refused, true, .serverFault, false), (.connect, true, .unreachable, false),
    (.timeout, true, .unreachable, true), (.reset, true, .unreachable, true), (.invalidRequest, false, .refused, false),
    (.cancelled, false, .stopped, false), (.tls, false, .refused, false),
  ] as [(TransportError.Kind, Bool, SendFailure.Kind, Bool)])
  func judged(kind: TransportError.Kind, retryable: Bool, judged: SendFailure.Kind, mayHaveArrived: Bool) {
    let failure = EmailMessenger.failure(TransportError(kind, "No.", nextStep: "Do.", retryable: retryable))
    #expect(failure.kind == judged && failure.mayHaveArrived == mayHaveArrived)
    #expect(failure.problem.message == "No." && failure.problem.nextStep == "Do." && failure.problem.provider == "smtp")
  }
}

@Suite("Teams")
struct TeamsTests {
  private func json(_ notification: FerryAPI.Notification, repeated: Bool = false) throws -> [String: Any] {
    let bytes = TeamsCard(Outgoing(notification: notification, mayBeRepeat: repeated)).json
    return try #require(try JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any])
  }

  private func body(_ notification: FerryAPI.Notification, repeated: Bool = false) throws -> [[String: Any]] {
    let attachments = try #require(try json(notification, repeated: repeated)["attachments"] as? [[String: Any]])
    #expect(attachments.first?["contentType"] as? String == "application/vnd.microsoft.card.adaptive")
    let content = try #require(attachments.first?["content"] as? [String: Any])
    #expect(content["type"] as? String == "AdaptiveCard" && content["version"] as? String == "1.4")
    return try #require(content["body"] as? [[String: Any]])
  }

  private func run(_ element: [String: Any]) -> [String: Any]? { (element["inlines"] as? [[String: Any]])?.first }

  @Test("the card has title, lines and facts, and no text of others works as Markdown")
  func card() throws {
    #expect(try json(sample)["type"] as? String == "message")
    let body = try body(sample)
    #expect(body.map { $0["type"] as? String } == ["RichTextBlock", "RichTextBlock", "RichTextBlock", "FactSet"])
    #expect(run(body[0])?["text"] as? String == "Not delivered: [x](http://evil.example)")
    #expect(run(body[0])?["color"] as? String == "Attention")
    #expect(run(body[2])?["text"] as? String == "Second *line*.")
    let facts = body[3]["facts"] as? [[String: String]]
    #expect(facts == [["title": "File", "value": "a\\_b\\[1\\]\\(c\\).csv"]])
  }

  @Test("a card that may be the second says so")
  func repeated() throws {
    let texts = try body(sample, repeated: true).compactMap { run($0)?["text"] as? String }
    #expect(texts.contains { $0.contains("may be the second") })
    let once = try body(sample).compactMap { run($0)?["text"] as? String }
    #expect(!once.contains { $0.contains("may be the second") })
  }

  @Test(
    "however long a notification is, its card fits and says what is missing",
    arguments: ["x", "\"", "é", "*", "\u{1}"])
  func fits(character: String) throws {
    var long = sample
    let count = NotificationLimits.body / character.utf8.count
    long.body = String(repeating: character, count: count)
    long.facts = [Fact](
      repeating: .with {
        $0.name = String(repeating: character, count: NotificationLimits.factName)
        $0.value = String(repeating: character, count: NotificationLimits.factValue)
      }, count: NotificationLimits.facts)
    let bytes = TeamsCard(Outgoing(notification: long, mayBeRepeat: true)).json
    #expect(bytes.count <= 28 * 1024)
    let texts = try body(long).compactMap { run($0)?["text"] as? String }
    #expect(texts.contains { $0.contains("too long for Teams") })
  }

  private func answer(_ status: Int, _ text: String = "", _ headers: [(String, String)] = []) -> SendFailure? {
    TeamsMessenger.failure(
      HTTPResponse(
        status: status, headers: HTTPHeaders(headers.map { (name: $0.0, value: $0.1) }),
        body: ByteBuffer(string: text)))
  }

  @Test("a workflow's 202 and a webhook's 200 \"1\" are taken as sent")
  func accepted() {
    #expect(answer(202) == nil)
    #expect(answer(200, "1") == nil)
  }

  @Test("other answers are judged by their status", arguments: [
    (400, .refused), (401, .refused), (404, .refused), (413, .refused), (302, .refused), (408, .serverFault),
    (429, .throttled), (500, .serverFault), (503, .serverFault),
  ] as [(Int, SendFailure.Kind)])
  func judged(status: Int, kind: SendFailure.Kind) {
    #expect(answer(status)?.kind == kind)
    #expect(answer(status)?.problem.nextStep.isEmpty == false)
  }

  @Test("an error that a webhook hides in a 200 is found")
  func hidden() {
    let text = "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429 with x."
    #expect(answer(200, text)?.kind == .throttled)
    #expect(answer(200, text.replacing("429", with: "413"))?.kind == .refused)
  }

  @Test("Retry-After is understood as seconds and as a date")
  func retryAfter() {
    #expect(answer(429, "", [("retry-after", "17")])?.retryAfter == .seconds(17))
    #expect(
      answer(
        429, "",
        [("Retry-After", "Sun, 06 Nov 1994 08:49:37 GMT"), ("Date", "Sun, 06 Nov 1994 08:49:07 GMT")])?.retryAfter
        == .seconds(30))
    #expect(answer(429, "", [("Retry-After", "soon")])?.retryAfter == nil)
  }

  @Test("the workflow's own error code and request id are kept, the rest of its answer is not")
  func providerCode() {
    let text = #"{"error":{"code":"WorkflowTriggerIsNotEnabled","message":"https://x.example/?sig=s3cr3t"}}"#
    let problem = answer(400, text, [("x-ms-request-id", "abc-123")])?.problem
    #expect(problem?.providerCode == "WorkflowTriggerIsNotEnabled" && problem?.requestID == "abc-123")
    #expect(problem.map { "\($0)".contains("s3cr3t") } == false)
  }

  @Test("of the URL only the host is shown, and only https or this machine is taken")
  func secretURL() throws {
    let messenger = try TeamsMessenger(url: "https://prod-1.logic.example/workflows/x?sig=s3cr3t", client: HTTPClient())
    #expect(messenger.detail == "Posts to a Teams channel through prod-1.logic.example.")
    _ = try TeamsMessenger(url: "http://127.0.0.1:8080/hook", client: HTTPClient())
    for url in ["http://teams.example/x", "ftp://x", "https://", "https://a@b/", "nonsense", "https://a b/"] {
      let error = #expect(throws: ServiceFailure.self) { try TeamsMessenger(url: url, client: HTTPClient()) }
      #expect(error.map { "\($0)".contains(url) } == false)
    }
  }

  @Test("the URL is read from its file without the line end, and an empty file is refused")
  func urlFile() throws {
    let path = try file("https://prod-1.logic.example/x?sig=1\n")
    let empty = try file(" \n")
    defer { for path in [path, empty] { try? FileManager.default.removeItem(atPath: path) } }
    #expect(try options { $0.teamsWebhookURLFile = path }.teamsWebhookURL() == "https://prod-1.logic.example/x?sig=1")
    #expect(throws: ServiceFailure.self) { try options { $0.teamsWebhookURLFile = empty }.teamsWebhookURL() }
  }
}
