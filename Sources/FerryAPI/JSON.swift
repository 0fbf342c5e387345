// proto3 JSON ("ProtoJSON Format", protobuf.dev) for every message, driven by its descriptor and made from, or into,
// its wire bytes. JSONWriting.swift and JSONReading.swift walk the fields; JSONScanner.swift knows JSON's own grammar.
import ProtoWire
import Synchronization

/// Text that is not proto3 JSON of the wanted message.
public struct JSONError: Error, Sendable, Equatable, CustomStringConvertible {
  /// Where: "request.source.selections[0].value"; empty for the whole message.
  public var path: String
  /// What was wrong: "expected a string".
  public var reason: String
  /// Bytes from the text's start.
  public var offset: Int

  public var description: String { path.isEmpty ? "\(reason) (at byte \(offset))" : "\(path): \(reason)" }
}

/// What a reader does with names and enumeration values that it does not know.
public enum UnknownJSONNames: Sendable { case refused, ignored }

extension Message {
  /// This message in proto3 JSON, compact, fields in the order of the .proto file.
  ///
  /// Fields that the .proto file does not declare are left out. A Timestamp that RFC 3339 cannot say (`isValid`) is
  /// null.
  /// - Parameter includeDefaults: also write fields that hold their default; absent messages and `optional` fields stay
  ///   out.
  public func jsonString(includeDefaults: Bool = false) -> String {
    String(decoding: jsonBytes(includeDefaults: includeDefaults), as: UTF8.self)
  }

  /// The same as UTF-8.
  public func jsonBytes(includeDefaults: Bool = false) -> [UInt8] {
    var writer = WireWriter()
    writer.fields(of: self)
    return writer.withUnsafeBytes { raw in
      var json = JSONWriting(includeDefaults: includeDefaults)
      json.output.reserveCapacity(raw.count * 2 + 64)
      json.message(JSONShape.of(Self.self), WireReader(raw))
      return json.output
    }
  }

  /// Reads proto3 JSON: names in lower camel case or as in the .proto file, null for a default.
  public init(json: String, unknownNames: UnknownJSONNames = .refused) throws(JSONError) {
    try self.init(validUTF8: Array(json.utf8), unknownNames)
  }

  /// The same from UTF-8.
  public init(json: [UInt8], unknownNames: UnknownJSONNames = .refused) throws(JSONError) {
    guard String(validating: json, as: UTF8.self) != nil else {
      throw JSONError(path: "", reason: "the text is not UTF-8", offset: 0)
    }
    try self.init(validUTF8: json, unknownNames)
  }

  private init(validUTF8 text: [UInt8], _ unknownNames: UnknownJSONNames) throws(JSONError) {
    var reading = JSONReading(text: text, unknownNames: unknownNames)
    let wire = try reading.document(JSONShape.of(Self.self))
    do throws(WireError) { self = try Self(decoding: wire) } catch {
      throw JSONError(path: "", reason: error.description, offset: text.count)
    }
  }
}

/// A message's fields as JSON needs them, worked out once for each type.
final class JSONShape: Sendable {
  struct Field: Sendable {
    let number: Int
    let name: String
    /// `"name":` in UTF-8.
    let key: [UInt8]
    let kind: FieldDescriptor.Kind
    let cardinality: FieldDescriptor.Cardinality
  }

  let fields: [Field]
  let isTimestamp: Bool
  /// Under both of its names, where a field's index in `fields` is.
  let indexOfName: [String: Int]
  private let indexOfNumber: [Int: Int]

  private init(_ type: any Message.Type) {
    isTimestamp = type == Timestamp.self
    fields = type.descriptor.fields.map { field in
      let name = field.jsonName
      return Field(
        number: field.number, name: name, key: Array("\"\(name)\":".utf8), kind: field.kind,
        cardinality: field.cardinality)
    }
    var names: [String: Int] = [:]
    var numbers: [Int: Int] = [:]
    for (index, field) in type.descriptor.fields.enumerated() {
      names[field.name] = index
      names[field.jsonName] = index
      numbers[field.number] = index
    }
    indexOfName = names
    indexOfNumber = numbers
  }

  func index(ofNumber number: Int) -> Int? {
    // Nearly every .proto file counts its fields from 1.
    if number <= fields.count, number > 0, fields[number - 1].number == number { return number - 1 }
    return indexOfNumber[number]
  }

  /// One for each message type of the program, so its size is bounded by the program itself.
  private static let known = Mutex<[ObjectIdentifier: JSONShape]>([:])

  static func of(_ type: any Message.Type) -> JSONShape {
    let key = ObjectIdentifier(type)
    if let shape = known.withLock({ $0[key] }) { return shape }
    let shape = JSONShape(type)
    known.withLock { $0[key] = shape }
    return shape
  }
}
