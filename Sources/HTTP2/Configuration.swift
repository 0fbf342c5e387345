// The limits of a connection. Each guards memory or time against a peer that misbehaves, or ends what is of no more use.
import NIOCore

/// An HTTP/2 error code (RFC 9113 section 7).
public struct HTTP2ErrorCode: RawRepresentable, Sendable, Hashable {
  public var rawValue: UInt32
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  public static let noError = HTTP2ErrorCode(rawValue: 0)
  public static let protocolError = HTTP2ErrorCode(rawValue: 1)
  public static let internalError = HTTP2ErrorCode(rawValue: 2)
  public static let flowControlError = HTTP2ErrorCode(rawValue: 3)
  public static let streamClosed = HTTP2ErrorCode(rawValue: 5)
  public static let refusedStream = HTTP2ErrorCode(rawValue: 7)
  public static let cancel = HTTP2ErrorCode(rawValue: 8)
  public static let enhanceYourCalm = HTTP2ErrorCode(rawValue: 11)
  public static let inadequateSecurity = HTTP2ErrorCode(rawValue: 12)
  /// Not a code of the wire: the connection went away under the stream.
  public static let connectionLost = HTTP2ErrorCode(rawValue: .max)
  /// Not a code of the wire: the peer's header block exceeds `maxHeaderListSize`.
  public static let headersTooLarge = HTTP2ErrorCode(rawValue: .max - 1)
}

public struct HTTP2Configuration: Sendable {
  // MARK: Streams and windows

  /// Streams that the peer may have open at once (SETTINGS_MAX_CONCURRENT_STREAMS).
  public var maxConcurrentStreams: UInt32 = 256
  /// Bytes that the peer may send on one stream before it must wait (SETTINGS_INITIAL_WINDOW_SIZE).
  public var streamWindow: Int32 = 1 << 20
  /// The same for the whole connection.
  public var connectionWindow: Int32 = 16 << 20
  /// Bytes of all header fields of one message (SETTINGS_MAX_HEADER_LIST_SIZE), counted with 32 a field.
  public var maxHeaderListSize: Int = 16 << 10
  /// Bytes of all streams that may wait for a peer that gives no window; the owner of the streams asks `unsentBytes`.
  public var maxUnsentBytes: Int = 32 << 20

  // MARK: Floods

  /// PING and SETTINGS answers that may wait for a peer that does not read; beyond it the connection is dropped.
  public var maxOutboundAcknowledgements: Int = 256
  /// Stream resets a peer may do ("rapid reset") or make us do by its errors ("made you reset"): a bucket of `burst`,
  /// refilled with `rate` a second.
  public var streamResetBurst: UInt64 = 1000
  public var streamResetRate: UInt64 = 100
  /// Frames that carry no call forward (PING, SETTINGS, PRIORITY, empty DATA): a bucket of `burst`, refilled with `rate` a
  /// second. Beyond it the connection ends with ENHANCE_YOUR_CALM.
  public var idleFrameBurst = 1000
  public var idleFrameRate = 100

  // MARK: Times

  /// Server: how long the first SETTINGS frame, or the rest of a frame that has begun, may keep us waiting.
  public var headerTimeout: Duration = .seconds(10)
  /// How long to hear nothing before a PING asks whether the peer is still there; nil for never ("Keepalive",
  /// grpc/grpc doc/keepalive.md).
  public var keepaliveTime: Duration?
  /// How long the answer to that PING may take.
  public var keepaliveTimeout: Duration = .seconds(20)
  /// Whether to ask even while no stream is open.
  public var keepaliveWithoutStreams = false
  /// How long a connection may have no stream before it is ended gracefully; nil for ever.
  public var maxIdle: Duration?
  /// Server: how long a connection may live before it is ended gracefully, so that clients spread anew; nil for ever.
  public var maxAge: Duration?
  /// Server: how long after that the streams which are still open may take; nil for ever.
  public var maxAgeGrace: Duration?

  public init() {}
}

extension TimeAmount {
  /// Durations beyond what NIO can count become its longest.
  public init(clamping duration: Duration) {
    let parts = duration.components
    let (nanoseconds, overflow) = parts.seconds.multipliedReportingOverflow(by: 1_000_000_000)
    self = .nanoseconds(overflow ? .max / 4 : min(nanoseconds + parts.attoseconds / 1_000_000_000, .max / 4))
  }
}
