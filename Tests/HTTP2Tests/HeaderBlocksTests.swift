// Header blocks that are decoded here and stood in for say to the owner of the streams, and make nghttp2 say to the peer,
// what they would have if nghttp2 had read them, wherever the bytes are cut and whatever is wrong with them.
import CNghttp2
import Testing

@testable import HTTP2

@Suite struct HeaderBlocksTests {
  @Test("calls as clients send them: nghttp2 reads a stand-in of each, and the fields are the same")
  func ordinaryCalls() {
    var conversation = Conversation()
    for number in 0..<20 { conversation.call(Conversation.ordinary(number), number) }
    let listener = Listener(decodes: true)
    let other = Listener(decodes: false)
    var read = 0
    for frame in conversation.frames {
      read += listener.read(frame)
      _ = other.read(frame)
    }
    let plain = other.lines
    #expect(listener.lines == plain)
    #expect(plain.count { $0.contains("authorization: Bearer ") } == 20)
    // All but the first, whose fields of its own are added to the table.
    #expect(listener.standIns == 19)
    #expect(read < conversation.bytes.count - 19 * 250)
  }

  @Test("all that a peer may send, cut anywhere", arguments: 0..<150)
  func anything(seed: UInt64) {
    var random = SplitMix(seed)
    let conversation = Conversation.random(calls: 30, &random)
    let size = [1, 7, 9, 13, 60, 333, 2000, 40_000].randomElement(using: &random) ?? 1
    compare(conversation.bytes, size)
  }

  @Test("what is damaged says to nghttp2 what it would have said anyway", arguments: 0..<400)
  func damaged(seed: UInt64) {
    var random = SplitMix(seed &+ 77)
    var bytes = Conversation.random(calls: 8, &random).bytes
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      let index = Int.random(in: Conversation.prefaceLength..<bytes.count, using: &random)
      bytes[index] = UInt8.random(in: 0...255, using: &random)
    }
    compare(bytes, [37, 400, 100_000].randomElement(using: &random) ?? 37)
  }

  private func compare(_ bytes: [UInt8], _ size: Int) {
    let cuts = Array(stride(from: size, to: bytes.count, by: size))
    let plain = Listener.heard(bytes, cuts: cuts)
    let listener = Listener(decodes: true)
    listener.read(bytes, cuts: cuts)
    #expect(listener.lines == plain)
  }

  @Test("fields that nghttp2 has rules for keep them", arguments: [
    [("connection", "close")], [("te", "gzip")], [("transfer-encoding", "chunked")], [("upgrade", "h2c")],
    [("Upper-Case", "x")], [("na me", "x")], [("x", "a\u{1}b")], [("x", " a ")], [(":path", "/again")], [(":unknown", "x")],
    [("content-length", "5"), ("content-length", "6")], [("content-length", "abc")], [("content-length", "999")],
    [("host", "elsewhere")], [("host", "a b")], [("keep-alive", "1")], [("proxy-connection", "x")], [("priority", "u=1")],
    [("", "empty")], [("x", "")], [("cookie", "a=b")], [("x", "\u{e9}")],
  ] as [[(String, String)]])
  func rules(extra: [(String, String)]) {
    for isIndexed in [true, false] {
      var conversation = Conversation()
      for number in 0..<4 {
        var fields = Conversation.ordinary(number)
        fields += extra.map { Conversation.Field($0.0, $0.1, isIndexed: isIndexed) }
        conversation.call(fields, number)
      }
      compare(conversation.bytes, conversation.bytes.count)
    }
  }

  @Test("requests that lack what HTTP/2 wants of them are refused", arguments: [
    [":method"], [":scheme"], [":path"], [":authority"], [":method", ":scheme", ":path", ":authority"],
  ])
  func incomplete(missing: [String]) {
    var conversation = Conversation()
    for number in 0..<4 {
      conversation.call(Conversation.ordinary(number).filter { !missing.contains($0.name) }, number)
    }
    // In another order, too: all of the request's own fields must come first.
    conversation.call(Conversation.ordinary(4).reversed(), 4)
    compare(conversation.bytes, conversation.bytes.count)
  }

  @Test("a block that names a long field again and again is not unfolded here")
  func bomb() {
    var conversation = Conversation()
    conversation.call(Conversation.ordinary(0) + [Conversation.Field("x", String(repeating: "b", count: 3000))], 0)
    // The newest entry of the table, 10,000 times.
    conversation.frame(type: 1, flags: 4, stream: 3, [0x83, 0x86, 0x84] + [UInt8](repeating: 0xBE, count: 10_000))
    let listener = Listener(decodes: true)
    var blocks = HeaderBlocks(prefaceLength: Conversation.prefaceLength)
    conversation.bytes.withUnsafeBytes { #expect(blocks.rewrite($0, limit: Listener.limit).count == $0.count) }
    #expect(blocks.capacityInBytes < 100_000)
    listener.read(conversation.bytes, cuts: [])
    #expect(listener.standIns == 0)
  }

  @Test("every string comes out of the Huffman code as nghttp2 has it", arguments: 0..<60)
  func strings(seed: UInt64) throws {
    var random = SplitMix(seed)
    for _ in 0..<50 {
      let range: ClosedRange<UInt8> = Bool.random(using: &random) ? 0x20...0x7E : 0...255
      let text = (0..<Int.random(in: 0...80, using: &random)).map { _ in UInt8.random(in: range, using: &random) }
      let coded = try #require(Conversation.huffman(text))
      let room = UnsafeMutableRawBufferPointer.allocate(byteCount: HuffmanCode.maxDecoded(coded.count), alignment: 1)
      defer { room.deallocate() }
      let start = try #require(room.baseAddress)
      let count = coded.withUnsafeBytes { HuffmanCode.shared.decode($0, to: start) }
      #expect(count.map { Array(room[0..<$0]) } == text)
    }
  }
}

