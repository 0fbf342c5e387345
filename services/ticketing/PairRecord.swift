// What a pair keeps beside its two tickets: the request that opened it, to know the same request again, and how many
// notes it has. A message of this service alone; nobody sends it.
import FerryAPI
import ProtoWire

struct PairRecord: Message {
  var openedWith: OpenTicketsRequest?
  /// Of user and audit alike: 42 is REQ0000042 and AUD0000042.
  var number: Int64 = 0
  /// Work notes written so far; the next one gets the number after it.
  var notes: Int32 = 0
  var noteBytes: Int64 = 0
  /// How often the pair was closed and opened again.
  var reopened: Int32 = 0
  var unknownFields = UnknownFields()

  static let descriptor = MessageDescriptor(
    "fileferry.ticketing.PairRecord",
    [
      .init(1, "opened_with", .message(OpenTicketsRequest.self)), .init(2, "number", .int64), .init(3, "notes", .int32),
      .init(4, "note_bytes", .int64), .init(5, "reopened", .int32),
    ])

  mutating func decode(field: Int, from reader: inout WireReader) throws(WireError) {
    switch field {
    case 1: try reader.message(into: &openedWith)
    case 2: number = try reader.int64()
    case 3: notes = try reader.int32()
    case 4: noteBytes = try reader.int64()
    case 5: reopened = try reader.int32()
    default: try reader.skip()
    }
  }

  func encode(to writer: inout WireWriter) {
    writer.message(1, openedWith)
    writer.int64(2, number)
    writer.int32(3, notes)
    writer.int64(4, noteBytes)
    writer.int32(5, reopened)
  }
}
