// The header blocks of requests, decoded here and not by nghttp2, which looks at each field and each of its bytes several
// times over: for a small call that was a third of all work. nghttp2 gets a short stand-in in place of a block that is surely
// well formed: the request's form, the fields that HTTP/2 keeps account of, and those that change HPACK's table, so that its
// table stays in step with the peer's. What is unusual in any way passes as it is: nghttp2 alone decides what is wrong, and
// what follows from that.
import CNghttp2

struct HeaderBlocks: ~Copyable {
  /// Bytes of a block in several frames that are gathered; a peer that sends more is nghttp2's alone from then on.
  static let maxGathered = 64 << 10

  /// A block that nghttp2 has a stand-in for.
  private struct Decoded {
    /// Which of the HEADERS frames it came in.
    var number: Int
    var stream: Int32
    /// Until nghttp2 comes to it.
    var headers: HTTP2Headers?
  }

  private var table = HeaderTable()
  private var values = KnownValues()
  private let huffman = HuffmanCode.shared
  private let characters = CharacterSet.shared
  /// False once a block could not be read here: then the table is not known any more, and all passes as it is.
  private var isInStep = true
  /// The fields of the block at hand, laid out as in `HTTP2Headers`.
  private var fields = ByteQueue()
  private var fieldCount = 0
  private var output = ByteQueue()

  private var decoded: [Decoded] = []
  private var nextDecoded = 0
  /// HEADERS frames that passed here, and that nghttp2 has begun with.
  private var passed = 0
  private var begun = 0

  /// The rest of the frame at hand that has yet to come, or of the client's preface.
  private var passing: Int
  /// The start of a frame's header whose rest has yet to come.
  private var openHeader: [UInt8] = []
  /// The block whose rest has yet to come, and the frame that brings it now.
  private var gathered: [UInt8] = []
  private var isGathering = false
  private var gatheredFlags: UInt32 = 0
  private var gatheredFrom = 0

  /// - Parameter prefaceLength: bytes that come before the first frame.
  init(prefaceLength: Int) { passing = prefaceLength }

  // MARK: What nghttp2 is at

  /// What nghttp2 makes of a HEADERS frame that it has begun with.
  enum Source {
    /// Its block is there as it came.
    case nghttp2
    /// It has a stand-in; these are the fields.
    case here(HTTP2Headers)
    /// Frames were counted differently there and here, so nobody knows whose fields are whose.
    case lost
  }

  mutating func began(_ stream: Int32) -> Source {
    begun += 1
    guard nextDecoded < decoded.count else { return .nghttp2 }
    guard decoded[nextDecoded].number >= begun else { return .lost }
    guard decoded[nextDecoded].number == begun else { return .nghttp2 }
    guard decoded[nextDecoded].stream == stream, let headers = decoded[nextDecoded].headers.take() else { return .lost }
    nextDecoded += 1
    return .here(headers)
  }

  /// Gives back what the next read is not likely to need. What `rewrite` returned is gone.
  mutating func release(above capacity: Int) {
    output.clear(keeping: capacity)
    fields.clear(keeping: capacity)
    decoded.removeAll(keepingCapacity: decoded.capacity * MemoryLayout<Decoded>.stride <= capacity)
    nextDecoded = 0
  }

  /// Memory that grows with what the peer sends.
  var capacityInBytes: Int { output.capacityInBytes + fields.capacityInBytes + gathered.capacity }

  // MARK: Frames (RFC 9113 section 4.1)

  /// What every peer may send (RFC 9113 section 4.2); we allow no more.
  private static let maxFrame = 16_384
  private static let priorityLength = 5

