// transfer.proto, fifth part: a delivery as it stands, its eight states, its files and its chunks.
import ProtoWire

public struct DeliveryStatus: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  public static let unspecified = DeliveryStatus(rawValue: 0)
  public static let pending = DeliveryStatus(rawValue: 1)
  public static let running = DeliveryStatus(rawValue: 2)
  public static let succeeded = DeliveryStatus(rawValue: 3)
  public static let failed = DeliveryStatus(rawValue: 4)
  public static let cancelled = DeliveryStatus(rawValue: 5)
  /// By a person; goes on when resumed.
  public static let paused = DeliveryStatus(rawValue: 6)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.DeliveryStatus",
    [
      ("DELIVERY_STATUS_UNSPECIFIED", 0), ("DELIVERY_STATUS_PENDING", 1), ("DELIVERY_STATUS_RUNNING", 2),
      ("DELIVERY_STATUS_SUCCEEDED", 3), ("DELIVERY_STATUS_FAILED", 4), ("DELIVERY_STATUS_CANCELLED", 5),
      ("DELIVERY_STATUS_PAUSED", 6),
    ])
}

/// The eight states, in order.
public struct DeliveryState: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  public static let unspecified = DeliveryState(rawValue: 0)
  public static let download = DeliveryState(rawValue: 1)
  public static let validate = DeliveryState(rawValue: 2)
  public static let compress = DeliveryState(rawValue: 3)
  public static let transfer = DeliveryState(rawValue: 4)
  public static let verify = DeliveryState(rawValue: 5)
  public static let cleanUp = DeliveryState(rawValue: 6)
  public static let storeMetadata = DeliveryState(rawValue: 7)
  public static let notify = DeliveryState(rawValue: 8)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.DeliveryState",
    [
      ("DELIVERY_STATE_UNSPECIFIED", 0), ("DELIVERY_STATE_DOWNLOAD", 1), ("DELIVERY_STATE_VALIDATE", 2),
      ("DELIVERY_STATE_COMPRESS", 3), ("DELIVERY_STATE_TRANSFER", 4), ("DELIVERY_STATE_VERIFY", 5),
      ("DELIVERY_STATE_CLEAN_UP", 6), ("DELIVERY_STATE_STORE_METADATA", 7), ("DELIVERY_STATE_NOTIFY", 8),
    ])
}

public struct StateStatus: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  public static let unspecified = StateStatus(rawValue: 0)
  public static let waiting = StateStatus(rawValue: 1)
  public static let active = StateStatus(rawValue: 2)
  public static let done = StateStatus(rawValue: 3)
  public static let skipped = StateStatus(rawValue: 4)
  public static let failed = StateStatus(rawValue: 5)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.StateStatus",
    [
      ("STATE_STATUS_UNSPECIFIED", 0), ("STATE_STATUS_WAITING", 1), ("STATE_STATUS_ACTIVE", 2),
      ("STATE_STATUS_DONE", 3), ("STATE_STATUS_SKIPPED", 4), ("STATE_STATUS_FAILED", 5),
    ])
}

