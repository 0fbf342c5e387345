// A mail as bytes (RFC 5322, RFC 2045, RFC 2047): headers encoded and folded, text as UTF-8 in base64, CRLF everywhere.
// Refuses what could smuggle in a header or a recipient. SMTPClient carries the result; nothing here talks to a server.

public struct SMTPMailbox: Sendable, Equatable {
  /// "Ada Lovelace"; any Unicode, may be empty.
  public var name: String
  /// "ada@example.com"; ASCII, as servers without SMTPUTF8 take nothing else.
  public var address: String

  public init(_ address: String, name: String = "") {
    self.name = name
    self.address = address
  }
}

public struct SMTPMessage: Sendable {
  /// RFC 5321 section 4.5.3.1.8 has servers take at least 100.
  public static let maxRecipients = 100
  public static let maxTextBytes = 1024 * 1024

  public var from: SMTPMailbox
  public var to: [SMTPMailbox]
  public var subject: String
  /// Any line ends; sent with CRLF.
  public var text: String
  /// "<unique@domain>", the caller's, so that a mail sent again after a lost answer can be told as the same one.
  public var messageID: String
  /// RFC 5322 section 3.3, e.g. from `SMTPMessage.date(secondsSince1970:)`.
  public var date: String
  /// Further headers, e.g. ("Auto-Submitted", "auto-generated"); values may be any Unicode without line breaks.
  public var headers: [(name: String, value: String)]

  public init(
    from: SMTPMailbox, to: [SMTPMailbox], subject: String, text: String, messageID: String, date: String,
    headers: [(name: String, value: String)] = []
  ) {
    self.from = from
    self.to = to
    self.subject = subject
    self.text = text
    self.messageID = messageID
    self.date = date
    self.headers = headers
  }
}

extension SMTPMessage {
  /// The message as it goes over the wire, before dot-stuffing, which is SMTP's affair. Throws `invalidRequest`.
  func rendered() throws(TransportError) -> String {
    guard !to.isEmpty, to.count <= Self.maxRecipients else {
      throw Self.refused("has \(to.count) recipients where 1 to \(Self.maxRecipients) can be served")
    }
    guard text.utf8.count <= Self.maxTextBytes else {
      throw Self.refused("is longer than \(Self.maxTextBytes) bytes")
    }
    for mailbox in to + [from] { try Self.check(address: mailbox.address) }
    guard messageID.hasPrefix("<"), messageID.hasSuffix(">"), messageID.contains("@"),
      messageID.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
    else { throw Self.refused("needs a Message-ID of the form <unique@domain>") }

    var lines = ["Date: \(date)", "From: \(Self.header(from))"]
    lines.append("To: " + to.map(Self.header).joined(separator: ",\r\n "))
    lines += ["Message-ID: \(messageID)", "Subject: \(Self.encoded(subject))", "MIME-Version: 1.0"]
    lines += ["Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: base64"]
    try Self.check(value: date, of: "Date")
    try Self.check(value: subject, of: "Subject")
    for mailbox in to + [from] { try Self.check(value: mailbox.name, of: "a mailbox") }
    for (name, value) in headers {
      try Self.check(name: name)
      try Self.check(value: value, of: name)
      lines.append("\(name): \(Self.encoded(value))")
    }
    return lines.joined(separator: "\r\n") + "\r\n\r\n" + Self.base64Lines(Self.withCRLF(text))
  }

  private static func refused(_ why: String) -> TransportError {
    TransportError(.invalidRequest, "The mail \(why).", nextStep: "Correct it.")
  }

  private static let ownHeaders: Set<String> = [
    "date", "from", "to", "message-id", "subject", "mime-version", "content-type", "content-transfer-encoding", "bcc",
  ]

