// Sends mails over libcurl's SMTP (RFC 5321), with STARTTLS (RFC 3207) or TLS from the start (RFC 8314), and a login.
// A mail the server took is its own from then on; retries, and what they mean, are the caller's.
import CCurl
import Glibc
import NIOCore

public struct SMTPClientConfiguration: Sendable {
  public enum Security: String, Sendable, CaseIterable {
    case none
    case startTLSIfOffered  // open to whoever can cut the offer out; for servers on one's own network
    case startTLS  // fails without
    case implicitTLS  // from the first byte, usually port 465
  }

  public var host: String
  public var port: Int
  public var security: Security
  public var user: String?
  public var password: String?
  /// A password goes over an unencrypted line only where this says so.
  public var allowsPasswordWithoutTLS = false
  /// The name given in EHLO; empty takes this machine's.
  public var clientName = ""
  /// PEM file of the certificate authorities to trust in place of the system's.
  public var caFile: String?
  public var timeout: Duration = .seconds(60)
  public var connectTimeout: Duration = .seconds(10)
  public var maxConnections = 2
  /// Mails that may wait for a connection; one more fails as `overloaded`.
  public var maxQueued = 1024

  public init(host: String, port: Int, security: Security, user: String? = nil, password: String? = nil) {
    self.host = host
    self.port = port
    self.security = security
    self.user = user
    self.password = password
  }
}

extension SMTPClientConfiguration: CustomStringConvertible, CustomReflectable {
  /// Without the password.
  public var description: String { "\(security.rawValue) \(host):\(port) user \(user ?? "none")" }
  public var customMirror: Mirror { Mirror(self, children: ["server": description]) }
}

public final class SMTPClient: Sendable {
  /// What the server said when it took the mail.
  public struct Receipt: Sendable, Equatable {
    public let replyCode: Int  // 250
    public let reply: String  // "250 2.0.0 Ok: queued as 4D2F…"
  }

  private let configuration: SMTPClientConfiguration
  private let loop: CurlLoop

  /// Costs nothing until the first `send`, which starts one thread.
  public init(_ configuration: SMTPClientConfiguration) {
    self.configuration = configuration
    let connections = max(1, configuration.maxConnections)
    loop = CurlLoop(
      limits: CurlLoopLimits(
        maxInFlight: connections, maxPerHost: connections, maxQueued: max(0, configuration.maxQueued)), isMail: true)
  }

  deinit { loop.shutdown() }

  /// Returns when the server has taken the mail for every recipient. `refused` carries the server's own words; after
  /// `timeout`, `reset` or `cancelled` the mail may have been taken or not.
  public func send(_ message: SMTPMessage) async throws(TransportError) -> Receipt {
    let bytes = ByteBuffer(string: try message.rendered())
    let outcome = try await loop.run(
      hostKey: "\(configuration.host):\(configuration.port)",
      settings: try settings(for: message, size: bytes.readableBytes),
      upload: bytes, maxResponseBytes: CurlExchange.maxHeaderBytes, expectedBytes: 0, timeout: configuration.timeout)
    return Receipt(replyCode: outcome.replyCode, reply: outcome.lines.last { $0.hasPrefix("250") } ?? "")
  }

  /// Fails what is under way with `cancelled` and refuses what comes after. Returns at once.
  public func shutdown() { loop.shutdown() }

  private func settings(for message: SMTPMessage, size: Int) throws(TransportError) -> [CurlSetting] {
    var settings = CurlSetting.common(caFile: configuration.caFile, connectTimeout: configuration.connectTimeout)
    settings += [
      .string(CURLOPT_URL, try url()),
      .string(CURLOPT_PROTOCOLS_STR, "smtp,smtps"),
      .string(CURLOPT_PROXY, ""),
      .string(CURLOPT_NOPROXY, "*"),
      .string(CURLOPT_MAIL_FROM, "<\(message.from.address)>"),
      .list(CURLOPT_MAIL_RCPT, message.to.map { "<\($0.address)>" }),
      .long(CURLOPT_UPLOAD, 1),
      .offset(CURLOPT_INFILESIZE_LARGE, Int64(size)),
      .long(CURLOPT_USE_SSL, useSSL),
    ]
    guard let user = configuration.user, !user.isEmpty else { return settings }
    let encrypted = configuration.security == .startTLS || configuration.security == .implicitTLS
    guard encrypted || configuration.allowsPasswordWithoutTLS else {
      throw TransportError(
        .invalidRequest,
        "Did not send the password to \(configuration.host):\(configuration.port) without TLS.",
        nextStep: "Choose startTLS or implicitTLS, or allow passwords without TLS for this server.")
    }
    settings += [.string(CURLOPT_USERNAME, user), .string(CURLOPT_PASSWORD, configuration.password ?? "")]
    return settings
  }

  private var useSSL: Int {
    switch configuration.security {
    case .none, .implicitTLS: Int(CURLUSESSL_NONE.rawValue)
    case .startTLSIfOffered: Int(CURLUSESSL_TRY.rawValue)
    case .startTLS: Int(CURLUSESSL_ALL.rawValue)
    }
  }

  private func url() throws(TransportError) -> String {
    let name = configuration.clientName.isEmpty ? Self.machineName : configuration.clientName
    let isIPv6 = configuration.host.contains(":")
    let plain = { (text: String, extra: String) in
      !text.isEmpty && text.utf8.allSatisfy { Self.isNameByte($0) || extra.utf8.contains($0) }
    }
    guard plain(configuration.host, isIPv6 ? ":" : ""), plain(name, ""), (1...65535).contains(configuration.port) else {
      throw TransportError(
        .invalidRequest, "The mail server's host, its port or this machine's own name is none that can be used.",
        nextStep: "Correct it.")
    }
    let scheme = configuration.security == .implicitTLS ? "smtps" : "smtp"
    let host = isIPv6 ? "[\(configuration.host)]" : configuration.host
    return "\(scheme)://\(host):\(configuration.port)/\(name)"
  }

  private static func isNameByte(_ byte: UInt8) -> Bool {
    byte.isASCIIAlphanumeric || "-._".utf8.contains(byte)
  }

  private static let machineName: String = {
    var bytes = [CChar](repeating: 0, count: 256)
    guard gethostname(&bytes, bytes.count - 1) == 0 else { return "localhost" }
    let name = String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return name.isEmpty ? "localhost" : name
  }()
}

extension SMTPMessage {
  /// "Tue, 01 Jul 2025 10:52:37 +0000" (RFC 5322 section 3.3).
  public static func date(secondsSince1970: Int64) -> String {
    HTTPDate.withoutZone(secondsSince1970) + " +0000"
  }
}
