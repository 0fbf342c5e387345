// google.protobuf.Timestamp, the one well-known type that fileferry.v1 uses. Its text form and its conversions are in
// TimestampText.swift and TimestampDate.swift.
import ProtoWire

/// google.protobuf.Timestamp: a point in time on the UTC time line, without leap seconds.
public struct Timestamp: Message, Hashable {
  /// Seconds since 1970-01-01T00:00:00Z; negative before.
  public var seconds: Int64 = 0
  /// Nanoseconds on top of `seconds`, 0 to 999,999,999, also before 1970.
  public var nanos: Int32 = 0
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "google.protobuf.Timestamp", [.init(1, "seconds", .int64), .init(2, "nanos", .int32)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: seconds = try reader.int64()
    case 2: nanos = try reader.int32()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.int64(1, seconds)
    writer.int32(2, nanos)
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(seconds)
    hasher.combine(nanos)
  }
}

/// Files of google.protobuf that fileferry.v1 imports.
public enum WellKnownFiles {
  public static let timestamp = FileDescriptor(
    "google/protobuf/timestamp.proto", package: "google.protobuf", messages: [Timestamp.descriptor])
}
