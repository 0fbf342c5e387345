// A message with every kind of field that WireReader reads: single, with presence, repeated, packed, nested in itself.
import ProtoWire

struct Shade: ProtoEnum {
  var rawValue: Int32
  init(rawValue: Int32) { self.rawValue = rawValue }
  static let descriptor = EnumDescriptor("fuzz.Shade", [("SHADE_UNSPECIFIED", 0), ("SHADE_DARK", 1)])
}

struct EveryKind: Message {
  var int32: Int32 = 0
  var int64: Int64 = 0
  var uint32: UInt32 = 0
  var uint64: UInt64 = 0
  var sint32: Int32 = 0
  var sint64: Int64 = 0
  var fixed32: UInt32 = 0
  var fixed64: UInt64 = 0
  var sfixed32: Int32 = 0
  var sfixed64: Int64 = 0
  var float: Float = 0
  var double: Double = 0
  var bool = false
  var text = ""
  var bytes: [UInt8] = []
  var shade = Shade(rawValue: 0)
  var shades: [Shade] = []
  var numbers: [Int32] = []
  var wideNumbers: [Int64] = []
  var note: String?
  var texts: [String] = []
  var children: [EveryKind] = []
  var leaf: Leaf?
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor(
    "fuzz.EveryKind",
    [
      .init(1, "int32", .int32), .init(2, "int64", .int64), .init(3, "uint32", .uint32), .init(4, "uint64", .uint64),
      .init(5, "sint32", .sint32), .init(6, "sint64", .sint64), .init(7, "fixed32", .fixed32),
      .init(8, "fixed64", .fixed64), .init(9, "sfixed32", .sfixed32), .init(10, "sfixed64", .sfixed64),
      .init(11, "float", .float), .init(12, "double", .double), .init(13, "bool", .bool), .init(14, "text", .string),
      .init(15, "bytes", .bytes), .init(16, "shade", .enumeration(Shade.self)),
      .init(17, "shades", .enumeration(Shade.self), .repeated), .init(18, "numbers", .int32, .repeated),
      .init(19, "wide_numbers", .int64, .repeated), .init(20, "note", .string, .optional),
      .init(21, "texts", .string, .repeated), .init(22, "children", .message(EveryKind.self), .repeated),
      .init(23, "leaf", .message(Leaf.self)),
    ])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: int32 = try reader.int32()
    case 2: int64 = try reader.int64()
    case 3: uint32 = try reader.uint32()
    case 4: uint64 = try reader.uint64()
    case 5: sint32 = try reader.sint32()
    case 6: sint64 = try reader.sint64()
    case 7: fixed32 = try reader.fixed32()
    case 8: fixed64 = try reader.fixed64()
    case 9: sfixed32 = try reader.sfixed32()
    case 10: sfixed64 = try reader.sfixed64()
    case 11: float = try reader.float()
    case 12: double = try reader.double()
    case 13: bool = try reader.bool()
    case 14: text = try reader.string()
    case 15: bytes = try reader.bytes()
    case 16: shade = try reader.enumeration()
    case 17: try reader.repeated(&shades) { (item: inout WireReader) throws(WireError) in try item.enumeration() }
    case 18: try reader.repeated(&numbers) { (item: inout WireReader) throws(WireError) in try item.int32() }
    case 19: try reader.repeated(&wideNumbers) { (item: inout WireReader) throws(WireError) in try item.int64() }
    case 20: note = try reader.string()
    case 21: texts.append(try reader.string())
    case 22: children.append(try reader.message())
    case 23: try reader.message(into: &leaf)
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) {
    writer.int32(1, int32)
    writer.int64(2, int64)
    writer.uint32(3, uint32)
    writer.uint64(4, uint64)
    writer.sint32(5, sint32)
    writer.sint64(6, sint64)
    writer.fixed32(7, fixed32)
    writer.fixed64(8, fixed64)
    writer.sfixed32(9, sfixed32)
    writer.sfixed64(10, sfixed64)
    writer.float(11, float)
    writer.double(12, double)
    writer.bool(13, bool)
    writer.string(14, text)
    writer.bytes(15, bytes)
    writer.enumeration(16, shade)
    writer.enumerations(17, shades)
    writer.int32s(18, numbers)
    writer.int64s(19, wideNumbers)
    writer.optional(20, string: note)
    writer.strings(21, texts)
    writer.messages(22, children)
    writer.message(23, leaf)
  }
}

struct Leaf: Message {
  var name = ""
  var size: Int64 = 0
  var tags: [String] = []
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor(
    "fuzz.Leaf", [.init(1, "name", .string), .init(2, "size", .int64), .init(3, "tags", .string, .repeated)])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: name = try reader.string()
    case 2: size = try reader.int64()
    case 3: tags.append(try reader.string())
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) {
    writer.string(1, name)
    writer.int64(2, size)
    writer.strings(3, tags)
  }
}
