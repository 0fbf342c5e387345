// What sets the channels up: options with an environment variable each. Secrets come from files, or for the Teams
// address from the environment, and stay out of every log, error and answer.
import ArgumentParser
import ServiceKit

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

struct MessengerOptions: ParsableArguments {
  static let maximumSecretFile = 8192

  @Option(
    help: """
      Mail server: smtp://HOST:PORT, or smtps://HOST:PORT for TLS from the first byte. [environment: FERRY_SMTP_URL]
      """)
  var smtpURL = Self.environment("SMTP_URL") ?? ""

  @Option(help: "Name to log in to the mail server with; empty: no login. [environment: FERRY_SMTP_USER]")
  var smtpUser = Self.environment("SMTP_USER") ?? ""

  @Option(help: "File with the password for it. [environment: FERRY_SMTP_PASSWORD_FILE]")
  var smtpPasswordFile = Self.environment("SMTP_PASSWORD_FILE") ?? ""

  @Option(
    help: """
      STARTTLS for smtp://: required, offered (used if the server has it) or none. Required where there is a login, \
      else offered, unless this says otherwise. [environment: FERRY_SMTP_STARTTLS]
      """)
  var smtpStarttls = Self.environment("SMTP_STARTTLS") ?? ""

  @Option(help: "PEM file of the authorities to trust for the mail server. [environment: FERRY_SMTP_CA_FILE]")
  var smtpCAFile = Self.environment("SMTP_CA_FILE") ?? ""

  @Option(help: "Sender of mails: ferry@example.com. [environment: FERRY_MAIL_FROM]")
  var mailFrom = Self.environment("MAIL_FROM") ?? ""

  @Option(
    help: """
      File with the URL of a Teams workflow "when a Teams webhook request is received". The URL is a secret: whoever \
      has it can post. [environment: FERRY_TEAMS_WEBHOOK_URL_FILE, or the URL itself in FERRY_TEAMS_WEBHOOK_URL]
      """)
  var teamsWebhookURLFile = Self.environment("TEAMS_WEBHOOK_URL_FILE") ?? ""

  /// The Teams URL; empty if there is none.
  func teamsWebhookURL() throws(ServiceFailure) -> String {
    if teamsWebhookURLFile.isEmpty { return Self.environment("TEAMS_WEBHOOK_URL") ?? "" }
    return try Self.secret(in: teamsWebhookURLFile)
  }

  /// A file's text without the white space around it.
  static func secret(in path: String) throws(ServiceFailure) -> String {
    let bytes = try PrivateFile.read(path, maximumSize: maximumSecretFile)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw ServiceFailure("The file \(path) is no text.", nextStep: "See that it is the file that was meant.")
    }
    let isBlank = { (byte: UInt8) in byte == 0x20 || (0x09...0x0D).contains(byte) }
    var trimmed = text.utf8.drop(while: isBlank)
    while let last = trimmed.last, isBlank(last) { trimmed.removeLast() }
    guard !trimmed.isEmpty else {
      throw ServiceFailure("The file \(path) is empty.", nextStep: "Write the secret into it.")
    }
    return String(Substring(trimmed))
  }

  /// The value of FERRY_NAME; nil if unset or empty.
  private static func environment(_ name: String) -> String? {
    guard let value = getenv("FERRY_" + name), value.pointee != 0 else { return nil }
    return String(cString: value)
  }
}
