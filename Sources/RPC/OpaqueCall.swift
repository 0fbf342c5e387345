// Calls whose messages stay encoded, for gateways between gRPC and other protocols.
import HTTP2
import NIOCore

/// A call that is under way. It is cancelled when the reading task is, or when it is let go.
public final class OpaqueCall: Sendable {
  private let call: StreamingCall

  init(_ call: StreamingCall) { self.call = call }

  deinit {
    let call = call
    call.onLoop { $0.cancel(RPCError(.cancelled, "the caller has gone")) }
  }

  /// A response's encoded message, without gRPC's prefix; nil at the end of a call whose status is OK.
  /// - Throws: the call's status otherwise.
  public func next() async throws(RPCError) -> ByteBuffer? { try await call.queue.next()?.bytes }

  /// What came with the status; empty before the end.
  public var trailingMetadata: Metadata { call.trailingMetadata }
}

extension ClientChannel {
  /// Sends encoded messages, and no more than these.
  /// - Parameter path: "/fileferry.v1.Transfer/WatchDelivery"
  public func opaque(
    _ path: String, _ requests: [ByteBuffer], _ options: CallOptions
  ) async throws(RPCError) -> OpaqueCall {
    let call = try await begin(path, options)
    let opaque = OpaqueCall(call)
    for request in requests { try await call.send(framed: MessageFraming.framed(request)) }
    call.finishSending()
    return opaque
  }
}

/// A status as the fields that stand for it on the wire: `grpc-status`, `grpc-message`, `grpc-status-details-bin`, and what goes
/// along.
public enum StatusFields {
  /// - Parameter error: nil: OK.
  public static func all(_ error: RPCError?, _ metadata: Metadata = Metadata()) -> [(name: String, value: String)] {
    var fields: [(name: String, value: String)] = []
    StatusWire.trailers(error, metadata: metadata).forEach { fields.append(($0, $1)) }
    return fields
  }
}

extension Deadline {
  /// From the value of `grpc-timeout`: "250m". Nil if it is not a timeout as gRPC writes it.
  public init?(grpcTimeout text: String) {
    var text = text
    let deadline = text.withUTF8 { Deadline(headerValue: UnsafeRawBufferPointer($0), from: .now()) }
    guard let deadline else { return nil }
    self = deadline
  }
}