public struct StateProgress: Message {
  public var state = DeliveryState.unspecified
  public var status = StateStatus.unspecified
  /// Bytes of the source for download, compress, transfer and verify; files for the others.
  public var done: Int64 = 0
  public var total: Int64 = 0
  public var startedAt: Timestamp?
  public var finishedAt: Timestamp?
  public var note = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.StateProgress",
    [
      .init(1, "state", .enumeration(DeliveryState.self)), .init(2, "status", .enumeration(StateStatus.self)),
      .init(3, "done", .int64), .init(4, "total", .int64), .init(5, "started_at", .message(Timestamp.self)),
      .init(6, "finished_at", .message(Timestamp.self)), .init(7, "note", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: state = try reader.enumeration()
    case 2: status = try reader.enumeration()
    case 3: done = try reader.int64()
    case 4: total = try reader.int64()
    case 5: try reader.message(into: &startedAt)
    case 6: try reader.message(into: &finishedAt)
    case 7: note = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.enumeration(1, state)
    writer.enumeration(2, status)
    writer.int64(3, done)
    writer.int64(4, total)
    writer.message(5, startedAt)
    writer.message(6, finishedAt)
    writer.string(7, note)
  }
}

public struct Delivery: Message {
  public var id = ""
  /// Without credentials.
  public var request: DeliveryRequest?
  public var status = DeliveryStatus.unspecified
  public var requester: Person?
  public var ticketPairID = ""
  public var userTicket = ""
  public var auditTicket = ""
  /// Always eight, in order.
  public var states: [StateProgress] = []
  public var filesTotal: Int64 = 0
  public var filesDone: Int64 = 0
  public var filesFailed: Int64 = 0
  public var bytesTotal: Int64 = 0
  /// Of the source, written to the destination.
  public var bytesDone: Int64 = 0
  public var retries: Int64 = 0
  public var problem: Problem?
  public var createdAt: Timestamp?
  public var startedAt: Timestamp?
  public var finishedAt: Timestamp?
  public var hasReceipt = false
  /// Where it goes, as a URL without secrets.
  public var destination = ""
  /// How often a process took it up: 1, and 1 more after each crash or restart.
  public var runs: Int32 = 0
  /// Of its latest event.
  public var sequence: Int64 = 0
  /// Why it is not moving: "paused by Ada", "the next free place"; empty: it is.
  public var waitingFor = ""
  /// The one that started it; empty: a person did.
  public var schedule = ""
  /// The same for all that were started together; empty: it was started alone.
  public var groupID = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Delivery",
    [
      .init(1, "id", .string), .init(2, "request", .message(DeliveryRequest.self)),
      .init(3, "status", .enumeration(DeliveryStatus.self)), .init(4, "requester", .message(Person.self)),
      .init(5, "ticket_pair_id", .string), .init(6, "user_ticket", .string), .init(7, "audit_ticket", .string),
      .init(8, "states", .message(StateProgress.self), .repeated), .init(9, "files_total", .int64),
      .init(10, "files_done", .int64), .init(11, "files_failed", .int64), .init(12, "bytes_total", .int64),
      .init(13, "bytes_done", .int64), .init(14, "retries", .int64), .init(15, "problem", .message(Problem.self)),
      .init(16, "created_at", .message(Timestamp.self)), .init(17, "started_at", .message(Timestamp.self)),
      .init(18, "finished_at", .message(Timestamp.self)), .init(19, "has_receipt", .bool),
      .init(20, "destination", .string), .init(21, "runs", .int32), .init(22, "sequence", .int64),
      .init(23, "waiting_for", .string), .init(24, "schedule", .string), .init(25, "group_id", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: id = try reader.string()
    case 2: try reader.message(into: &request)
    case 3: status = try reader.enumeration()
    case 4: try reader.message(into: &requester)
    case 5: ticketPairID = try reader.string()
    case 6: userTicket = try reader.string()
    case 7: auditTicket = try reader.string()
    case 8: try reader.messages(into: &states)
    case 9: filesTotal = try reader.int64()
    case 10: filesDone = try reader.int64()
    case 11: filesFailed = try reader.int64()
    case 12: bytesTotal = try reader.int64()
    case 13: bytesDone = try reader.int64()
    case 14: retries = try reader.int64()
    case 15: try reader.message(into: &problem)
    case 16: try reader.message(into: &createdAt)
    case 17: try reader.message(into: &startedAt)
    case 18: try reader.message(into: &finishedAt)
    case 19: hasReceipt = try reader.bool()
    case 20: destination = try reader.string()
    case 21: runs = try reader.int32()
    case 22: sequence = try reader.int64()
    case 23: waitingFor = try reader.string()
    case 24: schedule = try reader.string()
    case 25: groupID = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.string(1, id)
    writer.message(2, request)
    writer.enumeration(3, status)
    writer.message(4, requester)
    writer.string(5, ticketPairID)
    writer.string(6, userTicket)
    writer.string(7, auditTicket)
    writer.messages(8, states)
    writer.int64(9, filesTotal)
    writer.int64(10, filesDone)
    writer.int64(11, filesFailed)
    writer.int64(12, bytesTotal)
    writer.int64(13, bytesDone)
    writer.int64(14, retries)
    writer.message(15, problem)
    writer.message(16, createdAt)
    writer.message(17, startedAt)
    writer.message(18, finishedAt)
    writer.bool(19, hasReceipt)
    writer.string(20, destination)
    writer.int32(21, runs)
    writer.int64(22, sequence)
    writer.string(23, waitingFor)
    writer.string(24, schedule)
    writer.string(25, groupID)
  }
}

public struct FileStatus: ProtoEnum {
  public var rawValue: Int32
  public init(rawValue: Int32) { self.rawValue = rawValue }

  public static let unspecified = FileStatus(rawValue: 0)
  public static let waiting = FileStatus(rawValue: 1)
  public static let transferring = FileStatus(rawValue: 2)
  public static let verifying = FileStatus(rawValue: 3)
  public static let delivered = FileStatus(rawValue: 4)
  public static let failed = FileStatus(rawValue: 5)

