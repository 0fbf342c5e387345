// ticketing.proto: two tickets for each request, one for the person who asked and one for audit, opened together or not
// at all.
import ProtoWire
import RPC

public enum Ticketing {
  static let name = "fileferry.v1.Ticketing"

  /// Opens the pair in one transaction. The same idempotency key gives the same pair again.
  public static let openTickets = UnaryMethod<OpenTicketsRequest, TicketPair>(name, "OpenTickets")
  /// Writes one note on both tickets of a pair. The same key writes it once.
  public static let addWorkNote = UnaryMethod<AddWorkNoteRequest, TicketPair>(name, "AddWorkNote")
  /// Closes both with the outcome. Closing twice with the same outcome changes nothing.
  public static let closeTickets = UnaryMethod<CloseTicketsRequest, TicketPair>(name, "CloseTickets")
  public static let getTicket = UnaryMethod<GetTicketRequest, Ticket>(name, "GetTicket")
  public static let getTicketPair = UnaryMethod<GetTicketPairRequest, TicketPair>(name, "GetTicketPair")
  public static let listTickets = UnaryMethod<ListTicketsRequest, ListTicketsResponse>(name, "ListTickets")

  public static let service = ServiceDescriptor(
    name,
    [
      openTickets.descriptor, addWorkNote.descriptor, closeTickets.descriptor, getTicket.descriptor,
      getTicketPair.descriptor, listTickets.descriptor,
    ])
}

public struct TicketKind: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  public static let unspecified = TicketKind(rawValue: 0)
  public static let user = TicketKind(rawValue: 1)
  public static let audit = TicketKind(rawValue: 2)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.TicketKind",
    [("TICKET_KIND_UNSPECIFIED", 0), ("TICKET_KIND_USER", 1), ("TICKET_KIND_AUDIT", 2)])
}

public struct TicketStatus: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  public static let unspecified = TicketStatus(rawValue: 0)
  public static let open = TicketStatus(rawValue: 1)
  public static let inProgress = TicketStatus(rawValue: 2)
  public static let closed = TicketStatus(rawValue: 3)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.TicketStatus",
    [
      ("TICKET_STATUS_UNSPECIFIED", 0), ("TICKET_STATUS_OPEN", 1), ("TICKET_STATUS_IN_PROGRESS", 2),
      ("TICKET_STATUS_CLOSED", 3),
    ])
}

public struct Outcome: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  public static let unspecified = Outcome(rawValue: 0)
  public static let succeeded = Outcome(rawValue: 1)
  public static let failed = Outcome(rawValue: 2)
  public static let cancelled = Outcome(rawValue: 3)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.Outcome",
    [("OUTCOME_UNSPECIFIED", 0), ("OUTCOME_SUCCEEDED", 1), ("OUTCOME_FAILED", 2), ("OUTCOME_CANCELLED", 3)])
}

public struct WorkNote: Message {
  /// Unique in the pair.
  public var key = ""
  public var text = ""
  public var author: Person?
  public var time: Timestamp?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.WorkNote",
    [
      .init(1, "key", .string), .init(2, "text", .string), .init(3, "author", .message(Person.self)),
      .init(4, "time", .message(Timestamp.self)),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: key = try reader.string()
    case 2: text = try reader.string()
    case 3: try reader.message(into: &author)
    case 4: try reader.message(into: &time)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, key)
    writer.string(2, text)
    writer.message(3, author)
    writer.message(4, time)
  }
}