/// A client's side of one connection, by nghttp2's own encoder.
private final class Encoder {
  private let deflater: OpaquePointer?

  init() {
    var made: OpaquePointer?
    nghttp2_hd_deflate_new(&made, 4096)
    deflater = made
  }

  deinit { nghttp2_hd_deflate_del(deflater) }

  func resize(_ size: Int) { nghttp2_hd_deflate_change_table_size(deflater, size) }

  func encode(_ fields: [Conversation.Field]) -> [UInt8] {
    var bytes = fields.map { (Array($0.name.utf8), $0.value) }
    var block = [UInt8](repeating: 0, count: 1 << 17)
    var pairs: [nghttp2_nv] = []
    var storage: [UnsafeMutableBufferPointer<UInt8>] = []
    defer { for buffer in storage { buffer.deallocate() } }
    for (index, (name, value)) in bytes.enumerated() {
      let buffer = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: name.count + value.count + 1)
      _ = buffer.initialize(from: name + value)
      storage.append(buffer)
      let flags = fields[index].isIndexed ? NGHTTP2_NV_FLAG_NONE : NGHTTP2_NV_FLAG_NO_INDEX
      pairs.append(
        nghttp2_nv(
          name: buffer.baseAddress, value: buffer.baseAddress.map { $0 + name.count }, namelen: name.count,
          valuelen: value.count, flags: UInt8(flags.rawValue)))
    }
    bytes = []
    let count = nghttp2_hd_deflate_hd(deflater, &block, block.count, pairs, pairs.count)
    return Array(block.prefix(max(0, count)))
  }
}

private struct Conversation {
  struct Field {
    var name: String
    var value: [UInt8]
    var isIndexed = true

    init(_ name: String, _ value: String, isIndexed: Bool = true) {
      self.init(name, bytes: Array(value.utf8), isIndexed: isIndexed)
    }

    init(_ name: String, bytes: [UInt8], isIndexed: Bool = true) {
      self.name = name
      value = bytes
      self.isIndexed = isIndexed
    }
  }

  static let token = "Bearer " + (0..<300).map { "\(Character(UnicodeScalar(UInt8(97 + $0 * 7 % 26))))" }.joined()
  static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
  static let prefaceLength = preface.count

  private(set) var frames: [[UInt8]] = [preface + [0, 0, 0, 4, 0, 0, 0, 0, 0]]
  private let encoder = Encoder()
  var bytes: [UInt8] { frames.flatMap { $0 } }

