// Call metadata: header fields that travel beside the messages ("Custom-Metadata", grpc/grpc doc/PROTOCOL-HTTP2.md).

/// An ordered list of ASCII or binary values under lower-case keys. Keys that end in "-bin" hold bytes, which travel as
/// base64; all others hold printable ASCII.
public struct Metadata: Sendable, Equatable {
  public struct Entry: Sendable, Equatable {
    public var key: String
    /// As on the wire: base64 where the key ends in "-bin".
    public var value: String
  }

  public private(set) var entries: [Entry] = []

  public init() {}

  public init(_ pairs: [(String, String)]) {
    for (key, value) in pairs { add(key, value) }
  }

  public var isEmpty: Bool { entries.isEmpty }

  /// Bytes of all keys and values.
  var byteCount: Int { entries.reduce(0) { $0 + $1.key.utf8.count + $1.value.utf8.count } }

  /// The first value of a key, as on the wire.
  public subscript(_ key: String) -> String? {
    entries.first { $0.key == key }?.value
  }

  public func all(_ key: String) -> [String] {
    entries.filter { $0.key == key }.map(\.value)
  }

  public mutating func add(_ key: String, _ value: String) {
    entries.append(Entry(key: key.lowercased(), value: value))
  }

  public mutating func set(_ key: String, _ value: String) {
    remove(key)
    add(key, value)
  }

  public mutating func remove(_ key: String) {
    let lower = key.lowercased()
    entries.removeAll { $0.key == lower }
  }

  /// Binary value of a "-bin" key; nil if absent or not base64. Several values may come joined by commas: the first counts.
  public func bytes(_ key: String) -> [UInt8]? {
    guard let text = self[key] else { return nil }
    let first = text.split(separator: ",", omittingEmptySubsequences: false).first ?? ""
    return Base64.decode(first.utf8)
  }

  public mutating func add(_ key: String, bytes: [UInt8]) {
    precondition(key.hasSuffix("-bin"), "binary metadata needs a key that ends in -bin")
    add(key, Base64.encode(bytes))
  }

  /// Whether HTTP/2 and gRPC let this key be sent by a caller: lower-case letters, digits, "_", "-", ".".
  static func isValidKey(_ key: String) -> Bool {
    guard !key.isEmpty, !key.hasPrefix("grpc-"), !key.hasPrefix(":") else { return false }
    return key.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"),
        UInt8(ascii: "-"), UInt8(ascii: "."):
        true
      default: false
      }
    }
  }

  /// Whether a value is what gRPC calls an ASCII-Value: printable ASCII and spaces.
  static func isValidValue(_ value: String) -> Bool {
    var text = value
    return text.withUTF8 { bytes in
      // Without leaving early, which lets the compiler look at many bytes at once: tokens are long.
      var wrong: UInt8 = 0
      for byte in bytes { wrong |= byte &- 0x20 > 0x7E - 0x20 ? 1 : 0 }
      return wrong == 0
    }
  }
}
