// The long header values that a caller sends with every request, above all its access token. HPACK never indexes them
// (RFC 7541 section 7.1.3), so they come Huffman-coded each time, and decoding one costs more than all the rest of reading a
// request. A value that a connection has sent before is therefore swapped for its plain form, which means the same (section
// 5.2), before nghttp2 reads the block. An access token goes further: a short stand-in takes its place, so that nghttp2 does
// not look at each of its bytes again either, and the token itself is put back as the field comes out. What is unusual in any
// way passes as it is: nghttp2 alone decides what is right.
import CNghttp2

struct RepeatedLiterals: ~Copyable {
  /// Shorter ones are decoded as fast as they are found.
  static let minLength = 32
  /// Longer ones are not remembered.
  static let maxLength = 2048
  /// Values that are remembered.
  static let capacity = 4
  /// Values whose first coming is remembered, by hash: only what comes twice is worth learning.
  static let candidates = 8

  private struct Literal {
    /// As it comes, without its length.
    var coded: [UInt8]
    /// The literal to send instead, with its length.
    var plain: [UInt8]
    /// Where the value begins in `plain`.
    var valueStart: Int
    /// nghttp2 would take it as the value of a field that has no rules of its own.
    var isValid: Bool
    /// It stands in bytes that nghttp2 has yet to read, so it must stay.
    var isInUse: Bool
  }

  private var known: [Literal] = []
  private var nextToReplace = 0
  private var seen: [UInt64] = []
  private var nextSeen = 0

  /// Bytes of the current frame, or of the client's preface, that pass unread.
  private var passing: Int
  /// The start of a frame's header whose rest has yet to come.
  private var openHeader: [UInt8] = []
  private var output = ByteQueue()
  /// A stand-in is this and then which literal it stands for. Nobody can guess it, so nobody can send one.
  private let standInMark: [UInt8]

  init(prefaceLength: Int) {
    passing = prefaceLength
    standInMark = (0..<Self.markLength).map { _ in UInt8.random(in: UInt8(ascii: "a")...UInt8(ascii: "z")) }
  }

  private static let markLength = 31

  /// The same bytes, or others that mean the same, valid until the next call. Of a value that nghttp2 then reads, `original`
  /// tells what it stands for.
  mutating func rewrite(_ bytes: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    output.clear()
    for index in known.indices { known[index].isInUse = false }
    var position = 0
    /// Up to here everything is in `output`, if anything is.
    var copied = 0
    while position < bytes.count {
      if passing > 0 {
        let count = min(passing, bytes.count - position)
        passing -= count
        position += count
        continue
      }
      if !openHeader.isEmpty || bytes.count - position < Self.frameHeader {
        let count = min(Self.frameHeader - openHeader.count, bytes.count - position)
        openHeader.append(contentsOf: bytes[position..<position + count])
        position += count
        guard openHeader.count == Self.frameHeader else { break }
        passing = openHeader.withUnsafeBytes { Self.length($0, at: 0) }
        openHeader.removeAll(keepingCapacity: true)
        continue
      }
      let end = position + Self.frameHeader + Self.length(bytes, at: position)
      if Self.isWholeBlock(bytes, at: position), end <= bytes.count,
        rewriteBlock(bytes, position..<end, copied: copied)
      {
        copied = end
      }
      passing = max(0, end - bytes.count)
      position = min(end, bytes.count)
    }
    if copied == 0 { return bytes }
    output.append(UnsafeRawBufferPointer(rebasing: bytes[copied...]))
    return output.readable
  }

  /// Gives back what the next read is not likely to need. What `rewrite` returned is gone.
  mutating func release(above capacity: Int) { output.clear(keeping: capacity) }

  // MARK: Frames (RFC 9113 section 4.1)

  private static let frameHeader = 9
  /// What every peer may send (RFC 9113 section 4.2); we allow no more.
  private static let maxFrame = 16_384
  private static let priorityLength = 5

  private static func length(_ bytes: UnsafeRawBufferPointer, at start: Int) -> Int {
    Int(bytes[start]) << 16 | Int(bytes[start + 1]) << 8 | Int(bytes[start + 2])
  }

  /// A HEADERS frame that holds its block to the end, without padding.
  private static func isWholeBlock(_ bytes: UnsafeRawBufferPointer, at start: Int) -> Bool {
    guard bytes[start + 3] == NGHTTP2_HEADERS.rawValue else { return false }
    let flags = UInt32(bytes[start + 4])
    return flags & NGHTTP2_FLAG_END_HEADERS.rawValue != 0 && flags & NGHTTP2_FLAG_PADDED.rawValue == 0
  }

