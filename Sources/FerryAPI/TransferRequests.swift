// transfer.proto, fourth part: what a delivery is asked for with, and the plan of it.
import ProtoWire

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

/// One line of what a cloud would charge, by its public price list.
public struct PlanCost: Message {
  /// "AWS", "Azure": whose bill it is on.
  public var payer = ""
  /// "Data transfer out to the internet"
  public var item = ""
  /// "1.2 GiB", "2,000 requests"
  public var quantity = ""
  /// Millionths of the currency.
  public var microunits: Int64 = 0
  /// "USD"
  public var currency = ""
  /// What the figure rests on.
  public var note = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.PlanCost",
    [
      .init(1, "payer", .string), .init(2, "item", .string), .init(3, "quantity", .string),
      .init(4, "microunits", .int64), .init(5, "currency", .string), .init(6, "note", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: payer = try reader.string()
    case 2: item = try reader.string()
    case 3: quantity = try reader.string()
    case 4: microunits = try reader.int64()
    case 5: currency = try reader.string()
    case 6: note = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, payer)
    writer.string(2, item)
    writer.string(3, quantity)
    writer.int64(4, microunits)
    writer.string(5, currency)
    writer.string(6, note)
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
  /// What would not stop it, but is worth knowing.
  public var warnings: [Problem] = []
  /// How long it would take, from experience with the destination or a guess; 0: can't be said.
  public var secondsLow: Int64 = 0
  public var secondsHigh: Int64 = 0
  /// What the estimate rests on.
  public var durationBasis = ""
  public var costs: [PlanCost] = []
  /// "2026-11", of which source.
  public var priceList = ""
  /// Bytes.
  public var largestFile: Int64 = 0
  /// Files that the excludes left out.
  public var excluded: Int64 = 0
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.DeliveryPlan",
    [
      .init(1, "files", .int64), .init(2, "bytes", .int64),
      .init(3, "sample", .message(DeliveryFile.self), .repeated),
      .init(4, "problems", .message(Problem.self), .repeated), .init(5, "destination", .string),
      .init(6, "warnings", .message(Problem.self), .repeated), .init(7, "seconds_low", .int64),
      .init(8, "seconds_high", .int64), .init(9, "duration_basis", .string),
      .init(10, "costs", .message(PlanCost.self), .repeated), .init(11, "price_list", .string),
      .init(12, "largest_file", .int64), .init(13, "excluded", .int64),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: files = try reader.int64()
    case 2: bytes = try reader.int64()
    case 3: try reader.messages(into: &sample)
    case 4: try reader.messages(into: &problems)
    case 5: destination = try reader.string()
    case 6: try reader.messages(into: &warnings)
    case 7: secondsLow = try reader.int64()
    case 8: secondsHigh = try reader.int64()
    case 9: durationBasis = try reader.string()
    case 10: try reader.messages(into: &costs)
    case 11: priceList = try reader.string()
    case 12: largestFile = try reader.int64()
    case 13: excluded = try reader.int64()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.int64(1, files)
    writer.int64(2, bytes)
    writer.messages(3, sample)
    writer.messages(4, problems)
    writer.string(5, destination)
    writer.messages(6, warnings)
    writer.int64(7, secondsLow)
    writer.int64(8, secondsHigh)
    writer.string(9, durationBasis)
    writer.messages(10, costs)
    writer.string(11, priceList)
    writer.int64(12, largestFile)
    writer.int64(13, excluded)
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

/// One of several servers that the same files go to.
public struct DeliveryTarget: Message {
  /// A saved one by name, or spelled out.
  public var destination: Destination?
  /// Below or instead of its own.
  public var path = ""
  /// Sealed at once, never shown.
  public var credentials: DestinationCredentials?
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.DeliveryTarget",
    [
      .init(1, "destination", .message(Destination.self)), .init(2, "path", .string),
      .init(3, "credentials", .message(DestinationCredentials.self)),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.message(into: &destination)
    case 2: path = try reader.string()
    case 3: try reader.message(into: &credentials)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.message(1, destination)
    writer.string(2, path)
    writer.message(3, credentials)
  }
}

public struct StartDeliveriesRequest: Message {
  /// Without a destination and a path.
  public var request: DeliveryRequest?
  /// 2 to 16.
  public var targets: [DeliveryTarget] = []
  /// Empty: every call starts new deliveries.
  public var idempotencyKey = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.StartDeliveriesRequest",
    [
      .init(1, "request", .message(DeliveryRequest.self)),
      .init(2, "targets", .message(DeliveryTarget.self), .repeated), .init(3, "idempotency_key", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.message(into: &request)
    case 2: try reader.messages(into: &targets)
    case 3: idempotencyKey = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.message(1, request)
    writer.messages(2, targets)
    writer.string(3, idempotencyKey)
  }
}

public struct StartDeliveriesResponse: Message {
  /// In the order of the targets.
  public var deliveries: [Delivery] = []
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.StartDeliveriesResponse", [.init(1, "deliveries", .message(Delivery.self), .repeated)])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.messages(into: &deliveries)
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.messages(1, deliveries)
  }
}
