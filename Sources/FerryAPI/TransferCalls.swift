// transfer.proto, sixth part: what deliveries are listed, watched, paused, cancelled and retried with.
import ProtoWire

public struct ListChunksRequest: Message {
  public var deliveryID = ""
  public var fileIndex: Int32 = 0
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListChunksRequest", [.init(1, "delivery_id", .string), .init(2, "file_index", .int32)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: deliveryID = try reader.string()
    case 2: fileIndex = try reader.int32()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, deliveryID)
    writer.int32(2, fileIndex)
  }
}

public struct ListChunksResponse: Message {
  public var chunks: [Chunk] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListChunksResponse", [.init(1, "chunks", .message(Chunk.self), .repeated)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &chunks)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.messages(1, chunks) }
}

public struct GetDeliveryRequest: Message {
  public var id = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor("fileferry.v1.GetDeliveryRequest", [.init(1, "id", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: id = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) { writer.string(1, id) }
}

public struct ListDeliveriesRequest: Message {
  /// Unspecified: any.
  public var status = DeliveryStatus.unspecified
  public var pageSize: Int32 = 0
  public var pageToken = ""
  /// What stands in the id, the ticket numbers, the title, the selections, the destination or the requester's name, in
  /// capitals or not; empty: anything.
  public var search = ""
  public var createdFrom: Timestamp?
  public var createdBefore: Timestamp?
  /// Only those that it started; empty: any.
  public var schedule = ""
  /// Only those of the group; empty: any.
  public var groupID = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListDeliveriesRequest",
    [
      .init(1, "status", .enumeration(DeliveryStatus.self)), .init(2, "page_size", .int32),
      .init(3, "page_token", .string), .init(4, "search", .string),
      .init(5, "created_from", .message(Timestamp.self)), .init(6, "created_before", .message(Timestamp.self)),
      .init(7, "schedule", .string), .init(8, "group_id", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: status = try reader.enumeration()
    case 2: pageSize = try reader.int32()
    case 3: pageToken = try reader.string()
    case 4: search = try reader.string()
    case 5: try reader.message(into: &createdFrom)
    case 6: try reader.message(into: &createdBefore)
    case 7: schedule = try reader.string()
    case 8: groupID = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.enumeration(1, status)
    writer.int32(2, pageSize)
    writer.string(3, pageToken)
    writer.string(4, search)
    writer.message(5, createdFrom)
    writer.message(6, createdBefore)
    writer.string(7, schedule)
    writer.string(8, groupID)
  }
}

public struct ListDeliveriesResponse: Message {
  /// Newest first.
  public var deliveries: [Delivery] = []
  public var nextPageToken = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListDeliveriesResponse",
    [.init(1, "deliveries", .message(Delivery.self), .repeated), .init(2, "next_page_token", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &deliveries)
    case 2: nextPageToken = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.messages(1, deliveries)
    writer.string(2, nextPageToken)
  }
}

public struct ListDeliveryFilesRequest: Message {
  public var deliveryID = ""
  public var pageSize: Int32 = 0
  public var pageToken = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListDeliveryFilesRequest",
    [.init(1, "delivery_id", .string), .init(2, "page_size", .int32), .init(3, "page_token", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: deliveryID = try reader.string()
    case 2: pageSize = try reader.int32()
    case 3: pageToken = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, deliveryID)
    writer.int32(2, pageSize)
    writer.string(3, pageToken)
  }
}

public struct ListDeliveryFilesResponse: Message {
  public var files: [DeliveryFile] = []
  public var nextPageToken = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ListDeliveryFilesResponse",
    [.init(1, "files", .message(DeliveryFile.self), .repeated), .init(2, "next_page_token", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &files)
    case 2: nextPageToken = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.messages(1, files)
    writer.string(2, nextPageToken)
  }
}

public struct WatchDeliveryRequest: Message {
  public var id = ""
  public var afterSequence: Int64 = 0
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.WatchDeliveryRequest", [.init(1, "id", .string), .init(2, "after_sequence", .int64)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: id = try reader.string()
    case 2: afterSequence = try reader.int64()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, id)
    writer.int64(2, afterSequence)
  }
}

public struct DeliveryEventKind: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  public static let unspecified = DeliveryEventKind(rawValue: 0)
  /// A state began or ended.
  public static let state = DeliveryEventKind(rawValue: 1)
  /// Live figures; not journalled.
  public static let progress = DeliveryEventKind(rawValue: 2)
  /// Something is tried again.
  public static let retry = DeliveryEventKind(rawValue: 3)
  public static let note = DeliveryEventKind(rawValue: 4)
  /// The last one.
  public static let ended = DeliveryEventKind(rawValue: 5)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.DeliveryEventKind",
    [
      ("DELIVERY_EVENT_KIND_UNSPECIFIED", 0), ("DELIVERY_EVENT_KIND_STATE", 1), ("DELIVERY_EVENT_KIND_PROGRESS", 2),
      ("DELIVERY_EVENT_KIND_RETRY", 3), ("DELIVERY_EVENT_KIND_NOTE", 4), ("DELIVERY_EVENT_KIND_ENDED", 5),
    ])
}

public struct DeliveryEvent: Message {
  /// Of the journalled event; a progress event carries the one before it.
  public var sequence: Int64 = 0
  public var kind = DeliveryEventKind.unspecified
  public var time: Timestamp?
  public var message = ""
  /// As it stands.
  public var delivery: Delivery?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.DeliveryEvent",
    [
      .init(1, "sequence", .int64), .init(2, "kind", .enumeration(DeliveryEventKind.self)),
      .init(3, "time", .message(Timestamp.self)), .init(4, "message", .string),
      .init(5, "delivery", .message(Delivery.self)),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: sequence = try reader.int64()
    case 2: kind = try reader.enumeration()
    case 3: try reader.message(into: &time)
    case 4: message = try reader.string()
    case 5: try reader.message(into: &delivery)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.int64(1, sequence)
    writer.enumeration(2, kind)
    writer.message(3, time)
    writer.string(4, message)
    writer.message(5, delivery)
  }
}

public struct PauseDeliveryRequest: Message {
  public var id = ""
  public var reason = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.PauseDeliveryRequest", [.init(1, "id", .string), .init(2, "reason", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: id = try reader.string()
    case 2: reason = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, id)
    writer.string(2, reason)
  }
}

public struct ResumeDeliveryRequest: Message {
  public var id = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.ResumeDeliveryRequest", [.init(1, "id", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: id = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, id)
  }
}

public struct CancelDeliveryRequest: Message {
  public var id = ""
  public var reason = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.CancelDeliveryRequest", [.init(1, "id", .string), .init(2, "reason", .string)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: id = try reader.string()
    case 2: reason = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, id)
    writer.string(2, reason)
  }
}

public struct RetryDeliveryRequest: Message {
  public var id = ""
  /// Absent keeps those it had.
  public var credentials: DestinationCredentials?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.RetryDeliveryRequest",
    [.init(1, "id", .string), .init(2, "credentials", .message(DestinationCredentials.self))])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: id = try reader.string()
    case 2: try reader.message(into: &credentials)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, id)
    writer.message(2, credentials)
  }
}
