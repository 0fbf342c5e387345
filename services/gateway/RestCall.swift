// One REST request as its route sees it: path and query values, the JSON body, the caller's token, each checked and
// bounded; and the JSON response.
import FerryAPI
import Hummingbird
import NIOCore
import ProtoWire
import RPC

/// What the REST side takes at most.
enum RestBounds {
  static let bodyBytes = 1 << 20
  static let pageSize: Int32 = 1000
  static let queryItems = 32
  /// Of a path or query value after decoding: the longest object key that S3 allows, and room.
  static let valueBytes = 4096
}

struct RestCall: Sendable {
  let request: Request
  let backends: Backends
  let credential: Credential
  /// The caller reached us over TLS, here or at a proxy in front: cookies may be `Secure`.
  let isSecure: Bool
  private let parameters: Parameters
  private let query: [(name: String, value: String)]

  init(
    _ request: Request, parameters: Parameters, backends: Backends, isTLS: Bool = false
  ) throws(ProblemDetails) {
    self.request = request
    isSecure = isTLS || BrowserSession.isSecure(request.headers)
    self.parameters = parameters
    self.backends = backends
    credential = Credential(request.headers)
    query = try Self.parse(query: request.uri.query ?? "")
  }

  // MARK: What came in

  /// A value of the path, decoded.
  func path(_ name: String) throws(ProblemDetails) -> String {
    guard let raw = parameters[name[...]], let value = PercentCoding.decode(raw.utf8), !value.isEmpty,
      value.utf8.count <= RestBounds.valueBytes
    else {
      throw Self.bad("The path names no valid \(name).", next: "Check the address; encode special characters with %.")
    }
    return value
  }

  /// The thing that the path names, or 404.
  /// - Parameter what: "destination", for NO_SUCH_DESTINATION.
  func named<Thing>(
    _ what: String, in things: [Thing], by name: KeyPath<Thing, String>
  ) throws(ProblemDetails) -> Thing {
    let wanted = try path("name")
    guard let found = things.first(where: { $0[keyPath: name] == wanted }) else {
      throw ProblemDetails(
        404, "NO_SUCH_" + what.uppercased(), "There is no \(what) \(wanted) that you may see.",
        next: "List the \(what)s and use one of them.")
    }
    return found
  }

  /// A value of the query; empty if it is not there.
  func query(_ name: String) -> String { query.first { $0.name == name }?.value ?? "" }

  func number<N: FixedWidthInteger>(_ name: String, upTo limit: N) throws(ProblemDetails) -> N {
    let text = query(name)
    if text.isEmpty { return 0 }
    guard let value = N(text), value >= 0, value <= limit else {
      throw Self.bad(
        "\(name) is not a number from 0 to \(limit).", next: "Leave it out, or give a number in that range.")
    }
    return value
  }

  func pageSize() throws(ProblemDetails) -> Int32 { try number("pageSize", upTo: RestBounds.pageSize) }

  func flag(_ name: String) throws(ProblemDetails) -> Bool {
    switch query(name) {
    case "", "false": return false
    case "true": return true
    default: throw Self.bad("\(name) is neither true nor false.", next: "Give true or false, or leave it out.")
    }
  }

  /// A time in RFC 3339; nil if it is not there.
  func timestamp(_ name: String) throws(ProblemDetails) -> Timestamp? {
    let text = query(name)
    if text.isEmpty { return nil }
    guard let time = Timestamp(rfc3339: text) else {
      throw Self.bad("\(name) is no time in RFC 3339.", next: "Write it like 2026-11-27T06:30:00Z, with a + as %2B.")
    }
    return time
  }

  /// An enumeration's value by its proto3 JSON name; unspecified if it is not there.
  func choice<E: ProtoEnum>(_ name: String, _: E.Type = E.self) throws(ProblemDetails) -> E {
    let text = query(name)
    if text.isEmpty { return E(rawValue: 0) }
    guard let number = E.descriptor.number(of: text) else {
      let known = E.descriptor.values.map(\.name).joined(separator: ", ")
      throw Self.bad("\(name) has no value \(text.prefix(60)).", next: "Use one of \(known).")
    }
    return E(rawValue: number)
  }

