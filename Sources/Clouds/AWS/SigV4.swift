// AWS Signature Version 4, as headers or as a presigned URL ("Create a signed AWS API request", AWS IAM User Guide, and
// "Authenticating Requests", Amazon S3 API Reference). Signs strings; sends nothing and reads no clock.
import Crypto

public struct SigV4: Sendable {
  public enum Payload: Sendable, Equatable {
    /// Hex SHA-256 of the body.
    case hash(String)
    /// S3 over TLS, and every presigned URL.
    case unsigned

    public static let empty = Payload.hash("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")

    public static func of(_ body: some Sequence<UInt8>) -> Payload {
      .hash(SigV4.hex(SHA256.hash(data: Array(body))))
    }

    var text: String {
      switch self {
      case .hash(let hex): hex
      case .unsigned: "UNSIGNED-PAYLOAD"
      }
    }
  }

  /// The longest life of a presigned URL: seven days.
  public static let maxPresignedSeconds = 604_800

  public let credentials: AWSCredentials
  public let region: String
  public let service: String

  public init(credentials: AWSCredentials, region: String, service: String) {
    self.credentials = credentials
    self.region = region
    self.service = service
  }

  /// The headers to add to a request: X-Amz-Date, X-Amz-Content-Sha256, X-Amz-Security-Token if any, Authorization.
  /// - Parameters:
  ///   - host: as the Host header will be, with the port where it is not the scheme's own.
  ///   - path: percent-encoded, as it will be sent; S3 signs it as it is, every other service encodes it once more. Dot
  ///     segments, which other services would have resolved, must not be in theirs.
  ///   - query: names and values before encoding; must be sent as `AWSURIEncoding.query` writes them.
  ///   - headers: those to sign besides Host; all of them are.
  public func headers(
    method: String, host: String, path: String, query: [(name: String, value: String)] = [],
    headers: [(name: String, value: String)] = [], payload: Payload, secondsSince1970: Int64
  ) -> [(name: String, value: String)] {
    let date = AWSTimestamp.text(secondsSince1970: secondsSince1970)
    var added = [(name: "X-Amz-Date", value: date), (name: "X-Amz-Content-Sha256", value: payload.text)]
    if let token = credentials.sessionToken { added.append((name: "X-Amz-Security-Token", value: token)) }
    let signed = Self.canonicalHeaders(headers + added + [(name: "Host", value: host)])
    let request = canonicalRequest(method, path, AWSURIEncoding.query(query), signed, payload)
    let authorization = "AWS4-HMAC-SHA256 Credential=\(credentials.accessKeyID)/\(scope(date)), "
      + "SignedHeaders=\(signed.names), Signature=\(signature(of: request, date: date))"
    return added + [(name: "Authorization", value: authorization)]
  }

  /// The query of a presigned URL, encoded and complete; whoever has it may make this one request until it expires.
  /// - Parameter headers: those the user of the URL must send exactly so; Range and the like are left out.
  public func presignedQuery(
    method: String, host: String, path: String, query: [(name: String, value: String)] = [],
    headers: [(name: String, value: String)] = [], expiresInSeconds: Int, secondsSince1970: Int64
  ) -> String {
    let date = AWSTimestamp.text(secondsSince1970: secondsSince1970)
    let signed = Self.canonicalHeaders(headers + [(name: "Host", value: host)])
    var parameters = query + [
      (name: "X-Amz-Algorithm", value: "AWS4-HMAC-SHA256"),
      (name: "X-Amz-Credential", value: "\(credentials.accessKeyID)/\(scope(date))"),
      (name: "X-Amz-Date", value: date),
      (name: "X-Amz-Expires", value: String(min(max(1, expiresInSeconds), Self.maxPresignedSeconds))),
      (name: "X-Amz-SignedHeaders", value: signed.names),
    ]
    if let token = credentials.sessionToken { parameters.append((name: "X-Amz-Security-Token", value: token)) }
    let encoded = AWSURIEncoding.query(parameters)
    let request = canonicalRequest(method, path, encoded, signed, .unsigned)
    return "\(encoded)&X-Amz-Signature=\(signature(of: request, date: date))"
  }

  // MARK: - The four steps

  private func canonicalRequest(
    _ method: String, _ path: String, _ query: String, _ headers: (lines: String, names: String), _ payload: Payload
  ) -> String {
    let path = path.isEmpty ? "/" : path
    let canonicalPath = service == "s3" ? path : AWSURIEncoding.encode(path, keepingSlashes: true)
    return "\(method)\n\(canonicalPath)\n\(query)\n\(headers.lines)\n\(headers.names)\n\(payload.text)"
  }

  private func scope(_ date: String) -> String { "\(date.prefix(8))/\(region)/\(service)/aws4_request" }

  private func signature(of request: String, date: String) -> String {
    let hash = Self.hex(SHA256.hash(data: Array(request.utf8)))
    let toSign = "AWS4-HMAC-SHA256\n\(date)\n\(scope(date))\n\(hash)"
    var key = SymmetricKey(data: Array("AWS4\(credentials.secretAccessKey)".utf8))
    for part in [String(date.prefix(8)), region, service, "aws4_request"] {
      key = SymmetricKey(data: Array(HMAC<SHA256>.authenticationCode(for: Array(part.utf8), using: key)))
    }
    return Self.hex(HMAC<SHA256>.authenticationCode(for: Array(toSign.utf8), using: key))
  }

  /// Lower-case names in order, values trimmed with runs of blanks made one.
  private static func canonicalHeaders(_ headers: [(name: String, value: String)]) -> (lines: String, names: String) {
    var values: [String: [String]] = [:]
    for (name, value) in headers {
      let words = value.utf8.split { $0 == 0x20 || $0 == 0x09 }
      values[name.lowercased(), default: []].append(words.map { String(Substring($0)) }.joined(separator: " "))
    }
    let names = values.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    let lines = names.map { "\($0):\(values[$0, default: []].joined(separator: ","))\n" }.joined()
    return (lines, names.joined(separator: ";"))
  }

  static func hex(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }
}
