// The bounds of tickets, in one place. Sizes are bytes of UTF-8. Together they keep a pair's documents below a store's
// bound (400 KB each) and a pair with all its notes below one message (4 MiB).

enum TicketLimits {
  static let idempotencyKey = 128
  static let identifier = 256
  static let title = 1024
  static let description = 64 * 1024
  static let assignmentGroup = 256
  static let closingNote = 16 * 1024
  static let workNote = 16 * 1024
  static let workNoteKey = 256
  /// Work notes of a pair...
  static let workNotes = 500
  /// ... and the bytes of all their texts: a pair answers with them twice, once a ticket.
  static let workNoteBytes = 1536 * 1024

  static let defaultPage: Int32 = 50
  static let maximumPage: Int32 = 200
  /// Index entries that one page looks at, at most; a page may so be shorter than asked for and still have a next one.
  static let scanned = 1000
}
