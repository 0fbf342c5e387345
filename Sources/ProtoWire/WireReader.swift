// Reads protobuf's wire format from memory that the caller holds. It copies nothing but strings and bytes values, and
// never reads past its end whatever the bytes say. Strings are in StringReading.swift, sub-messages in
// MessageReading.swift.

/// A cursor over one message. Valid only while the memory that it was made from is.
public struct WireReader {
  /// How deep messages and groups may nest: protobuf's own default limit.
  public static let maxDepth = 100

  @usableFromInline var cursor: UnsafeRawPointer
  @usableFromInline var end: UnsafeRawPointer
  /// Of all the memory that was lent; `end` is that of the present message.
  @usableFromInline let memoryEnd: UnsafeRawPointer
  @usableFromInline var fieldStart: UnsafeRawPointer
  @usableFromInline var depth: Int = 0
  /// Number and wire type of the present field, as on the wire.
  @usableFromInline var tag: UInt32 = 0
  @usableFromInline var skippedField = false

  /// Where an empty buffer's cursor points: never read, since the end is the same address.
  @usableFromInline static var nothing: UnsafeRawPointer { UnsafeRawPointer(bitPattern: 1).unsafelyUnwrapped }

  @inlinable
  public init(_ bytes: UnsafeRawBufferPointer) {
    cursor = bytes.baseAddress ?? Self.nothing
    memoryEnd = cursor + bytes.count
    end = memoryEnd
    fieldStart = cursor
  }

  @inlinable public var isAtEnd: Bool { cursor == end }

  // MARK: Tags

  /// The next field's number, or nil at the end.
  @inlinable
  public mutating func nextField() throws(WireError) -> Int? {
    if cursor == end { return nil }
    fieldStart = cursor
    let first = cursor.load(as: UInt8.self)
    // Fields 1 to 15, whose tag is one byte.
    guard first &- 8 < 0x78, first & 7 < 6 else { return try longTag() }
    cursor += 1
    tag = UInt32(first)
    return Int(first >> 3)
  }

  @usableFromInline
  mutating func longTag() throws(WireError) -> Int {
    let tag = try varint()
    let number = tag >> 3
    guard number > 0, number < 1 << 29, tag & 7 < 6 else { throw .invalidTag }
    self.tag = UInt32(truncatingIfNeeded: tag)
    return Int(number)
  }

  @inlinable var wireType: UInt8 { UInt8(truncatingIfNeeded: tag & 7) }

  @inlinable
  func expect(_ type: WireType) throws(WireError) {
    guard wireType == type.rawValue else { throw .wireTypeMismatch }
  }

  /// Passes over the present field's value. The message loop then keeps it as an unknown field.
  public mutating func skip() throws(WireError) {
    let (type, field) = (wireType, tag >> 3)
    cursor = fieldStart
    _ = try varint()  // the tag again: the value may have been read in part
    try skipValue(type: type, field: field, depth: depth)
    skippedField = true
  }

  mutating func skipValue(type: UInt8, field: UInt32, depth: Int) throws(WireError) {
    switch WireType(rawValue: type) {
    case .varint: _ = try varint()
    case .fixed64: try advance(8)
    case .fixed32: try advance(4)
    case .lengthDelimited: _ = try slice()
    case .startGroup: try skipGroup(field: field, depth: depth + 1)
    case .endGroup: throw .unbalancedGroup
    case nil: throw .invalidTag
    }
  }

  mutating func skipGroup(field: UInt32, depth: Int) throws(WireError) {
    guard depth <= Self.maxDepth else { throw .tooDeep }
    while true {
      let tag = try varint()
      let number = tag >> 3
      guard number > 0, number < 1 << 29 else { throw .invalidTag }
      let type = UInt8(truncatingIfNeeded: tag & 7)
      if type == WireType.endGroup.rawValue {
        guard number == UInt64(field) else { throw .unbalancedGroup }
        return
      }
      try skipValue(type: type, field: UInt32(truncatingIfNeeded: number), depth: depth)
    }
  }

  @usableFromInline
  mutating func takeSkipped() -> UnsafeRawBufferPointer {
    skippedField = false
    return UnsafeRawBufferPointer(start: fieldStart, count: cursor - fieldStart)
  }

  // MARK: Raw values

  @inlinable
  mutating func advance(_ count: Int) throws(WireError) {
    guard end - cursor >= count else { throw .truncated }
    cursor += count
  }

  @inlinable
  public mutating func varint() throws(WireError) -> UInt64 {
    guard cursor < end else { throw .truncated }
    let first = cursor.load(as: UInt8.self)
    if first < 0x80 {
      cursor += 1
      return UInt64(first)
    }
    return try longVarint()
  }

