// Wire bytes to proto3 JSON, in one pass: a message's encoder writes its fields in the order of its descriptor, so that
// defaults can be filled in between. The bytes come from that encoder alone.
import ProtoWire

struct JSONWriting {
  let includeDefaults: Bool
  var output: [UInt8] = []

  init(includeDefaults: Bool) { self.includeDefaults = includeDefaults }

  mutating func message(_ shape: JSONShape, _ fields: WireReader) {
    if shape.isTimestamp { return timestamp(fields) }
    var reader = fields
    output.append(UInt8(ascii: "{"))
    var next = 0  // index of the first field that has not been dealt with
    var openArray = false
    // An encoder's own bytes are never malformed: an error here ends the loop as the end of the message does.
    while let number = (try? reader.nextField()) ?? nil {
      guard let index = shape.index(ofNumber: number), index >= next || (openArray && index == next - 1) else {
        // A field that the message kept without knowing it.
        guard (try? reader.skip()) != nil else { break }
        continue
      }
      let field = shape.fields[index]
      if openArray, index == next - 1 {
        let mark = output.count
        output.append(UInt8(ascii: ","))
        if !value(field, &reader) { output.removeLast(output.count - mark) }
        continue
      }
      let mark = output.count
      if openArray { output.append(UInt8(ascii: "]")) }
      defaults(shape, next..<index)
      key(field)
      if field.cardinality == .repeated { output.append(UInt8(ascii: "[")) }
      if value(field, &reader) {
        openArray = field.cardinality == .repeated
        next = index + 1
      } else {
        output.removeLast(output.count - mark)
      }
    }
    if openArray { output.append(UInt8(ascii: "]")) }
    defaults(shape, next..<shape.fields.count)
    output.append(UInt8(ascii: "}"))
  }

  private mutating func key(_ field: JSONShape.Field) {
    if output.last != UInt8(ascii: "{") { output.append(UInt8(ascii: ",")) }
    output.append(contentsOf: field.key)
  }

  private mutating func defaults(_ shape: JSONShape, _ range: Range<Int>) {
    guard includeDefaults else { return }
    for field in shape.fields[range] {
      switch (field.cardinality, field.kind) {
      case (.repeated, _):
        key(field)
        ascii("[]")
      case (.optional, _), (.single, .message): break
      case (.single, let kind):
        key(field)
        switch kind {
        case .string, .bytes: ascii("\"\"")
        case .bool: ascii("false")
        case .int64, .uint64, .sint64, .fixed64, .sfixed64: ascii("\"0\"")
        case .enumeration(let type): enumeration(type.descriptor, 0)
        default: ascii("0")
        }
      }
    }
  }

  /// Writes one value, or for packed numbers one or more with commas between. False if the field has another wire type
  /// than its declaration, which makes it an unknown one; the reader is then past it.
  private mutating func value(_ field: JSONShape.Field, _ reader: inout WireReader) -> Bool {
    do throws(WireError) {
      if field.cardinality == .repeated {
        try repeated(field.kind, &reader)
      } else {
        try single(field.kind, &reader)
      }
      return true
    } catch {
      // Passing over a value of our own encoder's cannot fail; if it did, the next tag would end the message.
      try? reader.skip()
      return false
    }
  }

  private mutating func repeated(_ kind: FieldDescriptor.Kind, _ reader: inout WireReader) throws(WireError) {
    switch kind {
    case .string, .bytes, .message: return try single(kind, &reader)
    default: break
    }
    // Numbers: one, or many in one field.
    let scalar: Bool
    do throws(WireError) {
      try single(kind, &reader)
      scalar = true
    } catch .wireTypeMismatch { scalar = false } catch { throw error }
    guard !scalar else { return }
    var values: [JSONNumber] = []
    try reader.repeated(&values, { (packed: inout WireReader) throws(WireError) in try JSONNumber(kind, &packed) },
      packedAs: JSONNumber.wireType(kind))
    for (index, value) in values.enumerated() {
      if index > 0 { output.append(UInt8(ascii: ",")) }
      number(value, kind)
    }
  }

  private mutating func single(_ kind: FieldDescriptor.Kind, _ reader: inout WireReader) throws(WireError) {
    switch kind {
    case .string: text(try reader.rawBytes())
    case .bytes:
      output.append(UInt8(ascii: "\""))
      Base64Text.append(try reader.rawBytes(), to: &output)
      output.append(UInt8(ascii: "\""))
    case .message(let type):
      let raw = try reader.rawBytes()
      message(JSONShape.of(type), WireReader(raw))
    default: number(try JSONNumber(kind, &reader), kind)
    }
  }

