// Writes HTTP/2 frames (RFC 9113) and HPACK header blocks (RFC 7541), right and wrong. Knows nothing of nghttp2.

/// A frame before it is bytes, so that each part of it can be spoiled.
struct RawFrame {
  enum Kind: UInt8, CaseIterable {
    case data, headers, priority, resetStream, settings, pushPromise, ping, goAway, windowUpdate, continuation
    case altSvc, unknown = 0x42
  }

  static let ack: UInt8 = 1
  static let endStream: UInt8 = 1
  static let endHeaders: UInt8 = 4
  static let padded: UInt8 = 8
  static let priorityFlag: UInt8 = 0x20

  var type: UInt8
  var flags: UInt8
  var stream: UInt32
  var payload: [UInt8]
  /// What the frame says of its length, when that is not the payload's.
  var length: Int?

  init(_ kind: Kind, flags: UInt8 = 0, stream: UInt32 = 0, _ payload: [UInt8] = []) {
    type = kind.rawValue
    self.flags = flags
    self.stream = stream
    self.payload = payload
  }

  func write(to bytes: inout [UInt8]) {
    let length = length ?? payload.count
    bytes.append(UInt8(truncatingIfNeeded: length >> 16))
    bytes.append(UInt8(truncatingIfNeeded: length >> 8))
    bytes.append(UInt8(truncatingIfNeeded: length))
    bytes.append(type)
    bytes.append(flags)
    bytes.putBigEndian(stream)
    bytes.append(contentsOf: payload)
  }
}

extension [UInt8] {
  mutating func putBigEndian(_ value: UInt32) {
    for shift in [24, 16, 8, 0] as [UInt32] { append(UInt8(truncatingIfNeeded: value >> shift)) }
  }

  mutating func putSetting(_ id: UInt16, _ value: UInt32) {
    append(UInt8(id >> 8))
    append(UInt8(truncatingIfNeeded: id))
    putBigEndian(value)
  }

  /// RFC 7541 section 5.1.
  mutating func putHPACKInteger(_ value: Int, prefix: UInt8, pattern: UInt8) {
    let limit = (1 << Int(prefix)) - 1
    guard value >= limit else {
      append(pattern | UInt8(value))
      return
    }
    append(pattern | UInt8(limit))
    var rest = value - limit
    while rest >= 128 {
      append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    append(UInt8(rest))
  }

  mutating func putHPACKString(_ text: some Collection<UInt8>, huffman: Bool = false) {
    putHPACKInteger(text.count, prefix: 7, pattern: huffman ? 0x80 : 0)
    append(contentsOf: text)
  }

  mutating func putHeader(_ name: String, _ value: String, pattern: UInt8 = 0) {
    append(pattern)
    putHPACKString(name.utf8)
    putHPACKString(value.utf8)
  }

  mutating func putIndexed(_ index: Int) { putHPACKInteger(index, prefix: 7, pattern: 0x80) }
}

/// Header blocks of requests, responses and trailers.
enum HeaderBlocks {
  /// Places in HPACK's static table (RFC 7541 appendix A).
  static let methodPOST = 3, schemeHTTP = 6, status200 = 8

  /// Code for "www.example.com", "no-cache" and "custom-value" (RFC 7541 appendix C.4), and three that are no code.
  static let huffman: [[UInt8]] = [
    [0xF1, 0xE3, 0xC2, 0xE5, 0xF2, 0x3A, 0x6B, 0xA0, 0xAB, 0x90, 0xF4, 0xFF], [0xA8, 0xEB, 0x10, 0x64, 0x9C, 0xBF],
    [0x25, 0xA8, 0x49, 0xE9, 0x5B, 0xB8, 0xE8, 0xB4, 0xBF], [0xFF, 0xFF, 0xFF, 0xFF], [0x00], [0xF1],
  ]

  private static let paths = ["/a.B/C", "/grpc.health.v1.Health/Check", "/"]

  static func request(_ generator: inout Generator) -> [UInt8] {
    var block: [UInt8] = []
    if generator.chance(12) { block.putHPACKInteger(generator.below(4097), prefix: 5, pattern: 0x20) }
    block.putIndexed(methodPOST)
    block.putIndexed(schemeHTTP)
    block.putHeader(":path", generator.pick(paths), pattern: pattern(&generator))
    block.putHeader(":authority", "test", pattern: pattern(&generator))
    block.putHeader("content-type", "application/grpc", pattern: pattern(&generator))
    block.putHeader("te", "trailers", pattern: pattern(&generator))
    more(&block, &generator)
    return block
  }

  static func response(_ generator: inout Generator) -> [UInt8] {
    var block: [UInt8] = []
    if generator.chance(10) { block.putHeader(":status", "103") } else { block.putIndexed(status200) }
    block.putHeader("content-type", "application/grpc", pattern: pattern(&generator))
    more(&block, &generator)
    return block
  }

  static func trailers(_ generator: inout Generator) -> [UInt8] {
    var block: [UInt8] = []
    block.putHeader("grpc-status", generator.pick(["0", "13", "-1"]), pattern: pattern(&generator))
    more(&block, &generator)
    return block
  }

  /// Literal without indexing, with indexing, never indexed.
  private static func pattern(_ generator: inout Generator) -> UInt8 { generator.pick([0x00, 0x40, 0x40, 0x10]) }

  private static let names = [
    "x-a", "grpc-timeout", "x-bin", "content-length", "connection", "X-Upper", ":path", "", "cookie",
  ]
  private static let values = ["1", "10S", "AAA=", "0", "99999999999999999999", " spaced ", "\u{0}", "\r\nx: y", "a; b"]

  /// Zero to three fields of which some are not allowed, and now and then what costs a reader much.
  private static func more(_ block: inout [UInt8], _ generator: inout Generator) {
    for _ in 0..<generator.below(4) {
      switch generator.below(24) {
      case 0: block.putIndexed(generator.below(80))
      case 1: block.putIndexed(generator.below(70) + 1)
      case 2:
        block.append(pattern(&generator))
        block.putHPACKString("x-h".utf8)
        block.putHPACKString(generator.pick(huffman), huffman: true)
      case 3 where generator.chance(25): bomb(&block, &generator)
      case 4 where generator.chance(2): block.append(contentsOf: [0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F])
      case 5: block.putHeader(generator.pick(names), generator.pick(values), pattern: pattern(&generator))
      default: block.putHeader("x-k\(generator.below(9))", "value", pattern: pattern(&generator))
      }
    }
  }

  /// One large field in the table, and many references of one byte to it ("HPACK bomb").
  private static func bomb(_ block: inout [UInt8], _ generator: inout Generator) {
    block.putHeader("x-b", String(repeating: "b", count: 1000 + generator.below(3000)), pattern: 0x40)
    for _ in 0..<generator.below(12_000) { block.putIndexed(62) }
  }
}
