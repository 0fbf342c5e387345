// Writes a message's fields, each by a method that is named after its .proto type. proto3's rule that a default value
// is not written lives here, so that a message's encode stays one line a field.

extension WireWriter {
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
    value.withUnsafeBytes { append(tag: Self.tag(field, .lengthDelimited), delimited: $0) }
  }
  @inlinable public mutating func enumeration<E: ProtoEnum>(_ field: Int, _ value: E) { int32(field, value.rawValue) }

  @inlinable public mutating func message<M: Message>(_ field: Int, _ value: M?) {
    guard let value else { return }
    let start = beginDelimited(tag: Self.tag(field, .lengthDelimited))
    fields(of: value)
    endDelimited(start)
  }

  // MARK: Values with presence ('optional' in the .proto file): written whenever they are there

  @inlinable public mutating func optional(_ field: Int, bool value: Bool?) {
    guard let value else { return }
    append(tag: Self.tag(field, .varint), varint: value ? 1 : 0)
  }
  @inlinable public mutating func optional(_ field: Int, int32 value: Int32?) {
    guard let value else { return }
    append(tag: Self.tag(field, .varint), varint: UInt64(bitPattern: Int64(value)))
  }
  @inlinable public mutating func optional(_ field: Int, int64 value: Int64?) {
    guard let value else { return }
    append(tag: Self.tag(field, .varint), varint: UInt64(bitPattern: value))
  }
  @inlinable public mutating func optional(_ field: Int, uint64 value: UInt64?) {
    guard let value else { return }
    append(tag: Self.tag(field, .varint), varint: value)
  }
  @inlinable public mutating func optional(_ field: Int, string value: String?) {
    guard let value else { return }
    append(tag: Self.tag(field, .lengthDelimited), text: value)
  }

  // MARK: Repeated values

  @inlinable public mutating func strings(_ field: Int, _ values: [String]) {
    for value in values { optional(field, string: value) }
  }
  @inlinable public mutating func messages<M: Message>(_ field: Int, _ values: [M]) {
    let tag = Self.tag(field, .lengthDelimited)
    values.withUnsafeBufferPointer { values in
      values.withMemoryRebound(to: Lent<M>.self) { lent in
        for index in lent.indices {
          let start = beginDelimited(tag: tag)
          lent[index].encode(to: &self)
          endDelimited(start)
        }
      }
    }
  }
  /// Packed, as proto3 writes repeated numbers.
  @inlinable public mutating func enumerations<E: ProtoEnum>(_ field: Int, _ values: [E]) {
    guard !values.isEmpty else { return }
    delimited(field) { writer in
      for value in values { writer.varint(UInt64(bitPattern: Int64(value.rawValue))) }
    }
  }
  @inlinable public mutating func int32s(_ field: Int, _ values: [Int32]) {
    guard !values.isEmpty else { return }
    delimited(field) { writer in
      for value in values { writer.varint(UInt64(bitPattern: Int64(value))) }
    }
  }
  @inlinable public mutating func int64s(_ field: Int, _ values: [Int64]) {
    guard !values.isEmpty else { return }
    delimited(field) { writer in
      for value in values { writer.varint(UInt64(bitPattern: value)) }
    }
  }

  /// A message's declared fields, then those it kept without knowing them.
  @inlinable public mutating func fields<M: Message>(of message: M) {
    message.encode(to: &self)
    if let unknown = message.unknownFields.bytes { unknown.withUnsafeBytes { raw($0) } }
  }
}

/// An element of an array where it lies. Iterating over an array copies each element, which retains all that it holds;
/// what cannot be copied is lent.
@usableFromInline
struct Lent<M: Message>: ~Copyable {
  @usableFromInline let message: M

  @inlinable
  borrowing func encode(to writer: inout WireWriter) { writer.fields(of: message) }
}