  private mutating func number(_ value: JSONNumber, _ kind: FieldDescriptor.Kind) {
    switch value {
    case .bool(let value): ascii(value ? "true" : "false")
    case .signed(let value):
      if case .enumeration(let type) = kind { return enumeration(type.descriptor, Int32(truncatingIfNeeded: value)) }
      integer(value.magnitude, negative: value < 0)
    case .signed64(let value):
      output.append(UInt8(ascii: "\""))
      integer(value.magnitude, negative: value < 0)
      output.append(UInt8(ascii: "\""))
    case .unsigned(let value): integer(value, negative: false)
    case .unsigned64(let value):
      output.append(UInt8(ascii: "\""))
      integer(value, negative: false)
      output.append(UInt8(ascii: "\""))
    case .double(let value):
      if value.isFinite { ascii(value.description) } else { ascii(Self.word(value)) }
    case .float(let value):
      if value.isFinite { ascii(value.description) } else { ascii(Self.word(Double(value))) }
    }
  }

  private static func word(_ value: Double) -> String {
    value.isNaN ? "\"NaN\"" : value < 0 ? "\"-Infinity\"" : "\"Infinity\""
  }

  private mutating func enumeration(_ descriptor: EnumDescriptor, _ value: Int32) {
    guard let name = descriptor.name(of: value) else {
      return integer(UInt64(value.magnitude), negative: value < 0)
    }
    output.append(UInt8(ascii: "\""))
    ascii(name)
    output.append(UInt8(ascii: "\""))
  }

  private mutating func timestamp(_ fields: WireReader) {
    var reader = fields
    var value = Timestamp()
    guard (try? value.merge(from: &reader)) != nil, value.isValid else { return ascii("null") }
    output.append(UInt8(ascii: "\""))
    value.appendRFC3339(to: &output)
    output.append(UInt8(ascii: "\""))
  }

  private mutating func ascii(_ text: String) { output.append(contentsOf: text.utf8) }

  private mutating func integer(_ magnitude: UInt64, negative: Bool) {
    if negative { output.append(UInt8(ascii: "-")) }
    if magnitude < 10 { return output.append(UInt8(ascii: "0") + UInt8(magnitude)) }
    let start = output.count
    var rest = magnitude
    while rest > 0 {
      output.append(UInt8(ascii: "0") + UInt8(rest % 10))
      rest /= 10
    }
    output[start...].reverse()
  }

  /// A JSON string (RFC 8259 section 7): runs of plain bytes are copied whole.
  private mutating func text(_ utf8: UnsafeRawBufferPointer) {
    output.append(UInt8(ascii: "\""))
    var start = 0
    for index in 0..<utf8.count {
      let byte = utf8[index]
      guard byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") else { continue }
      output.append(contentsOf: utf8[start..<index])
      start = index + 1
      output.append(UInt8(ascii: "\\"))
      switch byte {
      case 0x0A: output.append(UInt8(ascii: "n"))
      case 0x0D: output.append(UInt8(ascii: "r"))
      case 0x09: output.append(UInt8(ascii: "t"))
      case 0x08: output.append(UInt8(ascii: "b"))
      case 0x0C: output.append(UInt8(ascii: "f"))
      case 0x00..<0x20:
        ascii("u00")
        output.append(UInt8(ascii: "0") + byte >> 4)
        let low = byte & 15
        output.append(low < 10 ? UInt8(ascii: "0") + low : UInt8(ascii: "a") + low - 10)
      default: output.append(byte)
      }
    }
    output.append(contentsOf: utf8[start..<utf8.count])
    output.append(UInt8(ascii: "\""))
  }
}

/// A number off the wire, by how JSON shows it: 64-bit ones as strings.
enum JSONNumber {
  case bool(Bool)
  case signed(Int64)
  case signed64(Int64)
  case unsigned(UInt64)
  case unsigned64(UInt64)
  case double(Double)
  case float(Float)

  init(_ kind: FieldDescriptor.Kind, _ reader: inout WireReader) throws(WireError) {
    switch kind {
    case .bool: self = .bool(try reader.bool())
    case .int32, .enumeration: self = .signed(Int64(try reader.int32()))
    case .sint32: self = .signed(Int64(try reader.sint32()))
    case .sfixed32: self = .signed(Int64(try reader.sfixed32()))
    case .int64: self = .signed64(try reader.int64())
    case .sint64: self = .signed64(try reader.sint64())
    case .sfixed64: self = .signed64(try reader.sfixed64())
    case .uint32: self = .unsigned(UInt64(try reader.uint32()))
    case .fixed32: self = .unsigned(UInt64(try reader.fixed32()))
    case .uint64: self = .unsigned64(try reader.uint64())
    case .fixed64: self = .unsigned64(try reader.fixed64())
    case .double: self = .double(try reader.double())
    case .float: self = .float(try reader.float())
    case .string, .bytes, .message: throw .wireTypeMismatch
    }
  }

  static func wireType(_ kind: FieldDescriptor.Kind) -> WireType {
    switch kind {
    case .fixed64, .sfixed64, .double: .fixed64
    case .fixed32, .sfixed32, .float: .fixed32
    case .string, .bytes, .message: .lengthDelimited
    default: .varint
    }
  }
}
