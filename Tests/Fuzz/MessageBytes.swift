// Wire bytes of a random message, filled by its descriptor: valid ones, and ones that are wrong somewhere inside while
// all lengths around it are right, which no flip of a byte would reach.
import ProtoWire

struct MessageBytes {
  static let maxDepth = 5
  static let maxRepeated = 3

  /// One field in so many is written wrongly; 0 for none.
  var wrongOneIn = 0

  func make(_ type: any Message.Type, _ generator: inout Generator, into output: inout [UInt8], depth: Int = 1) {
    for field in type.descriptor.fields {
      let count = field.cardinality == .repeated ? generator.below(Self.maxRepeated + 1) : generator.below(2)
      for _ in 0..<count {
        if wrongOneIn > 0, generator.chance(wrongOneIn) {
          wrong(field, &generator, into: &output)
        } else {
          append(field, &generator, into: &output, depth: depth)
        }
      }
    }
  }

  private func append(_ field: FieldDescriptor, _ generator: inout Generator, into output: inout [UInt8], depth: Int) {
    switch field.kind {
    case .message(let type):
      guard depth < Self.maxDepth else { return }
      var inner: [UInt8] = []
      make(type, &generator, into: &inner, depth: depth + 1)
      output.putDelimited(field.number, inner)
    case .string: output.putDelimited(field.number, text(&generator).utf8)
    case .bytes: output.putDelimited(field.number, (0..<generator.below(20)).map { UInt8($0) })
    case .float, .fixed32, .sfixed32:
      output.putTag(field.number, .fixed32)
      output.putLittleEndian(generator.number(), bytes: 4)
    case .double, .fixed64, .sfixed64:
      output.putTag(field.number, .fixed64)
      output.putLittleEndian(generator.number(), bytes: 8)
    case .bool:
      output.putTag(field.number, .varint)
      output.append(UInt8(generator.below(2)))
    case .enumeration(let type):
      output.putTag(field.number, .varint)
      var number = generator.pick(type.descriptor.values).number
      if generator.chance(8) { number = Int32(truncatingIfNeeded: generator.next()) }
      output.putVarint(UInt64(bitPattern: Int64(number)))
    case .int64, .uint64, .sint64, .int32, .uint32, .sint32:
      if field.cardinality == .repeated, generator.chance(2) {
        var packed: [UInt8] = []
        for _ in 0..<generator.below(6) { packed.putVarint(generator.number()) }
        output.putDelimited(field.number, packed)
      } else {
        output.putTag(field.number, .varint)
        output.putVarint(generator.number())
      }
    }
  }

  private static let words = ["", "a", "s3://bucket/key", "käse €", "日本", "\u{0}", "👍\u{301}", "FAILED"]

  private func text(_ generator: inout Generator) -> String {
    generator.chance(40) ? String(repeating: "lang ", count: generator.below(60)) : generator.pick(Self.words)
  }

  private static let notUTF8: [[UInt8]] = [
    [0xFF], [0xC3], [0xED, 0xA0, 0x80], [0xC0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0x61, 0xE2, 0x82],
    [0xF8, 0x88, 0x80, 0x80, 0x80],
  ]

  /// The field's number with a value that its declaration does not expect.
  private func wrong(_ field: FieldDescriptor, _ generator: inout Generator, into output: inout [UInt8]) {
    let number = generator.chance(4) ? Int(truncatingIfNeeded: generator.number()) : field.number
    switch generator.below(9) {
    case 0:
      output.putTag(number, .varint)
      output.putVarint(generator.number(), padding: generator.below(11))
    case 1:
      output.putTag(number, .fixed64)
      output.putLittleEndian(generator.number(), bytes: 8)
    case 2:
      output.putTag(number, .fixed32)
      output.putLittleEndian(generator.number(), bytes: 4)
    case 3: output.putDelimited(number, generator.pick(Self.notUTF8))
    case 4: output.putDelimited(number, (0..<generator.below(12)).map { _ in generator.byte() })
    case 5:
      output.putTag(number, .startGroup)
      output.putDelimited(field.number, [1, 2, 3])
      output.putTag(generator.chance(4) ? number &+ 1 : number, .endGroup)
    case 6: output.putTag(number, .endGroup)
    case 7:
      output.putTag(number, .lengthDelimited)
      output.putVarint(generator.number())
    default: Self.nest(number, generator.below(130), &generator, into: &output)
    }
  }

  /// The same field, or groups of its number, in each other.
  static func nest(_ number: Int, _ depth: Int, _ generator: inout Generator, into output: inout [UInt8]) {
    if generator.chance(2) {
      for _ in 0..<depth { output.putTag(number, .startGroup) }
      let closed = generator.chance(4) ? generator.below(depth + 2) : depth
      for _ in 0..<closed { output.putTag(number, .endGroup) }
      return
    }
    var inner: [UInt8] = []
    for _ in 0..<depth {
      var outer: [UInt8] = []
      outer.putDelimited(number, inner)
      inner = outer
    }
    output.append(contentsOf: inner)
  }
}
