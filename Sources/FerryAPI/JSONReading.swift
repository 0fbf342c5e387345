// proto3 JSON to wire bytes, in one pass over the text. Values are checked against their field's declaration here, so
// that an error can name the field.
import ProtoWire

struct JSONReading {
  private var scanner: JSONScanner
  private let unknownNames: UnknownJSONNames
  private var output: [UInt8] = []

  /// - Parameter text: valid UTF-8.
  init(text: [UInt8], unknownNames: UnknownJSONNames) {
    scanner = JSONScanner(text: text)
    self.unknownNames = unknownNames
  }

  mutating func document(_ shape: JSONShape) throws(JSONError) -> [UInt8] {
    output.reserveCapacity(scanner.text.count)
    try message(shape)
    try scanner.end()
    return output
  }

  // MARK: Messages and fields

  private mutating func message(_ shape: JSONShape) throws(JSONError) {
    if shape.isTimestamp { return try timestamp() }
    var seen = [Bool](repeating: false, count: shape.fields.count)
    try scanner.enterObject()
    var count = 0
    while let member = try scanner.nextMember(&count) {
      guard let index = shape.indexOfName[member.name] else {
        guard unknownNames == .ignored else {
          scanner.leaveMember()
          throw scanner.error("there is no field \"\(member.name)\" here", at: member.offset)
        }
        try scanner.skipValue()
        scanner.leaveMember()
        continue
      }
      guard !seen[index] else { throw scanner.error("the field is there twice", at: member.offset) }
      seen[index] = true
      if try !scanner.takeNull() { try field(shape.fields[index]) }
      scanner.leaveMember()
    }
  }

  private mutating func field(_ field: JSONShape.Field) throws(JSONError) {
    guard field.cardinality == .repeated else {
      try value(field.number, field.kind)
      return
    }
    try scanner.enterArray()
    var count = 0
    while try scanner.nextElement(&count) {
      if try scanner.takeNull() { throw scanner.error("null cannot be an element") }
      // Readers take repeated numbers one by one as well as packed.
      try value(field.number, field.kind)
      scanner.leaveMember()
    }
  }

  private mutating func value(_ number: Int, _ kind: FieldDescriptor.Kind) throws(JSONError) {
    switch kind {
    case .string: delimited(number, try scanner.string())
    case .bytes:
      guard let bytes = Base64Text.decode(try scanner.string()) else { throw scanner.error("expected base64") }
      delimited(number, bytes)
    case .message(let type):
      tag(number, .lengthDelimited)
      let start = output.count
      try message(JSONShape.of(type))
      insertLength(at: start)
    case .bool: varint(number, try bool() ? 1 : 0)
    case .enumeration(let type):
      if let value = try enumeration(type.descriptor) { varint(number, UInt64(bitPattern: Int64(value))) }
    case .int32: varint(number, UInt64(bitPattern: Int64(try integer(Int32.self))))
    case .int64: varint(number, UInt64(bitPattern: try integer(Int64.self)))
    case .uint32: varint(number, UInt64(try integer(UInt32.self)))
    case .uint64: varint(number, try integer(UInt64.self))
    case .sint32:
      let value = try integer(Int32.self)
      varint(number, UInt64(UInt32(bitPattern: value << 1 ^ value >> 31)))
    case .sint64:
      let value = try integer(Int64.self)
      varint(number, UInt64(bitPattern: value << 1 ^ value >> 63))
    case .fixed32: fixed(number, .fixed32, try integer(UInt32.self))
    case .sfixed32: fixed(number, .fixed32, try integer(Int32.self))
    case .fixed64: fixed(number, .fixed64, try integer(UInt64.self))
    case .sfixed64: fixed(number, .fixed64, try integer(Int64.self))
    case .double: fixed(number, .fixed64, try double().bitPattern)
    case .float:
      let value = try double()
      guard !value.isFinite || Float(value).isFinite else { throw scanner.error("the number is too large") }
      fixed(number, .fixed32, Float(value).bitPattern)
    }
  }

  // MARK: Values

  private mutating func bool() throws(JSONError) -> Bool {
    switch scanner.peek() {
    case UInt8(ascii: "t"):
      try scanner.word("true")
      return true
    case UInt8(ascii: "f"):
      try scanner.word("false")
      return false
    default: throw scanner.error("expected true or false")
    }
  }

