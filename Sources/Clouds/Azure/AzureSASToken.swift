// A shared access signature as someone gave it out: kept word for word, since any change breaks its signature. Read
// only as far as its end and what it must have.
import Transport

public struct AzureSASToken: Sendable, Equatable {
  public static let maxBytes = 4096

  /// Encoded, without "?".
  public let query: String
  /// nil where a policy stored at the service says when it ends.
  public let expiresAtSecondsSince1970: Int64?

  public enum Problem: Error, Sendable, Equatable {
    /// No query of a URL in percent-encoded form, or over `maxBytes`.
    case notAQuery
    /// It has no signature, or neither an end nor a stored policy.
    case incomplete
    /// Its end is no time.
    case noTime
    /// It holds a parameter that is no SAS's but the request's own.
    case foreignParameter(String)
  }

  public init(_ text: String) throws(Problem) {
    let query = text.hasPrefix("?") ? String(text.dropFirst()) : text
    guard !query.isEmpty, query.utf8.count <= Self.maxBytes,
      query.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "#") && $0 != UInt8(ascii: "?") })
    else { throw .notAQuery }
    var fields: [String: String] = [:]
    for part in query.split(separator: "&") {
      let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard pair.count == 2, let name = AzureURIEncoding.decode(pair[0]), let value = AzureURIEncoding.decode(pair[1])
      else { throw .notAQuery }
      if Self.requestParameters.contains(name.lowercased()) { throw .foreignParameter(name) }
      fields[name] = value
    }
    guard fields["sig"]?.isEmpty == false, fields["se"] != nil || fields["si"] != nil else { throw .incomplete }
    if let end = fields["se"] {
      guard let seconds = AzureTimestamp.secondsSince1970(end) else { throw .noTime }
      expiresAtSecondsSince1970 = seconds
    } else {
      expiresAtSecondsSince1970 = nil
    }
    self.query = query
  }

  private static let requestParameters: Set<String> = [
    "comp", "restype", "versionid", "snapshot", "prefix", "delimiter", "marker", "maxresults", "include", "timeout",
  ]
}

extension AzureSASToken: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  public var description: String { "Azure shared access signature" }
  public var debugDescription: String { description }
  public var customMirror: Mirror { Mirror(self, children: ["expiresAt": expiresAtSecondsSince1970 as Any]) }
}
