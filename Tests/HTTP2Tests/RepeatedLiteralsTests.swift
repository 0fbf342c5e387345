// A block with its repeated values swapped says what the block itself said, wherever the bytes are cut.
import CNghttp2
import Testing

@testable import HTTP2

@Suite struct RepeatedLiteralsTests {
  @Test("a token that comes again is not sent to be decoded again, and every block still says the same")
  func sameFields() {
    let stream = Conversation(requests: 6, token: Conversation.token)
    var literals = RepeatedLiterals(prefaceLength: 0)
    var reader = Reader()
    for (number, frame) in stream.frames.enumerated() {
      frame.withUnsafeBytes { bytes in
        let rewritten = literals.rewrite(bytes)
        // The first request comes as it was: only what comes twice is learnt.
        #expect(number % 2 == 1 || number == 0 ? Array(rewritten) == frame : rewritten.count < frame.count - 150)
        reader.read(rewritten, literals)
      }
    }
    #expect(reader.lines == Reader.lines(of: stream.bytes))
  }

  @Test("bytes may be cut anywhere, the preface and other frames between", arguments: [1, 2, 3, 7, 8, 9, 10, 50, 100, 333, 1000])
  func anyCut(size: Int) {
    let stream = Conversation(requests: 8, token: Conversation.token, padding: 200)
    let preface = [UInt8](repeating: 0x50, count: 24)
    let all = preface + stream.bytes
    var literals = RepeatedLiterals(prefaceLength: preface.count)
    var reader = Reader(skipping: preface.count)
    var start = 0
    while start < all.count {
      let piece = Array(all[start..<min(start + size, all.count)])
      piece.withUnsafeBytes { reader.read(literals.rewrite($0), literals) }
      start += size
    }
    #expect(reader.lines == Reader.lines(of: stream.bytes))
  }

  @Test("all in one read: frames without repeated values keep their place between those with them")
  func oneRead() {
    let stream = Conversation(requests: 20, token: Conversation.token, padding: 100)
    var literals = RepeatedLiterals(prefaceLength: 0)
    var reader = Reader()
    stream.bytes.withUnsafeBytes { reader.read(literals.rewrite($0), literals) }
    #expect(reader.lines == Reader.lines(of: stream.bytes))
  }