  /// What nghttp2 is to read in place of these bytes, valid until the next call.
  /// - Parameter limit: of a block's fields together, counted with 32 a field; a longer one passes as it is.
  mutating func rewrite(_ bytes: UnsafeRawBufferPointer, limit: Int) -> UnsafeRawBufferPointer {
    guard isInStep else { return bytes }
    output.clear()
    decoded.removeAll(keepingCapacity: true)
    nextDecoded = 0
    var position = 0
    /// Up to here everything is in `output`, if anything is.
    var copied = 0
    while position < bytes.count, isInStep {
      if passing > 0 {
        let count = min(passing, bytes.count - position)
        if isGathering { gather(UnsafeRawBufferPointer(rebasing: bytes[position..<position + count])) }
        passing -= count
        position += count
        if passing == 0 { endFrame() }
        continue
      }
      if !openHeader.isEmpty || bytes.count - position < FrameHeader.size {
        let count = min(FrameHeader.size - openHeader.count, bytes.count - position)
        openHeader.append(contentsOf: bytes[position..<position + count])
        position += count
        guard openHeader.count == FrameHeader.size else { break }
        openHeader.withUnsafeBytes { begin($0, at: 0) }
        openHeader.removeAll(keepingCapacity: true)
        continue
      }
      let end = position + FrameHeader.size + FrameHeader.payloadLength(bytes, at: position)
      if end <= bytes.count, !isGathering, Self.isWholeBlock(bytes, at: position) {
        passed += 1
        if standIn(for: position..<end, of: bytes, copied: copied, limit: limit) { copied = end }
        position = end
      } else {
        begin(bytes, at: position)
        position += FrameHeader.size
      }
    }
    if copied == 0 { return bytes }
    output.append(UnsafeRawBufferPointer(rebasing: bytes[copied...]))
    return output.readable
  }

  private static func isWholeBlock(_ bytes: UnsafeRawBufferPointer, at start: Int) -> Bool {
    guard bytes[start + 3] == NGHTTP2_HEADERS.rawValue else { return false }
    let flags = UInt32(bytes[start + 4])
    return flags & NGHTTP2_FLAG_END_HEADERS.rawValue != 0 && flags & NGHTTP2_FLAG_PADDED.rawValue == 0
  }

  // MARK: Blocks that come in pieces

  /// A frame begins that passes as it is. Its block is read all the same, for the table.
  private mutating func begin(_ bytes: UnsafeRawBufferPointer, at start: Int) {
    passing = FrameHeader.payloadLength(bytes, at: start)
    let type = UInt32(bytes[start + 3])
    let flags = UInt32(bytes[start + 4])
    if type == NGHTTP2_HEADERS.rawValue, !isGathering {
      passed += 1
      isGathering = true
      gatheredFlags = flags
    } else if isGathering {
      // Nothing but the block's next frame may come now (RFC 9113 section 4.3), and that has neither padding nor priority.
      guard type == NGHTTP2_CONTINUATION.rawValue else {
        isInStep = false
        return
      }
      gatheredFlags = flags & NGHTTP2_FLAG_END_HEADERS.rawValue
    }
    if isGathering { gatheredFrom = gathered.count }
    if passing == 0 { endFrame() }
  }

  private mutating func gather(_ bytes: UnsafeRawBufferPointer) {
    if gathered.count + bytes.count > Self.maxGathered { isInStep = false } else { gathered.append(contentsOf: bytes) }
  }

  private mutating func endFrame() {
    guard isGathering, isInStep else { return }
    var start = gatheredFrom
    var end = gathered.count
    if gatheredFlags & NGHTTP2_FLAG_PADDED.rawValue != 0 {
      guard start < end else {
        isInStep = false
        return
      }
      end -= Int(gathered[start])
      start += 1
    }
    if gatheredFlags & NGHTTP2_FLAG_PRIORITY.rawValue != 0 { start += Self.priorityLength }
    guard start <= end else {
      isInStep = false
      return
    }
    gathered.removeSubrange(end...)
    gathered.removeSubrange(gatheredFrom..<start)
    guard gatheredFlags & NGHTTP2_FLAG_END_HEADERS.rawValue != 0 else { return }
    isGathering = false
    let block = gathered
    gathered = []
    block.withUnsafeBytes { bytes in
      var reader = BlockReader(bytes, 0..<bytes.count)
      beginBlock(limit: 0)
      hasStandIn = false
      while let next = reader.next() { guard take(next, bytes, written: nil) else { break } }
      if !reader.isWellFormed { isInStep = false }
    }
  }

  // MARK: Blocks that come whole

  /// Of a block: which of the request's own fields it has had, by bits of `FieldRole`.
  private var requestFields: UInt8 = 0
  private var hasStandIn = false
  private var hasRegularFields = false
  private var listLimit = 0