  /// Nil for a name that is not known and ignored.
  private mutating func enumeration(_ descriptor: EnumDescriptor) throws(JSONError) -> Int32? {
    guard scanner.peek() == UInt8(ascii: "\"") else {
      return try integer(Int32.self, wanted: "a name of \(descriptor.name)")
    }
    let start = scanner.position
    let name = String(decoding: try scanner.string(), as: UTF8.self)
    if let value = descriptor.number(of: name) { return value }
    guard unknownNames == .ignored else {
      let names = descriptor.values.map(\.name).joined(separator: ", ")
      throw scanner.error("\"\(name)\" is none of \(names)", at: start)
    }
    return nil
  }

  private mutating func integer<I: FixedWidthInteger>(
    _ type: I.Type, wanted: String = "a whole number"
  ) throws(JSONError) -> I {
    let start = scanner.position
    let token = try numberText(wanted)
    let text = String(decoding: token, as: UTF8.self)
    if let value = I(text) { return value }
    // 1.0 and 1e3 are whole numbers too.
    guard let double = Double(text), double == double.rounded() else {
      throw scanner.error("expected \(wanted)", at: start)
    }
    guard let value = I(exactly: double) else {
      let sign = I.isSigned ? "with" : "without"
      throw scanner.error("the number does not fit into \(I.bitWidth) bits \(sign) a sign", at: start)
    }
    return value
  }

  private mutating func double() throws(JSONError) -> Double {
    let start = scanner.position
    if scanner.peek() == UInt8(ascii: "\"") {
      let mark = scanner
      switch String(decoding: try scanner.string(), as: UTF8.self) {
      case "NaN": return .nan
      case "Infinity": return .infinity
      case "-Infinity": return -.infinity
      default: scanner = mark
      }
    }
    let token = try numberText("a number")
    guard let value = Double(String(decoding: token, as: UTF8.self)), value.isFinite else {
      throw scanner.error("the number is too large", at: start)
    }
    return value
  }

  /// A number, bare or in quotes.
  private mutating func numberText(_ wanted: String) throws(JSONError) -> ArraySlice<UInt8> {
    switch scanner.peek() {
    case UInt8(ascii: "\""):
      let start = scanner.position
      let quoted = try scanner.string()[...]
      guard JSONScanner.endOfNumber(quoted) == quoted.endIndex else {
        throw scanner.error("expected \(wanted)", at: start)
      }
      return quoted
    case UInt8(ascii: "-"), 0x30...0x39: return try scanner.number()
    default: throw scanner.error("expected \(wanted)")
    }
  }

  private mutating func timestamp() throws(JSONError) {
    let start = scanner.position
    guard scanner.peek() == UInt8(ascii: "\""), let value = Timestamp(rfc3339UTF8: try scanner.string()) else {
      throw scanner.error("expected an RFC 3339 time, as \"2026-02-03T04:05:06Z\"", at: start)
    }
    if value.seconds != 0 { varint(1, UInt64(bitPattern: value.seconds)) }
    if value.nanos != 0 { varint(2, UInt64(value.nanos)) }
  }

  // MARK: Wire bytes

  private mutating func raw(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      output.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    output.append(UInt8(rest))
  }

  private mutating func tag(_ field: Int, _ type: WireType) { raw(UInt64(field) << 3 | UInt64(type.rawValue)) }

  private mutating func varint(_ field: Int, _ value: UInt64) {
    tag(field, .varint)
    raw(value)
  }

  private mutating func fixed(_ field: Int, _ type: WireType, _ value: some FixedWidthInteger) {
    tag(field, type)
    withUnsafeBytes(of: value.littleEndian) { output.append(contentsOf: $0) }
  }

  private mutating func delimited(_ field: Int, _ bytes: [UInt8]) {
    tag(field, .lengthDelimited)
    raw(UInt64(bytes.count))
    output.append(contentsOf: bytes)
  }

  /// Puts the length of what was written since `start` before it.
  private mutating func insertLength(at start: Int) {
    var length: [UInt8] = []
    var rest = output.count - start
    while rest >= 0x80 {
      length.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    length.append(UInt8(rest))
    output.insert(contentsOf: length, at: start)
  }
}