  @Test("blocks that are damaged say to nghttp2 what they would have said anyway", arguments: 0..<300)
  func malformed(seed: UInt64) {
    var random = SplitMix(seed)
    var literals = RepeatedLiterals(prefaceLength: 0)
    let whole = Conversation(requests: 3, token: Conversation.token, padding: 60)
    var reader = Reader()
    var plain = Reader()
    whole.bytes.withUnsafeBytes {
      plain.read($0)
      reader.read(literals.rewrite($0), literals)
    }
    var frame = whole.frames[2]
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      frame[Int.random(in: 9..<frame.count, using: &random)] = UInt8.random(in: 0...255, using: &random)
    }
    frame.withUnsafeBytes {
      plain.read($0)
      reader.read(literals.rewrite($0), literals)
    }
    #expect(reader.lines == plain.lines)
  }

  @Test("a value whose plain form would make the frame too long passes as it is")
  func tooLong() {
    let stream = Conversation(requests: 4, token: "Basic short", padding: 1900, filler: 14_600)
    var literals = RepeatedLiterals(prefaceLength: 0)
    for frame in stream.frames { frame.withUnsafeBytes { #expect(Array(literals.rewrite($0)) == frame) } }
  }

  @Test("many different tokens, in one read and in many: each request keeps its own")
  func manyTokens() {
    let tokens = (0..<20).map { "Bearer \($0) " + Conversation.token }
    var mixed = Conversation(requests: 0, token: "")
    mixed.send(tokens.flatMap { [$0, $0, $0] } + tokens + tokens.reversed() + tokens.flatMap { [tokens[0], $0, tokens[3]] })
    for size in [mixed.bytes.count, 2000, 700] {
      var literals = RepeatedLiterals(prefaceLength: 0)
      var reader = Reader()
      for start in stride(from: 0, to: mixed.bytes.count, by: size) {
        Array(mixed.bytes[start..<min(start + size, mixed.bytes.count)]).withUnsafeBytes {
          reader.read(literals.rewrite($0), literals)
        }
      }
      #expect(reader.lines == Reader.lines(of: mixed.bytes))
    }
  }

  @Test("a token with bytes that no field may have is refused by nghttp2 each time it comes")
  func invalidToken() {
    let stream = Conversation(requests: 4, token: Conversation.token + "\u{1}" + Conversation.token)
    var literals = RepeatedLiterals(prefaceLength: 0)
    var reader = Reader()
    for frame in stream.frames { frame.withUnsafeBytes { reader.read(literals.rewrite($0)) } }
    #expect(reader.lines == Reader.lines(of: stream.bytes))
  }
}

/// HEADERS frames of one connection as nghttp2 itself would send them, with DATA frames between.
private struct Conversation {
  static let token = "Bearer " + (0..<300).map { "\(Character(UnicodeScalar(UInt8(97 + $0 * 7 % 26))))" }.joined()
  var frames: [[UInt8]] = []
  var bytes: [UInt8] { frames.flatMap { $0 } }

  /// - Parameters:
  ///   - padding: bytes of a long value that is no token and is not indexed either.
  ///   - filler: bytes of a value that Huffman coding does not shorten.
  init(requests: Int, token: String, padding: Int = 0, filler: Int = 0) {
    send(Array(repeating: token, count: requests), padding: padding, filler: filler)
  }

  mutating func send(_ tokens: [String], padding: Int = 0, filler: Int = 0) {
    var deflater: OpaquePointer?
    nghttp2_hd_deflate_new(&deflater, 4096)
    defer { nghttp2_hd_deflate_del(deflater) }
    for (number, token) in tokens.enumerated() {
      var headers: HTTP2Headers = [
        ":method": "POST", ":scheme": "http", ":path": "/bench.Echo/Say", ":authority": "localhost",
        "content-type": "application/grpc", "te": "trailers", "grpc-timeout": "\(900_000 + number)u",
      ]
      headers.add("authorization", token)
      headers.add("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920\(1000 + number)-01")
      // nghttp2 indexes no location.
      if padding > 0 { headers.add("location", String(repeating: "a", count: padding)) }
      if filler > 0 { headers.add("etag", String(repeating: "~", count: filler)) }
      let block = headers.withNameValues { fields in
        var block = [UInt8](repeating: 0, count: 1 << 16)
        let count = block.withUnsafeMutableBufferPointer {
          nghttp2_hd_deflate_hd(deflater, $0.baseAddress, $0.count, fields.baseAddress, fields.count)
        }
        return Array(block.prefix(count))
      }
      frames.append(Self.frame(type: 1, flags: 4, stream: 2 * number + 1, block))
      frames.append(Self.frame(type: 0, flags: 1, stream: 2 * number + 1, [UInt8](repeating: 1, count: 30 + number)))
    }
    precondition(frames.allSatisfy { $0.count <= 16_384 + 9 }, "the test's own frames must be legal")
  }

  static func frame(type: UInt8, flags: UInt8, stream: Int, _ payload: [UInt8]) -> [UInt8] {
    let count = payload.count
    return [UInt8(count >> 16), UInt8(count >> 8 & 255), UInt8(count & 255), type, flags, 0, 0, UInt8(stream >> 8), UInt8(stream & 255)]
      + payload
  }
}

/// Reads frames as nghttp2 reads them, and tells what they carry: each block's fields, and each other frame as it is.
private struct Reader: ~Copyable {
  private let inflater: OpaquePointer?
  private var rest: [UInt8] = []
  private var skipped: Int
  private(set) var lines: [String] = []

  init(skipping: Int = 0) {
    var made: OpaquePointer?
    nghttp2_hd_inflate_new(&made)
    inflater = made
    skipped = skipping
  }

  deinit { nghttp2_hd_inflate_del(inflater) }

  static func lines(of bytes: [UInt8]) -> [String] {
    var reader = Reader()
    bytes.withUnsafeBytes { reader.read($0) }
    return reader.lines
  }

  mutating func read(_ bytes: UnsafeRawBufferPointer) { read(bytes, RepeatedLiterals(prefaceLength: 0)) }

  mutating func read(_ bytes: UnsafeRawBufferPointer, _ literals: borrowing RepeatedLiterals) {
    let skip = min(skipped, bytes.count)
    skipped -= skip
    rest += bytes.dropFirst(skip)
    while rest.count >= 9 {
      let end = 9 + (Int(rest[0]) << 16 | Int(rest[1]) << 8 | Int(rest[2]))
      guard rest.count >= end else { return }
      let payload = Array(rest[9..<end])
      if rest[3] == 1 { inflate(payload, literals) } else { lines.append("\(rest[3]) \(payload)") }
      rest.removeFirst(end)
    }
  }

  private mutating func inflate(_ block: [UInt8], _ literals: borrowing RepeatedLiterals) {
    var offset = 0
    while true {
      var field = nghttp2_nv()
      var flags: Int32 = 0
      let count = block.withUnsafeBufferPointer {
        nghttp2_hd_inflate_hd2(inflater, &field, &flags, $0.baseAddress.map { $0 + offset }, $0.count - offset, 1)
      }
      guard count >= 0 else { return lines.append("error \(count)") }
      offset += count
      if flags & Int32(NGHTTP2_HD_INFLATE_EMIT.rawValue) != 0 {
        let name = [UInt8](UnsafeBufferPointer(start: field.name, count: field.namelen))
        let value = literals.original(UnsafeRawBufferPointer(start: field.value, count: field.valuelen)) { [UInt8]($0) }
        let isAllowed = nghttp2_check_header_value(value, value.count) != 0
        lines.append("\(name) = \(value), flags \(field.flags), \(isAllowed)")
      }
      if flags & Int32(NGHTTP2_HD_INFLATE_FINAL.rawValue) != 0 {
        nghttp2_hd_inflate_end_headers(inflater)
        return
      }
    }
  }
}

private struct SplitMix: RandomNumberGenerator {
  private var state: UInt64
  init(_ seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var value = state
    value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
    value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
    return value ^ value >> 31
  }
}