  /// Writes the frame with its repeated literals in plain form to `output`, after what comes before it in `bytes`. False, and
  /// nothing written, if it has none.
  private mutating func rewriteBlock(_ bytes: UnsafeRawBufferPointer, _ frame: Range<Int>, copied: Int) -> Bool {
    let mark = output.count
    let isPrioritised = UInt32(bytes[frame.lowerBound + 4]) & NGHTTP2_FLAG_PRIORITY.rawValue != 0
    var block = BlockReader(
      bytes, from: frame.lowerBound + Self.frameHeader + (isPrioritised ? Self.priorityLength : 0), to: frame.upperBound)
    var copied = copied
    var header = 0
    while let literal = block.nextHuffmanValue(minLength: Self.minLength, maxLength: Self.maxLength) {
      guard let index = find(UnsafeRawBufferPointer(rebasing: bytes[literal.range])) else { continue }
      if output.count == mark { header = mark + frame.lowerBound - copied }
      output.append(UnsafeRawBufferPointer(rebasing: bytes[copied..<literal.start]))
      known[index].isInUse = true
      if literal.isToken, known[index].isValid {
        writeStandIn(for: index)
      } else {
        known[index].plain.withUnsafeBytes { output.append($0) }
      }
      copied = literal.range.upperBound
    }
    guard output.count > mark else { return false }
    output.append(UnsafeRawBufferPointer(rebasing: bytes[copied..<frame.upperBound]))
    let length = output.count - header - Self.frameHeader
    guard block.isWellFormed, length <= Self.maxFrame else {
      output.truncate(to: mark)
      return false
    }
    output.overwrite(at: header, with: UInt8(truncatingIfNeeded: length >> 16))
    output.overwrite(at: header + 1, with: UInt8(truncatingIfNeeded: length >> 8))
    output.overwrite(at: header + 2, with: UInt8(truncatingIfNeeded: length))
    return true
  }

  // MARK: Stand-ins

  private mutating func writeStandIn(for index: Int) {
    withUnsafeBytes(of: UInt8(Self.markLength + 1)) { output.append($0) }
    standInMark.withUnsafeBytes { output.append($0) }
    withUnsafeBytes(of: UInt8(ascii: "a") + UInt8(index)) { output.append($0) }
  }

  /// Hands `body` the value that these bytes stand for, which mostly is themselves.
  func original<R>(_ value: UnsafeRawBufferPointer, _ body: (UnsafeRawBufferPointer) -> R) -> R {
    guard value.count == Self.markLength + 1, standInMark.withUnsafeBytes({ Self.equal($0, value) }) else {
      return body(value)
    }
    let index = Int(value[Self.markLength]) - Int(UInt8(ascii: "a"))
    guard known.indices.contains(index) else { return body(value) }
    return known[index].plain.withUnsafeBytes {
      body(UnsafeRawBufferPointer(rebasing: $0[known[index].valueStart...]))
    }
  }

  // MARK: Values

  private mutating func find(_ coded: UnsafeRawBufferPointer) -> Int? {
    for index in known.indices where known[index].coded.count == coded.count {
      if known[index].coded.withUnsafeBytes({ Self.equal($0, coded) }) { return index }
    }
    return learn(coded)
  }

  /// Whether the second begins with the first, eight bytes at a time.
  private static func equal(_ left: UnsafeRawBufferPointer, _ right: UnsafeRawBufferPointer) -> Bool {
    var offset = 0
    while offset + 8 <= left.count {
      let word = left.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
      if word != right.loadUnaligned(fromByteOffset: offset, as: UInt64.self) { return false }
      offset += 8
    }
    while offset < left.count {
      if left[offset] != right[offset] { return false }
      offset += 1
    }
    return true
  }

  /// The second time that a value comes, it is decoded and kept.
  private mutating func learn(_ coded: UnsafeRawBufferPointer) -> Int? {
    let hash = Self.hash(coded)
    guard seen.contains(hash) else {
      if seen.count < Self.candidates {
        seen.append(hash)
      } else {
        seen[nextSeen] = hash
        nextSeen = (nextSeen + 1) % Self.candidates
      }
      return nil
    }
    guard let value = HuffmanLiteral.decoded(coded) else { return nil }
    let length = HuffmanLiteral.length(value.count, isHuffman: false)
    let literal = Literal(
      coded: [UInt8](coded), plain: length + value, valueStart: length.count,
      isValid: nghttp2_check_header_value(value, value.count) != 0, isInUse: false)
    if known.count < Self.capacity {
      known.append(literal)
      return known.count - 1
    }
    let index = nextToReplace
    nextToReplace = (index + 1) % Self.capacity
    guard !known[index].isInUse else { return nil }
    known[index] = literal
    return index
  }

