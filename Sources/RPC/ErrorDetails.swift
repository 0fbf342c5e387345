// The usual details of an error (google/rpc/error_details.proto): what software reads where people read the message.
import ProtoWire

/// google.protobuf.Duration: a span of time as seconds and nanoseconds of the same sign.
public struct DurationMessage: Message {
  public var seconds: Int64 = 0
  public var nanos: Int32 = 0
  public var unknownFields = UnknownFields()
  public init() {}

  public init(_ duration: Duration) {
    let parts = duration.components
    seconds = parts.seconds
    nanos = Int32(parts.attoseconds / 1_000_000_000)
  }

  public var duration: Duration { .seconds(seconds) + .nanoseconds(Int64(nanos)) }

  public static let descriptor = MessageDescriptor(
    "google.protobuf.Duration", [FieldDescriptor(1, "seconds", .int64), FieldDescriptor(2, "nanos", .int32)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: seconds = try reader.int64()
    case 2: nanos = try reader.int32()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.int64(1, seconds)
    writer.int32(2, nanos)
  }
}

/// Why, in a form that programs can switch on.
public struct ErrorInfo: Message {
  /// "QUOTA_EXCEEDED": upper case, unique within the domain.
  public var reason = ""
  /// "transfer.fileferry"
  public var domain = ""
  /// In the order of the keys.
  public var metadata: [String: String] = [:]
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "google.rpc.ErrorInfo",
    [
      FieldDescriptor(1, "reason", .string), FieldDescriptor(2, "domain", .string),
      FieldDescriptor(3, "metadata", .message(MetadataEntry.self), .repeated),
    ], nestedMessages: [MetadataEntry.descriptor])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: reason = try reader.string()
    case 2: domain = try reader.string()
    case 3:
      let entry: MetadataEntry = try reader.message()
      metadata[entry.key] = entry.value
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, reason)
    writer.string(2, domain)
    writer.messages(
      3,
      metadata.sorted { $0.key < $1.key }.map { pair in
        .with {
          $0.key = pair.key
          $0.value = pair.value
        }
      } as [MetadataEntry])
  }

  /// An entry of the map field.
  public struct MetadataEntry: Message {
    public var key = ""
    public var value = ""
    public var unknownFields = UnknownFields()
    public init() {}

    public static let descriptor = MessageDescriptor(
      "google.rpc.ErrorInfo.MetadataEntry", [FieldDescriptor(1, "key", .string), FieldDescriptor(2, "value", .string)],
      isMapEntry: true)

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
      switch field {
      case 1: key = try reader.string()
      case 2: value = try reader.string()
      default: try reader.skip()
      }
    }

    public func encode(to writer: inout WireWriter) {
      writer.string(1, key)
      writer.string(2, value)
    }
  }
}

/// When to try again.
public struct RetryInfo: Message {
  public var retryDelay: DurationMessage?
  public var unknownFields = UnknownFields()
  public init() {}
  public init(after delay: Duration) { retryDelay = DurationMessage(delay) }

  public static let descriptor = MessageDescriptor(
    "google.rpc.RetryInfo", [FieldDescriptor(1, "retry_delay", .message(DurationMessage.self))])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.message(into: &retryDelay)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.message(1, retryDelay) }
}

/// What is wrong with which fields of a request.
public struct BadRequest: Message {
  public var fieldViolations: [FieldViolation] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "google.rpc.BadRequest", [FieldDescriptor(1, "field_violations", .message(FieldViolation.self), .repeated)],
    nestedMessages: [FieldViolation.descriptor])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: fieldViolations.append(try reader.message())
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.messages(1, fieldViolations) }

  public struct FieldViolation: Message {
    /// "files[2].key"
    public var field = ""
    public var description = ""
    public var unknownFields = UnknownFields()
    public init() {}

    public static let descriptor = MessageDescriptor(
      "google.rpc.BadRequest.FieldViolation",
      [FieldDescriptor(1, "field", .string), FieldDescriptor(2, "description", .string)])

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
      switch field {
      case 1: self.field = try reader.string()
      case 2: description = try reader.string()
      default: try reader.skip()
      }
    }

    public func encode(to writer: inout WireWriter) {
      writer.string(1, field)
      writer.string(2, description)
    }
  }
}

/// Which limit was reached, and whose.
public struct QuotaFailure: Message {
  public var violations: [Violation] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "google.rpc.QuotaFailure", [FieldDescriptor(1, "violations", .message(Violation.self), .repeated)],
    nestedMessages: [Violation.descriptor])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: violations.append(try reader.message())
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.messages(1, violations) }

  public struct Violation: Message {
    /// "user:7f3a" or "clientip:192.0.2.7"
    public var subject = ""
    public var description = ""
    public var unknownFields = UnknownFields()
    public init() {}

    public static let descriptor = MessageDescriptor(
      "google.rpc.QuotaFailure.Violation",
      [FieldDescriptor(1, "subject", .string), FieldDescriptor(2, "description", .string)])

    public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
      switch field {
      case 1: subject = try reader.string()
      case 2: description = try reader.string()
      default: try reader.skip()
      }
    }

    public func encode(to writer: inout WireWriter) {
      writer.string(1, subject)
      writer.string(2, description)
    }
  }
}

extension RPCError {
  /// The first detail of this type.
  public func detail<M: Message>(_ type: M.Type) -> M? {
    for detail in details { if let found = detail.decoded(as: type) { return found } }
    return nil
  }

  /// RESOURCE_EXHAUSTED because there is no room now, with the time after which to try again: for programs as RetryInfo
  /// and, for retry policies, as `grpc-retry-pushback-ms`.
  static func overloaded(_ message: String, retryAfter pause: Duration) -> RPCError {
    var error = RPCError(.resourceExhausted, message, details: [StatusDetail(RetryInfo(after: pause))])
    error.retryPushback = pause
    return error
  }
}