public struct Ticket: Message {
  /// "REQ0000042" for the user's, "AUD0000042" for audit's.
  public var number = ""
  public var kind = TicketKind.unspecified
  public var pairID = ""
  public var deliveryID = ""
  public var status = TicketStatus.unspecified
  public var title = ""
  public var description = ""
  public var requester: Person?
  public var assignmentGroup = ""
  public var environment = Environment.unspecified
  public var priority = Priority.unspecified
  /// Oldest first.
  public var workNotes: [WorkNote] = []
  public var outcome = Outcome.unspecified
  public var closingNote = ""
  public var openedAt: Timestamp?
  public var updatedAt: Timestamp?
  public var closedAt: Timestamp?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Ticket",
    [
      .init(1, "number", .string), .init(2, "kind", .enumeration(TicketKind.self)), .init(3, "pair_id", .string),
      .init(4, "delivery_id", .string), .init(5, "status", .enumeration(TicketStatus.self)),
      .init(6, "title", .string), .init(7, "description", .string), .init(8, "requester", .message(Person.self)),
      .init(9, "assignment_group", .string), .init(10, "environment", .enumeration(Environment.self)),
      .init(11, "priority", .enumeration(Priority.self)),
      .init(12, "work_notes", .message(WorkNote.self), .repeated),
      .init(13, "outcome", .enumeration(Outcome.self)), .init(14, "closing_note", .string),
      .init(15, "opened_at", .message(Timestamp.self)), .init(16, "updated_at", .message(Timestamp.self)),
      .init(17, "closed_at", .message(Timestamp.self)),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: number = try reader.string()
    case 2: kind = try reader.enumeration()
    case 3: pairID = try reader.string()
    case 4: deliveryID = try reader.string()
    case 5: status = try reader.enumeration()
    case 6: title = try reader.string()
    case 7: description = try reader.string()
    case 8: try reader.message(into: &requester)
    case 9: assignmentGroup = try reader.string()
    case 10: environment = try reader.enumeration()
    case 11: priority = try reader.enumeration()
    case 12: try reader.messages(into: &workNotes)
    case 13: outcome = try reader.enumeration()
    case 14: closingNote = try reader.string()
    case 15: try reader.message(into: &openedAt)
    case 16: try reader.message(into: &updatedAt)
    case 17: try reader.message(into: &closedAt)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, number)
    writer.enumeration(2, kind)
    writer.string(3, pairID)
    writer.string(4, deliveryID)
    writer.enumeration(5, status)
    writer.string(6, title)
    writer.string(7, description)
    writer.message(8, requester)
    writer.string(9, assignmentGroup)
    writer.enumeration(10, environment)
    writer.enumeration(11, priority)
    writer.messages(12, workNotes)
    writer.enumeration(13, outcome)
    writer.string(14, closingNote)
    writer.message(15, openedAt)
    writer.message(16, updatedAt)
    writer.message(17, closedAt)
  }
}

public struct TicketPair: Message {
  public var pairID = ""
  public var user: Ticket?
  public var audit: Ticket?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.TicketPair",
    [
      .init(1, "pair_id", .string), .init(2, "user", .message(Ticket.self)), .init(3, "audit", .message(Ticket.self)),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: pairID = try reader.string()
    case 2: try reader.message(into: &user)
    case 3: try reader.message(into: &audit)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, pairID)
    writer.message(2, user)
    writer.message(3, audit)
  }
}

public struct OpenTicketsRequest: Message {
  public var idempotencyKey = ""
  public var deliveryID = ""
  public var title = ""
  /// For the person who asked.
  public var description = ""
  /// For audit: who, what, from where, to where, when.
  public var auditDescription = ""
  public var requester: Person?
  public var assignmentGroup = ""
  public var environment = Environment.unspecified
  public var priority = Priority.unspecified
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.OpenTicketsRequest",
    [
      .init(1, "idempotency_key", .string), .init(2, "delivery_id", .string), .init(3, "title", .string),
      .init(4, "description", .string), .init(5, "audit_description", .string),
      .init(6, "requester", .message(Person.self)), .init(7, "assignment_group", .string),
      .init(8, "environment", .enumeration(Environment.self)), .init(9, "priority", .enumeration(Priority.self)),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: idempotencyKey = try reader.string()
    case 2: deliveryID = try reader.string()
    case 3: title = try reader.string()
    case 4: description = try reader.string()
    case 5: auditDescription = try reader.string()
    case 6: try reader.message(into: &requester)
    case 7: assignmentGroup = try reader.string()
    case 8: environment = try reader.enumeration()
    case 9: priority = try reader.enumeration()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, idempotencyKey)
    writer.string(2, deliveryID)
    writer.string(3, title)
    writer.string(4, description)
    writer.string(5, auditDescription)
    writer.message(6, requester)
    writer.string(7, assignmentGroup)
    writer.enumeration(8, environment)
    writer.enumeration(9, priority)
  }
}

