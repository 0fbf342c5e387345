// notification.proto: tells people, in the app, by mail and in Teams; each thing once to each of them.
import ProtoWire
import RPC

public enum Notifications {
  static let name = "fileferry.v1.Notifications"

  /// Stores the notification and hands it to every channel that is set up. The same key is told once.
  public static let notify = UnaryMethod<NotifyRequest, NotifyResponse>(name, "Notify")
  public static let listNotifications = UnaryMethod<ListNotificationsRequest, ListNotificationsResponse>(
    name, "ListNotifications")
  public static let markRead = UnaryMethod<MarkReadRequest, MarkReadResponse>(name, "MarkRead")
  /// The caller's own, from `afterSequence` on, then live.
  public static let watchNotifications = ServerStreamingMethod<WatchNotificationsRequest, Notification>(
    name, "WatchNotifications")
  public static let listChannels = UnaryMethod<ListChannelsRequest, ListChannelsResponse>(name, "ListChannels")

  public static let service = ServiceDescriptor(
    name,
    [
      notify.descriptor, listNotifications.descriptor, markRead.descriptor, watchNotifications.descriptor,
      listChannels.descriptor,
    ])
}

public struct Severity: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  public static let unspecified = Severity(rawValue: 0)
  public static let info = Severity(rawValue: 1)
  public static let success = Severity(rawValue: 2)
  public static let warning = Severity(rawValue: 3)
  public static let error = Severity(rawValue: 4)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.Severity",
    [
      ("SEVERITY_UNSPECIFIED", 0), ("SEVERITY_INFO", 1), ("SEVERITY_SUCCESS", 2), ("SEVERITY_WARNING", 3),
      ("SEVERITY_ERROR", 4),
    ])
}

public struct ChannelStatus: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  public static let unspecified = ChannelStatus(rawValue: 0)
  public static let queued = ChannelStatus(rawValue: 1)
  public static let sent = ChannelStatus(rawValue: 2)
  public static let failed = ChannelStatus(rawValue: 3)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.ChannelStatus",
    [
      ("CHANNEL_STATUS_UNSPECIFIED", 0), ("CHANNEL_STATUS_QUEUED", 1), ("CHANNEL_STATUS_SENT", 2),
      ("CHANNEL_STATUS_FAILED", 3),
    ])
}

public struct Fact: Message {
  public var name = ""
  public var value = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Fact", [.init(1, "name", .string), .init(2, "value", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: name = try reader.string()
    case 2: value = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, name)
    writer.string(2, value)
  }
}

public struct ChannelDelivery: Message {
  /// "in-app", "email", "teams"
  public var channel = ""
  public var status = ChannelStatus.unspecified
  public var attempts: Int32 = 0
  public var problem: Problem?
  public var time: Timestamp?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ChannelDelivery",
    [
      .init(1, "channel", .string), .init(2, "status", .enumeration(ChannelStatus.self)),
      .init(3, "attempts", .int32), .init(4, "problem", .message(Problem.self)),
      .init(5, "time", .message(Timestamp.self)),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: channel = try reader.string()
    case 2: status = try reader.enumeration()
    case 3: attempts = try reader.int32()
    case 4: try reader.message(into: &problem)
    case 5: try reader.message(into: &time)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, channel)
    writer.enumeration(2, status)
    writer.int32(3, attempts)
    writer.message(4, problem)
    writer.message(5, time)
  }
}

public struct Notification: Message {
  public var id = ""
  public var key = ""
  public var sequence: Int64 = 0
  public var recipient: Person?
  public var severity = Severity.unspecified
  public var title = ""
  public var body = ""
  public var facts: [Fact] = []
  public var deliveryID = ""
  public var read = false
  public var time: Timestamp?
  public var channels: [ChannelDelivery] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Notification",
    [
      .init(1, "id", .string), .init(2, "key", .string), .init(3, "sequence", .int64),
      .init(4, "recipient", .message(Person.self)), .init(5, "severity", .enumeration(Severity.self)),
      .init(6, "title", .string), .init(7, "body", .string), .init(8, "facts", .message(Fact.self), .repeated),
      .init(9, "delivery_id", .string), .init(10, "read", .bool), .init(11, "time", .message(Timestamp.self)),
      .init(12, "channels", .message(ChannelDelivery.self), .repeated),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: id = try reader.string()
    case 2: key = try reader.string()
    case 3: sequence = try reader.int64()
    case 4: try reader.message(into: &recipient)
    case 5: severity = try reader.enumeration()
    case 6: title = try reader.string()
    case 7: body = try reader.string()
    case 8: try reader.messages(into: &facts)
    case 9: deliveryID = try reader.string()
    case 10: read = try reader.bool()
    case 11: try reader.message(into: &time)
    case 12: try reader.messages(into: &channels)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, id)
    writer.string(2, key)
    writer.int64(3, sequence)
    writer.message(4, recipient)
    writer.enumeration(5, severity)
    writer.string(6, title)
    writer.string(7, body)
    writer.messages(8, facts)
    writer.string(9, deliveryID)
    writer.bool(10, read)
    writer.message(11, time)
    writer.messages(12, channels)
  }
}

