// What the service keeps beside the notifications themselves, as messages of its own that nobody sends: a recipient's
// counters, and what is still to be sent through a channel.
import DocumentStore
import FerryAPI
import ProtoWire

/// A recipient's counters.
struct RecipientHead: Message {
  /// Of the newest notification; they are numbered from 1 without gaps.
  var lastSequence: Int64 = 0
  var unread: Int64 = 0
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor(
    "fileferry.notification.RecipientHead", [.init(1, "last_sequence", .int64), .init(2, "unread", .int64)])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: lastSequence = try reader.int64()
    case 2: unread = try reader.int64()
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) {
    writer.int64(1, lastSequence)
    writer.int64(2, unread)
  }
}

/// One notification that has to leave through one channel. When it is due stands in its sort key.
struct OutboxEntry: Message {
  var recipientID = ""
  var notificationID = ""
  /// When it was queued, in milliseconds since 1970.
  var createdAt: UnixMilliseconds = 0
  var attempts: Int32 = 0
  /// Written before a sending begins and taken away after it: still there at a start, the process died in between.
  var attempting = false
  /// Sendings of which nobody knows whether they arrived.
  var uncertain: Int32 = 0
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor(
    "fileferry.notification.OutboxEntry",
    [
      .init(1, "recipient_id", .string), .init(2, "notification_id", .string), .init(3, "created_at", .int64),
      .init(4, "attempts", .int32), .init(5, "attempting", .bool), .init(6, "uncertain", .int32),
    ])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: recipientID = try reader.string()
    case 2: notificationID = try reader.string()
    case 3: createdAt = try reader.int64()
    case 4: attempts = try reader.int32()
    case 5: attempting = try reader.bool()
    case 6: uncertain = try reader.int32()
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) {
    writer.string(1, recipientID)
    writer.string(2, notificationID)
    writer.int64(3, createdAt)
    writer.int32(4, attempts)
    writer.bool(5, attempting)
    writer.int32(6, uncertain)
  }
}

/// Numbers in sort keys: as many digits as an Int64 has, so that the order of the keys is that of the numbers.
enum SortNumber {
  static func text(_ value: Int64) -> String {
    let digits = String(max(0, value))
    return String(repeating: "0", count: 19 - digits.count) + digits
  }
}