  private mutating func beginBlock(limit: Int) {
    fields.clear()
    fieldCount = 0
    requestFields = 0
    hasStandIn = true
    hasRegularFields = false
    listLimit = limit
  }

  private static func bit(_ role: FieldRole) -> UInt8 { 1 << role.rawValue }
  private static let neededFields = bit(.method) | bit(.scheme) | bit(.path)

  /// Writes a frame's stand-in to `output`, after what comes before it in `bytes`. False, and nothing written, if it is to
  /// pass as it is.
  private mutating func standIn(
    for frame: Range<Int>, of bytes: UnsafeRawBufferPointer, copied: Int, limit: Int
  ) -> Bool {
    let mark = output.count
    let isPrioritised = UInt32(bytes[frame.lowerBound + 4]) & NGHTTP2_FLAG_PRIORITY.rawValue != 0
    let blockStart = frame.lowerBound + FrameHeader.size + (isPrioritised ? Self.priorityLength : 0)
    guard blockStart <= frame.upperBound else {
      isInStep = false
      return false
    }
    output.append(UnsafeRawBufferPointer(rebasing: bytes[copied..<blockStart]))
    let header = output.count - (blockStart - frame.lowerBound)
    beginBlock(limit: limit)
    var reader = BlockReader(bytes, blockStart..<frame.upperBound)
    var start = reader.position
    while true {
      if let index = reader.nextIndex() {
        guard takeIndexed(index, written: bytes, at: start) else { break }
      } else if let next = reader.next() {
        guard take(next, bytes, written: UnsafeRawBufferPointer(rebasing: bytes[start..<reader.position])) else { break }
      } else {
        break
      }
      start = reader.position
    }
    if !reader.isWellFormed { isInStep = false }
    if !hasRegularFields { writeRequestFields() }
    guard isInStep, hasStandIn, output.count - header - FrameHeader.size <= Self.maxFrame else {
      output.truncate(to: mark)
      return false
    }
    FrameHeader.setPayloadLength(of: &output, at: header)
    let stream = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: frame.lowerBound + 5, as: UInt32.self))
    decoded.append(
      Decoded(
        number: passed, stream: Int32(bitPattern: stream & 0x7FFF_FFFF),
        headers: HTTP2Headers(records: fields.readable, count: fieldCount)))
    return true
  }

  /// The request's own fields as nghttp2 gets them: they are there, once each and well formed, which is all that it asks.
  private mutating func writeRequestFields() {
    guard requestFields & Self.neededFields == Self.neededFields else {
      hasStandIn = false
      return
    }
    // POST, http and "/" of the static table, and then an authority of one letter.
    withUnsafeBytes(of: (UInt8(0x83), UInt8(0x86), UInt8(0x84))) { output.append($0) }
    if requestFields & Self.bit(.authority) != 0 {
      withUnsafeBytes(of: (UInt8(0x01), UInt8(0x01), UInt8(ascii: "a"))) { output.append($0) }
    }
  }

  // MARK: Fields

  /// Takes in one that is a field of a table, written in one byte.
  @inline(__always)
  private mutating func takeIndexed(_ index: Int, written bytes: UnsafeRawBufferPointer, at position: Int) -> Bool {
    guard let entry = table.entry(index) else { return outOfStep() }
    guard hasStandIn else { return true }
    fields.append(entry.pointee.record)
    if entry.pointee.role != .plain || !hasRegularFields {
      note(entry.pointee.role, isAdded: false, UnsafeRawBufferPointer(rebasing: bytes[position...position]))
    }
    return counted()
  }

  /// One more field; no stand-in once they are too long together, as SETTINGS_MAX_HEADER_LIST_SIZE has it.
  @inline(__always)
  private mutating func counted() -> Bool {
    fieldCount += 1
    let listSize = fields.count + fieldCount * (HeaderTable.overhead - HTTP2Headers.prefixLength)
    if listSize > listLimit { hasStandIn = false }
    return true
  }

  /// Takes one representation in.
  /// - Parameter written: its bytes, if a stand-in is being written.
  /// - Returns: false if it is wrong; then nothing here is in step any more.
  private mutating func take(
    _ next: BlockReader.Representation, _ bytes: UnsafeRawBufferPointer, written: UnsafeRawBufferPointer?
  ) -> Bool {
    let start = fields.count
    switch next.kind {
    case .indexed:
      guard let entry = table.entry(next.index) else { return outOfStep() }
      // Only what is within the limit is copied: a block can name a long field again and again (HPACK bomb).
      guard hasStandIn else { return true }
      fields.append(entry.pointee.record)
      note(entry.pointee.role, isAdded: false, written)
    case .added, .literal:
      guard let entry = literal(next, bytes) else { return outOfStep() }
      let isAdded = next.kind == .added
      if isAdded { table.add(entry) }
      if hasStandIn { note(entry.role, isAdded: isAdded, written) } else { fields.truncate(to: start) }
    case .size:
      // Only at a block's beginning (RFC 7541 section 4.2).
      guard fieldCount == 0, requestFields == 0, table.resize(next.index) else { return outOfStep() }
      if let written { output.append(written) }
      return true
    }
    return counted()
  }

  private mutating func outOfStep() -> Bool {
    isInStep = false
    return false
  }

  /// What a field means for the block's stand-in.
  private mutating func note(_ role: FieldRole, isAdded: Bool, _ written: UnsafeRawBufferPointer?) {
    guard let written else { return }
    switch role {
    case .method, .scheme, .path, .authority:
      // Once each, before all others, and not to be added to the table, where nghttp2 would miss them.
      if requestFields & Self.bit(role) != 0 || hasRegularFields || isAdded { hasStandIn = false }
      requestFields |= Self.bit(role)
    case .plain, .counted:
      if !hasRegularFields {
        hasRegularFields = true
        writeRequestFields()
      }
      if isAdded || role == .counted { output.append(written) }
    case .odd: hasStandIn = false
    }
  }

  /// Appends a literal to `fields` and tells what it is. Nil if it is wrong.
  private mutating func literal(_ next: BlockReader.Representation, _ bytes: UnsafeRawBufferPointer) -> TableEntry? {
    let start = fields.count
    withUnsafeBytes(of: UInt64(0)) { fields.append($0) }
    var kind: FieldName?
    if next.index == 0 {
      var isClean = false
      guard append(next.name, of: bytes, &isClean) else { return nil }
    } else {
      guard let entry = table.entry(next.index) else { return nil }
      fields.append(entry.pointee.nameBytes)
      kind = entry.pointee.name
    }
    let nameLength = fields.count - start - HTTP2Headers.prefixLength
    var isClean = false
    guard append(next.value, of: bytes, &isClean) else { return nil }
    let valueLength = fields.count - start - HTTP2Headers.prefixLength - nameLength
    fields.overwrite(at: start, with: (UInt32(nameLength), UInt32(valueLength)))
    guard let record = fields.readable.baseAddress.map({ $0 + start }) else { return nil }
    let namePart = UnsafeRawBufferPointer(start: record + HTTP2Headers.prefixLength, count: nameLength)
    let valuePart = UnsafeRawBufferPointer(start: record + HTTP2Headers.prefixLength + nameLength, count: valueLength)
    let name = kind ?? FieldName(namePart)
    return TableEntry(
      bytes: record, nameLength: Int32(nameLength), valueLength: Int32(valueLength), name: name,
      role: isClean && name == .plain ? .plain : FieldRole(name, valuePart, characters))
  }

  /// - Parameter isClean: becomes true if it is known to be a value as `FieldRole` wants it of a plain field.
  private mutating func append(
    _ text: BlockReader.Text, of bytes: UnsafeRawBufferPointer, _ isClean: inout Bool
  ) -> Bool {
    let coded = UnsafeRawBufferPointer(rebasing: bytes[text.range])
    guard text.isHuffman else {
      fields.append(coded)
      return true
    }
    let isWorthIt = coded.count >= KnownValues.minLength && coded.count <= KnownValues.maxLength
    if isWorthIt, values.append(coded, to: &fields, &isClean) { return true }
    let start = fields.count
    guard fields.append(most: HuffmanCode.maxDecoded(coded.count), { huffman.decode(coded, to: $0) }) != nil else {
      return false
    }
    if isWorthIt { values.learn(coded, UnsafeRawBufferPointer(rebasing: fields.readable[start...])) }
    return true
  }
}
