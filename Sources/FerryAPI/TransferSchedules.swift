// transfer.proto, last part: schedules and their calls.
import ProtoWire

/// A delivery that starts by itself, again and again, on behalf of its owner. A run is left out while the one before it is
/// not over; runs that fell into a time when the service was away are made up for by one.
public struct Schedule: Message {
  public var name = ""
  /// To a saved destination: a schedule holds no secrets. In its selections and its path "{date}" and "{yesterday}" stand
  /// for days of the run's own time in `timeZone`, as 2026-11-27, and "{year}", "{month}", "{day}" and "{hour}" for parts.
  public var request: DeliveryRequest?
  /// Minute, hour, day of the month, month, day of the week, as in POSIX's crontab: "30 6 * * MON-FRI"; or "@hourly",
  /// "@daily", "@weekly", "@monthly", "@yearly".
  public var cron = ""
  /// Of cron, an IANA name, "Europe/Berlin"; empty: UTC.
  public var timeZone = ""
  public var paused = false
  /// Whoever last said what it delivers. This and what follows is told, not taken.
  public var owner: Person?
  /// Absent while it is paused.
  public var nextRunAt: Timestamp?
  public var lastRunAt: Timestamp?
  public var lastDeliveryID = ""
  /// Why the last run started no delivery.
  public var lastProblem: Problem?
  public var updatedAt: Timestamp?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Schedule",
    [
      .init(1, "name", .string), .init(2, "request", .message(DeliveryRequest.self)), .init(3, "cron", .string),
      .init(4, "time_zone", .string), .init(5, "paused", .bool), .init(6, "owner", .message(Person.self)),
      .init(7, "next_run_at", .message(Timestamp.self)), .init(8, "last_run_at", .message(Timestamp.self)),
      .init(9, "last_delivery_id", .string), .init(10, "last_problem", .message(Problem.self)),
      .init(11, "updated_at", .message(Timestamp.self)),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: name = try reader.string()
    case 2: try reader.message(into: &request)
    case 3: cron = try reader.string()
    case 4: timeZone = try reader.string()
    case 5: paused = try reader.bool()
    case 6: try reader.message(into: &owner)
    case 7: try reader.message(into: &nextRunAt)
    case 8: try reader.message(into: &lastRunAt)
    case 9: lastDeliveryID = try reader.string()
    case 10: try reader.message(into: &lastProblem)
    case 11: try reader.message(into: &updatedAt)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, name)
    writer.message(2, request)
    writer.string(3, cron)
    writer.string(4, timeZone)
    writer.bool(5, paused)
    writer.message(6, owner)
    writer.message(7, nextRunAt)
    writer.message(8, lastRunAt)
    writer.string(9, lastDeliveryID)
    writer.message(10, lastProblem)
    writer.message(11, updatedAt)
  }
}

public struct SaveScheduleRequest: Message {
  public var schedule: Schedule?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.SaveScheduleRequest", [.init(1, "schedule", .message(Schedule.self))])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.message(into: &schedule)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.message(1, schedule) }
}

public struct ListSchedulesRequest: EmptyMessage {
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor("fileferry.v1.ListSchedulesRequest", [])
}

public struct ListSchedulesResponse: Message {
  /// By name.
  public var schedules: [Schedule] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListSchedulesResponse", [.init(1, "schedules", .message(Schedule.self), .repeated)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &schedules)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.messages(1, schedules) }
}

public struct DeleteScheduleRequest: Message {
  public var name = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor("fileferry.v1.DeleteScheduleRequest", [.init(1, "name", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: name = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.string(1, name) }
}

public struct DeleteScheduleResponse: EmptyMessage {
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor("fileferry.v1.DeleteScheduleResponse", [])
}

public struct RunScheduleRequest: Message {
  public var name = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor("fileferry.v1.RunScheduleRequest", [.init(1, "name", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: name = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.string(1, name) }
}
