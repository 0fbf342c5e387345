// Writes protobuf's wire format byte by byte, right and wrong. Apart from WireWriter, so that one cannot hide the
// other's mistake.
import ProtoWire

extension [UInt8] {
  mutating func putVarint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    append(UInt8(truncatingIfNeeded: rest))
  }

  /// The same value in more bytes than it needs; above 10 in all no reader may take it.
  mutating func putVarint(_ value: UInt64, padding: Int) {
    putVarint(value)
    for _ in 0..<padding {
      self[count - 1] |= 0x80
      append(0)
    }
  }

  mutating func putTag(_ number: Int, _ type: WireType) {
    putVarint(UInt64(truncatingIfNeeded: number) << 3 | UInt64(type.rawValue))
  }

  mutating func putLittleEndian(_ value: UInt64, bytes: Int) {
    for index in 0..<bytes { append(UInt8(truncatingIfNeeded: value >> UInt64(8 * index))) }
  }

  mutating func putDelimited(_ number: Int, _ bytes: some Collection<UInt8>) {
    putTag(number, .lengthDelimited)
    putVarint(UInt64(bytes.count))
    append(contentsOf: bytes)
  }
}

/// Where the fields of some bytes lie, as far as they can be read. Half of what it is asked to read is broken.
struct FieldMap {
  struct Field {
    var range: Range<Int>
    /// Where the value starts: after the tag.
    var value: Int
    /// Where a length-delimited value's content starts.
    var content: Int
    var number: Int
    var type: UInt8
  }

  private(set) var fields: [Field] = []

  static let maxFields = 200

  init(_ bytes: [UInt8]) {
    var position = 0
    while position < bytes.count, fields.count < Self.maxFields {
      let start = position
      guard let tag = Self.varint(bytes, &position) else { return }
      let type = UInt8(truncatingIfNeeded: tag & 7)
      let value = position
      var content = position
      switch type {
      case 0: guard Self.varint(bytes, &position) != nil else { return }
      case 1: position += 8
      case 5: position += 4
      case 2:
        guard let length = Self.varint(bytes, &position), length <= UInt64(bytes.count - position) else { return }
        content = position
        position += Int(length)
      default: break  // a group's own tags count as fields without a value
      }
      guard position <= bytes.count else { return }
      fields.append(
        Field(
          range: start..<position, value: value, content: content, number: Int(truncatingIfNeeded: tag >> 3),
          type: type))
    }
  }

  private static func varint(_ bytes: [UInt8], _ position: inout Int) -> UInt64? {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while position < bytes.count, shift < 70 {
      let byte = bytes[position]
      position += 1
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
      shift += 7
    }
    return nil
  }
}
