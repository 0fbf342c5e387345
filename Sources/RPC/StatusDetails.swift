// google.rpc.Status, which carries an error's typed details in the trailer `grpc-status-details-bin` ("Richer error
// model", grpc.io). Written by hand on ProtoWire: two messages of five fields in all.
import ProtoWire

/// One detail: a message of any type, under its name (google.protobuf.Any).
public struct StatusDetail: Sendable, Equatable {
  /// "type.googleapis.com/fileferry.v1.Problem"
  public var typeURL: String
  public var value: [UInt8]

  public init(typeURL: String, value: [UInt8]) {
    self.typeURL = typeURL
    self.value = value
  }

  public init<M: Message>(_ message: M) {
    typeURL = "type.googleapis.com/" + M.descriptor.fullName
    value = message.encodedBytes()
  }

  /// The detail as a message of this type, or nil if it is of another or malformed.
  public func decoded<M: Message>(as type: M.Type) -> M? {
    guard typeURL.hasSuffix("/" + M.descriptor.fullName) else { return nil }
    // A detail that cannot be read is no detail: the status itself still tells what happened.
    return try? M(decoding: value)
  }
}

/// google.protobuf.Any
struct AnyMessage: Message {
  var typeURL = ""
  var value: [UInt8] = []
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor(
    "google.protobuf.Any", [FieldDescriptor(1, "type_url", .string), FieldDescriptor(2, "value", .bytes)])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: typeURL = try reader.string()
    case 2: value = try reader.bytes()
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) {
    writer.string(1, typeURL)
    writer.bytes(2, value)
  }
}

/// google.rpc.Status
struct StatusMessage: Message {
  var code: Int32 = 0
  var message = ""
  var details: [AnyMessage] = []
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor(
    "google.rpc.Status",
    [
      FieldDescriptor(1, "code", .int32), FieldDescriptor(2, "message", .string),
      FieldDescriptor(3, "details", .message(AnyMessage.self), .repeated),
    ])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: code = try reader.int32()
    case 2: message = try reader.string()
    case 3: details.append(try reader.message())
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) {
    writer.int32(1, code)
    writer.string(2, message)
    writer.messages(3, details)
  }
}
