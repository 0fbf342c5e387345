// What FTP servers compute of files themselves: by HASH (draft-bryan-ftpext-hash), or by the older commands that stand for one
// algorithm each.

/// Strongest first.
public enum FTPHash: CaseIterable, Sendable {
  case sha256, sha1, md5, crc32

  /// As FEAT and OPTS HASH call it.
  var name: String {
    switch self {
    case .sha256: "SHA-256"
    case .sha1: "SHA-1"
    case .md5: "MD5"
    case .crc32: "CRC32"
    }
  }

  /// The commands for it alone.
  var commands: [String] {
    switch self {
    case .sha256: ["XSHA256"]
    case .sha1: ["XSHA1", "XSHA"]
    case .md5: ["XMD5"]
    case .crc32: ["XCRC"]
    }
  }

  /// Bytes.
  var length: Int {
    switch self {
    case .sha256: 32
    case .sha1: 20
    case .md5: 16
    case .crc32: 4
    }
  }

  /// The first word that can be it: HASH answers "213 SHA-1 0-9 HEX name", the others "250 HEX".
  func value(in reply: FTPReply) -> [UInt8]? {
    for word in reply.lines.joined(separator: " ").split(separator: " ") {
      if let bytes = bytes(word) { return bytes }
    }
    // A CRC is a number to some, who leave zeros away.
    guard self == .crc32, let last = reply.lines.last?.split(separator: " ").last, last.utf8.count < 8 else { return nil }
    return bytes(String(repeating: "0", count: 8 - last.utf8.count) + last)
  }

  /// HASH tells the range that it hashed: "0-9". Some count the byte behind it.
  static func isOf(_ range: Range<Int64>, _ reply: FTPReply) -> Bool {
    let words = reply.lines.joined(separator: " ").split(separator: " ")
    return words.contains("\(range.lowerBound)-\(range.upperBound - 1)")
      || words.contains("\(range.lowerBound)-\(range.upperBound)")
  }

  private func bytes(_ word: some StringProtocol) -> [UInt8]? {
    word.utf8.count == 2 * length ? [UInt8](hexadecimal: word) : nil
  }
}

extension FTPFeatures {
  /// Those that the server computes, strongest first.
  public var hashes: [FTPHash] { FTPHash.allCases.filter { offer($0) != nil || command(for: $0) != nil } }

  enum HashOffer { case known, inForce }

  /// Of FEAT's "HASH SHA-1;SHA-256*;MD5", the star at the one in force.
  func offer(_ hash: FTPHash) -> HashOffer? {
    guard let line = lines.first(where: { $0.hasPrefix("HASH ") }) else { return nil }
    for word in line.dropFirst(5).split(separator: ";") {
      let name = word.filter { $0 != "*" && $0 != " " }.uppercased()
      if name == hash.name { return word.contains("*") ? .inForce : .known }
    }
    return nil
  }

  func command(for hash: FTPHash) -> String? { hash.commands.first { offers($0) } }
}

extension FTPConnection {
  /// How fast a server may be expected to hash, for the time that it is given.
  private static let slowestHashBytesPerSecond: Int64 = 20_000_000

  /// Of a range of the file, as the server computes it; nil if it can't do this one.
  public func hash(_ hash: FTPHash, of path: String, _ range: Range<Int64>, isWhole: Bool) throws(FTPError) -> [UInt8]? {
    let isRefused = "HASH \(hash.name)"
    if refused.contains(isRefused) { return nil }
    let doing = "hash \(path)"
    let patience = server.timeouts.io + .seconds((range.upperBound - range.lowerBound) / Self.slowestHashBytesPerSecond)
    var question = "HASH \(path)"
    if try choose(hash) {
      if !isWhole {
        guard features.ranges, !refused.contains("RANG"), range.upperBound > range.lowerBound,
          try command("RANG \(range.lowerBound) \(range.upperBound - 1)", doing).isPositive
        else { return nil }
      }
    } else {
      guard let command = features.command(for: hash), isWhole, !path.contains("\"") else { return nil }
      // Unquoted, a name with a space would be taken for two arguments.
      question = "\(command) \(path.contains(" ") ? "\"\(path)\"" : path)"
    }
    let reply = try command(question, doing, patience: patience)
    if reply.isPositive, !isWhole, !FTPHash.isOf(range, reply) {
      // ProFTPD takes RANG, and hashes the whole file all the same.
      refused.insert("RANG")
      return nil
    }
    if reply.isPositive, let bytes = hash.value(in: reply) { return bytes }
    // Reading back is the way then; a server that fails once is not asked again. Not all know quotes.
    if !question.hasSuffix("\"") { refused.insert(isRefused) }
    return nil
  }

  /// False if HASH can't compute it.
  private func choose(_ hash: FTPHash) throws(FTPError) -> Bool {
    if chosenHash == hash { return true }
    guard let offer = features.offer(hash) else { return false }
    if chosenHash != nil || offer == .known {
      guard try command("OPTS HASH \(hash.name)", "agree on \(hash.name)").isPositive else { return false }
    }
    chosenHash = hash
    return true
  }
}
