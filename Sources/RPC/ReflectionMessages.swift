// The messages of gRPC's server reflection (grpc/reflection/v1/reflection.proto). Version 1alpha has the same fields under
// another package name, so one set of codecs serves both.
import ProtoWire

struct ReflectionRequest: Message {
  var host = ""
  var query: Query?
  var unknownFields = UnknownFields()

  enum Query: Sendable, Equatable {
    case fileByFilename(String)
    case fileContainingSymbol(String)
    case fileContainingExtension
    case allExtensionNumbersOfType(String)
    case listServices
  }

  static let descriptor = MessageDescriptor("grpc.reflection.v1.ServerReflectionRequest", [])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: host = try reader.string()
    case 3: query = .fileByFilename(try reader.string())
    case 4: query = .fileContainingSymbol(try reader.string())
    case 5:
      _ = try reader.bytes()
      query = .fileContainingExtension
    case 6: query = .allExtensionNumbersOfType(try reader.string())
    case 7:
      _ = try reader.string()
      query = .listServices
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) {
    writer.string(1, host)
    switch query {
    case .fileByFilename(let name): writer.optional(3, string: name)
    case .fileContainingSymbol(let symbol): writer.optional(4, string: symbol)
    case .fileContainingExtension: writer.optional(5, string: "")
    case .allExtensionNumbersOfType(let type): writer.optional(6, string: type)
    case .listServices: writer.optional(7, string: "*")
    case nil: break
    }
  }
}

struct ReflectionResponse: Message {
  var validHost = ""
  var originalRequest: ReflectionRequest?
  var files: FileDescriptorResponse?
  var services: ListServiceResponse?
  var error: ErrorResponse?
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor("grpc.reflection.v1.ServerReflectionResponse", [])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: validHost = try reader.string()
    case 2: try reader.message(into: &originalRequest)
    case 4: try reader.message(into: &files)
    case 6: try reader.message(into: &services)
    case 7: try reader.message(into: &error)
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) {
    writer.string(1, validHost)
    writer.message(2, originalRequest)
    writer.message(4, files)
    writer.message(6, services)
    writer.message(7, error)
  }
}

struct FileDescriptorResponse: Message {
  /// Serialized google.protobuf.FileDescriptorProto, the file asked for first, then what it imports.
  var fileDescriptorProto: [[UInt8]] = []
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor("grpc.reflection.v1.FileDescriptorResponse", [])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: fileDescriptorProto.append(try reader.bytes())
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) {
    for file in fileDescriptorProto { writer.bytes(1, file) }
  }
}

struct ListServiceResponse: Message {
  var service: [ServiceResponse] = []
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor("grpc.reflection.v1.ListServiceResponse", [])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: service.append(try reader.message())
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) { writer.messages(1, service) }
}

struct ServiceResponse: Message {
  var name = ""
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor("grpc.reflection.v1.ServiceResponse", [])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: name = try reader.string()
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) { writer.string(1, name) }
}

struct ErrorResponse: Message {
  var errorCode: Int32 = 0
  var errorMessage = ""
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor("grpc.reflection.v1.ErrorResponse", [])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: errorCode = try reader.int32()
    case 2: errorMessage = try reader.string()
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) {
    writer.int32(1, errorCode)
    writer.string(2, errorMessage)
  }
}
