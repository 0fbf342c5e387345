// What a field of a request's header block is to us: whether nghttp2 has to look at it, or can be spared it.

/// What a name says of its field.
enum FieldName: UInt8 {
  case method, scheme, path, authority
  /// Fields that HTTP/2 has rules for, of which nghttp2 keeps account.
  case te, contentLength, host
  /// A field that is nothing to HTTP/2.
  case plain
  /// Forbidden, unknown with a colon, with odd characters, or with more rules than are known here.
  case odd

  init(_ name: UnsafeRawBufferPointer) {
    self = .odd
    guard let first = name.first else { return }
    if first == UInt8(ascii: ":") {
      if HTTP2Headers.equal(name, ":path") { self = .path }
      if HTTP2Headers.equal(name, ":method") { self = .method }
      if HTTP2Headers.equal(name, ":scheme") { self = .scheme }
      if HTTP2Headers.equal(name, ":authority") { self = .authority }
      return
    }
    guard CharacterSet.shared.covers(name, .name) else { return }
    for other in Self.withMoreRules where HTTP2Headers.equal(name, other) { return }
    self = .plain
    if HTTP2Headers.equal(name, "te") { self = .te }
    if HTTP2Headers.equal(name, "host") { self = .host }
    if HTTP2Headers.equal(name, "content-length") { self = .contentLength }
  }

  /// RFC 9113 section 8.2.2, and RFC 9218's.
  private static let withMoreRules: [StaticString] = [
    "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "http2-settings", "priority",
  ]
}

/// What a field is in the header block of a request.
enum FieldRole: UInt8 {
  case method, scheme, path, authority
  /// Nothing to HTTP/2, and surely well formed: nghttp2 need not see it.
  case plain
  /// Well formed, and nghttp2 keeps account of it.
  case counted
  /// For nghttp2 to judge.
  case odd

  init(_ name: FieldName, _ value: UnsafeRawBufferPointer, _ characters: CharacterSet = .shared) {
    self = .odd
    switch name {
    case .method: if HTTP2Headers.equal(value, "POST") { self = .method }
    case .scheme: if HTTP2Headers.equal(value, "http") || HTTP2Headers.equal(value, "https") { self = .scheme }
    case .path: if value.first == UInt8(ascii: "/"), characters.covers(value, .path) { self = .path }
    case .authority: if !value.isEmpty, characters.covers(value, .authority) { self = .authority }
    case .te: if HTTP2Headers.equal(value, "trailers") { self = .plain }
    case .contentLength: if !value.isEmpty, value.count < 10, characters.covers(value, .digits) { self = .counted }
    case .host: if !value.isEmpty, characters.covers(value, .authority) { self = .counted }
    case .plain:
      let space = UInt8(ascii: " ")
      if value.first != space, value.last != space, characters.covers(value, .value) { self = .plain }
    case .odd: break
    }
  }
}

/// Which bytes surely may stand where: fewer than RFC 9110 and RFC 3986 allow, and all that occur.
/// A struct of a pointer, which nobody has to retain. Its table is never changed or freed, which makes `@unchecked Sendable`
/// true.
struct CharacterSet: @unchecked Sendable {
  static let shared = CharacterSet()

  struct Place: OptionSet {
    let rawValue: UInt8
    static let name = Place(rawValue: 1)
    static let value = Place(rawValue: 2)
    static let path = Place(rawValue: 4)
    static let authority = Place(rawValue: 8)
    static let digits = Place(rawValue: 16)
  }

  private let places: UnsafePointer<UInt8>

  private init() {
    let places = UnsafeMutablePointer<UInt8>.allocate(capacity: 256)
    places.initialize(repeating: 0, count: 256)
    let digits = Array("0123456789".utf8)
    let lower = Array("abcdefghijklmnopqrstuvwxyz".utf8)
    let upper = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ".utf8)
    func allow(_ bytes: [UInt8], _ place: Place) { for byte in bytes { places[Int(byte)] |= place.rawValue } }
    allow(digits, .digits)
    allow(digits + lower + Array("-_.".utf8), .name)
    allow(digits + lower + upper + Array("-._:[]".utf8), .authority)
    allow(digits + lower + upper + Array("/-._~".utf8), .path)
    allow(Array(0x20...0x7E), .value)
    self.places = UnsafePointer(places)
  }

  func covers(_ bytes: UnsafeRawBufferPointer, _ place: Place) -> Bool {
    var common: UInt8 = 0xFF
    for byte in bytes { common &= places[Int(byte)] }
    return common & place.rawValue != 0
  }
}