public struct NotifyRequest: Message {
  public var key = ""
  public var recipient: Person?
  public var severity = Severity.unspecified
  public var title = ""
  public var body = ""
  public var facts: [Fact] = []
  public var deliveryID = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.NotifyRequest",
    [
      .init(1, "key", .string), .init(2, "recipient", .message(Person.self)),
      .init(3, "severity", .enumeration(Severity.self)), .init(4, "title", .string), .init(5, "body", .string),
      .init(6, "facts", .message(Fact.self), .repeated), .init(7, "delivery_id", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: key = try reader.string()
    case 2: try reader.message(into: &recipient)
    case 3: severity = try reader.enumeration()
    case 4: title = try reader.string()
    case 5: body = try reader.string()
    case 6: try reader.messages(into: &facts)
    case 7: deliveryID = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, key)
    writer.message(2, recipient)
    writer.enumeration(3, severity)
    writer.string(4, title)
    writer.string(5, body)
    writer.messages(6, facts)
    writer.string(7, deliveryID)
  }
}

public struct NotifyResponse: Message {
  public var notification: Notification?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.NotifyResponse", [.init(1, "notification", .message(Notification.self))])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.message(into: &notification)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.message(1, notification) }
}

public struct ListNotificationsRequest: Message {
  public var unreadOnly = false
  public var pageSize: Int32 = 0
  public var pageToken = ""
  /// Only about this one.
  public var deliveryID = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListNotificationsRequest",
    [
      .init(1, "unread_only", .bool), .init(2, "page_size", .int32), .init(3, "page_token", .string),
      .init(4, "delivery_id", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: unreadOnly = try reader.bool()
    case 2: pageSize = try reader.int32()
    case 3: pageToken = try reader.string()
    case 4: deliveryID = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.bool(1, unreadOnly)
    writer.int32(2, pageSize)
    writer.string(3, pageToken)
    writer.string(4, deliveryID)
  }
}

public struct ListNotificationsResponse: Message {
  /// Newest first.
  public var notifications: [Notification] = []
  public var nextPageToken = ""
  public var unread: Int64 = 0
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListNotificationsResponse",
    [
      .init(1, "notifications", .message(Notification.self), .repeated), .init(2, "next_page_token", .string),
      .init(3, "unread", .int64),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &notifications)
    case 2: nextPageToken = try reader.string()
    case 3: unread = try reader.int64()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.messages(1, notifications)
    writer.string(2, nextPageToken)
    writer.int64(3, unread)
  }
}

public struct MarkReadRequest: Message {
  public var ids: [String] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.MarkReadRequest", [.init(1, "ids", .string, .repeated)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: ids.append(try reader.string())
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.strings(1, ids) }
}

public struct MarkReadResponse: EmptyMessage {
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor("fileferry.v1.MarkReadResponse", [])
}

public struct WatchNotificationsRequest: Message {
  public var afterSequence: Int64 = 0
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.WatchNotificationsRequest", [.init(1, "after_sequence", .int64)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: afterSequence = try reader.int64()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.int64(1, afterSequence) }
}

public struct ListChannelsRequest: EmptyMessage {
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor("fileferry.v1.ListChannelsRequest", [])
}

public struct NotificationChannel: Message {
  public var name = ""
  public var configured = false
  /// Where it goes, without secrets.
  public var detail = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.NotificationChannel",
    [.init(1, "name", .string), .init(2, "configured", .bool), .init(3, "detail", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: name = try reader.string()
    case 2: configured = try reader.bool()
    case 3: detail = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, name)
    writer.bool(2, configured)
    writer.string(3, detail)
  }
}

public struct ListChannelsResponse: Message {
  public var channels: [NotificationChannel] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListChannelsResponse", [.init(1, "channels", .message(NotificationChannel.self), .repeated)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &channels)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.messages(1, channels) }
}

extension FerryFiles {
  public static let notification = FileDescriptor(
    "fileferry/v1/notification.proto", package: package, dependencies: [common, WellKnownFiles.timestamp],
    messages: [
      Fact.descriptor, ChannelDelivery.descriptor, Notification.descriptor, NotifyRequest.descriptor,
      NotifyResponse.descriptor, ListNotificationsRequest.descriptor, ListNotificationsResponse.descriptor,
      MarkReadRequest.descriptor, MarkReadResponse.descriptor, WatchNotificationsRequest.descriptor,
      ListChannelsRequest.descriptor, NotificationChannel.descriptor, ListChannelsResponse.descriptor,
    ],
    enums: [Severity.descriptor, ChannelStatus.descriptor], services: [Notifications.service])
}

extension Notifications {
  public struct Client: Sendable {
    public let channel: ClientChannel
    public init(_ channel: ClientChannel) { self.channel = channel }

    public func notify(
      _ request: NotifyRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> NotifyResponse {
      try await channel.unary(Notifications.notify, request, options)
    }
    public func listNotifications(
      _ request: ListNotificationsRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> ListNotificationsResponse {
      try await channel.unary(Notifications.listNotifications, request, options)
    }
    public func markRead(
      _ request: MarkReadRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> MarkReadResponse {
      try await channel.unary(Notifications.markRead, request, options)
    }
    public func watchNotifications(
      _ request: WatchNotificationsRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> ResponseStream<Notification> {
      try await channel.serverStreaming(Notifications.watchNotifications, request, options)
    }
    public func listChannels(
      _ request: ListChannelsRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> ListChannelsResponse {
      try await channel.unary(Notifications.listChannels, request, options)
    }
  }
}