  @usableFromInline
  mutating func longVarint() throws(WireError) -> UInt64 {
    guard memoryEnd - cursor >= 8 else { return try varintByBytes() }
    let bytes = UInt64(littleEndian: cursor.loadUnaligned(as: UInt64.self))
    // The byte whose high bit is clear is the last one. What is longer than 8 bytes is rare: negative numbers.
    let ends = ~bytes & 0x8080_8080_8080_8080
    let length = ends.trailingZeroBitCount / 8 + 1
    guard ends != 0, length <= end - cursor else { return try varintByBytes() }
    cursor += length
    // Up to that byte, groups of 7 bits are joined: two of them, then four, then eight.
    var value = bytes & (ends ^ (ends &- 1)) & 0x7F7F_7F7F_7F7F_7F7F
    value = (value & 0x007F_007F_007F_007F) | ((value & 0x7F00_7F00_7F00_7F00) >> 1)
    value = (value & 0x0000_3FFF_0000_3FFF) | ((value & 0x3FFF_0000_3FFF_0000) >> 2)
    return (value & 0x0FFF_FFFF) | ((value & 0x0FFF_FFFF_0000_0000) >> 4)
  }

  mutating func varintByBytes() throws(WireError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    var position = cursor
    while shift < 70 {
      guard position < end else { throw .truncated }
      let byte = position.load(as: UInt8.self)
      position += 1
      // The tenth byte holds one bit; protobuf drops what is above it.
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 {
        cursor = position
        return value
      }
      shift += 7
    }
    throw .varintTooLong
  }

  @inlinable @inline(__always)
  mutating func slice() throws(WireError) -> UnsafeRawBufferPointer {
    let length = try varint()
    guard length <= UInt64(end - cursor) else { throw .truncated }
    let bytes = UnsafeRawBufferPointer(start: cursor, count: Int(length))
    cursor += Int(length)
    return bytes
  }

  @inlinable
  mutating func littleEndian32() throws(WireError) -> UInt32 {
    guard end - cursor >= 4 else { throw .truncated }
    defer { cursor += 4 }
    return UInt32(littleEndian: cursor.loadUnaligned(as: UInt32.self))
  }

  @inlinable
  mutating func littleEndian64() throws(WireError) -> UInt64 {
    guard end - cursor >= 8 else { throw .truncated }
    defer { cursor += 8 }
    return UInt64(littleEndian: cursor.loadUnaligned(as: UInt64.self))
  }

  // MARK: Single values, each named after its .proto type

  @inlinable public mutating func bool() throws(WireError) -> Bool {
    try expect(.varint)
    return try varint() != 0
  }
  @inlinable public mutating func int32() throws(WireError) -> Int32 {
    try expect(.varint)
    return Int32(truncatingIfNeeded: try varint())
  }
  @inlinable public mutating func int64() throws(WireError) -> Int64 {
    try expect(.varint)
    return Int64(bitPattern: try varint())
  }
  @inlinable public mutating func uint32() throws(WireError) -> UInt32 {
    try expect(.varint)
    return UInt32(truncatingIfNeeded: try varint())
  }
  @inlinable public mutating func uint64() throws(WireError) -> UInt64 {
    try expect(.varint)
    return try varint()
  }
  @inlinable public mutating func sint32() throws(WireError) -> Int32 {
    let raw = try uint32()
    return Int32(bitPattern: raw >> 1) ^ -Int32(bitPattern: raw & 1)
  }
  @inlinable public mutating func sint64() throws(WireError) -> Int64 {
    let raw = try uint64()
    return Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)
  }
  @inlinable public mutating func fixed32() throws(WireError) -> UInt32 {
    try expect(.fixed32)
    return try littleEndian32()
  }
  @inlinable public mutating func fixed64() throws(WireError) -> UInt64 {
    try expect(.fixed64)
    return try littleEndian64()
  }
  @inlinable public mutating func sfixed32() throws(WireError) -> Int32 { Int32(bitPattern: try fixed32()) }
  @inlinable public mutating func sfixed64() throws(WireError) -> Int64 { Int64(bitPattern: try fixed64()) }
  @inlinable public mutating func float() throws(WireError) -> Float { Float(bitPattern: try fixed32()) }
  @inlinable public mutating func double() throws(WireError) -> Double { Double(bitPattern: try fixed64()) }

  @inlinable public mutating func bytes() throws(WireError) -> [UInt8] {
    try expect(.lengthDelimited)
    return [UInt8](try slice())
  }

  /// A string's, bytes value's or sub-message's bytes where they lie; valid only while the reader's memory is.
  @inlinable public mutating func rawBytes() throws(WireError) -> UnsafeRawBufferPointer {
    try expect(.lengthDelimited)
    return try slice()
  }

  @inlinable public mutating func enumeration<E: ProtoEnum>(_ type: E.Type = E.self) throws(WireError) -> E {
    E(rawValue: try int32())
  }

  // MARK: Repeated scalars, packed or not: readers must take both

  @inlinable
  public mutating func repeated<T>(
    _ values: inout [T], _ element: (inout WireReader) throws(WireError) -> T, packedAs type: WireType = .varint
  ) throws(WireError) {
    guard wireType == WireType.lengthDelimited.rawValue, type != .lengthDelimited else {
      values.append(try element(&self))
      return
    }
    var packed = WireReader(try slice())
    packed.tag = UInt32(type.rawValue)
    while !packed.isAtEnd { values.append(try element(&packed)) }
  }
}
