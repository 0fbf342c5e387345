// Walks the representations of a header block (RFC 7541 section 6).

struct BlockReader {
  private let bytes: UnsafeRawBufferPointer
  private(set) var position: Int
  private let end: Int
  /// False once something did not fit; what was read then is not to be trusted.
  private(set) var isWellFormed = true

  init(_ bytes: UnsafeRawBufferPointer, _ block: Range<Int>) {
    self.bytes = bytes
    position = block.lowerBound
    end = block.upperBound
  }

  enum Kind {
    /// A field of a table.
    case indexed
    /// A field that is added to the table.
    case added
    /// A field that stands for itself.
    case literal
    /// A new size of the table, which is in `index`.
    case size
  }

  struct Text {
    var range = 0..<0
    var isHuffman = false
  }

  struct Representation {
    var kind: Kind
    /// The field in the tables, or that whose name it has; 0 for a name of its own.
    var index: Int
    var name = Text()
    var value = Text()
  }

  /// The index of the next one if it is a field of a table, of the first 126: most of them are.
  @inline(__always)
  mutating func nextIndex() -> Int? {
    guard position < end, bytes[position] & 0x80 != 0, bytes[position] != 0xFF else { return nil }
    defer { position += 1 }
    return Int(bytes[position] & 0x7F)
  }

  /// The next one, or nil at the end and where something does not fit.
  mutating func next() -> Representation? {
    guard position < end else { return nil }
    let first = bytes[position]
    var found: Representation
    if first & 0x80 != 0 {
      found = Representation(kind: .indexed, index: integer(prefix: 7))
    } else if first & 0xE0 == 0x20 {
      found = Representation(kind: .size, index: integer(prefix: 5))
    } else {
      let isAdded = first & 0x40 != 0
      found = Representation(kind: isAdded ? .added : .literal, index: integer(prefix: isAdded ? 6 : 4))
      if isWellFormed, found.index == 0 { found.name = text() }
      if isWellFormed { found.value = text() }
    }
    return isWellFormed ? found : nil
  }

  /// RFC 7541 section 5.1, up to 2^21: no length here is as long.
  @inline(__always)
  private mutating func integer(prefix: UInt8) -> Int {
    let mask = Int(1) << Int(prefix) - 1
    let value = Int(bytes[position]) & mask
    position += 1
    return value == mask ? longInteger(value) : value
  }

  private mutating func longInteger(_ prefix: Int) -> Int {
    var value = prefix
    var shift = 0
    while position < end, shift <= 14 {
      let byte = Int(bytes[position])
      position += 1
      value += (byte & 0x7F) << shift
      if byte & 0x80 == 0 { return value }
      shift += 7
    }
    isWellFormed = false
    return 0
  }

  private mutating func text() -> Text {
    guard position < end else {
      isWellFormed = false
      return Text()
    }
    let isHuffman = bytes[position] & 0x80 != 0
    let length = integer(prefix: 7)
    guard isWellFormed, length <= end - position else {
      isWellFormed = false
      return Text()
    }
    defer { position += length }
    return Text(range: position..<position + length, isHuffman: isHuffman)
  }
}