  public static let descriptor = EnumDescriptor(
    "fileferry.v1.FileStatus",
    [
      ("FILE_STATUS_UNSPECIFIED", 0), ("FILE_STATUS_WAITING", 1), ("FILE_STATUS_TRANSFERRING", 2),
      ("FILE_STATUS_VERIFYING", 3), ("FILE_STATUS_DELIVERED", 4), ("FILE_STATUS_FAILED", 5),
    ])
}

public struct DeliveryFile: Message {
  public var index: Int32 = 0
  public var key = ""
  public var remotePath = ""
  /// Bytes.
  public var size: Int64 = 0
  public var etag = ""
  public var versionID = ""
  public var status = FileStatus.unspecified
  /// Hex, of the delivered bytes.
  public var sha256 = ""
  public var problem: Problem?
  public var deliveredAt: Timestamp?
  public var sourceModifiedAt: Timestamp?
  /// How it lies at the destination; unspecified: as at the source.
  public var compression = Compression.unspecified
  /// Bytes at the destination, where it is compressed.
  public var deliveredSize: Int64 = 0
  /// Hex, where it is compressed.
  public var sourceSHA256 = ""
  /// Its ".sha256" is beside it.
  public var hasSidecar = false
  /// As ReceiptFile's.
  public var serverChecksum = ""
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.DeliveryFile",
    [
      .init(1, "index", .int32), .init(2, "key", .string), .init(3, "remote_path", .string), .init(4, "size", .int64),
      .init(5, "etag", .string), .init(6, "version_id", .string), .init(7, "status", .enumeration(FileStatus.self)),
      .init(8, "sha256", .string), .init(9, "problem", .message(Problem.self)),
      .init(10, "delivered_at", .message(Timestamp.self)), .init(11, "source_modified_at", .message(Timestamp.self)),
      .init(12, "compression", .enumeration(Compression.self)), .init(13, "delivered_size", .int64),
      .init(14, "source_sha256", .string), .init(15, "has_sidecar", .bool),
      .init(16, "server_checksum", .string),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: index = try reader.int32()
    case 2: key = try reader.string()
    case 3: remotePath = try reader.string()
    case 4: size = try reader.int64()
    case 5: etag = try reader.string()
    case 6: versionID = try reader.string()
    case 7: status = try reader.enumeration()
    case 8: sha256 = try reader.string()
    case 9: try reader.message(into: &problem)
    case 10: try reader.message(into: &deliveredAt)
    case 11: try reader.message(into: &sourceModifiedAt)
    case 12: compression = try reader.enumeration()
    case 13: deliveredSize = try reader.int64()
    case 14: sourceSHA256 = try reader.string()
    case 15: hasSidecar = try reader.bool()
    case 16: serverChecksum = try reader.string()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.int32(1, index)
    writer.string(2, key)
    writer.string(3, remotePath)
    writer.int64(4, size)
    writer.string(5, etag)
    writer.string(6, versionID)
    writer.enumeration(7, status)
    writer.string(8, sha256)
    writer.message(9, problem)
    writer.message(10, deliveredAt)
    writer.message(11, sourceModifiedAt)
    writer.enumeration(12, compression)
    writer.int64(13, deliveredSize)
    writer.string(14, sourceSHA256)
    writer.bool(15, hasSidecar)
    writer.string(16, serverChecksum)
  }
}

public struct Chunk: Message {
  public var index: Int32 = 0
  /// Bytes from the file's start.
  public var offset: Int64 = 0
  /// Bytes.
  public var length: Int64 = 0
  /// Hex, of the bytes as they were read from the source. Once written the chunk has this, or one of `sha256FromStart` and `gmac`.
  public var sha256 = ""
  /// How often it was sent, in all runs.
  public var sends: Int32 = 0
  public var written = false
  /// Hex, of the file's bytes up to the chunk's end: where the server hashes files itself.
  public var sha256FromStart = ""
  /// With AES-128 (NIST SP 800-38D), under a key of the delivery: where files are read back.
  public var gmac: [UInt8] = []
  /// Of a compressed file: where the chunk lies at the destination, and how many bytes it has there, which are what is told
  /// from others above. A length of 0: as at the source.
  public var deliveredOffset: Int64 = 0
  public var deliveredLength: Int64 = 0
  /// Of the source bytes, which a gzip file's end is made from.
  public var crc32: UInt32 = 0
  public var unknownFields = UnknownFields()
  public init() {}

  public static let descriptor = MessageDescriptor(
    "fileferry.v1.Chunk",
    [
      .init(1, "index", .int32), .init(2, "offset", .int64), .init(3, "length", .int64), .init(4, "sha256", .string),
      .init(5, "sends", .int32), .init(6, "written", .bool), .init(7, "sha256_from_start", .string),
      .init(8, "gmac", .bytes), .init(9, "delivered_offset", .int64), .init(10, "delivered_length", .int64),
      .init(11, "crc32", .uint32),
    ])

  public mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: index = try reader.int32()
    case 2: offset = try reader.int64()
    case 3: length = try reader.int64()
    case 4: sha256 = try reader.string()
    case 5: sends = try reader.int32()
    case 6: written = try reader.bool()
    case 7: sha256FromStart = try reader.string()
    case 8: gmac = try reader.bytes()
    case 9: deliveredOffset = try reader.int64()
    case 10: deliveredLength = try reader.int64()
    case 11: crc32 = try reader.uint32()
    default: try reader.skip()
    }
  }

  public func encode(to writer: inout WireWriter) {
    writer.int32(1, index)
    writer.int64(2, offset)
    writer.int64(3, length)
    writer.string(4, sha256)
    writer.int32(5, sends)
    writer.bool(6, written)
    writer.string(7, sha256FromStart)
    writer.bytes(8, gmac)
    writer.int64(9, deliveredOffset)
    writer.int64(10, deliveredLength)
    writer.uint32(11, crc32)
  }
}
