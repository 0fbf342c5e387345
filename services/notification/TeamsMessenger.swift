// Notifications as cards in a Microsoft Teams channel, through the URL of a workflow "when a Teams webhook request is
// received" or of an older incoming webhook. Source: "Create and send messages" and "Create Incoming Webhooks",
// Microsoft Teams documentation. The URL is a secret: of it, only the host is ever shown. The card is TeamsCard's.
import FerryAPI
import FoundationEssentials
import NIOCore
import ServiceKit
import Transport

struct TeamsMessenger: Messenger {
  static let timeout: Duration = .seconds(30)
  static let maximumAnswer = 64 * 1024

  let name = "teams"
  let deduplicates = false
  let detail: String

  private let url: String
  private let client: HTTPClient

  /// Nil if no URL is given.
  init?(_ options: MessengerOptions, client: HTTPClient = HTTPClient()) throws(ServiceFailure) {
    let url = try options.teamsWebhookURL()
    if url.isEmpty { return nil }
    try self.init(url: url, client: client)
  }

  init(url: String, client: HTTPClient) throws(ServiceFailure) {
    guard let host = TeamsAddress.host(of: url) else {
      throw ServiceFailure(
        "The Teams address is no https URL.", nextStep: "Copy the URL of the workflow from Teams once more.")
    }
    self.url = url
    self.client = client
    detail = "Posts to a Teams channel through \(host)."
  }

  func send(_ outgoing: Outgoing) async throws(SendFailure) {
    let request = HTTPRequest(
      "POST", url, headers: [("Content-Type", "application/json; charset=utf-8")],
      body: ByteBuffer(bytes: TeamsCard(outgoing).json), timeout: Self.timeout, maxResponseBytes: Self.maximumAnswer)
    let response: HTTPResponse
    do throws(TransportError) { response = try await client.execute(request) } catch { throw Self.failure(error) }
    if let failure = Self.failure(response) { throw failure }
  }

  // MARK: What the other side said

  /// Nil for an accepted card: 202 of a workflow, 200 with the text "1" of an incoming webhook. The latter tells of
  /// errors with 200, too, and a text that names Teams' own status.
  static func failure(_ response: HTTPResponse) -> SendFailure? {
    var status = response.status
    if (200...299).contains(status) {
      guard let error = response.text.firstRange(of: "returned HTTP error ") else { return nil }
      status = Int(response.text[error.upperBound...].prefix { $0.isASCII && $0.isNumber }) ?? 500
    }
    let kind: SendFailure.Kind =
      switch status {
      case 429: .throttled
      case 408, 500...599: .serverFault
      default: .refused
      }
    let problem = Problem.with {
      $0.code = kind == .throttled ? "TEAMS_THROTTLED" : kind == .refused ? "TEAMS_REFUSED" : "TEAMS_NOT_SENT"
      $0.message = "Microsoft Teams answered with HTTP status \(status)."
      $0.nextStep = nextStep(status)
      $0.provider = "teams"
      $0.providerCode = errorCode(response) ?? "\(status)"
      $0.requestID = requestID(response)
      $0.retryable = kind != .refused
    }
    return SendFailure(
      kind: kind, problem: problem, retryAfter: retryAfter(response), mayHaveArrived: status == 502 || status == 504)
  }

  static func failure(_ error: TransportError) -> SendFailure {
    let kind: SendFailure.Kind =
      switch error.kind {
      case .cancelled: .stopped
      case .overloaded: .throttled
      default: error.retryable ? .unreachable : .refused
      }
    let problem = Problem.with {
      $0.code = kind == .refused ? "TEAMS_REFUSED" : "TEAMS_NOT_SENT"
      $0.message = error.message
      $0.nextStep = error.nextStep
      $0.provider = "teams"
      $0.providerCode = error.kind.rawValue
      $0.retryable = kind != .refused
    }
    return SendFailure(kind: kind, problem: problem, mayHaveArrived: error.kind == .timeout || error.kind == .reset)
  }

  private static func nextStep(_ status: Int) -> String {
    switch status {
    case 429: "Nothing to do: it is tried again when Teams allows it."
    case 408, 500...599: "Nothing to do at first: it is tried again; if it stays, look at the workflow's runs in Teams."
    case 300...399: "Copy the URL of the workflow from Teams once more; this one points elsewhere."
    case 413: "Tell an administrator: the card was too large for Teams."
    case 401, 403: "Let anyone trigger the workflow in Teams, or copy its URL once more."
    case 404, 410: "The workflow or webhook is gone: set up a new one in Teams and give its URL."
    default: "Look at the workflow's runs in Teams for why it refused the card."
    }
  }

  private static func retryAfter(_ response: HTTPResponse) -> Duration? {
    guard let value = response.headers["Retry-After"] else { return nil }
    if let seconds = Int64(value), seconds >= 0 { return .seconds(min(seconds, 86_400)) }
    // RFC 9110 section 10.2.3: or a date; by the other side's own clock where it says what time it is.
    guard let date = HTTPDate.secondsSince1970(value),
      let now = response.headers["Date"].flatMap({ HTTPDate.secondsSince1970($0) })
    else { return nil }
    return .seconds(max(0, min(date - now, 86_400)))
  }

  private struct ErrorAnswer: Decodable {
    struct Error: Decodable { var code: String? }
    var error: Error?
  }

  /// The workflow's own word, such as "WorkflowTriggerIsNotEnabled". Nothing else of the body is shown: it may repeat
  /// the URL.
  private static func errorCode(_ response: HTTPResponse) -> String? {
    // An answer that is no such JSON simply has no code.
    let answer = try? JSONDecoder().decode(ErrorAnswer.self, from: Data(response.body.readableBytesView))
    guard let code = answer?.error?.code, (1...64).contains(code.utf8.count),
      code.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) })
    else { return nil }
    return code
  }

  private static func requestID(_ response: HTTPResponse) -> String {
    let id = response.headers["x-ms-request-id"] ?? response.headers["request-id"] ?? ""
    return id.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } ? String(id.prefix(100)) : ""
  }
}

enum TeamsAddress {
  /// The host of an https URL; plain http is only for a server on this machine. Nil for anything else.
  static func host(of url: String) -> String? {
    guard url.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), let separator = url.firstRange(of: "://") else { return nil }
    let authority = url[separator.upperBound...].prefix { !"/?#".contains($0) }
    let host = String(authority.prefix { $0 != ":" })
    guard !host.isEmpty, !authority.contains("@") else { return nil }
    switch url[..<separator.lowerBound].lowercased() {
    case "https": return host
    case "http": return host == "127.0.0.1" || host == "localhost" ? host : nil
    default: return nil
    }
  }
}
