// Signing with a storage account's key: the Authorization header of one request, and a service SAS that lets its bearer
// read one blob ("Authorize with Shared Key" and "Create a service SAS", Azure Storage REST API). Signs strings; sends
// nothing and reads no clock.
import Crypto
import FoundationEssentials
import Transport

public struct AzureSharedKey: Sendable {
  /// The version of the REST API whose rules all that is made here follows, as requests (x-ms-version) and SAS (sv)
  /// say.
  public static let serviceVersion = "2021-12-02"

  public let account: String
  private let key: SymmetricKey

  /// nil if the key is no base64.
  public init?(account: String, base64Key: String) {
    guard let bytes = Data(base64Encoded: base64Key), !bytes.isEmpty else { return nil }
    self.account = account
    key = SymmetricKey(data: bytes)
  }

  /// The headers to add to a request: x-ms-date, x-ms-version, Authorization.
  /// - Parameters:
  ///   - path: percent-encoded, as it will be sent.
  ///   - query: names and values before encoding; no name twice.
  ///   - headers: all that will be sent of those that the signature covers: the x-ms- ones, conditions, Range,
  ///     Content-*.
  public func headers(
    method: String, path: String, query: [(name: String, value: String)] = [],
    headers: [(name: String, value: String)] = [], contentLength: Int = 0, secondsSince1970: Int64
  ) -> [(name: String, value: String)] {
    let added = [
      (name: "x-ms-date", value: HTTPDate.text(secondsSince1970: secondsSince1970)),
      (name: "x-ms-version", value: Self.serviceVersion),
    ]
    let text = stringToSign(
      method: method, path: path, query: query, headers: headers + added, contentLength: contentLength)
    return added + [(name: "Authorization", value: "SharedKey \(account):\(signature(of: text))")]
  }

  /// The query of a service SAS, before encoding, that lets its bearer read one blob as it is, or one version of it.
  /// - Parameters:
  ///   - blob: the name itself, not encoded.
  ///   - versionID: the request must name the same one as `versionid`.
  public func readToken(
    container: String, blob: String, versionID: String? = nil, expiresAtSecondsSince1970: Int64, httpsOnly: Bool
  ) -> [(name: String, value: String)] {
    // Without a start: valid at once by the service's clock, however far ahead this one is.
    var token = [
      (name: "sv", value: Self.serviceVersion), (name: "sr", value: versionID == nil ? "b" : "bv"),
      (name: "sp", value: "r"), (name: "se", value: AzureTimestamp.text(secondsSince1970: expiresAtSecondsSince1970)),
    ]
    if httpsOnly { token.append((name: "spr", value: "https")) }
    let text = Self.stringToSign(token, resource: "/blob/\(account)/\(container)/\(blob)", versionID: versionID)
    return token + [(name: "sig", value: signature(of: text))]
  }

  // MARK: - The strings to sign

  private static let signedHeaders = [
    "content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
    "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range",
  ]

  func stringToSign(
    method: String, path: String, query: [(name: String, value: String)], headers: [(name: String, value: String)],
    contentLength: Int
  ) -> String {
    var values: [String: String] = [:]
    for (name, value) in headers { values[name.lowercased()] = value }
    values["content-length"] = contentLength == 0 ? nil : String(contentLength)
    // A request that says x-ms-date signs no Date.
    if values["x-ms-date"] != nil { values["date"] = nil }
    var lines = [method] + Self.signedHeaders.map { values[$0, default: ""] }
    lines += values.keys.filter { $0.hasPrefix("x-ms-") }.sorted(by: Self.inBytes)
      .map { "\($0):\(values[$0, default: ""])" }
    lines.append("/\(account)\(path)")
    lines += query.map { (name: $0.name.lowercased(), value: $0.value) }
      .sorted { Self.inBytes($0.name, $1.name) }.map { "\($0.name):\($0.value)" }
    return lines.joined(separator: "\n")
  }

  /// Since version 2020-12-06: fields in this order, those not used as empty lines.
  static func stringToSign(
    _ token: [(name: String, value: String)], resource: String, versionID: String?
  ) -> String {
    let field = { (name: String) in token.first { $0.name == name }?.value ?? "" }
    return
      ([field("sp"), field("st"), field("se"), resource]
      + [field("si"), field("sip"), field("spr"), field("sv"), field("sr"), versionID ?? "", field("ses")]
      + ["rscc", "rscd", "rsce", "rscl", "rsct"].map(field)).joined(separator: "\n")
  }

  private func signature(of text: String) -> String {
    Data(HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key)).base64EncodedString()
  }

  private static func inBytes(_ left: String, _ right: String) -> Bool {
    left.utf8.lexicographicallyPrecedes(right.utf8)
  }
}

extension AzureSharedKey: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "key of Azure storage account \(account)" }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: ["account": account]) }
}