  /// A gRPC call whose deadline and trace differ from those before.
  static func ordinary(_ number: Int) -> [Field] {
    [
      Field(":method", "POST"), Field(":scheme", "http"), Field(":path", "/bench.Echo/Say", isIndexed: false),
      Field(":authority", "localhost:7001"), Field("content-type", "application/grpc"), Field("te", "trailers"),
      Field("grpc-timeout", "\(900_000 + number)u", isIndexed: false), Field("content-length", "5"),
      Field("authorization", token),
      Field("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920\(1000 + number)-01", isIndexed: false),
    ]
  }

  mutating func call(_ fields: [Field], _ number: Int) {
    frame(type: 1, flags: 4, stream: 2 * number + 1, encoder.encode(fields))
    frame(type: 0, flags: 1, stream: 2 * number + 1, [0, 0, 0, 0, 0])
  }

  mutating func frame(type: UInt8, flags: UInt8, stream: Int, _ payload: [UInt8]) {
    let count = payload.count
    frames.append(
      [UInt8(count >> 16), UInt8(count >> 8 & 255), UInt8(count & 255), type, flags, 0, 0, UInt8(stream >> 8 & 255), UInt8(stream & 255)]
        + payload)
  }

  /// A string's Huffman code, out of a field that nghttp2 encodes. It codes only what becomes shorter by it, so zeros follow,
  /// which have the shortest code.
  static func huffman(_ text: [UInt8]) -> [UInt8]? {
    let padded = text + [UInt8](repeating: UInt8(ascii: "0"), count: 10 * text.count + 8)
    let block = Encoder().encode([Field("x", bytes: padded, isIndexed: false)])
    // "Never indexed", the name in plain, and then the value.
    guard block.count > 3, block[0] == 0x10, block[1] == 1 else { return nil }
    var position = 3
    let isHuffman = block[position] & 0x80 != 0
    var length = Int(block[position] & 0x7F)
    position += 1
    if length == 0x7F {
      var shift = 0
      while true {
        let byte = Int(block[position])
        position += 1
        length += (byte & 0x7F) << shift
        shift += 7
        if byte & 0x80 == 0 { break }
      }
    }
    guard isHuffman, position + length == block.count else { return nil }
    return cut(Array(block[position...]), symbols: padded.count - text.count)
  }

  /// Takes so many trailing zeros (five bits each) off a code and pads it anew.
  private static func cut(_ coded: [UInt8], symbols: Int) -> [UInt8]? {
    var bits = coded.flatMap { byte in (0..<8).map { byte >> (7 - $0) & 1 } }
    // The padding is shorter than a byte and all ones; before it stand the zeros.
    while bits.last == 1 { bits.removeLast() }
    guard bits.count >= 5 * symbols else { return nil }
    bits.removeLast(5 * symbols)
    while bits.count % 8 != 0 { bits.append(1) }
    return stride(from: 0, to: bits.count, by: 8).map { start in bits[start..<start + 8].reduce(0) { $0 << 1 | $1 } }
  }

  // MARK: All that a peer may send

  static func random(calls: Int, _ random: inout SplitMix) -> Conversation {
    var conversation = Conversation()
    let tokens = (0..<10).map { "Bearer \($0) " + token }
    for number in 0..<calls {
      let stream = 2 * number + 1
      if chance(12, &random) {
        conversation.encoder.resize([0, 100, 500, 4096].randomElement(using: &random) ?? 0)
      }
      var fields = chance(10, &random) ? oddRequest(&random) : ordinary(number)
      if chance(2, &random) {
        fields.append(Field("x-\(Int.random(in: 0..<40, using: &random))", text(&random), isIndexed: Bool.random(using: &random)))
      }
      if chance(3, &random) { fields.append(Field("authorization", tokens.randomElement(using: &random) ?? "")) }
      if chance(8, &random) {
        fields.append(Field("x-bin", bytes: (0..<20).map { _ in UInt8.random(in: 0...255, using: &random) }))
      }
      if chance(8, &random) { fields.append(oddField(&random)) }
      if chance(20, &random) { fields.shuffle(using: &random) }
      if chance(25, &random) { fields.append(Field("filler", String(repeating: "~", count: 14_000), isIndexed: false)) }
      conversation.send(fields, stream, &random)
      if chance(6, &random) { conversation.frame(type: 6, flags: 0, stream: 0, [UInt8](repeating: 7, count: 8)) }
      if chance(6, &random) {
        // Trailers, and sometimes a second request on the same stream.
        let trailers = chance(4, &random) ? ordinary(number) : [Field("x-trailer", text(&random))]
        conversation.frame(type: 0, flags: 0, stream: stream, [0, 0, 0, 0, 0])
        conversation.frame(type: 1, flags: 5, stream: stream, conversation.encoder.encode(trailers))
      } else {
        conversation.frame(type: 0, flags: 1, stream: stream, [UInt8](repeating: 0, count: chance(9, &random) ? 6 : 5))
      }
    }
    return conversation
  }

