// Spoils a message's bytes: by bits, by whole fields, and by repeating one field until the input is large, where work
// or memory that grows faster than the input shows.
import ProtoWire

struct MessageMutator {
  /// Inputs stay below this, repeated fields included.
  static let maxSize = 256 << 10
  /// One input in so many is grown to a large one.
  static let growOneIn = 1000

  /// Changes `bytes` one to four times; `other` is another message to take pieces from.
  static func mutate(_ bytes: inout [UInt8], with other: [UInt8], _ generator: inout Generator) {
    for _ in 0...generator.below(4) { step(&bytes, other, &generator) }
    if generator.chance(growOneIn) { grow(&bytes, &generator) }
  }

  private static func step(_ bytes: inout [UInt8], _ other: [UInt8], _ generator: inout Generator) {
    guard !bytes.isEmpty else {
      for _ in 0..<generator.below(12) { bytes.append(generator.byte()) }
      return
    }
    let place = generator.below(bytes.count)
    switch generator.below(16) {
    case 0, 1: bytes[place] ^= 1 << UInt8(generator.below(8))
    case 2: bytes[place] = generator.byte()
    case 3: bytes[place] = generator.pick([0, 0x7F, 0x80, 0xFF, 0x08, 0x0A, 0x0B, 0x0C])
    case 4: bytes.removeSubrange(place...)
    case 5: bytes.removeSubrange(place..<min(bytes.count, place + 1 + generator.below(8)))
    case 6: bytes.insert(contentsOf: (0...generator.below(6)).map { _ in generator.byte() }, at: place)
    case 7:
      var number: [UInt8] = []
      number.putVarint(generator.number(), padding: generator.chance(3) ? generator.below(11) : 0)
      bytes.insert(contentsOf: number, at: place)
    case 8: splice(&bytes, at: place, other, &generator)
    default: changeField(&bytes, &generator)
    }
  }

  private static func splice(_ bytes: inout [UInt8], at place: Int, _ other: [UInt8], _ generator: inout Generator) {
    guard !other.isEmpty else { return }
    let from = generator.below(other.count)
    let count = generator.below(other.count - from + 1)
    bytes.insert(contentsOf: other[from..<from + count], at: place)
  }

  private static func changeField(_ bytes: inout [UInt8], _ generator: inout Generator) {
    let fields = FieldMap(bytes).fields
    guard !fields.isEmpty else { return }
    let field = fields[generator.below(fields.count)]
    switch generator.below(8) {
    case 0:  // another wire type
      bytes[field.range.lowerBound] = bytes[field.range.lowerBound] & 0xF8 | UInt8(generator.below(8))
    case 1:  // another number
      var tag: [UInt8] = []
      let padding = generator.chance(6) ? generator.below(10) : 0
      tag.putVarint(generator.number() << 3 | UInt64(field.type), padding: padding)
      bytes.replaceSubrange(field.range.lowerBound..<field.value, with: tag)
    case 2:  // a length that is not the content's
      guard field.type == WireType.lengthDelimited.rawValue else { return }
      var length: [UInt8] = []
      let real = UInt64(field.range.upperBound - field.content)
      length.putVarint(generator.chance(2) ? generator.number() : real &+ UInt64(generator.below(3)) &- 1)
      bytes.replaceSubrange(field.value..<field.content, with: length)
    case 3: bytes.removeSubrange(field.range)
    case 4: bytes.insert(contentsOf: bytes[field.range], at: fields[generator.below(fields.count)].range.lowerBound)
    case 5:  // wrapped in groups or messages of its own number
      var nest: [UInt8] = []
      MessageBytes.nest(max(1, field.number), generator.below(120), &generator, into: &nest)
      bytes.insert(contentsOf: nest, at: field.range.lowerBound)
    case 6:  // a message inside, empty or grown by a piece of the whole
      guard field.type == WireType.lengthDelimited.rawValue, field.content < bytes.count else { return }
      let piece = Array(bytes[fields[generator.below(fields.count)].range])
      var whole: [UInt8] = []
      whole.putDelimited(max(1, field.number), Array(bytes[field.content..<field.range.upperBound]) + piece)
      bytes.replaceSubrange(field.range, with: whole)
    default:
      let last = fields[generator.below(fields.count)]
      guard last.range.lowerBound >= field.range.upperBound else { return }
      let moved = Array(bytes[last.range])
      bytes.removeSubrange(last.range)
      bytes.insert(contentsOf: moved, at: field.range.lowerBound)
    }
  }

  /// Repeats one field, or one short piece of bytes, up to a quarter of a megabyte.
  static func grow(_ bytes: inout [UInt8], _ generator: inout Generator) {
    let fields = FieldMap(bytes).fields
    guard !fields.isEmpty else { return }
    var field = fields[generator.below(fields.count)]
    // Rather one with content: a message in which one field comes again and again, or that comes so itself.
    if field.type != WireType.lengthDelimited.rawValue { field = fields[generator.below(fields.count)] }
    let piece = generator.chance(3) ? bytes[field.range.lowerBound..<field.value] + [0] : bytes[field.range]
    guard !piece.isEmpty, piece.count < maxSize / 4 else { return }
    let total = (1 << 10) << generator.below(9)
    var repeated: [UInt8] = []
    repeated.reserveCapacity(total)
    while repeated.count + piece.count <= min(total, maxSize - bytes.count) { repeated.append(contentsOf: piece) }
    // Inside the field, the same number of times: a message of which one field comes again and again.
    if generator.chance(3), field.type == WireType.lengthDelimited.rawValue {
      var whole: [UInt8] = []
      whole.putDelimited(max(1, field.number), repeated)
      repeated = whole
    }
    bytes.insert(contentsOf: repeated, at: field.range.upperBound)
  }
}
