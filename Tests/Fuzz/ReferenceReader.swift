// The wire format's grammar once more, as plain as can be, to hold WireReader against: which inputs it takes, what
// fields they have, and by which error it refuses the others.
import ProtoWire

struct ReferenceReader {
  let bytes: UnsafeRawBufferPointer
  private(set) var position = 0

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// Calls `body` with the number and end of each field.
  mutating func walk(_ body: (_ number: UInt64, _ end: Int) -> Void) throws(WireError) {
    while position < bytes.count {
      let (number, type) = try tag()
      try skip(number, type, depth: 0)
      body(number, position)
    }
  }

  private mutating func tag() throws(WireError) -> (number: UInt64, type: UInt64) {
    let tag = try varint()
    let number = tag >> 3
    let type = tag & 7
    guard number > 0, number < 1 << 29, type < 6 else { throw .invalidTag }
    return (number, type)
  }

  private mutating func skip(_ number: UInt64, _ type: UInt64, depth: Int) throws(WireError) {
    switch type {
    case 0: _ = try varint()
    case 1: try advance(8)
    case 5: try advance(4)
    case 2: try advance(try varint())
    case 3:
      guard depth < WireReader.maxDepth else { throw .tooDeep }
      while true {
        let (inner, type) = try tag()
        if type == 4 {
          guard inner == number else { throw .unbalancedGroup }
          return
        }
        try skip(inner, type, depth: depth + 1)
      }
    default: throw .unbalancedGroup
    }
  }

  private mutating func advance(_ count: UInt64) throws(WireError) {
    guard count <= UInt64(bytes.count - position) else { throw .truncated }
    position += Int(count)
  }

  private mutating func varint() throws(WireError) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<10 {
      guard position + index < bytes.count else { throw .truncated }
      let byte = bytes[position + index]
      value |= UInt64(byte & 0x7F) << UInt64(7 * index)
      if byte & 0x80 == 0 {
        position += index + 1
        return value
      }
    }
    throw .varintTooLong
  }
}
