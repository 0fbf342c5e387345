// What a person needs to know of a server's certificate, and the pin of its public key.
import FoundationEssentials

public struct FTPCertificate: Sendable, Equatable, CustomStringConvertible {
  public var subject: String
  public var issuer: String
  /// As OpenSSL writes it: "Nov 25 22:00:00 2027 GMT".
  public var expires: String
  /// The public key as DER (SubjectPublicKeyInfo, RFC 5280 section 4.1): what a pin is the SHA-256 of. Empty if it
  /// couldn't be read.
  public var publicKey: [UInt8]

  /// From libcurl's lines of CURLINFO_CERTINFO; nil if there are none.
  init?(_ lines: [String]) {
    func value(_ name: String) -> String? {
      lines.first { $0.hasPrefix(name + ":") }.map { String($0.dropFirst(name.utf8.count + 1)) }
    }
    guard let subject = value("Subject") else { return nil }
    self.subject = subject
    issuer = value("Issuer") ?? "unknown"
    expires = value("Expire date") ?? "unknown"
    publicKey = value("Cert").flatMap(Self.der).flatMap(Self.publicKey) ?? []
  }

  public var description: String { "\(subject), issued by \(issuer), valid until \(expires)" }

  private static func der(_ pem: String) -> [UInt8]? {
    let body = pem.split(whereSeparator: \.isNewline).filter { !$0.hasPrefix("-----") }.joined()
    return Data(base64Encoded: body).map { [UInt8]($0) }
  }

  /// Certificate ::= { { [0] version, serial, signature, issuer, validity, subject, subjectPublicKeyInfo …
  private static func publicKey(_ der: [UInt8]) -> [UInt8]? {
    guard let certificate = element(der[...]), let body = element(certificate.content) else { return nil }
    var rest = body.content
    if rest.first == 0xA0, let version = element(rest) { rest = version.rest }
    for _ in 0..<5 {
      guard let skipped = element(rest) else { return nil }
      rest = skipped.rest
    }
    return element(rest).map { Array($0.whole) }
  }

  private static func element(
    _ bytes: ArraySlice<UInt8>
  ) -> (whole: ArraySlice<UInt8>, content: ArraySlice<UInt8>, rest: ArraySlice<UInt8>)? {
    guard bytes.count >= 2 else { return nil }
    var index = bytes.startIndex + 1
    var length = Int(bytes[index])
    index += 1
    if length >= 0x80 {
      let count = length & 0x7F
      guard (1...3).contains(count), bytes.endIndex - index >= count else { return nil }
      length = bytes[index..<index + count].reduce(0) { $0 << 8 | Int($1) }
      index += count
    }
    guard bytes.endIndex - index >= length else { return nil }
    let end = index + length
    return (bytes[bytes.startIndex..<end], bytes[index..<end], bytes[end...])
  }
}
