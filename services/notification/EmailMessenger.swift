// Notifications as mail. Each has one Message-ID for all its sendings, so that a mail which goes out twice, because the
// first answer was lost, is told by mail systems as the same one.
import FerryAPI
import ServiceKit
import Transport

struct EmailMessenger: Messenger {
  let name = "email"
  let deduplicates = true
  let detail: String

  private let client: SMTPClient
  private let from: SMTPMailbox

  /// Nil if no mail server is given.
  init?(_ options: MessengerOptions) throws(ServiceFailure) {
    if options.smtpURL.isEmpty { return nil }
    let configuration = try EmailSettings.configuration(options)
    from = SMTPMailbox(try EmailSettings.sender(options), name: "FileFerry")
    client = SMTPClient(configuration)
    let safety =
      switch configuration.security {
      case .none: "without TLS"
      case .startTLSIfOffered: "STARTTLS if offered"
      case .startTLS: "STARTTLS"
      case .implicitTLS: "TLS"
      }
    detail = "Mails from \(from.address) through \(configuration.host):\(configuration.port), \(safety)."
  }

  func obstacle(to notification: FerryAPI.Notification) -> Problem? {
    guard notification.recipient?.email.isEmpty ?? true else { return nil }
    return .with {
      $0.code = "NO_MAIL_ADDRESS"
      $0.message = "There is no mail address for this person."
      $0.nextStep = "Have an administrator add one."
    }
  }

  func send(_ outgoing: Outgoing) async throws(SendFailure) {
    do throws(TransportError) { _ = try await client.send(Self.mail(outgoing.notification, from: from)) } catch {
      throw Self.failure(error)
    }
  }

  // MARK: The mail

  static func mail(_ notification: FerryAPI.Notification, from: SMTPMailbox) -> SMTPMessage {
    let recipient = notification.recipient ?? Person()
    let domain = from.address.split(separator: "@").last ?? "fileferry.invalid"
    return SMTPMessage(
      from: from, to: [SMTPMailbox(recipient.email, name: oneLine(recipient.name))],
      subject: oneLine(notification.title), text: text(of: notification),
      messageID: "<\(notification.id)@\(domain)>",
      // Of the notification, not of the sending: the same mail twice is the same to the byte.
      date: SMTPMessage.date(secondsSince1970: notification.time?.seconds ?? 0),
      // RFC 3834 section 5: no auto-reply is wanted.
      headers: [("Auto-Submitted", "auto-generated")])
  }

  static func text(of notification: FerryAPI.Notification) -> String {
    var lines = [notification.body]
    if !notification.facts.isEmpty { lines.append("") }
    lines += notification.facts.map { "\(oneLine($0.name)): \(oneLine($0.value))" }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func oneLine(_ text: String) -> String {
    String(String.UnicodeScalarView(text.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? " " : $0 }))
  }

  // MARK: What the server said

  static func failure(_ error: TransportError) -> SendFailure {
    let kind: SendFailure.Kind =
      switch error.kind {
      case .cancelled: .stopped
      case .refused: error.retryable ? .serverFault : .refused
      case .overloaded: .throttled
      default: error.retryable ? .unreachable : .refused
      }
    let problem = Problem.with {
      $0.code = kind == .refused ? "MAIL_REFUSED" : "MAIL_NOT_SENT"
      $0.message = error.message
      $0.nextStep = error.nextStep
      $0.provider = "smtp"
      $0.providerCode = error.kind.rawValue
      $0.retryable = kind != .refused
    }
    return SendFailure(kind: kind, problem: problem, mayHaveArrived: error.kind == .timeout || error.kind == .reset)
  }
}

/// The mail server's part of the options, checked.
enum EmailSettings {
  static func configuration(_ options: MessengerOptions) throws(ServiceFailure) -> SMTPClientConfiguration {
    let (isImplicit, host, port) = try address(options.smtpURL)
    var configuration = SMTPClientConfiguration(
      host: host, port: port, security: try security(options, isImplicit: isImplicit))
    if !options.smtpUser.isEmpty {
      guard !options.smtpPasswordFile.isEmpty else {
        throw ServiceFailure("--smtp-user is given without a password.", nextStep: "Add --smtp-password-file.")
      }
      configuration.user = options.smtpUser
      configuration.password = try MessengerOptions.secret(in: options.smtpPasswordFile)
    }
    if !options.smtpCAFile.isEmpty { configuration.caFile = options.smtpCAFile }
    return configuration
  }

  static func sender(_ options: MessengerOptions) throws(ServiceFailure) -> String {
    let parts = options.mailFrom.split(separator: "@", omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }),
      options.mailFrom.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !"<>()[]\\,;:\"".utf8.contains($0) })
    else {
      throw ServiceFailure("--mail-from is no mail address.", nextStep: "Give one like ferry@example.com.")
    }
    return options.mailFrom
  }

  /// "smtp://mail.example.com:587", "smtps://[::1]"; without a port 587 or 465 (RFC 6409, RFC 8314).
  static func address(_ url: String) throws(ServiceFailure) -> (isImplicit: Bool, host: String, port: Int) {
    let failure = ServiceFailure(
      "--smtp-url is no address of a mail server.", nextStep: "Give one like smtp://mail.example.com:587.")
    guard let separator = url.firstRange(of: "://") else { throw failure }
    let scheme = url[..<separator.lowerBound]
    guard scheme == "smtp" || scheme == "smtps" else { throw failure }
    let authority = url[separator.upperBound...].prefix { $0 != "/" }
    // A password in here would end up in the list of processes.
    guard !authority.isEmpty, !authority.contains("@") else { throw failure }
    let isImplicit = scheme == "smtps"
    var host = authority
    var rest: Substring = ""
    if authority.first == "[" {
      guard let end = authority.firstIndex(of: "]") else { throw failure }
      host = authority[authority.index(after: authority.startIndex)..<end]
      rest = authority[authority.index(after: end)...]
    } else if let colon = authority.firstIndex(of: ":") {
      host = authority[..<colon]
      rest = authority[colon...]
    }
    guard !host.isEmpty else { throw failure }
    if rest.isEmpty { return (isImplicit, String(host), isImplicit ? 465 : 587) }
    guard rest.first == ":", let port = Int(rest.dropFirst()), (1...65535).contains(port) else { throw failure }
    return (isImplicit, String(host), port)
  }

  private static func security(
    _ options: MessengerOptions, isImplicit: Bool
  ) throws(ServiceFailure) -> SMTPClientConfiguration.Security {
    switch (isImplicit, options.smtpStarttls) {
    case (true, ""): return .implicitTLS
    case (false, "required"): return .startTLS
    case (false, "offered"): return .startTLSIfOffered
    case (false, "none"): return .none
    case (false, ""): return options.smtpUser.isEmpty ? .startTLSIfOffered : .startTLS
    default:
      throw ServiceFailure(
        "--smtp-starttls is not required, offered or none, or was given with smtps://.",
        nextStep: "Correct it or leave it out.")
    }
  }
}
