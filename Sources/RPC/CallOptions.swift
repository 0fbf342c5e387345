// What a caller may say of one call, and what a channel says of all.
import HTTP2

public struct CallOptions: Sendable {
  public var metadata: Metadata
  public var deadline: Deadline?
  /// Waits for a connection until the deadline instead of failing at once when there is none; nil leaves it to the service
  /// config.
  public var waitForReady: Bool?
  /// How the requests are compressed. Responses come as the server likes.
  public var compression: CompressionAlgorithm

  public init(
    metadata: Metadata = Metadata(), deadline: Deadline? = nil, waitForReady: Bool? = nil,
    compression: CompressionAlgorithm = .identity
  ) {
    self.metadata = metadata
    self.deadline = deadline
    self.waitForReady = waitForReady
    self.compression = compression
  }

  public static func timeout(_ duration: Duration) -> CallOptions { CallOptions(deadline: .after(duration)) }
}

public struct ClientConfiguration: Sendable {
  /// Bytes of one response message, as sent and as decompressed.
  public var maxMessageSize = 4 << 20
  public var connectTimeout: Duration = .seconds(5)
  /// Wait after the first failed attempt; it grows by 1.6 with a jitter of a fifth (grpc/grpc doc/connection-backoff.md).
  public var initialBackoff: Duration = .milliseconds(100)
  public var maxBackoff: Duration = .seconds(10)
  /// How calls are spread over the addresses of the target; the service config's choice counts if it makes one.
  public var loadBalancing = LoadBalancing.pickFirst
  /// Retries, hedging, deadlines and load balancing by method ("Service Config", grpc/grpc doc/service_config.md).
  public var serviceConfig = ServiceConfig()
  public var tls: ClientTLS?
  /// What `:authority` says; nil means the target's name.
  public var authority: String?
  /// Finds the addresses of a DNS target; tests pass their own.
  public var resolve: DNS.Resolve = DNS.lookup
  /// Chance for backoff and load balancing: a number from 0 to 1, without 1. Tests pass their own.
  public var random: @Sendable () -> Double = { Double.random(in: 0..<1) }
  public var http2 = HTTP2Configuration()

  public init() {}
}
