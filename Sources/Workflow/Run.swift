// A run as others see it: its id, kind, input, state and outcome. How it is kept is RunDocuments'.

import DocumentStore

/// Names a run, 1 to 256 bytes, chosen by whoever starts it: starting the same id twice is one run.
public struct RunID: RawRepresentable, Hashable, Sendable, Codable, CustomStringConvertible {
  public static let maximumSize = 256
  public var rawValue: String

  public init(rawValue: String) {
    self.rawValue = rawValue
  }

  public init(_ rawValue: String) {
    self.rawValue = rawValue
  }

  public var description: String { rawValue }
}

public enum RunStatus: String, Sendable, Codable, CaseIterable {
  /// Waits for its first start, or for a new one after a retry.
  case pending
  /// Was started; it may be under way or wait to be resumed after a restart.
  case running
  case succeeded
  case failed
  case cancelled

  public var isFinal: Bool { self == .succeeded || self == .failed || self == .cancelled }
}

/// Who goes first when more runs wait than may run; within one priority the oldest does.
public enum RunPriority: Int, Sendable, Codable, CaseIterable {
  case low, normal, high, critical
}

public struct Run: Sendable, Equatable {
  public var id: RunID
  public var kind: String
  public var input: [UInt8]
  public var priority: RunPriority
  public var status: RunStatus
  /// A cancel was asked for; the run ends as cancelled unless it succeeds first.
  public var cancelRequested: Bool
  /// How often the body was started, resumptions included.
  public var starts: Int
  public var createdAt: UnixMilliseconds
  public var updatedAt: UnixMilliseconds
  /// What the body returned; nil until it succeeded.
  public var output: [UInt8]?
  /// What its kind made of the error it failed with (or of the clean-up's, for a cancelled run).
  public var problem: [UInt8]?
}
