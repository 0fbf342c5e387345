// Random wire bytes of a message, filled by its descriptor. Repeatable from the seed.
import FerryAPI
import ProtoWire

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
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

struct RandomMessages {
  /// What the bytes may hold beyond declared fields with sensible values.
  struct Content {
    var unknownFields = false
    var invalidTimestamps = false
  }

  static let maxDepth = 4
  static let maxRepeated = 5

  var generator: SeededGenerator
  let content: Content

  init(seed: UInt64, content: Content) {
    generator = SeededGenerator(state: seed)
    self.content = content
  }

  /// Each field present about half the time, in the order of the .proto file.
  mutating func bytes(of type: any Message.Type, depth: Int = 1) -> [UInt8] {
    if type == Timestamp.self, !content.invalidTimestamps { return timestamp() }
    var output: [UInt8] = []
    for field in type.descriptor.fields {
      let count = field.cardinality == .repeated ? Int.random(in: 0...Self.maxRepeated, using: &generator) : presence()
      for _ in 0..<count { append(field, depth: depth, to: &output) }
    }
    if content.unknownFields, chance(4) { appendUnknown(to: &output) }
    return output
  }

  private mutating func presence() -> Int { chance(2) ? 1 : 0 }

  private mutating func chance(_ oneIn: Int) -> Bool { Int.random(in: 0..<oneIn, using: &generator) == 0 }

  private mutating func append(_ field: FieldDescriptor, depth: Int, to output: inout [UInt8]) {
    switch field.kind {
    case .message(let type):
      guard depth < Self.maxDepth else { return }
      delimited(field.number, bytes(of: type, depth: depth + 1), &output)
    case .string: delimited(field.number, Array(text().utf8), &output)
    case .bytes: delimited(field.number, (0..<Int.random(in: 0...40, using: &generator)).map { UInt8($0) }, &output)
    case .bool: varint(field.number, UInt64.random(in: 0...1, using: &generator), &output)
    case .enumeration(let type): varint(field.number, UInt64(bitPattern: Int64(number(of: type.descriptor))), &output)
    case .int32: varint(field.number, UInt64(bitPattern: Int64(extreme(Int32.self))), &output)
    case .uint32, .sint32: varint(field.number, UInt64(extreme(UInt32.self)), &output)
    case .int64, .uint64, .sint64: varint(field.number, extreme(UInt64.self), &output)
    case .fixed32, .sfixed32, .float: fixed(field.number, 5, extreme(UInt32.self), &output)
    case .fixed64, .sfixed64, .double: fixed(field.number, 1, extreme(UInt64.self), &output)
    }
  }

  // MARK: Values

  private mutating func extreme<I: FixedWidthInteger>(_ type: I.Type) -> I {
    switch Int.random(in: 0..<8, using: &generator) {
    case 0: 0
    case 1: .min
    case 2: .max
    case 3: 1
    case 4: I(truncatingIfNeeded: -1)
    case 5: I(truncatingIfNeeded: Int.random(in: 0...300, using: &generator))
    default: .random(in: .min ... .max, using: &generator)
    }
  }

  /// One in six is a number that has no name, now and then a negative one.
  private mutating func number(of descriptor: EnumDescriptor) -> Int32 {
    if chance(6) { return chance(2) ? -Int32.random(in: 1...1000, using: &generator) : extreme(Int32.self) }
    return descriptor.values.randomElement(using: &generator)?.number ?? 0
  }

  private static let scalars: [Unicode.Scalar] = Array(
    "abcXYZ 019\"\\/\n\t\u{0}\u{1F}\u{7F}äß€日本𝄞👍\u{301}\u{2028}".unicodeScalars)

  private mutating func text() -> String {
    let length: Int
    switch Int.random(in: 0..<10, using: &generator) {
    case 0: length = 0
    case 1: length = Int.random(in: 100...600, using: &generator)
    default: length = Int.random(in: 1...24, using: &generator)
    }
    var text = String.UnicodeScalarView()
    for _ in 0..<length {
      if let scalar = Self.scalars.randomElement(using: &generator) { text.append(scalar) }
    }
    return String(text)
  }

  private mutating func timestamp() -> [UInt8] {
    var output: [UInt8] = []
    let recent = chance(2)
    let seconds = recent ? Int64.random(in: 0...4_000_000_000, using: &generator)
      : Int64.random(in: Timestamp.textRange, using: &generator)
    let unit = [1, 1000, 1_000_000, 1_000_000_000].randomElement(using: &generator) ?? 1
    let nanos = Int.random(in: 0..<1_000_000_000, using: &generator) / unit * unit
    if seconds != 0 { varint(1, UInt64(bitPattern: seconds), &output) }
    if nanos != 0 { varint(2, UInt64(nanos), &output) }
    return output
  }

  /// Numbers far above those of any field here, of every wire type that a newer sender may use.
  private mutating func appendUnknown(to output: inout [UInt8]) {
    for number in [1000, 77_777, (1 << 29) - 1] where chance(2) {
      switch Int.random(in: 0..<5, using: &generator) {
      case 0: varint(number, extreme(UInt64.self), &output)
      case 1: fixed(number, 1, extreme(UInt64.self), &output)
      case 2: fixed(number, 5, extreme(UInt32.self), &output)
      case 3: delimited(number, Array(text().utf8), &output)
      default:
        raw(UInt64(number) << 3 | 3, &output)
        varint(5, 42, &output)
        raw(UInt64(number) << 3 | 4, &output)
      }
    }
  }

  // MARK: Wire format, written apart from WireWriter so that one cannot hide the other's mistake

  private func raw(_ value: UInt64, _ output: inout [UInt8]) {
    var rest = value
    while rest >= 0x80 {
      output.append(UInt8(rest & 0x7F) | 0x80)
      rest >>= 7
    }
    output.append(UInt8(rest))
  }

  private func varint(_ number: Int, _ value: UInt64, _ output: inout [UInt8]) {
    raw(UInt64(number) << 3, &output)
    raw(value, &output)
  }

  private func fixed(_ number: Int, _ wireType: UInt64, _ value: some FixedWidthInteger, _ output: inout [UInt8]) {
    raw(UInt64(number) << 3 | wireType, &output)
    for index in 0..<value.bitWidth / 8 { output.append(UInt8(truncatingIfNeeded: value >> (8 * index))) }
  }

  private func delimited(_ number: Int, _ bytes: [UInt8], _ output: inout [UInt8]) {
    raw(UInt64(number) << 3 | 2, &output)
    raw(UInt64(bytes.count), &output)
    output.append(contentsOf: bytes)
  }
}
