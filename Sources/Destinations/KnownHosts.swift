// The host keys of a known_hosts file, as OpenSSH reads it: sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".
import Crypto
import FoundationEssentials
import Transport

/// Lines of names and keys. Names may have wildcards, be negated or hashed; a key that is marked as revoked counts nowhere.
/// Certificate authorities are left out: they sign host certificates, which are not looked at.
public struct KnownHosts: Sendable {
  /// Of the whole text.
  public static let maxBytes = 256 << 10

  public struct Malformed: Error {
    /// From 1; 0 for the text as a whole.
    public var line: Int
    /// "has no key"
    public var reason: String
  }

  private static let sshPort: UInt16 = 22

  private struct Entry {
    var names: [Name]
    var key: SSHHostKey
    var isRevoked: Bool
  }

  private enum Name {
    case pattern([UInt8], isNegated: Bool)
    /// "|1|": base64 of a salt, and of the name's HMAC-SHA1 by it.
    case hashed(salt: Data, hash: Data)
  }

  private let entries: [Entry]

  public init(_ text: String) throws(Malformed) {
    guard text.utf8.count <= Self.maxBytes else { throw Malformed(line: 0, reason: "is over \(Self.maxBytes) bytes") }
    var entries: [Entry] = []
    for (index, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
      do throws(Unreadable) {
        if let entry = try Self.entry(line) { entries.append(entry) }
      } catch {
        throw Malformed(line: index + 1, reason: error.reason)
      }
    }
    self.entries = entries
  }

  /// SHA-256 fingerprints of the host's keys. A port of its own is looked for as "[host]:port", then as the host alone.
  public func fingerprints(host: String, port: UInt16) -> [String] {
    let plain = host.lowercased()
    let named = port == Self.sshPort ? [] : trusted("[\(plain)]:\(port)")
    return named.isEmpty ? trusted(plain) : named
  }

  private func trusted(_ name: String) -> [String] {
    let matching = entries.filter { Self.matches(name, $0.names) }
    let revoked = Set(matching.filter(\.isRevoked).map(\.key.fingerprint))
    var seen = revoked
    return matching.map(\.key.fingerprint).filter { seen.insert($0).inserted }
  }

  // MARK: Reading

  private struct Unreadable: Error {
    var reason: String
    init(_ reason: String) { self.reason = reason }
  }

  /// Nil for a line that names no host's own key.
  private static func entry(_ line: Substring) throws(Unreadable) -> Entry? {
    var fields = line.split(whereSeparator: \.isWhitespace)[...]
    guard let first = fields.first, !first.hasPrefix("#") else { return nil }
    var isRevoked = false
    if first.hasPrefix("@") {
      fields = fields.dropFirst()
      switch first {
      case "@revoked": isRevoked = true
      case "@cert-authority": return nil
      default: throw Unreadable("has the marker \(first.prefix(40)), which is none of @revoked and @cert-authority")
      }
    }
    guard fields.count >= 3 else { throw Unreadable("has no names, type and key") }
    let (names, type, key) = (fields.removeFirst(), String(fields.removeFirst()), fields.removeFirst())
    guard let blob = Data(base64Encoded: String(key)), Self.type(of: blob) == type else {
      throw Unreadable("has a key that is none of the type \(type.prefix(40))")
    }
    let fingerprint = SSHHostKey.normalized(Data(SHA256.hash(data: blob)).base64EncodedString()) ?? ""
    return Entry(
      names: try names.split(separator: ",").map { (name) throws(Unreadable) in try self.name(name) },
      key: SSHHostKey(type: type, fingerprint: fingerprint), isRevoked: isRevoked)
  }

  /// The key's own word for its type: a length and as many bytes (RFC 4253 section 6.6).
  private static func type(of blob: Data) -> String? {
    guard blob.count >= 4 else { return nil }
    let length = blob.prefix(4).reduce(0) { $0 << 8 | Int($1) }
    guard length <= blob.count - 4 else { return nil }
    return String(decoding: blob.dropFirst(4).prefix(length), as: UTF8.self)
  }

  private static func name(_ text: Substring) throws(Unreadable) -> Name {
    guard text.hasPrefix("|") else {
      let isNegated = text.hasPrefix("!")
      return .pattern(Array(text.dropFirst(isNegated ? 1 : 0).lowercased().utf8), isNegated: isNegated)
    }
    let parts = text.split(separator: "|")
    guard parts.count == 3, parts[0] == "1", let salt = Data(base64Encoded: String(parts[1])),
      let hash = Data(base64Encoded: String(parts[2])), hash.count == Insecure.SHA1.byteCount
    else { throw Unreadable("has a hashed name that is not of the form |1|salt|hash") }
    return .hashed(salt: salt, hash: hash)
  }

  // MARK: Matching

  /// A negated name that matches takes the whole line away.
  private static func matches(_ host: String, _ names: [Name]) -> Bool {
    var isNamed = false
    for name in names {
      switch name {
      case .hashed(let salt, let hash):
        let code = HMAC<Insecure.SHA1>.authenticationCode(for: Data(host.utf8), using: SymmetricKey(data: salt))
        if Data(code) == hash { isNamed = true }
      case .pattern(let pattern, let isNegated):
        guard matches(Array(host.utf8)[...], pattern[...]) else { continue }
        if isNegated { return false }
        isNamed = true
      }
    }
    return isNamed
  }

  /// '*' is any text, '?' any character. Takes time of the one length by the other.
  private static func matches(_ text: ArraySlice<UInt8>, _ pattern: ArraySlice<UInt8>) -> Bool {
    var (text, pattern) = (text, pattern)
    var retry: (text: ArraySlice<UInt8>, pattern: ArraySlice<UInt8>)?
    while true {
      if pattern.first == UInt8(ascii: "*") {
        pattern = pattern.dropFirst()
        retry = (text, pattern)
      } else if let first = text.first, let wanted = pattern.first, wanted == UInt8(ascii: "?") || wanted == first {
        (text, pattern) = (text.dropFirst(), pattern.dropFirst())
      } else if text.isEmpty, pattern.isEmpty {
        return true
      } else if let again = retry, !again.text.isEmpty {
        // The last '*' takes one character more.
        retry = (again.text.dropFirst(), again.pattern)
        (text, pattern) = (again.text.dropFirst(), again.pattern)
      } else {
        return false
      }
    }
  }
}