  private static func chance(_ oneIn: Int, _ random: inout SplitMix) -> Bool { Int.random(in: 0..<oneIn, using: &random) == 0 }

  private static func text(_ random: inout SplitMix) -> String {
    String((0..<Int.random(in: 0...60, using: &random)).map { _ in Character(UnicodeScalar(UInt8.random(in: 0x21...0x7E, using: &random))) })
  }

  private static func oddRequest(_ random: inout SplitMix) -> [Field] {
    [
      Field(":method", ["GET", "HEAD", "POST", "CONNECT", "OPTIONS", "po st"].randomElement(using: &random) ?? ""),
      Field(":scheme", ["http", "https", "ftp", ""].randomElement(using: &random) ?? ""),
      Field(":path", ["/", "*", "/a b", "", "/?q=1#x", "/index.html"].randomElement(using: &random) ?? ""),
      Field(":authority", ["localhost", "", "a@b", "[::1]:7"].randomElement(using: &random) ?? ""),
    ]
  }

  private static func oddField(_ random: inout SplitMix) -> Field {
    let name = ["connection", "te", "host", "content-length", "Upper", "a b", ":path", ":status", "priority", ""]
      .randomElement(using: &random) ?? ""
    return Field(name, ["5", "trailers", "x", "", " s "].randomElement(using: &random) ?? "", isIndexed: Bool.random(using: &random))
  }

  /// One header block in one of the forms that RFC 9113 section 6.2 allows.
  private mutating func send(_ fields: [Field], _ stream: Int, _ random: inout SplitMix) {
    let block = encoder.encode(fields)
    switch Int.random(in: 0..<8, using: &random) {
    case 0:
      let padding = Int.random(in: 0...20, using: &random)
      frame(type: 1, flags: 4 | 8, stream: stream, [UInt8(padding)] + block + [UInt8](repeating: 0, count: padding))
    case 1: frame(type: 1, flags: 4 | 0x20, stream: stream, [0, 0, 0, 0, 15] + block)
    case 2:
      let cut = Int.random(in: 0...block.count, using: &random)
      let again = Int.random(in: cut...block.count, using: &random)
      frame(type: 1, flags: 0, stream: stream, Array(block[..<cut]))
      frame(type: 9, flags: 0, stream: stream, Array(block[cut..<again]))
      frame(type: 9, flags: 4, stream: stream, Array(block[again...]))
    default: frame(type: 1, flags: 4, stream: stream, block)
    }
  }
}

/// A server's nghttp2 that writes down all it hears, and all it has to say to that.
private final class Listener {
  static let limit = 16 << 10

  private(set) var lines: [String] = []
  /// Header blocks that were decoded before nghttp2 saw them.
  private(set) var standIns = 0
  private let decodes: Bool
  private var blocks = HeaderBlocks(prefaceLength: Conversation.prefaceLength)
  private var session: OpaquePointer?
  private var fields: [String] = []
  private var decoded: HTTP2Headers?
  private var hasEnded = false

  static func heard(_ bytes: [UInt8], cuts: [Int]) -> [String] {
    let listener = Listener(decodes: false)
    listener.read(bytes, cuts: cuts)
    return listener.lines
  }

