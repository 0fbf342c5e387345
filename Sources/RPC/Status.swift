// The outcome of a call: gRPC's status codes and the one error type of this library, which carries code, message, details
// and trailing metadata, and knows whether it came off the wire.

/// A gRPC status code ("Status codes and their use in gRPC", grpc/grpc doc/statuscodes.md). Open: unknown numbers are kept.
public struct StatusCode: RawRepresentable, Sendable, Hashable, CustomStringConvertible {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let ok = StatusCode(rawValue: 0)
  public static let cancelled = StatusCode(rawValue: 1)
  public static let unknown = StatusCode(rawValue: 2)
  public static let invalidArgument = StatusCode(rawValue: 3)
  public static let deadlineExceeded = StatusCode(rawValue: 4)
  public static let notFound = StatusCode(rawValue: 5)
  public static let alreadyExists = StatusCode(rawValue: 6)
  public static let permissionDenied = StatusCode(rawValue: 7)
  public static let resourceExhausted = StatusCode(rawValue: 8)
  public static let failedPrecondition = StatusCode(rawValue: 9)
  public static let aborted = StatusCode(rawValue: 10)
  public static let outOfRange = StatusCode(rawValue: 11)
  public static let unimplemented = StatusCode(rawValue: 12)
  public static let `internal` = StatusCode(rawValue: 13)
  public static let unavailable = StatusCode(rawValue: 14)
  public static let dataLoss = StatusCode(rawValue: 15)
  public static let unauthenticated = StatusCode(rawValue: 16)

  private static let names = [
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
  ]

  public var description: String {
    rawValue < 17 ? Self.names[Int(rawValue)] : "CODE_\(rawValue)"
  }
}

/// A call that did not end with OK.
public struct RPCError: Error, Sendable, CustomStringConvertible {
  public var code: StatusCode
  /// A sentence for people: what failed and why.
  public var message: String
  /// Typed details (google.rpc.Status.details), sent as `grpc-status-details-bin`.
  public var details: [StatusDetail]
  /// Trailing metadata that came or goes along.
  public var metadata: Metadata
  /// True if a peer sent it; false if it was made on this side (no connection, a deadline, a bad message).
  public var fromPeer: Bool
  /// The server's word on when a retry may begin (`grpc-retry-pushback-ms`, gRFC A6).
  public var retryPushback: Duration?
  /// The server's word that there must be no retry: a pushback that is negative or no number.
  public internal(set) var forbidsRetry = false

  public init(
    _ code: StatusCode, _ message: String, details: [StatusDetail] = [], metadata: Metadata = Metadata(),
    fromPeer: Bool = false
  ) {
    self.code = code
    self.message = message
    self.details = details
    self.metadata = metadata
    self.fromPeer = fromPeer
  }

  public var description: String { message.isEmpty ? "\(code)" : "\(code): \(message)" }
}