  /// Two values of one hash are told apart by their bytes; here they only count as seen too early.
  private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var hash = UInt64(bytes.count)
    var offset = 0
    while offset + 8 <= bytes.count {
      hash = (hash ^ bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* 0x9E37_79B9_7F4A_7C15
      hash ^= hash >> 29
      offset += 8
    }
    for byte in bytes[offset...] { hash = (hash ^ UInt64(byte)) &* 0x9E37_79B9_7F4A_7C15 }
    return hash
  }
}

/// Walks the representations of a header block (RFC 7541 section 6), as far as is needed to find its long values.
private struct BlockReader {
  private let bytes: UnsafeRawBufferPointer
  private var position: Int
  private let end: Int
  /// False once something did not fit; what was read so far is then not to be trusted.
  private(set) var isWellFormed = true

  init(_ bytes: UnsafeRawBufferPointer, from start: Int, to end: Int) {
    self.bytes = bytes
    position = start
    self.end = end
    if start > end { isWellFormed = false }
  }

  struct Value {
    /// Where its literal begins, with the length.
    var start: Int
    /// Its bytes.
    var range: Range<Int>
    /// It is a field `authorization` that HPACK does not index.
    var isToken: Bool
  }

  /// `authorization` in the static table (RFC 7541 appendix A).
  private static let authorization = 23

  /// The next Huffman-coded value of these lengths.
  mutating func nextHuffmanValue(minLength: Int, maxLength: Int) -> Value? {
    while isWellFormed, position < end {
      let first = bytes[position]
      if first & 0x80 != 0 {
        _ = integer(prefix: 7)
      } else if first & 0xE0 == 0x20 {
        _ = integer(prefix: 5)  // a new size of the dynamic table
      } else {
        let isIndexed = first & 0x40 != 0
        let name = integer(prefix: isIndexed ? 6 : 4)
        if name == 0 { _ = string() }
        guard isWellFormed, position < end else {
          isWellFormed = false
          return nil
        }
        let start = position
        let value = string()
        if isWellFormed, bytes[start] & 0x80 != 0, value.count >= minLength, value.count <= maxLength {
          return Value(start: start, range: value, isToken: name == Self.authorization && !isIndexed)
        }
      }
    }
    return nil
  }

  /// RFC 7541 section 5.1, up to 2^21: no length here is as long.
  private mutating func integer(prefix: UInt8) -> Int {
    guard position < end else { return malformed() }
    let mask = Int(1) << Int(prefix) - 1
    var value = Int(bytes[position]) & mask
    position += 1
    guard value == mask else { return value }
    var shift = 0
    while position < end, shift <= 14 {
      let byte = Int(bytes[position])
      position += 1
      value += (byte & 0x7F) << shift
      if byte & 0x80 == 0 { return value }
      shift += 7
    }
    return malformed()
  }

  private mutating func malformed() -> Int {
    isWellFormed = false
    return 0
  }

  private mutating func string() -> Range<Int> {
    let length = integer(prefix: 7)
    guard isWellFormed, length <= end - position else {
      isWellFormed = false
      return position..<position
    }
    let value = position..<position + length
    position = value.upperBound
    return value
  }
}

/// One string literal (RFC 7541 section 5.2), decoded by nghttp2's own decoder, so that there are no two opinions.
private enum HuffmanLiteral {
  /// Nil if the coding is wrong.
  static func decoded(_ coded: UnsafeRawBufferPointer) -> [UInt8]? {
    var inflater: OpaquePointer?
    guard nghttp2_hd_inflate_new(&inflater) == 0 else { return nil }
    defer { nghttp2_hd_inflate_del(inflater) }
    // A field "x" with this value, never indexed.
    var block: [UInt8] = [0x10, 0x01, UInt8(ascii: "x")]
    block += length(coded.count, isHuffman: true)
    block.append(contentsOf: coded)
    var offset = 0
    while offset < block.count {
      var field = nghttp2_nv()
      var flags: Int32 = 0
      let count = block.withUnsafeBufferPointer { bytes in
        nghttp2_hd_inflate_hd2(inflater, &field, &flags, bytes.baseAddress.map { $0 + offset }, bytes.count - offset, 1)
      }
      guard count >= 0 else { return nil }
      if flags & Int32(NGHTTP2_HD_INFLATE_EMIT.rawValue) != 0 {
        guard offset + count == block.count else { return nil }
        return [UInt8](UnsafeBufferPointer(start: field.value, count: field.valuelen))
      }
      guard count > 0 else { return nil }
      offset += count
    }
    return nil
  }

  static func length(_ count: Int, isHuffman: Bool) -> [UInt8] {
    let flag: UInt8 = isHuffman ? 0x80 : 0
    guard count >= 0x7F else { return [flag | UInt8(count)] }
    var bytes = [flag | 0x7F]
    var rest = count - 0x7F
    while rest >= 0x80 {
      bytes.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    return bytes + [UInt8(rest)]
  }
}
