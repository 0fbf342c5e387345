// The bounds of notifications, in one place. Sizes are bytes of UTF-8; a notification stays far below a store's 400 KB.

enum NotificationLimits {
  static let key = 256
  static let identifier = 256
  static let address = 254
  static let title = 512
  static let body = 32 * 1024
  static let facts = 32
  static let factName = 128
  static let factValue = 2048

  static let defaultPage: Int32 = 50
  static let maximumPage: Int32 = 200
  /// Stored notifications that one page looks at, at most; a page may so be shorter than asked for and have a next one.
  static let scanned = 1000
  /// Ids in one MarkRead.
  static let markedAtOnce = 500
  /// Notifications in one batch of MarkRead, beside the recipient's head.
  static let markedInBatch = 50
  /// Watchers of one person (browser tabs), and of all.
  static let watchersOfOne = 16
  static let watchers = 8192
}
