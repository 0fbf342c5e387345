// Turns a FileDescriptor into the bytes of google.protobuf.FileDescriptorProto (descriptor.proto), which is what gRPC's
// reflection hands to its callers.

extension FileDescriptor {
  /// A serialized google.protobuf.FileDescriptorProto; field numbers are those of descriptor.proto.
  public func fileDescriptorProto() -> [UInt8] {
    var writer = WireWriter(capacity: 4096)
    writer.string(1, name)
    writer.string(2, package)
    writer.strings(3, dependencies.map(\.name))
    for message in messages { writer.embedded(4) { message.descriptorProto(to: &$0) } }
    for value in enums { writer.embedded(5) { value.enumDescriptorProto(to: &$0) } }
    for service in services { writer.embedded(6) { service.serviceDescriptorProto(to: &$0) } }
    writer.string(12, "proto3")
    return writer.withUnsafeBytes { Array($0) }
  }
}

extension WireWriter {
  mutating func embedded(_ field: Int, _ body: (inout WireWriter) -> Void) {
    delimited(field, body)
  }
}

extension MessageDescriptor {
  func descriptorProto(to writer: inout WireWriter) {
    writer.string(1, name)
    // protoc gives each 'optional' field of proto3 a one-field oneof of its own, named with an underscore.
    var optionals = 0
    for field in fields {
      let oneof = field.cardinality == .optional ? optionals : nil
      if oneof != nil { optionals += 1 }
      writer.embedded(2) { field.fieldDescriptorProto(to: &$0, oneof: oneof) }
    }
    for message in nestedMessages { writer.embedded(3) { message.descriptorProto(to: &$0) } }
    for value in nestedEnums { writer.embedded(4) { value.enumDescriptorProto(to: &$0) } }
    if isMapEntry { writer.embedded(7) { $0.bool(7, true) } }
    for field in fields where field.cardinality == .optional {
      writer.embedded(8) { $0.string(1, "_" + field.name) }
    }
  }
}

extension FieldDescriptor {
  func fieldDescriptorProto(to writer: inout WireWriter, oneof: Int?) {
    writer.string(1, name)
    writer.int32(3, Int32(number))
    writer.int32(4, cardinality == .repeated ? 3 : 1)
    writer.int32(5, kind.typeNumber)
    switch kind {
    case .message(let type): writer.string(6, "." + type.descriptor.fullName)
    case .enumeration(let type): writer.string(6, "." + type.descriptor.fullName)
    default: break
    }
    if let oneof { writer.optional(9, int32: Int32(oneof)) }
    writer.string(10, jsonName)
    writer.bool(17, cardinality == .optional)
  }
}

extension FieldDescriptor.Kind {
  /// google.protobuf.FieldDescriptorProto.Type
  var typeNumber: Int32 {
    switch self {
    case .double: 1
    case .float: 2
    case .int64: 3
    case .uint64: 4
    case .int32: 5
    case .fixed64: 6
    case .fixed32: 7
    case .bool: 8
    case .string: 9
    case .message: 11
    case .bytes: 12
    case .uint32: 13
    case .enumeration: 14
    case .sfixed32: 15
    case .sfixed64: 16
    case .sint32: 17
    case .sint64: 18
    }
  }
}

extension EnumDescriptor {
  func enumDescriptorProto(to writer: inout WireWriter) {
    writer.string(1, name)
    for value in values {
      writer.embedded(2) {
        $0.string(1, value.name)
        $0.optional(2, int32: value.number)
      }
    }
  }
}

extension ServiceDescriptor {
  func serviceDescriptorProto(to writer: inout WireWriter) {
    writer.string(1, name)
    for method in methods {
      writer.embedded(2) {
        $0.string(1, method.name)
        $0.string(2, "." + method.request.descriptor.fullName)
        $0.string(3, "." + method.response.descriptor.fullName)
        $0.bool(5, method.clientStreaming)
        $0.bool(6, method.serverStreaming)
      }
    }
  }
}
