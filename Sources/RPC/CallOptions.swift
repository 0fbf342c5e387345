// What a caller may say of one call, and what a channel says of all.
import HTTP2

public struct CallOptions: Sendable {
  public var metadata: Metadata
  public var deadline: Deadline?
  /// Waits for a connection until the deadline instead of failing at once when there is none.
  public var waitForReady: Bool

  public init(metadata: Metadata = Metadata(), deadline: Deadline? = nil, waitForReady: Bool = false) {
    self.metadata = metadata
    self.deadline = deadline
    self.waitForReady = waitForReady
  }

  public static func timeout(_ duration: Duration) -> CallOptions { CallOptions(deadline: .after(duration)) }
}

public struct ClientConfiguration: Sendable {
  /// Bytes of one response message.
  public var maxMessageSize = 4 << 20
  public var connectTimeout: Duration = .seconds(5)
  /// Wait after the first failed attempt; it grows by 1.6 with a jitter of a fifth (grpc/grpc doc/connection-backoff.md).
  public var initialBackoff: Duration = .milliseconds(100)
  public var maxBackoff: Duration = .seconds(10)
  public var http2 = HTTP2Configuration()

  public init() {}
}
