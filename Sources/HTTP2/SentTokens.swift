// The access token that a client sends with each request. HPACK never indexes it (RFC 7541 section 7.1.3), so nghttp2 would
// count and code each of its bytes anew each time, which is a sixth of all work of a small call. A token that a connection
// has sent before is therefore submitted as a short stand-in, and in its header block, as nghttp2 gives it out, the token's
// code takes the stand-in's place. The code is the one that nghttp2 made of it the first time.
import CNghttp2

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

struct SentTokens: ~Copyable {
  /// Shorter ones are coded as fast as they are found.
  static let minLength = 64
  /// Longer ones are not remembered.
  static let maxLength = 2048
  /// Tokens that are remembered.
  static let capacity = 4
  /// Header blocks of more bytes may come out in several frames and are left alone.
  static let maxBlock = 8 << 10

  private struct Token {
    var plain: [UInt8]
    /// The literal to send, with its length.
    var coded: [UInt8]
  }

  private var known: [Token] = []
  private var nextToReplace = 0
  private var coming = Recurrence()
  /// Stand-ins that were submitted and have not come out.
  private var underWay = 0
  /// A stand-in is this and then which token it stands for. Nobody can guess it, so nobody can send one.
  private let standIns: UnsafeMutablePointer<UInt8>

  private static let markLength = 31
  /// Letters of eight bits in the Huffman code, so that nghttp2 leaves them as they are.
  private static let letters = Array("XZ&*,;".utf8)

  init() {
    standIns = .allocate(capacity: Self.capacity * (Self.markLength + 1))
    let mark = (0..<Self.markLength).map { _ in Self.letters.randomElement() ?? Self.letters[0] }
    for index in 0..<Self.capacity {
      let start = standIns + index * (Self.markLength + 1)
      start.initialize(from: mark, count: mark.count)
      (start + Self.markLength).initialize(to: Self.letters[index])
    }
  }

  deinit { standIns.deallocate() }

  /// How a request's field is to be submitted.
  /// - Parameter blockSize: bytes of all its fields.
  mutating func prepare(_ field: inout nghttp2_nv, blockSize: Int) {
    let name = UnsafeRawBufferPointer(start: field.name, count: field.namelen)
    switch field.namelen {
    case 11, 12:
      // They differ from call to call: in HPACK's table they would only push out what comes again.
      if HTTP2Headers.equal(name, "traceparent") || HTTP2Headers.equal(name, "grpc-timeout") {
        field.flags |= UInt8(NGHTTP2_NV_FLAG_NO_INDEX.rawValue)
      }
    case 13:
      guard blockSize <= Self.maxBlock, let value = field.value, HTTP2Headers.equal(name, "authorization") else { return }
      for index in known.indices where known[index].plain.count == field.valuelen {
        guard memcmp(known[index].plain, value, field.valuelen) == 0 else { continue }
        field.value = standIns + index * (Self.markLength + 1)
        field.valuelen = Self.markLength + 1
        underWay += 1
        return
      }
    default: break
    }
  }

  /// Appends what nghttp2 gave out to `output`, with tokens in place of their stand-ins.
  mutating func append(_ bytes: UnsafeRawBufferPointer, to output: inout ByteQueue) {
    guard let value = authorization(in: bytes) else { return output.append(bytes) }
    let text = UnsafeRawBufferPointer(rebasing: bytes[value.text.range])
    guard let index = standIn(text) else {
      learn(text, value.text.isHuffman)
      return output.append(bytes)
    }
    underWay -= 1
    let frame = output.count
    output.append(UnsafeRawBufferPointer(rebasing: bytes[..<value.start]))
    known[index].coded.withUnsafeBytes { output.append($0) }
    output.append(UnsafeRawBufferPointer(rebasing: bytes[value.text.range.upperBound...]))
    FrameHeader.setPayloadLength(of: &output, at: frame)
  }

  /// `authorization` in the static table (RFC 7541 appendix A).
  private static let authorization = 23

  /// The value of that field in a HEADERS frame with a whole block, where its literal begins and its bytes.
  private func authorization(in bytes: UnsafeRawBufferPointer) -> (start: Int, text: BlockReader.Text)? {
    let header = FrameHeader.size
    guard bytes.count > header, bytes[3] == NGHTTP2_HEADERS.rawValue,
      UInt32(bytes[4]) & ~(NGHTTP2_FLAG_END_STREAM.rawValue) == NGHTTP2_FLAG_END_HEADERS.rawValue,
      bytes.count == header + FrameHeader.payloadLength(bytes, at: 0)
    else { return nil }
    var reader = BlockReader(bytes, header..<bytes.count)
    while true {
      if reader.nextIndex() != nil { continue }
      let start = reader.position
      guard let next = reader.next() else { return nil }
      // Behind the field's index, which takes two bytes.
      if next.kind == .literal, next.index == Self.authorization { return (start + 2, next.value) }
    }
  }

  private func standIn(_ text: UnsafeRawBufferPointer) -> Int? {
    guard text.count == Self.markLength + 1, let start = text.baseAddress, memcmp(start, standIns, Self.markLength) == 0
    else { return nil }
    return known.indices.first { Self.letters[$0] == text[Self.markLength] }
  }

  private mutating func learn(_ text: UnsafeRawBufferPointer, _ isHuffman: Bool) {
    guard isHuffman, text.count >= Self.minLength / 2, text.count <= Self.maxLength, coming.hasSeen(text) else { return }
    let plain = [UInt8](unsafeUninitializedCapacity: HuffmanCode.maxDecoded(text.count)) { room, count in
      count = room.baseAddress.flatMap { HuffmanCode.shared.decode(text, to: UnsafeMutableRawPointer($0)) } ?? 0
    }
    guard plain.count >= Self.minLength, plain.count <= Self.maxLength else { return }
    // Requests that were on their way when it was learnt carry it in full.
    guard !known.contains(where: { $0.plain == plain }) else { return }
    let token = Token(plain: plain, coded: Self.length(text.count) + text)
    if known.count < Self.capacity { known.append(token) } else { replace(with: token) }
  }

  /// While a stand-in is under way its token must stay.
  private mutating func replace(with token: Token) {
    guard underWay == 0 else { return }
    known[nextToReplace] = token
    nextToReplace = (nextToReplace + 1) % Self.capacity
  }

  /// No stream is open: the stand-ins of requests that were withdrawn before they left will not come out any more.
  mutating func nothingIsUnderWay() { underWay = 0 }

  /// A string's length with the bit that says that it is coded (RFC 7541 sections 5.1 and 5.2).
  private static func length(_ count: Int) -> [UInt8] {
    guard count >= 0x7F else { return [0x80 | UInt8(count)] }
    var bytes: [UInt8] = [0xFF]
    var rest = count - 0x7F
    while rest >= 0x80 {
      bytes.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }
}
