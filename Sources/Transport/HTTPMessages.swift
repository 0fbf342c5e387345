// HTTP requests and responses as plain values (RFC 9110). HTTPClient carries them; it adds no meaning to a status.
import NIOCore

public struct HTTPRequest: Sendable {
  /// Bytes an answer's body may have unless the request says otherwise.
  public static let defaultMaxResponseBytes = 16 * 1024 * 1024

  public var method: String
  /// Absolute, http or https, already percent-encoded: sent as it is, `..` and `//` included.
  public var url: String
  /// In order; Host, Content-Length and the framing are the client's own affair unless given.
  public var headers: [(name: String, value: String)]
  public var body: ByteBuffer?
  /// From `execute` to the last byte, waiting for a connection included; nil takes the client's default.
  public var timeout: Duration?
  public var connectTimeout: Duration?
  /// The exchange fails when it stays under this speed for the client's `lowSpeedWindow`; 0 switches that off, nil
  /// takes the client's default.
  public var lowSpeedBytesPerSecond: Int?
  /// An answer with a longer body fails as `tooLarge`.
  public var maxResponseBytes: Int
  /// How long the body will likely be, to allocate once where the server gives no Content-Length.
  public var expectedBytes: Int
  /// Where the memory for the body comes from. Whoever is done with the body gives it back there.
  public var buffers: BufferPool?

  public init(
    _ method: String = "GET", _ url: String, headers: [(name: String, value: String)] = [], body: ByteBuffer? = nil,
    timeout: Duration? = nil, connectTimeout: Duration? = nil, lowSpeedBytesPerSecond: Int? = nil,
    maxResponseBytes: Int = HTTPRequest.defaultMaxResponseBytes, expectedBytes: Int = 0,
    buffers: BufferPool? = nil
  ) {
    self.method = method
    self.url = url
    self.headers = headers
    self.body = body
    self.timeout = timeout
    self.connectTimeout = connectTimeout
    self.lowSpeedBytesPerSecond = lowSpeedBytesPerSecond
    self.maxResponseBytes = maxResponseBytes
    self.expectedBytes = expectedBytes
    self.buffers = buffers
  }
}

public struct HTTPResponse: Sendable {
  public let status: Int
  public let headers: HTTPHeaders
  /// As sent: no content coding is asked for or undone.
  public let body: ByteBuffer

  public init(status: Int, headers: HTTPHeaders, body: ByteBuffer) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  /// The body as UTF-8, broken sequences replaced.
  public var text: String { String(buffer: body) }
}

/// Header fields in the order received; names compare without case (RFC 9110 section 5.1).
public struct HTTPHeaders: Sendable, Sequence {
  private let fields: [(name: String, value: String)]

  public init(_ fields: [(name: String, value: String)] = []) { self.fields = fields }

  /// The first field of that name.
  public subscript(name: String) -> String? {
    let wanted = name.lowercased()
    return fields.first { $0.name.lowercased() == wanted }?.value
  }

  public func all(_ name: String) -> [String] {
    let wanted = name.lowercased()
    return fields.filter { $0.name.lowercased() == wanted }.map(\.value)
  }

  public func makeIterator() -> IndexingIterator<[(name: String, value: String)]> { fields.makeIterator() }

  /// From the lines of an answer, status line included; a line without a colon is none of a field's.
  init(lines: [String]) {
    fields = lines.compactMap { line in
      guard !line.hasPrefix("HTTP/"), let colon = line.utf8.firstIndex(of: UInt8(ascii: ":")) else { return nil }
      return (String(line[..<colon]), Self.trimmed(line[line.index(after: colon)...]))
    }
  }

  private static func trimmed(_ text: Substring) -> String {
    // By code units: a combining mark after a blank would make another character of it.
    let isBlank = { (unit: UInt8) in unit == 0x20 || unit == 0x09 }
    var value = text.utf8.drop(while: isBlank)
    while let last = value.last, isBlank(last) { value.removeLast() }
    return String(Substring(value))
  }
}