  /// The body as a message in proto3 JSON. An empty body is an empty message.
  func body<M: Message>(_: M.Type = M.self) async throws -> M {
    let tooLarge = ProblemDetails(
      413, "BODY_TOO_LARGE", "The body is larger than \(RestBounds.bodyBytes) bytes.", next: "Send a smaller request.")
    if let text = request.headers[.contentLength], let length = Int(text), length > RestBounds.bodyBytes {
      throw tooLarge
    }
    let buffer: ByteBuffer
    do { buffer = try await request.body.collect(upTo: RestBounds.bodyBytes) } catch is NIOTooManyBytesError {
      throw tooLarge
    }
    guard buffer.readableBytes > 0 else { return M() }
    let type = request.headers[.contentType]?.prefix { $0 != ";" }.lowercased()
    guard type?.filter({ $0 != " " }) == "application/json" else {
      throw ProblemDetails(
        415, "NOT_JSON", "The body is not said to be JSON.", next: "Send it with Content-Type: application/json.")
    }
    do { return try M(json: Array(buffer.readableBytesView)) } catch {
      throw Self.bad(
        "The body is not a \(M.descriptor.name) in proto3 JSON: \(error).", next: "Correct the named field.")
    }
  }

  static func bad(_ detail: String, next: String) -> ProblemDetails {
    ProblemDetails(400, "INVALID_REQUEST", detail, next: next)
  }

  // MARK: What goes on

  /// Options of a call to a service: the caller's token, and how long to wait.
  func onward(_ limit: Duration = Patience.call) -> CallOptions {
    var options = anonymous(limit)
    if let token = credential.token { options.metadata.add("authorization", "Bearer " + token) }
    return options
  }

  /// The same for calls that are open to all: a token that has expired must not stand in their way.
  func anonymous(_ limit: Duration = Patience.call) -> CallOptions { .timeout(limit) }

  // MARK: What comes out

  /// What a GET answers has an ETag; a program that has the very same already gets 304 and no body (RFC 9110 section 13.1.2).
  /// Caches keep none of it.
  func json(_ message: some Message, status: HTTPResponse.Status = .ok) -> Response {
    let body = message.jsonBytes()
    var headers: HTTPFields = [.cacheControl: "no-store"]
    if request.method == .get, status == .ok {
      let etag = EntityTag(of: body)
      headers[.eTag] = etag.description
      if etag.isKnown(to: request.headers) { return Response(status: .notModified, headers: headers) }
    }
    headers[.contentType] = "application/json"
    return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: body)))
  }

  static let empty = Response(status: .noContent, headers: [.cacheControl: "no-store"])

  /// "a=b&c=d" as URL-encoded forms write it (WHATWG URL, application/x-www-form-urlencoded).
  static func parse(query: String) throws(ProblemDetails) -> [(name: String, value: String)] {
    let items = query.split(separator: "&")
    guard items.count <= RestBounds.queryItems else {
      throw bad("The query has more than \(RestBounds.queryItems) values.", next: "Send fewer.")
    }
    var pairs: [(name: String, value: String)] = []
    for item in items {
      let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = PercentCoding.decode(parts[0].utf8, plusIsSpace: true),
        let value = PercentCoding.decode((parts.count > 1 ? parts[1] : "").utf8, plusIsSpace: true),
        value.utf8.count <= RestBounds.valueBytes
      else {
        throw bad("A value of the query is badly encoded or too long.", next: "Encode special characters with %.")
      }
      pairs.append((name, value))
    }
    return pairs
  }
}

/// Percent-encoding (RFC 3986 section 2.1), strict: a broken escape or bytes that are not UTF-8 give nil.
enum PercentCoding {
  static func decode(_ text: some Collection<UInt8>, plusIsSpace: Bool = false) -> String? {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.count)
    var rest = text.makeIterator()
    while let byte = rest.next() {
      switch byte {
      case UInt8(ascii: "%"):
        guard let high = rest.next().flatMap(hex), let low = rest.next().flatMap(hex) else { return nil }
        bytes.append(high << 4 | low)
      case UInt8(ascii: "+") where plusIsSpace: bytes.append(UInt8(ascii: " "))
      default: bytes.append(byte)
      }
    }
    return String(validating: bytes, as: UTF8.self)
  }

  private static func hex(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
