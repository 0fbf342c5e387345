// Messages for these tests alone: one of every kind of value, and one that nests in itself.
import ProtoWire

struct Colour: ProtoEnum {
  var rawValue: Int32
  init(rawValue: Int32) { self.rawValue = rawValue }
  static let descriptor = EnumDescriptor("test.Colour", [("COLOUR_UNSPECIFIED", 0), ("COLOUR_RED", 1)])
}

struct Sample: Message {
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
  var colour = Colour(rawValue: 0)
  var colours: [Colour] = []
  var numbers: [Int32] = []
  var note: String?
  var child: Inner?
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor("test.Sample", [])

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
    case 16: colour = try reader.enumeration()
    case 17: try reader.repeated(&colours) { (item: inout WireReader) throws(WireError) in try item.enumeration() }
    case 18: try reader.repeated(&numbers) { (item: inout WireReader) throws(WireError) in try item.int32() }
    case 19: note = try reader.string()
    case 20: try reader.message(into: &child)
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
    writer.enumeration(16, colour)
    writer.enumerations(17, colours)
    writer.int32s(18, numbers)
    writer.optional(19, string: note)
    writer.message(20, child)
  }

  /// Every field set, most of them to an extreme.
  static let full = Sample.with {
    $0.int32 = .min
    $0.int64 = .min
    $0.uint32 = .max
    $0.uint64 = .max
    $0.sint32 = .min
    $0.sint64 = .max
    $0.fixed32 = .max
    $0.fixed64 = 1
    $0.sfixed32 = -1
    $0.sfixed64 = .min
    $0.float = -0.0
    $0.double = .greatestFiniteMagnitude
    $0.bool = true
    $0.text = String(repeating: "käse €", count: 40)
    $0.bytes = [0, 255, 128]
    $0.colour = Colour(rawValue: -7)
    $0.colours = [Colour(rawValue: 1), Colour(rawValue: -1), Colour(rawValue: 300)]
    $0.numbers = [0, -1, .max]
    $0.note = ""
    $0.child = .with {
      $0.name = "inner"
      $0.tags = ["a", ""]
    }
  }
}

struct Inner: Message {
  var name = ""
  var size: Int64 = 0
  var tags: [String] = []
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor("test.Inner", [])

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

struct Tree: Message {
  var branches: [Tree] = []
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor("test.Tree", [])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &branches)
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) { writer.messages(1, branches) }

  /// A tree with one branch at each level.
  static func nested(_ depth: Int) -> Tree {
    var tree = Tree()
    for _ in 0..<depth { tree = .with { $0.branches = [tree] } }
    return tree
  }
}

/// Two repeated messages, the second with a tag of two bytes, read a whole run at a time.
struct Runs: Message {
  var near: [Inner] = []
  var far: [Inner] = []
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor("test.Runs", [])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &near)
    case 16: try reader.messages(into: &far)
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) {
    writer.messages(1, near)
    writer.messages(16, far)
  }
}

/// The same, read one by one.
struct Singles: Message {
  var near: [Inner] = []
  var far: [Inner] = []
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor("test.Singles", [])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: near.append(try reader.message())
    case 16: far.append(try reader.message())
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) {
    writer.messages(1, near)
    writer.messages(16, far)
  }
}

/// SplitMix64 (Steele, Lea, Flood).
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
