// The messages and methods of the bench service (scripts/benches/peers/echo.proto), for our own ends of it.
import ProtoWire
import RPC

public struct EchoMessage: Message {
  public var payload: [UInt8] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor("bench.Msg", [FieldDescriptor(1, "payload", .bytes)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: payload = try reader.bytes()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.bytes(1, payload) }
}

public struct FeedRequest: Message {
  public var count: Int32 = 0
  public var size: Int32 = 0
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "bench.FeedRequest", [FieldDescriptor(1, "count", .int32), FieldDescriptor(2, "size", .int32)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: count = try reader.int32()
    case 2: size = try reader.int32()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.int32(1, count)
    writer.int32(2, size)
  }
}

public enum Echo {
  public static let say = UnaryMethod<EchoMessage, EchoMessage>("bench.Echo", "Say")
  public static let feed = ServerStreamingMethod<FeedRequest, EchoMessage>("bench.Echo", "Feed")
}
