// gateway.proto: one call where a page or a program would need several. It owns nothing.
import ProtoWire
import RPC

public enum Gateway {
  static let name = "fileferry.v1.Gateway"

  /// Everything about one delivery, asked side by side.
  public static let getJourney = UnaryMethod<GetJourneyRequest, Journey>(name, "GetJourney")
  /// What the first page shows.
  public static let getDashboard = UnaryMethod<GetDashboardRequest, Dashboard>(name, "GetDashboard")
  /// Which services answer.
  public static let getSystemStatus = UnaryMethod<GetSystemStatusRequest, SystemStatus>(name, "GetSystemStatus")

  public static let service = ServiceDescriptor(
    name, [getJourney.descriptor, getDashboard.descriptor, getSystemStatus.descriptor])
}

/// A part that could not be had; the answer holds the rest.
public struct MissingPart: Message {
  /// "tickets"
  public var part = ""
  public var reason = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.MissingPart", [.init(1, "part", .string), .init(2, "reason", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: part = try reader.string()
    case 2: reason = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, part)
    writer.string(2, reason)
  }
}

public struct GetJourneyRequest: Message {
  public var deliveryID = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.GetJourneyRequest", [.init(1, "delivery_id", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: deliveryID = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.string(1, deliveryID) }
}

public struct Journey: Message {
  public var delivery: Delivery?
  public var tickets: TicketPair?
  public var notifications: [Notification] = []
  public var receipt: SignedReceipt?
  public var missing: [MissingPart] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Journey",
    [
      .init(1, "delivery", .message(Delivery.self)), .init(2, "tickets", .message(TicketPair.self)),
      .init(3, "notifications", .message(Notification.self), .repeated),
      .init(4, "receipt", .message(SignedReceipt.self)), .init(5, "missing", .message(MissingPart.self), .repeated),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.message(into: &delivery)
    case 2: try reader.message(into: &tickets)
    case 3: try reader.messages(into: &notifications)
    case 4: try reader.message(into: &receipt)
    case 5: try reader.messages(into: &missing)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.message(1, delivery)
    writer.message(2, tickets)
    writer.messages(3, notifications)
    writer.message(4, receipt)
    writer.messages(5, missing)
  }
}

public struct GetDashboardRequest: EmptyMessage {
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor("fileferry.v1.GetDashboardRequest", [])
}

public struct Dashboard: Message {
  public var user: User?
  public var running: [Delivery] = []
  public var recent: [Delivery] = []
  public var connections: [Connection] = []
  public var destinations: [Destination] = []
  public var unreadNotifications: Int64 = 0
  public var missing: [MissingPart] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Dashboard",
    [
      .init(1, "user", .message(User.self)), .init(2, "running", .message(Delivery.self), .repeated),
      .init(3, "recent", .message(Delivery.self), .repeated),
      .init(4, "connections", .message(Connection.self), .repeated),
      .init(5, "destinations", .message(Destination.self), .repeated), .init(6, "unread_notifications", .int64),
      .init(7, "missing", .message(MissingPart.self), .repeated),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.message(into: &user)
    case 2: try reader.messages(into: &running)
    case 3: try reader.messages(into: &recent)
    case 4: try reader.messages(into: &connections)
    case 5: try reader.messages(into: &destinations)
    case 6: unreadNotifications = try reader.int64()
    case 7: try reader.messages(into: &missing)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.message(1, user)
    writer.messages(2, running)
    writer.messages(3, recent)
    writer.messages(4, connections)
    writer.messages(5, destinations)
    writer.int64(6, unreadNotifications)
    writer.messages(7, missing)
  }
}

public struct GetSystemStatusRequest: EmptyMessage {
  public var unknownFields = UnknownFields()
  public init() {}
  public static let descriptor = MessageDescriptor("fileferry.v1.GetSystemStatusRequest", [])
}

public struct ServiceStatus: Message {
  public var service = ""
  public var serving = false
  public var detail = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ServiceStatus",
    [.init(1, "service", .string), .init(2, "serving", .bool), .init(3, "detail", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: service = try reader.string()
    case 2: serving = try reader.bool()
    case 3: detail = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, service)
    writer.bool(2, serving)
    writer.string(3, detail)
  }
}

public struct SystemStatus: Message {
  public var services: [ServiceStatus] = []
  public var version = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.SystemStatus",
    [.init(1, "services", .message(ServiceStatus.self), .repeated), .init(2, "version", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &services)
    case 2: version = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.messages(1, services)
    writer.string(2, version)
  }
}

extension FerryFiles {
  public static let gateway = FileDescriptor(
    "fileferry/v1/gateway.proto", package: package,
    dependencies: [auth, notification, storageBroker, ticketing, transfer],
    messages: [
      MissingPart.descriptor, GetJourneyRequest.descriptor, Journey.descriptor, GetDashboardRequest.descriptor,
      Dashboard.descriptor, GetSystemStatusRequest.descriptor, ServiceStatus.descriptor, SystemStatus.descriptor,
    ],
    services: [Gateway.service])
}

extension Gateway {
  public struct Client: Sendable {
    public let channel: ClientChannel
    public init(_ channel: ClientChannel) { self.channel = channel }

    public func getJourney(
      _ request: GetJourneyRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> Journey {
      try await channel.unary(Gateway.getJourney, request, options)
    }
    public func getDashboard(
      _ request: GetDashboardRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> Dashboard {
      try await channel.unary(Gateway.getDashboard, request, options)
    }
    public func getSystemStatus(
      _ request: GetSystemStatusRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> SystemStatus {
      try await channel.unary(Gateway.getSystemStatus, request, options)
    }
  }
}
