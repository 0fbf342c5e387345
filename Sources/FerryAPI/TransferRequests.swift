// transfer.proto, third part: what a delivery is asked for with, and the plan of it.
import ProtoWire

public struct OnConflict: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// Taken as overwrite.
  public static let unspecified = OnConflict(rawValue: 0)
  /// In one step, only after the new file is proven.
  public static let overwrite = OnConflict(rawValue: 1)
  public static let fail = OnConflict(rawValue: 2)
  /// A file that is there with the very bytes is left alone; another is replaced.
  public static let skipIfEqual = OnConflict(rawValue: 3)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.OnConflict",
    [("ON_CONFLICT_UNSPECIFIED", 0), ("ON_CONFLICT_OVERWRITE", 1), ("ON_CONFLICT_FAIL", 2), ("ON_CONFLICT_SKIP_IF_EQUAL", 3)])
}

public struct Compression: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// Taken as none.
  public static let unspecified = Compression(rawValue: 0)
  public static let none = Compression(rawValue: 1)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.Compression", [("COMPRESSION_UNSPECIFIED", 0), ("COMPRESSION_NONE", 1)])
}

public struct DeliveryOptions: Message {
  public var onConflict = OnConflict.unspecified
  public var compression = Compression.unspecified
  /// Bytes; 0: the default, 8 MiB.
  public var chunkSize: Int64 = 0
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.DeliveryOptions",
    [
      .init(1, "on_conflict", .enumeration(OnConflict.self)),
      .init(2, "compression", .enumeration(Compression.self)), .init(3, "chunk_size", .int64),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: onConflict = try reader.enumeration()
    case 2: compression = try reader.enumeration()
    case 3: chunkSize = try reader.int64()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.enumeration(1, onConflict)
    writer.enumeration(2, compression)
    writer.int64(3, chunkSize)
  }
}

public struct DeliveryRequest: Message {
  public var assignmentGroup = ""
  public var environment = Environment.unspecified
  public var priority = Priority.unspecified
  public var source: Source?
  /// A saved one by name, with a path of its own if url is set to one; or spelled out.
  public var destination: Destination?
  public var options: DeliveryOptions?
  /// Of the tickets; written by assist where empty.
  public var title = ""
  public var description = ""
  /// Below or instead of the saved destination's path.
  public var path = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.DeliveryRequest",
    [
      .init(1, "assignment_group", .string), .init(2, "environment", .enumeration(Environment.self)),
      .init(3, "priority", .enumeration(Priority.self)), .init(4, "source", .message(Source.self)),
      .init(5, "destination", .message(Destination.self)), .init(6, "options", .message(DeliveryOptions.self)),
      .init(7, "title", .string), .init(8, "description", .string), .init(9, "path", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: assignmentGroup = try reader.string()
    case 2: environment = try reader.enumeration()
    case 3: priority = try reader.enumeration()
    case 4: try reader.message(into: &source)
    case 5: try reader.message(into: &destination)
    case 6: try reader.message(into: &options)
    case 7: title = try reader.string()
    case 8: description = try reader.string()
    case 9: path = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, assignmentGroup)
    writer.enumeration(2, environment)
    writer.enumeration(3, priority)
    writer.message(4, source)
    writer.message(5, destination)
    writer.message(6, options)
    writer.string(7, title)
    writer.string(8, description)
    writer.string(9, path)
  }
}

public struct PlanDeliveryRequest: Message {
  public var request: DeliveryRequest?
  public var credentials: DestinationCredentials?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.PlanDeliveryRequest",
    [
      .init(1, "request", .message(DeliveryRequest.self)),
      .init(2, "credentials", .message(DestinationCredentials.self)),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.message(into: &request)
    case 2: try reader.message(into: &credentials)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.message(1, request)
    writer.message(2, credentials)
  }
}

public struct DeliveryPlan: Message {
  public var files: Int64 = 0
  public var bytes: Int64 = 0
  /// The first 100.
  public var sample: [DeliveryFile] = []
  /// What would stop it.
  public var problems: [Problem] = []
  public var destination = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.DeliveryPlan",
    [
      .init(1, "files", .int64), .init(2, "bytes", .int64),
      .init(3, "sample", .message(DeliveryFile.self), .repeated),
      .init(4, "problems", .message(Problem.self), .repeated), .init(5, "destination", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: files = try reader.int64()
    case 2: bytes = try reader.int64()
    case 3: try reader.messages(into: &sample)
    case 4: try reader.messages(into: &problems)
    case 5: destination = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.int64(1, files)
    writer.int64(2, bytes)
    writer.messages(3, sample)
    writer.messages(4, problems)
    writer.string(5, destination)
  }
}

public struct StartDeliveryRequest: Message {
  public var request: DeliveryRequest?
  /// Sealed at once, never shown.
  public var credentials: DestinationCredentials?
  /// Empty: every call starts a new delivery.
  public var idempotencyKey = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.StartDeliveryRequest",
    [
      .init(1, "request", .message(DeliveryRequest.self)),
      .init(2, "credentials", .message(DestinationCredentials.self)), .init(3, "idempotency_key", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.message(into: &request)
    case 2: try reader.message(into: &credentials)
    case 3: idempotencyKey = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.message(1, request)
    writer.message(2, credentials)
    writer.string(3, idempotencyKey)
  }
}
