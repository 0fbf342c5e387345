// A destination's URL: "sftp://user@host:port/path" (RFC 3986), or "file:///path" for a folder of this machine (RFC 8089).
// Secrets have no place in it, so that it may be shown and logged.
import Transport

public struct DestinationAddress: Sendable, Hashable, CustomStringConvertible {
  /// In lower case: "sftp", "ftp", "ftpes" (explicit TLS), "ftps" (implicit TLS) or "file".
  public let scheme: String
  /// Empty for a folder of this machine, like the host.
  public let user: String
  /// A name, an IPv4 address, or an IPv6 address without brackets.
  public let host: String
  public let port: UInt16
  /// "/x" is absolute, "/~/x" and an absent path are below the login's home.
  public let path: RemotePath

  private static let defaultPorts: [String: UInt16] = [
    "sftp": SSHEndpoint.defaultPort, "ftp": 21, "ftpes": 21, "ftps": 990, fileScheme: 0,
  ]
  public static let fileScheme = "file"
  static let maxLength = 8192

  public init(scheme: String = "sftp", user: String, host: String, port: UInt16, path: RemotePath) {
    self.scheme = scheme
    self.user = user
    self.host = host
    self.port = port
    self.path = path
  }

  public init(_ url: String) throws(DestinationError) {
    guard url.utf8.count <= Self.maxLength else { throw Self.invalid("is too long") }
    guard let colon = url.firstRange(of: "://") else { throw Self.invalid("has no scheme such as sftp://") }
    scheme = url[..<colon.lowerBound].lowercased()
    guard let defaultPort = Self.defaultPorts[scheme] else {
      throw DestinationError(
        .invalidAddress, "There is no destination of the kind \"\(scheme.prefix(20))\".",
        nextStep: "Use one of: \(Self.defaultPorts.keys.sorted().joined(separator: ", ")).")
    }
    let rest = url[colon.upperBound...]
    let slash = rest.firstIndex(of: "/") ?? rest.endIndex
    let authority = rest[..<slash]
    if scheme == Self.fileScheme {
      (user, host, port) = ("", "", 0)
      path = try Self.path(rest[slash...])
      guard authority.isEmpty, path.base == .root else {
        throw Self.invalid("names no folder of this machine", "Write it as file:///path, with three slashes.")
      }
      return
    }
    guard let at = authority.lastIndex(of: "@") else {
      throw Self.invalid("names no user", "Write it as \(scheme)://user@host/path.")
    }
    let login = authority[..<at]
    if login.contains(":") {
      throw Self.invalid(
        "has a password in it", "Take it out of the URL and give it as the destination's credentials.")
    }
    if rest.contains("?") || rest.contains("#") {
      throw Self.invalid("has a \"?\" or \"#\" in it", "Write ? as %3F and # as %23 if they belong to the path.")
    }
    user = try Self.decoded(login)
    guard !user.isEmpty, !user.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7F }) else {
      throw Self.invalid("names no user that can log in", "Write it as \(scheme)://user@host/path.")
    }
    (host, port) = try Self.hostAndPort(authority[authority.index(after: at)...], defaultPort: defaultPort)
    path = try Self.path(rest[slash...])
  }

  private static func hostAndPort(
    _ text: Substring, defaultPort: UInt16
  ) throws(DestinationError) -> (String, UInt16) {
    let host: Substring
    var port = Substring()
    if text.hasPrefix("[") {
      guard let end = text.firstIndex(of: "]") else { throw invalid("has a \"[\" without \"]\"") }
      host = text[text.index(after: text.startIndex)..<end]
      port = text[text.index(after: end)...]
      guard host.contains(":"), host.allSatisfy({ $0.isHexDigit || ":.%".contains($0) }) else {
        throw invalid("has no IPv6 address in its brackets")
      }
    } else {
      host = text.prefix { $0 != ":" }
      port = text[host.endIndex...]
      let allowed = host.unicodeScalars.allSatisfy {
        $0.properties.isAlphabetic || ("0"..."9").contains($0) || "-._".unicodeScalars.contains($0)
      }
      guard !host.isEmpty, allowed else { throw invalid("names no host") }
    }
    if port.isEmpty { return (String(host), defaultPort) }
    guard port.removeFirst() == ":", let number = UInt16(port), number > 0 else {
      throw invalid("has a port that is not a number from 1 to 65535")
    }
    return (String(host), number)
  }

  private static func path(_ text: Substring) throws(DestinationError) -> RemotePath {
    var segments = text.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
    if segments.last?.isEmpty == true { segments.removeLast() }
    guard let first = segments.first else { return RemotePath(text.isEmpty ? .home : .root) }
    let base: RemotePath.Base = first == "~" ? .home : .root
    if first == "~" { segments.removeFirst() }
    var parts: [String] = []
    for segment in segments { parts.append(try decoded(segment)) }
    return try RemotePath(base, parts: parts)
  }

  private static func decoded(_ text: Substring) throws(DestinationError) -> String {
    var bytes: [UInt8] = []
    var rest = text.utf8
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard let high = rest.popFirst(), let low = rest.popFirst(),
        let digits = String(bytes: [high, low]), let value = UInt8(digits, radix: 16), high != UInt8(ascii: "+")
      else { throw invalid("has a \"%\" that isn't followed by two hexadecimal digits", "Write a plain % as %25.") }
      bytes.append(value)
    }
    guard let decoded = String(bytes: bytes) else { throw invalid("has percent-encoded bytes that aren't UTF-8") }
    return decoded
  }

  /// The URL itself is left out of errors: it might hold a password.
  private static func invalid(
    _ why: String, _ next: String = "Write it as sftp://user@host:port/path."
  ) -> DestinationError {
    DestinationError(.invalidAddress, "The destination's URL \(why).", nextStep: next)
  }

  /// The URL in full, with the port only where it is not the scheme's own.
  public var description: String {
    let bracketed = host.contains(":") ? "[\(host)]" : host
    let suffix = port == Self.defaultPorts[scheme] ? "" : ":\(port)"
    let base = path.base == .home ? "/~" : ""
    if scheme == Self.fileScheme { return "file://" + path.parts.map { "/" + Self.encoded($0) }.joined() }
    let tail = path.parts.isEmpty && path.base == .root ? "/" : path.parts.map { "/" + Self.encoded($0) }.joined()
    return "\(scheme)://\(Self.encoded(user))@\(bracketed)\(suffix)\(base)\(tail)"
  }

  private static func encoded(_ text: String) -> String {
    text.utf8.reduce(into: "") { encoded, byte in
      let scalar = Unicode.Scalar(byte)
      let unreserved = byte < 0x80 && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar))
      if unreserved || "-._~".unicodeScalars.contains(scalar) {
        encoded.unicodeScalars.append(scalar)
      } else {
        encoded += "%" + [byte].hexadecimal.uppercased()
      }
    }
  }

  public var endpoint: SSHEndpoint { SSHEndpoint(host: host, port: port) }
}

extension String {
  fileprivate init?(bytes: [UInt8]) { self.init(validating: bytes, as: UTF8.self) }
}
