// The limits of a connection. Each guards memory or time against a peer that misbehaves.

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
}

public struct HTTP2Configuration: Sendable {
  /// Streams that the peer may have open at once (SETTINGS_MAX_CONCURRENT_STREAMS).
  public var maxConcurrentStreams: UInt32 = 1000
  /// Bytes that the peer may send on one stream before it must wait (SETTINGS_INITIAL_WINDOW_SIZE).
  public var streamWindow: Int32 = 1 << 20
  /// The same for the whole connection.
  public var connectionWindow: Int32 = 16 << 20
  /// Bytes of all header fields of one message (SETTINGS_MAX_HEADER_LIST_SIZE), counted with 32 a field.
  public var maxHeaderListSize: Int = 16 << 10
  /// Bytes that wait for the socket before frames stop being made.
  public var maxBufferedOutput: Int = 1 << 20
  /// PING and SETTINGS answers that may wait for a peer that does not read; beyond it the connection is dropped.
  public var maxOutboundAcknowledgements: Int = 256
  /// Stream resets a peer may do: a bucket of `burst`, refilled with `rate` a second (the "rapid reset" attack).
  public var streamResetBurst: UInt64 = 1000
  public var streamResetRate: UInt64 = 100

  public init() {}
}