  init(decodes: Bool) {
    self.decodes = decodes
    var callbacks: OpaquePointer?
    nghttp2_session_callbacks_new(&callbacks)
    defer { nghttp2_session_callbacks_del(callbacks) }
    Self.listen(callbacks)
    var option: OpaquePointer?
    nghttp2_option_new(&option)
    defer { nghttp2_option_del(option) }
    nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, 1)
    nghttp2_session_server_new2(&session, callbacks, Unmanaged.passUnretained(self).toOpaque(), option)
    nghttp2_submit_settings(session, 0, nil, 0)
  }

  deinit { nghttp2_session_del(session) }

  func read(_ bytes: [UInt8], cuts: [Int]) {
    var start = 0
    for end in cuts + [bytes.count] {
      _ = read(Array(bytes[start..<end]))
      start = end
    }
  }

  /// - Returns: how many bytes nghttp2 got.
  func read(_ bytes: [UInt8]) -> Int {
    guard !hasEnded else { return 0 }
    let count = bytes.withUnsafeBytes { all in
      let given = decodes ? blocks.rewrite(all, limit: Self.limit) : all
      let result = nghttp2_session_mem_recv(session, given.bindMemory(to: UInt8.self).baseAddress, given.count)
      if result < 0 {
        lines.append("ended with \(result)")
        hasEnded = true
      }
      return given.count
    }
    blocks.release(above: 1024)
    var said: [UInt8] = []
    while true {
      var out: UnsafePointer<UInt8>?
      let count = nghttp2_session_mem_send(session, &out)
      guard count > 0 else { break }
      said += UnsafeBufferPointer(start: out, count: count)
    }
    if !said.isEmpty { lines.append("said \(said)") }
    return count
  }

  private static func with(_ data: UnsafeMutableRawPointer?, _ body: (Listener) -> Void) -> Int32 {
    if let data { Unmanaged<Listener>.fromOpaque(data)._withUnsafeGuaranteedRef(body) }
    return 0
  }

  private static func listen(_ callbacks: OpaquePointer?) {
    nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks) { _, header, data in
      Listener.with(data) { me in
        guard me.decodes, let header, header.pointee.type == NGHTTP2_HEADERS.rawValue else { return }
        switch me.blocks.began(header.pointee.stream_id) {
        case .nghttp2: me.decoded = nil
        case .here(let headers):
          me.decoded = headers
          me.standIns += 1
        case .lost: me.lines.append("lost")
        }
      }
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, _, data in
      Listener.with(data) { $0.fields = [] }
    }
    nghttp2_session_callbacks_set_on_header_callback(callbacks) { _, _, name, nameLength, value, valueLength, _, data in
      Listener.with(data) { me in
        let name = UnsafeBufferPointer(start: name, count: nameLength)
        me.note(UnsafeRawBufferPointer(name), UnsafeRawBufferPointer(start: value, count: valueLength))
      }
    }
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, id, _, count, data in
      Listener.with(data) { $0.lines.append("data \(id) \(count)") }
    }
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, data in
      Listener.with(data) { me in
        guard let header = frame?.pointee.hd else { return }
        if header.type == NGHTTP2_HEADERS.rawValue, let decoded = me.decoded.take() {
          me.fields = []
          decoded.forEachField { me.note($0, $1) }
        }
        let fields = header.type == NGHTTP2_HEADERS.rawValue ? me.fields.joined(separator: "; ") : ""
        me.lines.append("frame \(header.type) \(header.flags) \(header.stream_id) \(fields)")
      }
    }
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks) { _, frame, error, data in
      Listener.with(data) { $0.lines.append("invalid \(frame?.pointee.hd.stream_id ?? -1) \(error)") }
    }
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, id, code, data in
      Listener.with(data) { $0.lines.append("closed \(id) \(code)") }
    }
  }

  private func note(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    guard decoded == nil else { return }
    let text = String(decoding: name, as: UTF8.self)
    fields.append(text + ": " + (value.allSatisfy { $0 >= 0x20 && $0 < 0x7F } ? String(decoding: value, as: UTF8.self) : "\(Array(value))"))
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
