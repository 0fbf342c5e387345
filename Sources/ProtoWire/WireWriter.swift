// Writes protobuf's wire format into one block of memory that grows. proto3's rule that a default value is not written
// lives here, so that a message's encode stays one line a field.
import NIOCore

/// A growing block of encoded fields.
public struct WireWriter: ~Copyable {
  @usableFromInline var base: UnsafeMutableRawPointer
  @usableFromInline var capacity: Int
  @usableFromInline var count: Int

  /// - Parameter prefix: bytes to leave free at the start, for the caller's framing.
  public init(prefix: Int = 0, capacity: Int = 256) {
    let size = max(capacity, prefix, 16)
    base = .allocate(byteCount: size, alignment: 8)
    self.capacity = size
    count = prefix
  }

  deinit { base.deallocate() }

  /// Empties the block but keeps its memory, for the next message.
  @inlinable public mutating func reset(prefix: Int = 0) { count = prefix }

  @inlinable public var byteCount: Int { count }

  public borrowing func withUnsafeBytes<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try body(UnsafeRawBufferPointer(start: base, count: count))
  }

  /// Writes into the space left free at the start.
  public mutating func overwrite(at offset: Int, with bytes: (UInt8, UInt32)) {
    precondition(offset >= 0 && offset + 5 <= count)
    base.storeBytes(of: bytes.0, toByteOffset: offset, as: UInt8.self)
    base.storeBytes(of: bytes.1.bigEndian, toByteOffset: offset + 1, as: UInt32.self)
  }

  // MARK: Raw values

  @inlinable
  mutating func reserve(_ bytes: Int) {
    if capacity - count < bytes { grow(bytes) }
  }

  @usableFromInline
  mutating func grow(_ bytes: Int) {
    let size = max(capacity * 2, count + bytes)
    let larger = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 8)
    larger.copyMemory(from: base, byteCount: count)
    base.deallocate()
    base = larger
    capacity = size
  }

  @inlinable
  public mutating func varint(_ value: UInt64) {
    reserve(10)
    var rest = value
    while rest >= 0x80 {
      base.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, toByteOffset: count, as: UInt8.self)
      count += 1
      rest >>= 7
    }
    base.storeBytes(of: UInt8(truncatingIfNeeded: rest), toByteOffset: count, as: UInt8.self)
    count += 1
  }

  @inlinable
  public mutating func tag(_ field: Int, _ type: WireType) {
    varint(UInt64(field) << 3 | UInt64(type.rawValue))
  }

  @inlinable
  mutating func raw(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress, !bytes.isEmpty else { return }
    reserve(bytes.count)
    (base + count).copyMemory(from: start, byteCount: bytes.count)
    count += bytes.count
  }

  @inlinable
  mutating func littleEndian32(_ value: UInt32) {
    reserve(4)
    base.storeBytes(of: value.littleEndian, toByteOffset: count, as: UInt32.self)
    count += 4
  }

  @inlinable
  mutating func littleEndian64(_ value: UInt64) {
    reserve(8)
    base.storeBytes(of: value.littleEndian, toByteOffset: count, as: UInt64.self)
    count += 8
  }

  @inlinable
  mutating func text(_ value: String) {
    var copy = value  // makes a bridged or sliced string contiguous; free for a native one
    copy.withUTF8 { utf8 in
      varint(UInt64(utf8.count))
      raw(UnsafeRawBufferPointer(utf8))
    }
  }

  /// Writes a length-delimited value whose length is known only afterwards. One byte is kept for it; a longer value is
  /// moved up, which costs less than measuring every message twice.
  @inlinable
  mutating func delimited(_ body: (inout WireWriter) -> Void) {
    reserve(1)
    let lengthAt = count
    count += 1
    body(&self)
    let length = count - lengthAt - 1
    guard length >= 0x80 else {
      base.storeBytes(of: UInt8(truncatingIfNeeded: length), toByteOffset: lengthAt, as: UInt8.self)
      return
    }
    var extra = 1
    while length >> (7 * (extra + 1)) != 0 { extra += 1 }
    reserve(extra)
    memmoveUp(from: lengthAt + 1, by: extra, length: length)
    count = lengthAt
    varint(UInt64(length))
    count += length
  }

  @usableFromInline
  mutating func memmoveUp(from offset: Int, by distance: Int, length: Int) {
    (base + offset + distance).copyMemory(from: base + offset, byteCount: length)
  }

  // MARK: Single values; a default is not written

  @inlinable public mutating func bool(_ field: Int, _ value: Bool) {
    if value { optional(field, bool: value) }
  }
  @inlinable public mutating func int32(_ field: Int, _ value: Int32) {
    if value != 0 { optional(field, int32: value) }
  }
  @inlinable public mutating func int64(_ field: Int, _ value: Int64) {
    if value != 0 { optional(field, int64: value) }
  }
  @inlinable public mutating func uint32(_ field: Int, _ value: UInt32) {
    if value != 0 { optional(field, uint64: UInt64(value)) }
  }
  @inlinable public mutating func uint64(_ field: Int, _ value: UInt64) {
    if value != 0 { optional(field, uint64: value) }
  }
  @inlinable public mutating func sint32(_ field: Int, _ value: Int32) {
    if value != 0 { optional(field, uint64: UInt64(UInt32(bitPattern: value << 1 ^ value >> 31))) }
  }
  @inlinable public mutating func sint64(_ field: Int, _ value: Int64) {
    if value != 0 { optional(field, uint64: UInt64(bitPattern: value << 1 ^ value >> 63)) }
  }
  @inlinable public mutating func fixed32(_ field: Int, _ value: UInt32) {
    guard value != 0 else { return }
    tag(field, .fixed32)
    littleEndian32(value)
  }
  @inlinable public mutating func fixed64(_ field: Int, _ value: UInt64) {
    guard value != 0 else { return }
    tag(field, .fixed64)
    littleEndian64(value)
  }
  @inlinable public mutating func sfixed32(_ field: Int, _ value: Int32) { fixed32(field, UInt32(bitPattern: value)) }
  @inlinable public mutating func sfixed64(_ field: Int, _ value: Int64) { fixed64(field, UInt64(bitPattern: value)) }
  // Negative zero is not the default: the bits decide.
  @inlinable public mutating func float(_ field: Int, _ value: Float) { fixed32(field, value.bitPattern) }
  @inlinable public mutating func double(_ field: Int, _ value: Double) { fixed64(field, value.bitPattern) }

  @inlinable public mutating func string(_ field: Int, _ value: String) {
    if !value.isEmpty { optional(field, string: value) }
  }
  @inlinable public mutating func bytes(_ field: Int, _ value: [UInt8]) {
    guard !value.isEmpty else { return }
    tag(field, .lengthDelimited)
    varint(UInt64(value.count))
    value.withUnsafeBytes { raw($0) }
  }
  @inlinable public mutating func enumeration<E: ProtoEnum>(_ field: Int, _ value: E) { int32(field, value.rawValue) }

  @inlinable public mutating func message<M: Message>(_ field: Int, _ value: M?) {
    guard let value else { return }
    tag(field, .lengthDelimited)
    delimited { $0.fields(of: value) }
  }

  // MARK: Values with presence ('optional' in the .proto file): written whenever they are there

  @inlinable public mutating func optional(_ field: Int, bool value: Bool?) {
    guard let value else { return }
    tag(field, .varint)
    varint(value ? 1 : 0)
  }
  @inlinable public mutating func optional(_ field: Int, int32 value: Int32?) {
    guard let value else { return }
    tag(field, .varint)
    varint(UInt64(bitPattern: Int64(value)))
  }
  @inlinable public mutating func optional(_ field: Int, int64 value: Int64?) {
    guard let value else { return }
    tag(field, .varint)
    varint(UInt64(bitPattern: value))
  }
  @inlinable public mutating func optional(_ field: Int, uint64 value: UInt64?) {
    guard let value else { return }
    tag(field, .varint)
    varint(value)
  }
  @inlinable public mutating func optional(_ field: Int, string value: String?) {
    guard let value else { return }
    tag(field, .lengthDelimited)
    text(value)
  }

  // MARK: Repeated values

  @inlinable public mutating func strings(_ field: Int, _ values: [String]) {
    for value in values { optional(field, string: value) }
  }
  @inlinable public mutating func messages<M: Message>(_ field: Int, _ values: [M]) {
    for value in values {
      tag(field, .lengthDelimited)
      delimited { $0.fields(of: value) }
    }
  }
  /// Packed, as proto3 writes repeated numbers.
  @inlinable public mutating func enumerations<E: ProtoEnum>(_ field: Int, _ values: [E]) {
    guard !values.isEmpty else { return }
    tag(field, .lengthDelimited)
    delimited { writer in
      for value in values { writer.varint(UInt64(bitPattern: Int64(value.rawValue))) }
    }
  }
  @inlinable public mutating func int32s(_ field: Int, _ values: [Int32]) {
    guard !values.isEmpty else { return }
    tag(field, .lengthDelimited)
    delimited { writer in
      for value in values { writer.varint(UInt64(bitPattern: Int64(value))) }
    }
  }
  @inlinable public mutating func int64s(_ field: Int, _ values: [Int64]) {
    guard !values.isEmpty else { return }
    tag(field, .lengthDelimited)
    delimited { writer in
      for value in values { writer.varint(UInt64(bitPattern: value)) }
    }
  }

  /// A message's declared fields, then those it kept without knowing them.
  @inlinable public mutating func fields<M: Message>(of message: M) {
    message.encode(to: &self)
    if let unknown = message.unknownFields.bytes { unknown.withUnsafeBytes { raw($0) } }
  }
}
