// JSON's grammar (RFC 8259), strictly: no comments, no trailing commas, no leading zeros. It keeps the path of where it
// is for errors and bounds how deep values nest. What the values mean is JSONReading's business.
import ProtoWire

struct JSONScanner {
  enum Step {
    case name(String)
    case index(Int)
  }

  /// How deep objects and arrays may nest; as for wire bytes.
  static let maxDepth = WireReader.maxDepth

  let text: [UInt8]
  var position = 0
  var path: [Step] = []
  private var depth = 0

  init(text: [UInt8]) { self.text = text }

  func error(_ reason: String, at offset: Int? = nil) -> JSONError {
    var place = ""
    for step in path {
      switch step {
      case .name(let name): place += place.isEmpty ? name : "." + name
      case .index(let index): place += "[\(index)]"
      }
    }
    return JSONError(path: place, reason: reason, offset: offset ?? position)
  }

  // MARK: Structure

  /// The next byte that is not white space, without taking it; 0 at the end.
  mutating func peek() -> UInt8 {
    while position < text.count {
      switch text[position] {
      case 0x20, 0x0A, 0x0D, 0x09: position += 1
      default: return text[position]
      }
    }
    return 0
  }

  mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard peek() == UInt8(ascii: character), position < text.count else { return false }
    position += 1
    return true
  }

  mutating func end() throws(JSONError) {
    _ = peek()
    guard position == text.count else { throw error("expected the end of the text") }
  }

  mutating func enterObject() throws(JSONError) {
    guard take("{") else { throw error("expected an object") }
    try enter()
  }

  mutating func enterArray() throws(JSONError) {
    guard take("[") else { throw error("expected an array") }
    try enter()
  }

  /// The next member's name, standing at its value, or nil after the object's end. The name is on the path until
  /// `leaveMember`.
  /// - Parameter count: the caller's count of members, which begins at 0.
  mutating func nextMember(_ count: inout Int) throws(JSONError) -> (name: String, offset: Int)? {
    if take("}") {
      depth -= 1
      return nil
    }
    if count > 0, !take(",") { throw error("expected ',' or '}'") }
    count += 1
    guard peek() == UInt8(ascii: "\"") else { throw error("expected a name in quotes") }
    let offset = position
    let name = String(decoding: try string(), as: UTF8.self)
    guard take(":") else { throw error("expected ':' after the name \"\(name)\"") }
    path.append(.name(name))
    return (name, offset)
  }

  /// True if there is another element, standing at it; false after the array's end. Its index is on the path until
  /// `leaveMember`.
  mutating func nextElement(_ count: inout Int) throws(JSONError) -> Bool {
    if take("]") {
      // "[1,]" is refused where the element after the comma is read: ']' begins no value.
      depth -= 1
      return false
    }
    if count > 0, !take(",") { throw error("expected ',' or ']'") }
    path.append(.index(count))
    count += 1
    return true
  }

  mutating func leaveMember() { path.removeLast() }

  private mutating func enter() throws(JSONError) {
    depth += 1
    guard depth <= Self.maxDepth else { throw error("values nest deeper than \(Self.maxDepth)") }
  }

  /// Passes over any value, which must be well-formed all the same.
  mutating func skipValue() throws(JSONError) {
    switch peek() {
    case UInt8(ascii: "{"):
      try enterObject()
      var count = 0
      while try nextMember(&count) != nil {
        try skipValue()
        leaveMember()
      }
    case UInt8(ascii: "["):
      try enterArray()
      var count = 0
      while try nextElement(&count) {
        try skipValue()
        leaveMember()
      }
    case UInt8(ascii: "\""): _ = try string()
    case UInt8(ascii: "t"): try word("true")
    case UInt8(ascii: "f"): try word("false")
    case UInt8(ascii: "n"): try word("null")
    default: _ = try number()
    }
  }

  // MARK: Words and numbers

  mutating func word(_ word: StaticString) throws(JSONError) {
    _ = peek()
    let count = word.utf8CodeUnitCount
    let matches = word.withUTF8Buffer { expected in
      text.count - position >= count && text[position..<position + count].elementsEqual(expected)
    }
    guard matches else { throw error("expected a value") }
    position += count
  }

  mutating func takeNull() throws(JSONError) -> Bool {
    guard peek() == UInt8(ascii: "n") else { return false }
    try word("null")
    return true
  }

  /// The text of a number (RFC 8259 section 6).
  mutating func number() throws(JSONError) -> ArraySlice<UInt8> {
    _ = peek()
    let start = position
    guard let end = Self.endOfNumber(text[start...]) else { throw error("expected a value") }
    position = end
    return text[start..<end]
  }

  /// Where the number that `text` begins with ends: nil if it begins with none.
  static func endOfNumber(_ text: ArraySlice<UInt8>) -> Int? {
    var index = text.startIndex
    func digits() -> Bool {
      let start = index
      while index < text.endIndex, (0x30...0x39).contains(text[index]) { index += 1 }
      return index > start
    }
    if index < text.endIndex, text[index] == UInt8(ascii: "-") { index += 1 }
    let leadingZero = index < text.endIndex && text[index] == UInt8(ascii: "0")
    let integerStart = index
    guard digits(), !leadingZero || index == integerStart + 1 else { return nil }
    if index < text.endIndex, text[index] == UInt8(ascii: ".") {
      index += 1
      guard digits() else { return nil }
    }
    if index < text.endIndex, text[index] | 0x20 == UInt8(ascii: "e") {
      index += 1
      if index < text.endIndex, text[index] == UInt8(ascii: "+") || text[index] == UInt8(ascii: "-") { index += 1 }
      guard digits() else { return nil }
    }
    return index
  }

  // MARK: Strings

  /// A string's UTF-8, escapes resolved.
  mutating func string() throws(JSONError) -> [UInt8] {
    guard take("\"") else { throw error("expected a string") }
    var result: [UInt8] = []
    var start = position
    while position < text.count {
      let byte = text[position]
      if byte == UInt8(ascii: "\"") {
        result.append(contentsOf: text[start..<position])
        position += 1
        return result
      }
      if byte < 0x20 { throw error("a control character in a string must be escaped") }
      if byte == UInt8(ascii: "\\") {
        result.append(contentsOf: text[start..<position])
        try escape(into: &result)
        start = position
      } else {
        position += 1
      }
    }
    throw error("a string is not closed")
  }

  private mutating func escape(into result: inout [UInt8]) throws(JSONError) {
    guard position + 1 < text.count else { throw error("a string is not closed") }
    let letter = text[position + 1]
    position += 2
    switch letter {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(letter)
    case UInt8(ascii: "n"): result.append(0x0A)
    case UInt8(ascii: "r"): result.append(0x0D)
    case UInt8(ascii: "t"): result.append(0x09)
    case UInt8(ascii: "b"): result.append(0x08)
    case UInt8(ascii: "f"): result.append(0x0C)
    case UInt8(ascii: "u"):
      let scalar = try unicodeEscape()
      result.append(contentsOf: String(Character(scalar)).utf8)
    default: throw error("'\\' is followed by no escape that JSON knows", at: position - 2)
    }
  }

  /// After `\u`: four hex digits, and for a high surrogate the low one that must follow.
  private mutating func unicodeEscape() throws(JSONError) -> Unicode.Scalar {
    let start = position
    var value = try fourHexDigits()
    if value & 0xFC00 == 0xD800, position + 1 < text.count, text[position] == UInt8(ascii: "\\"),
      text[position + 1] == UInt8(ascii: "u")
    {
      position += 2
      let low = try fourHexDigits()
      guard low & 0xFC00 == 0xDC00 else { throw error("half a surrogate pair in a string", at: start) }
      value = 0x10000 + (value & 0x3FF) << 10 + low & 0x3FF
    }
    guard let scalar = Unicode.Scalar(value) else { throw error("half a surrogate pair in a string", at: start) }
    return scalar
  }

  private mutating func fourHexDigits() throws(JSONError) -> UInt32 {
    guard text.count - position >= 4 else { throw error("a string is not closed") }
    var value: UInt32 = 0
    for byte in text[position..<position + 4] {
      switch byte {
      case 0x30...0x39: value = value << 4 | UInt32(byte - 0x30)
      case 0x41...0x46: value = value << 4 | UInt32(byte - 0x41 + 10)
      case 0x61...0x66: value = value << 4 | UInt32(byte - 0x61 + 10)
      default: throw error("'\\u' needs four hex digits")
      }
    }
    position += 4
    return value
  }
}
