// What servers tell of themselves (FEAT, RFC 2389) and of files (MLST, RFC 3659; LIST in the two shapes that servers
// still write), as text in and values out.

import Glibc

public struct FTPFeatures: Sendable, Equatable {
  /// The lines of FEAT, in upper case up to the first space.
  public var lines: [String] = []

  init() {}

  init(_ reply: FTPReply?) {
    guard let reply, reply.isPositive else { return }
    lines = reply.lines.dropFirst().dropLast().map { line in
      let line = line.drop { $0 == " " }
      let name = line.prefix { $0 != " " }
      return name.uppercased() + line.dropFirst(name.count)
    }
  }

  func offers(_ name: String) -> Bool { lines.contains { $0 == name || $0.hasPrefix(name + " ") } }

  var utf8: Bool { offers("UTF8") }
  var mlst: Bool { offers("MLST") }
  var ranges: Bool { offers("RANG") }
}

public struct FTPFileInfo: Sendable, Equatable {
  public var size: Int64
  /// Seconds since 1970, if the server tells.
  public var modified: Int64?
  public var isDirectory: Bool
}

enum FTPFacts {
  /// " Type=file;Size=3;Modify=20240101120000; name" (RFC 3659 section 7).
  static func mlst(_ reply: FTPReply) -> FTPFileInfo? {
    guard let line = reply.lines.first(where: { $0.contains(";") && $0.contains("=") }) else { return nil }
    let facts = line.drop { $0 == " " }.prefix { $0 != " " }
    var info = FTPFileInfo(size: 0, modified: nil, isDirectory: false)
    var known = false
    for fact in facts.split(separator: ";") {
      guard let equals = fact.firstIndex(of: "=") else { continue }
      let value = fact[fact.index(after: equals)...]
      switch fact[..<equals].lowercased() {
      case "type":
        known = true
        info.isDirectory = ["dir", "cdir", "pdir"].contains(value.lowercased())
      case "size":
        known = true
        info.size = Int64(value) ?? 0
      case "modify": info.modified = time(value)
      default: break
      }
    }
    return known ? info : nil
  }

  /// Seconds since 1970 as RFC 3659 writes a time, in UTC.
  static func text(ofTime seconds: Int64) -> String {
    var (moment, parts) = (time_t(seconds), tm())
    gmtime_r(&moment, &parts)
    let numbers = [parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec]
    return numbers.map { $0 < 10 ? "0\($0)" : String($0) }.joined()
  }

  /// Of "20240101120000", or with a fraction, in UTC (RFC 3659 section 2.3).
  static func time(_ text: Substring) -> Int64? {
    let digits = text.utf8.prefix(14)
    guard digits.count == 14, digits.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
      return nil
    }
    func number(_ from: Int, _ count: Int) -> Int32 {
      digits.dropFirst(from).prefix(count).reduce(0) { $0 * 10 + Int32($1 - UInt8(ascii: "0")) }
    }
    let (month, day) = (number(4, 2), number(6, 2))
    guard (1...12).contains(month), (1...31).contains(day) else { return nil }
    var parts = tm()
    (parts.tm_year, parts.tm_mon, parts.tm_mday) = (number(0, 4) - 1900, month - 1, day)
    (parts.tm_hour, parts.tm_min, parts.tm_sec) = (number(8, 2), number(10, 2), number(12, 2))
    return Int64(timegm(&parts))
  }

  /// One file's line as "ls -l" writes it or as IIS does; nil for anything else. `name` must be the line's own, so that
  /// the listing of a folder isn't taken for a file.
  static func list(_ text: String, name: String) -> FTPFileInfo? {
    let lines = text.split { $0 == "\n" || $0 == "\r" || $0 == "\r\n" }.filter { !$0.hasPrefix("total ") }
    guard lines.count == 1, let line = lines.first,
      line.hasSuffix(" " + name) || line.hasSuffix("/" + name)
    else { return nil }
    let words = line.split(separator: " ", omittingEmptySubsequences: true)
    if line.hasPrefix("-"), words.count >= 9, let size = Int64(words[4]) {
      return FTPFileInfo(size: size, modified: nil, isDirectory: false)
    }
    if words.count >= 4, words[0].contains("-"), words[1].contains(":"), let size = Int64(words[2]) {
      return FTPFileInfo(size: size, modified: nil, isDirectory: false)
    }
    return nil
  }
}