public struct AddWorkNoteRequest: Message {
  public var pairID = ""
  public var key = ""
  public var text = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.AddWorkNoteRequest",
    [.init(1, "pair_id", .string), .init(2, "key", .string), .init(3, "text", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: pairID = try reader.string()
    case 2: key = try reader.string()
    case 3: text = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, pairID)
    writer.string(2, key)
    writer.string(3, text)
  }
}

public struct CloseTicketsRequest: Message {
  public var pairID = ""
  public var outcome = Outcome.unspecified
  public var closingNote = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.CloseTicketsRequest",
    [
      .init(1, "pair_id", .string), .init(2, "outcome", .enumeration(Outcome.self)),
      .init(3, "closing_note", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: pairID = try reader.string()
    case 2: outcome = try reader.enumeration()
    case 3: closingNote = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, pairID)
    writer.enumeration(2, outcome)
    writer.string(3, closingNote)
  }
}

public struct GetTicketRequest: Message {
  public var number = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor("fileferry.v1.GetTicketRequest", [.init(1, "number", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: number = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.string(1, number) }
}

public struct GetTicketPairRequest: Message {
  public var pairID = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor("fileferry.v1.GetTicketPairRequest", [.init(1, "pair_id", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: pairID = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.string(1, pairID) }
}

public struct ListTicketsRequest: Message {
  /// Unspecified: both.
  public var kind = TicketKind.unspecified
  /// Unspecified: any.
  public var status = TicketStatus.unspecified
  public var pageSize: Int32 = 0
  public var pageToken = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListTicketsRequest",
    [
      .init(1, "kind", .enumeration(TicketKind.self)), .init(2, "status", .enumeration(TicketStatus.self)),
      .init(3, "page_size", .int32), .init(4, "page_token", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: kind = try reader.enumeration()
    case 2: status = try reader.enumeration()
    case 3: pageSize = try reader.int32()
    case 4: pageToken = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.enumeration(1, kind)
    writer.enumeration(2, status)
    writer.int32(3, pageSize)
    writer.string(4, pageToken)
  }
}

public struct ListTicketsResponse: Message {
  /// Newest first; without their work notes.
  public var tickets: [Ticket] = []
  public var nextPageToken = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListTicketsResponse",
    [.init(1, "tickets", .message(Ticket.self), .repeated), .init(2, "next_page_token", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &tickets)
    case 2: nextPageToken = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.messages(1, tickets)
    writer.string(2, nextPageToken)
  }
}

extension FerryFiles {
  public static let ticketing = FileDescriptor(
    "fileferry/v1/ticketing.proto", package: package, dependencies: [common, WellKnownFiles.timestamp],
    messages: [
      WorkNote.descriptor, Ticket.descriptor, TicketPair.descriptor, OpenTicketsRequest.descriptor,
      AddWorkNoteRequest.descriptor, CloseTicketsRequest.descriptor, GetTicketRequest.descriptor,
      GetTicketPairRequest.descriptor, ListTicketsRequest.descriptor, ListTicketsResponse.descriptor,
    ],
    enums: [TicketKind.descriptor, TicketStatus.descriptor, Outcome.descriptor], services: [Ticketing.service])
}

extension Ticketing {
  public struct Client: Sendable {
    public let channel: ClientChannel
    public init(_ channel: ClientChannel) { self.channel = channel }

    public func openTickets(
      _ request: OpenTicketsRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> TicketPair {
      try await channel.unary(Ticketing.openTickets, request, options)
    }
    public func addWorkNote(
      _ request: AddWorkNoteRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> TicketPair {
      try await channel.unary(Ticketing.addWorkNote, request, options)
    }
    public func closeTickets(
      _ request: CloseTicketsRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> TicketPair {
      try await channel.unary(Ticketing.closeTickets, request, options)
    }
    public func getTicket(
      _ request: GetTicketRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> Ticket {
      try await channel.unary(Ticketing.getTicket, request, options)
    }
    public func getTicketPair(
      _ request: GetTicketPairRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> TicketPair {
      try await channel.unary(Ticketing.getTicketPair, request, options)
    }
    public func listTickets(
      _ request: ListTicketsRequest, _ options: CallOptions = .init()
    ) async throws(RPCError) -> ListTicketsResponse {
      try await channel.unary(Ticketing.listTickets, request, options)
    }
  }
}
