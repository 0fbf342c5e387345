// The messages of gRPC's interoperability tests (grpc/testing/messages.proto), with hand-written codecs like all
// others. Test code only: the product never links it.
import ProtoWire

public struct Empty: Message {
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor("grpc.testing.Empty", [])
  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) { try reader.skip() }
  public func encode(to writer: inout WireWriter) {}
}

public struct BoolValue: Message {
  public var value = false
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor("grpc.testing.BoolValue", [FieldDescriptor(1, "value", .bool)])
  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: value = try reader.bool()
    default: try reader.skip()
    }
  }
  public func encode(to writer: inout WireWriter) { writer.bool(1, value) }
}

public struct PayloadType: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }
  public static let compressable = PayloadType(rawValue: 0)
  public static let descriptor = EnumDescriptor("grpc.testing.PayloadType", [("COMPRESSABLE", 0)])
}

public struct Payload: Message {
  public var type = PayloadType.compressable
  public var body: [UInt8] = []
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor(
    "grpc.testing.Payload",
    [FieldDescriptor(1, "type", .enumeration(PayloadType.self)), FieldDescriptor(2, "body", .bytes)])
  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: type = try reader.enumeration()
    case 2: body = try reader.bytes()
    default: try reader.skip()
    }
  }
  public func encode(to writer: inout WireWriter) {
    writer.enumeration(1, type)
    writer.bytes(2, body)
  }
}

public struct EchoStatus: Message {
  public var code: Int32 = 0
  public var message = ""
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor(
    "grpc.testing.EchoStatus", [FieldDescriptor(1, "code", .int32), FieldDescriptor(2, "message", .string)])
  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: code = try reader.int32()
    case 2: message = try reader.string()
    default: try reader.skip()
    }
  }
  public func encode(to writer: inout WireWriter) {
    writer.int32(1, code)
    writer.string(2, message)
  }
}

public struct SimpleRequest: Message {
  public var responseType = PayloadType.compressable
  public var responseSize: Int32 = 0
  public var payload: Payload?
  public var fillUsername = false
  public var fillOAuthScope = false
  public var responseCompressed: BoolValue?
  public var responseStatus: EchoStatus?
  public var expectCompressed: BoolValue?
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor(
    "grpc.testing.SimpleRequest",
    [
      FieldDescriptor(1, "response_type", .enumeration(PayloadType.self)), FieldDescriptor(2, "response_size", .int32),
      FieldDescriptor(3, "payload", .message(Payload.self)), FieldDescriptor(4, "fill_username", .bool),
      FieldDescriptor(5, "fill_oauth_scope", .bool),
      FieldDescriptor(6, "response_compressed", .message(BoolValue.self)),
      FieldDescriptor(7, "response_status", .message(EchoStatus.self)),
      FieldDescriptor(8, "expect_compressed", .message(BoolValue.self)),
    ])
  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: responseType = try reader.enumeration()
    case 2: responseSize = try reader.int32()
    case 3: try reader.message(into: &payload)
    case 4: fillUsername = try reader.bool()
    case 5: fillOAuthScope = try reader.bool()
    case 6: try reader.message(into: &responseCompressed)
    case 7: try reader.message(into: &responseStatus)
    case 8: try reader.message(into: &expectCompressed)
    default: try reader.skip()
    }
  }
  public func encode(to writer: inout WireWriter) {
    writer.enumeration(1, responseType)
    writer.int32(2, responseSize)
    writer.message(3, payload)
    writer.bool(4, fillUsername)
    writer.bool(5, fillOAuthScope)
    writer.message(6, responseCompressed)
    writer.message(7, responseStatus)
    writer.message(8, expectCompressed)
  }
}

public struct SimpleResponse: Message {
  public var payload: Payload?
  public var username = ""
  public var oauthScope = ""
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor(
    "grpc.testing.SimpleResponse",
    [
      FieldDescriptor(1, "payload", .message(Payload.self)), FieldDescriptor(2, "username", .string),
      FieldDescriptor(3, "oauth_scope", .string),
    ])
  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.message(into: &payload)
    case 2: username = try reader.string()
    case 3: oauthScope = try reader.string()
    default: try reader.skip()
    }
  }
  public func encode(to writer: inout WireWriter) {
    writer.message(1, payload)
    writer.string(2, username)
    writer.string(3, oauthScope)
  }
}

public struct StreamingInputCallRequest: Message {
  public var payload: Payload?
  public var expectCompressed: BoolValue?
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor(
    "grpc.testing.StreamingInputCallRequest",
    [
      FieldDescriptor(1, "payload", .message(Payload.self)),
      FieldDescriptor(2, "expect_compressed", .message(BoolValue.self)),
    ])
  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.message(into: &payload)
    case 2: try reader.message(into: &expectCompressed)
    default: try reader.skip()
    }
  }
  public func encode(to writer: inout WireWriter) {
    writer.message(1, payload)
    writer.message(2, expectCompressed)
  }
}

public struct StreamingInputCallResponse: Message {
  public var aggregatedPayloadSize: Int32 = 0
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor(
    "grpc.testing.StreamingInputCallResponse", [FieldDescriptor(1, "aggregated_payload_size", .int32)])
  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: aggregatedPayloadSize = try reader.int32()
    default: try reader.skip()
    }
  }
  public func encode(to writer: inout WireWriter) { writer.int32(1, aggregatedPayloadSize) }
}

public struct ResponseParameters: Message {
  public var size: Int32 = 0
  public var intervalUS: Int32 = 0
  public var compressed: BoolValue?
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor(
    "grpc.testing.ResponseParameters",
    [
      FieldDescriptor(1, "size", .int32), FieldDescriptor(2, "interval_us", .int32),
      FieldDescriptor(3, "compressed", .message(BoolValue.self)),
    ])
  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: size = try reader.int32()
    case 2: intervalUS = try reader.int32()
    case 3: try reader.message(into: &compressed)
    default: try reader.skip()
    }
  }
  public func encode(to writer: inout WireWriter) {
    writer.int32(1, size)
    writer.int32(2, intervalUS)
    writer.message(3, compressed)
  }
}

public struct StreamingOutputCallRequest: Message {
  public var responseType = PayloadType.compressable
  public var responseParameters: [ResponseParameters] = []
  public var payload: Payload?
  public var responseStatus: EchoStatus?
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor(
    "grpc.testing.StreamingOutputCallRequest",
    [
      FieldDescriptor(1, "response_type", .enumeration(PayloadType.self)),
      FieldDescriptor(2, "response_parameters", .message(ResponseParameters.self), .repeated),
      FieldDescriptor(3, "payload", .message(Payload.self)),
      FieldDescriptor(7, "response_status", .message(EchoStatus.self)),
    ])
  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: responseType = try reader.enumeration()
    case 2: responseParameters.append(try reader.message())
    case 3: try reader.message(into: &payload)
    case 7: try reader.message(into: &responseStatus)
    default: try reader.skip()
    }
  }
  public func encode(to writer: inout WireWriter) {
    writer.enumeration(1, responseType)
    writer.messages(2, responseParameters)
    writer.message(3, payload)
    writer.message(7, responseStatus)
  }
}

public struct StreamingOutputCallResponse: Message {
  public var payload: Payload?
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor(
    "grpc.testing.StreamingOutputCallResponse", [FieldDescriptor(1, "payload", .message(Payload.self))])
  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.message(into: &payload)
    default: try reader.skip()
    }
  }
  public func encode(to writer: inout WireWriter) { writer.message(1, payload) }
}
