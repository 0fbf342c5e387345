// Ticket numbers as people read them, REQ0000042 and AUD0000042, and as sort keys. Drawing new ones is
// NumberSequence's.
import FerryAPI

struct TicketNumber: Equatable {
  static let digits = 7
  /// Digits of a sort key: every Int64 fits, and the order of the keys is that of the numbers.
  private static let sortDigits = 19

  let kind: TicketKind
  let value: Int64

  init(_ kind: TicketKind, _ value: Int64) {
    self.kind = kind
    self.value = value
  }

  /// Reads "REQ0000042" in upper or lower case; nil for anything else.
  init?(_ text: String) {
    let digits = text.dropFirst(3)
    switch text.prefix(3).uppercased() {
    case "REQ": kind = .user
    case "AUD": kind = .audit
    default: return nil
    }
    guard (Self.digits...18).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
      let value = Int64(digits), value > 0
    else { return nil }
    self.value = value
  }

  var text: String { (kind == .audit ? "AUD" : "REQ") + Self.padded(value, to: Self.digits) }

  /// In an index: newest last, and of a pair the user's ticket after audit's.
  var sortKey: String { "\(Self.padded(value, to: Self.sortDigits))/\(kind == .audit ? "audit" : "user")" }

  /// The kind that a sort key ends in.
  static func kind(ofSortKey sort: String) -> TicketKind { sort.hasSuffix("/audit") ? .audit : .user }

  private static func padded(_ value: Int64, to width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}