  private static func check(name: String) throws(TransportError) {
    // RFC 5322 section 2.2: printable ASCII but the colon.
    guard !name.isEmpty, name.utf8.count <= 76,
      name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: ":") })
    else { throw refused("has a header name that no header may have") }
    guard !ownHeaders.contains(name.lowercased()) else { throw refused("sets \(name) a second time") }
  }

  private static func check(value: String, of name: String) throws(TransportError) {
    guard !value.unicodeScalars.contains(where: { $0.value < 0x20 && $0 != "\t" || $0.value == 0x7F }) else {
      throw refused("has a line break or control character in \(name)")
    }
  }

  private static func check(address: String) throws(TransportError) {
    let parts = address.split(separator: "@", omittingEmptySubsequences: false)
    let forbidden = Set("<>()[]\\,;:\"".utf8)
    guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }), address.utf8.count <= 254,
      address.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !forbidden.contains($0) })
    else { throw refused("has the address \(String(address.prefix(254)).debugDescription), which is none") }
  }

  private static func header(_ mailbox: SMTPMailbox) -> String {
    if mailbox.name.isEmpty { return "<\(mailbox.address)>" }
    guard needsEncoding(mailbox.name) || mailbox.name.utf8.count > 60 else {
      let quoted = mailbox.name.reduce(into: "") { $0 += $1 == "\"" || $1 == "\\" ? "\\\($1)" : String($1) }
      return "\"\(quoted)\"\r\n <\(mailbox.address)>"
    }
    return "\(encodedWords(mailbox.name))\r\n <\(mailbox.address)>"
  }

  private static func needsEncoding(_ text: String) -> Bool {
    text.utf8.contains { $0 >= 0x7F || $0 < 0x20 } || text.contains("=?") || text.first == " " || text.last == " "
  }

  /// As it is where plain and short enough for one line (RFC 5322 section 2.1.1), else as encoded words.
  private static func encoded(_ text: String) -> String {
    needsEncoding(text) || text.utf8.count > 900 ? encodedWords(text) : text
  }

  /// RFC 2047 section 2: words of at most 75 characters, none splitting a character, folded one a line.
  private static func encodedWords(_ text: String) -> String {
    let maxBytes = 45  // 60 of base64, and "=?utf-8?B?" with "?=" make 72
    var words: [String] = []
    var chunk: [UInt8] = []
    for scalar in text.unicodeScalars {
      let bytes = Array(String(scalar).utf8)
      if chunk.count + bytes.count > maxBytes {
        words.append("=?utf-8?B?\(Base64.encode(chunk))?=")
        chunk = []
      }
      chunk += bytes
    }
    if !chunk.isEmpty { words.append("=?utf-8?B?\(Base64.encode(chunk))?=") }
    return words.joined(separator: "\r\n ")
  }

  private static func withCRLF(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count + text.utf8.count / 32)
    var last: UInt8 = 0
    for byte in text.utf8 {
      if byte == 0x0A, last != 0x0D { bytes.append(0x0D) }
      if last == 0x0D, byte != 0x0A { bytes.append(0x0A) }
      bytes.append(byte)
      last = byte
    }
    if last == 0x0D { bytes.append(0x0A) }
    return bytes
  }

  /// RFC 2045 section 6.8: lines of 76 characters.
  private static func base64Lines(_ bytes: [UInt8]) -> String {
    var text = ""
    for start in stride(from: 0, to: bytes.count, by: 57) {
      text += Base64.encode(bytes[start..<min(start + 57, bytes.count)]) + "\r\n"
    }
    return text
  }
}

/// RFC 4648 section 4.
enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  static func encode(_ bytes: some Collection<UInt8>) -> String {
    var out: [UInt8] = []
    out.reserveCapacity((bytes.count + 2) / 3 * 4)
    var rest = bytes[...]
    while !rest.isEmpty {
      let group = Array(rest.prefix(3))
      rest = rest.dropFirst(3)
      let value = group.reduce(0) { $0 << 8 | Int($1) } << (8 * (3 - group.count))
      for index in 0..<4 {
        out.append(index <= group.count ? alphabet[value >> (18 - 6 * index) & 63] : UInt8(ascii: "="))
      }
    }
    return String(decoding: out, as: UTF8.self)
  }
}
