// A server's replies as they come over the control connection (RFC 959 section 4.2), gathered line by line.

public struct FTPReply: Sendable, Equatable, CustomStringConvertible {
  public var code: Int
  /// All lines but for their line ends, the code included.
  public var lines: [String]

  public var isPositive: Bool { code < 400 }
  /// The last line: "550 No such file."
  public var description: String { lines.last ?? "\(code)" }

  /// What follows the code in the last line.
  var text: Substring {
    let line = description
    guard line.utf8.count > 4 else { return "" }
    return line.dropFirst(4)
  }
}

/// Puts lines together to replies. Bounded: a server that talks on and on is cut.
struct FTPReplies {
  static let maxLines = 512
  static let maxLineBytes = 8192

  private(set) var all: [FTPReply] = []
  private var open: FTPReply?
  private var lines = 0

  mutating func add(line bytes: some Collection<UInt8>) {
    guard lines < Self.maxLines else { return }
    lines += 1
    var text = String(decoding: bytes.prefix(Self.maxLineBytes), as: UTF8.self)
    while let last = text.unicodeScalars.last, last.value <= 0x20 { text.unicodeScalars.removeLast() }
    let head = Array(text.utf8.prefix(4))
    let code = head.count >= 3 ? Int(String(decoding: head.prefix(3), as: UTF8.self)) : nil
    let isEnd = code != nil && (head.count == 3 || head[3] == UInt8(ascii: " "))
    if var reply = open {
      reply.lines.append(text)
      let ends = isEnd && code == reply.code
      open = ends ? nil : reply
      if ends { all.append(reply) }
    } else if let code, (100..<600).contains(code) {
      let reply = FTPReply(code: code, lines: [text])
      if isEnd { all.append(reply) } else { open = reply }
    }
  }

  mutating func add(text bytes: some Collection<UInt8>) {
    for line in bytes.split(separator: UInt8(ascii: "\n")) { add(line: line) }
  }

  /// The last reply that says no, else the last.
  var refusal: FTPReply? { all.last { !$0.isPositive } }
}
