// How a delivery lies in the document store. All of it is in its workflow run's own partition, so that every write of
// its body is bound to the lease; the lists over deliveries are index partitions beside it.
import DocumentStore
import FerryAPI
import Workflow

enum JournalKeys {
  static let namespace = "delivery"
  static let kind = "delivery"
  static let delivery = "delivery"
  static let meta = "meta"
  /// Sealed.
  static let credentials = "credentials"
  /// A cancel that was asked for; the body is its reason.
  static let cancel = "cancel"
  /// A pause that was asked for and not taken back; the body says by whom and why.
  static let pause = "pause"

  static func file(_ index: Int32) -> String { "f/" + padded(Int64(index), 8) }
  static let files = "f/"
  static func chunk(_ file: Int32, _ index: Int32) -> String { chunks(file) + padded(Int64(index), 8) }
  static func chunks(_ file: Int32) -> String { "c/\(padded(Int64(file), 8))/" }
  static let allChunks = "c/"
  static func event(_ sequence: Int64) -> String { "e/" + padded(sequence, 12) }
  static let events = "e/"
  static func note(_ number: Int64) -> String { "n/" + padded(number, 12) }
  static let notes = "n/"
  static func receipt(_ piece: Int) -> String { "r/" + padded(Int64(piece), 4) }
  static let receiptPieces = "r/"
  /// Lines of the list of files that a receipt is bound to.
  static func receiptPart(_ part: Int) -> String { "p/" + padded(Int64(part), 8) }
  /// SHA-256 of a source object, where its provider states one.
  static func checksum(_ file: Int32) -> String { "s/" + padded(Int64(file), 8) }
  static let checksums = "s/"

  /// The run's partition, as the engine names it under `namespace`; the body checks that the two agree.
  static func partition(_ id: String) -> String { "\(namespace)/run/\(id)" }

  // Index partitions; sort keys are delivery ids, which sort by time.
  static let all = "deliveries"
  static func of(requester id: String) -> String { "deliveries-of/\(id)" }
  /// From an idempotency key of a person to the delivery it made.
  static let idempotency = "idempotency"
  static func idempotency(_ person: String, _ key: String) -> String { "\(person)/\(key)" }
  /// Deliveries written down whose run may not have been handed to the engine yet.
  static let starting = "starting"

  private static func padded(_ number: Int64, _ digits: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
  }
}

/// What the body keeps of a delivery beside what is shown of it.
struct DeliveryMeta: Codable, Sendable, Equatable {
  enum Ending: String, Codable, Sendable {
    case failed, cancelled
  }

  /// 1, and 1 more with each retry by a person.
  var attempt = 1
  var nextNote: Int64 = 1
  /// The files are journalled; a later run takes them from there.
  var isPlanned = false
  /// The outcome is decided and only has to be told.
  var ending: Ending?
  /// Of the server that holds the files.
  var hostKey = ""
  /// It was paused before this attempt had its tickets. Absent where an earlier version wrote it.
  var isPausedUntaken: Bool?
  /// Of the chunks' GMACs, base64; made by the first run that moves files.
  var chunkKey: String?
  /// The server computes SHA-256 of what it holds; what it didn't tell was read back.
  var hashesSHA256: Bool?
  /// Other hashes than SHA-256 that servers proved files by, "sha1" say; once the receipt is made.
  var serverHashes: [String]?

  /// "proven by SHA-256".
  var provenBy: String {
    guard let serverHashes else { return "proven by SHA-256" }
    return "proven by SHA-256 or the server's own \(serverHashes.joined(separator: " and "))"
  }
}
