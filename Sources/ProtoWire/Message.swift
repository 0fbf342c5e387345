// What every message is: a plain struct with two short hand-written functions, one line a field, in the order of its
// .proto file, and a descriptor that says the same to reflection and JSON.
import NIOCore

/// A protobuf message.
///
/// A conforming type's `decode` has one `case` a field and `default: try reader.skip()`; its `encode` has one line a
/// field. Unknown fields are kept and written back, so that an old service passes on what a newer one added.
public protocol Message: Sendable, Equatable {
  init()

  /// The fields that arrived and have no declaration here, as raw bytes, in their order.
  var unknownFields: UnknownFields { get set }

  /// Reads the value of `field`, or skips it if it is none of this message's.
  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError)

  /// Writes the declared fields that hold something.
  func encode(to writer: inout WireWriter)

  /// Reads fields until the reader's end. Every message has it from the extension below; it stands here so that code
  /// that is generic over messages calls the one made for its type, and not one that asks the type at every field.
  mutating func merge(from reader: inout WireReader) throws(WireError)

  /// Name and fields, as in the .proto file.
  static var descriptor: MessageDescriptor { get }
}

/// Raw fields of a message, tags included.
public struct UnknownFields: Sendable, Equatable {
  public private(set) var bytes: [UInt8]?

  public init() {}

  @inlinable public var isEmpty: Bool { bytes == nil }

  mutating func append(_ raw: UnsafeRawBufferPointer) {
    if bytes == nil { bytes = [] }
    bytes?.append(contentsOf: raw)
  }
}

/// An open enumeration of proto3: values that have no name here are kept.
public protocol ProtoEnum: RawRepresentable, Sendable, Hashable where RawValue == Int32 {
  init(rawValue: Int32)
  static var descriptor: EnumDescriptor { get }
}

extension Message {
  /// Reads a whole message. Later values of a single field replace or merge into earlier ones, as protobuf asks.
  @inlinable
  public init(decoding buffer: ByteBuffer) throws(WireError) {
    self.init()
    try buffer.withUnsafeReadableBytes { (raw) throws(WireError) in try merge(raw) }
  }

  @inlinable
  public init(decoding bytes: [UInt8]) throws(WireError) {
    self.init()
    try bytes.withUnsafeBufferPointer { (buffer) throws(WireError) in try merge(UnsafeRawBufferPointer(buffer)) }
  }

  @inlinable
  mutating func merge(_ raw: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(raw)
    try merge(from: &reader)
  }

  @inlinable
  public mutating func merge(from reader: inout WireReader) throws(WireError) {
    while let field = try reader.nextField() {
      do throws(WireError) {
        try decode(field: field, from: &reader)
      } catch WireError.wireTypeMismatch {
        try reader.skip()
      }
      if reader.skippedField { keepUnknown(from: &reader) }
    }
  }

  @usableFromInline
  mutating func keepUnknown(from reader: inout WireReader) {
    unknownFields.append(reader.takeSkipped())
  }

  /// The message's bytes, in the order of its declaration: the same as protobuf's deterministic serialization.
  @inlinable
  public func encodedBytes() -> [UInt8] {
    withUnsafeTemporaryAllocation(byteCount: WireWriter.scratchSize, alignment: 8) { scratch in
      var writer = WireWriter(in: scratch)
      writer.fields(of: self)
      return writer.withUnsafeBytes { Array($0) }
    }
  }

  @inlinable
  public func encodedBuffer() -> ByteBuffer {
    withUnsafeTemporaryAllocation(byteCount: WireWriter.scratchSize, alignment: 8) { scratch in
      var writer = WireWriter(in: scratch)
      writer.fields(of: self)
      return writer.withUnsafeBytes { ByteBuffer(bytes: $0) }
    }
  }
}

extension Message {
  /// A message made in place: `Person.with { $0.name = "Ada" }`.
  public static func with(_ fill: (inout Self) throws -> Void) rethrows -> Self {
    var message = Self()
    try fill(&message)
    return message
  }
}
