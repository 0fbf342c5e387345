// A message of every kind of field, for what no message of fileferry.v1 happens to use.
import ProtoWire

struct Kinds: Message {
  var double: Double = 0
  var float: Float = 0
  var uint32: UInt32 = 0
  var uint64: UInt64 = 0
  var sint32: Int32 = 0
  var sint64: Int64 = 0
  var fixed32: UInt32 = 0
  var fixed64: UInt64 = 0
  var sfixed32: Int32 = 0
  var sfixed64: Int64 = 0
  var rawData: [UInt8] = []
  var numbers: [Int32] = []
  var longs: [Int64] = []
  var children: [Kinds] = []
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor(
    "test.Kinds",
    [
      .init(1, "double", .double), .init(2, "float", .float), .init(3, "uint32", .uint32), .init(4, "uint64", .uint64),
      .init(5, "sint32", .sint32), .init(6, "sint64", .sint64), .init(7, "fixed32", .fixed32),
      .init(8, "fixed64", .fixed64), .init(9, "sfixed32", .sfixed32), .init(10, "sfixed64", .sfixed64),
      .init(11, "raw_data", .bytes), .init(12, "numbers", .int32, .repeated), .init(13, "longs", .int64, .repeated),
      .init(14, "children", .message(Kinds.self), .repeated),
    ])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: double = try reader.double()
    case 2: float = try reader.float()
    case 3: uint32 = try reader.uint32()
    case 4: uint64 = try reader.uint64()
    case 5: sint32 = try reader.sint32()
    case 6: sint64 = try reader.sint64()
    case 7: fixed32 = try reader.fixed32()
    case 8: fixed64 = try reader.fixed64()
    case 9: sfixed32 = try reader.sfixed32()
    case 10: sfixed64 = try reader.sfixed64()
    case 11: rawData = try reader.bytes()
    case 12: try reader.repeated(&numbers) { (item: inout WireReader) throws(WireError) in try item.int32() }
    case 13: try reader.repeated(&longs) { (item: inout WireReader) throws(WireError) in try item.int64() }
    case 14: children.append(try reader.message())
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) {
    writer.double(1, double)
    writer.float(2, float)
    writer.uint32(3, uint32)
    writer.uint64(4, uint64)
    writer.sint32(5, sint32)
    writer.sint64(6, sint64)
    writer.fixed32(7, fixed32)
    writer.fixed64(8, fixed64)
    writer.sfixed32(9, sfixed32)
    writer.sfixed64(10, sfixed64)
    writer.bytes(11, rawData)
    writer.int32s(12, numbers)
    writer.int64s(13, longs)
    writer.messages(14, children)
  }
}
