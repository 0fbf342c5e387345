// common.proto: what several services say alike: people, problems, environments and priorities.
import ProtoWire

/// A person, as other people need to see one.
public struct Person: Message {
  /// Stable, never reused.
  public var id = ""
  /// "Ada Lovelace"
  public var name = ""
  /// Where notifications go; may be empty.
  public var email = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Person", [.init(1, "id", .string), .init(2, "name", .string), .init(3, "email", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: id = try reader.string()
    case 2: name = try reader.string()
    case 3: email = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, id)
    writer.string(2, name)
    writer.string(3, email)
  }
}

/// Something that went wrong, told so that its reader can act on it. Never holds a secret.
public struct Problem: Message {
  /// Stable, upper snake case: "OBJECT_MISSING", "HOST_KEY_CHANGED".
  public var code = ""
  /// One sentence: what failed and why.
  public var message = ""
  /// One sentence: what to do about it.
  public var nextStep = ""
  /// Whose answer it was: "s3", "sftp", "smtp"; empty for FileFerry's own.
  public var provider = ""
  /// The provider's own word: "NoSuchKey", "SSH_FX_PERMISSION_DENIED".
  public var providerCode = ""
  /// The provider's own id of the exchange, for its support desk.
  public var requestID = ""
  /// The same request may work later, unchanged.
  public var retryable = false
  /// Which file, bucket or host it is about.
  public var subject = ""
  public var time: Timestamp?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Problem",
    [
      .init(1, "code", .string), .init(2, "message", .string), .init(3, "next_step", .string),
      .init(4, "provider", .string), .init(5, "provider_code", .string), .init(6, "request_id", .string),
      .init(7, "retryable", .bool), .init(8, "subject", .string), .init(9, "time", .message(Timestamp.self)),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: code = try reader.string()
    case 2: message = try reader.string()
    case 3: nextStep = try reader.string()
    case 4: provider = try reader.string()
    case 5: providerCode = try reader.string()
    case 6: requestID = try reader.string()
    case 7: retryable = try reader.bool()
    case 8: subject = try reader.string()
    case 9: try reader.message(into: &time)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, code)
    writer.string(2, message)
    writer.string(3, nextStep)
    writer.string(4, provider)
    writer.string(5, providerCode)
    writer.string(6, requestID)
    writer.bool(7, retryable)
    writer.string(8, subject)
    writer.message(9, time)
  }
}

public struct Environment: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  public static let unspecified = Environment(rawValue: 0)
  public static let dev = Environment(rawValue: 1)
  public static let uat = Environment(rawValue: 2)
  public static let prod = Environment(rawValue: 3)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.Environment",
    [("ENVIRONMENT_UNSPECIFIED", 0), ("ENVIRONMENT_DEV", 1), ("ENVIRONMENT_UAT", 2), ("ENVIRONMENT_PROD", 3)])
}

public struct Priority: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  /// Taken as normal.
  public static let unspecified = Priority(rawValue: 0)
  public static let low = Priority(rawValue: 1)
  public static let normal = Priority(rawValue: 2)
  public static let high = Priority(rawValue: 3)
  public static let critical = Priority(rawValue: 4)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.Priority",
    [
      ("PRIORITY_UNSPECIFIED", 0), ("PRIORITY_LOW", 1), ("PRIORITY_NORMAL", 2), ("PRIORITY_HIGH", 3),
      ("PRIORITY_CRITICAL", 4),
    ])
}

extension FerryFiles {
  public static let common = FileDescriptor(
    "fileferry/v1/common.proto", package: package, dependencies: [WellKnownFiles.timestamp],
    messages: [Person.descriptor, Problem.descriptor], enums: [Environment.descriptor, Priority.descriptor])
}
