// The one error of every document store: what kind, what failed and why, what to do next, and whether the same call may
// succeed later.

public struct DocumentStoreError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Kind: Sendable, Equatable {
    /// A condition did not hold for this document: nothing of the batch was written. Read again and decide anew.
    case conflict(DocumentKey)
    /// The call itself is wrong (a bound, a key, a page token); it fails each time.
    case invalid
    /// The queue of waiting commits is at its bound; nothing was written.
    case overloaded
    /// The disk, or the store's quota, is full; nothing was written.
    case full
    /// Locked, unreachable, or an input/output error. Whether a commit took effect is not known: read again, or commit
    /// again under conditions.
    case unavailable
    /// The store's data is damaged.
    case corrupt
    /// The file is not a document store, or one of a newer version.
    case foreign
    /// The store was closed by this process.
    case closed
  }

  public var kind: Kind
  /// One sentence: what failed and why.
  public var message: String
  /// One sentence: what to do next.
  public var nextStep: String

  public init(_ kind: Kind, message: String, nextStep: String) {
    self.kind = kind
    self.message = message
    self.nextStep = nextStep
  }

  /// Whether the same call may succeed later without anything being changed by its caller.
  public var retryable: Bool {
    switch kind {
    case .overloaded, .unavailable, .full: true
    case .conflict, .invalid, .corrupt, .foreign, .closed: false
    }
  }

  public var description: String { "\(message) \(nextStep)" }

  public static func conflict(_ key: DocumentKey, found: DocumentVersion?, wanted: Condition) -> DocumentStoreError {
    let state = found.map { "has version \($0)" } ?? "does not exist"
    let wish =
      switch wanted {
      case .none: "anything"
      case .absent: "its absence"
      case .version(let version): "version \(version)"
      }
    return DocumentStoreError(
      .conflict(key), message: "The document \(key) \(state) where the write asked for \(wish).",
      nextStep: "Read it again and repeat the change on what is there now.")
  }

  public static func invalid(_ message: String, nextStep: String) -> DocumentStoreError {
    DocumentStoreError(.invalid, message: message, nextStep: nextStep)
  }

  /// The key whose condition failed, if this is a conflict.
  public var conflictingKey: DocumentKey? {
    if case .conflict(let key) = kind { key } else { nil }
  }
}
