// The two ways to take a call's messages: exactly one, decoded as it arrives, or a stream through a queue.
import NIOCore
import ProtoWire

/// How a method takes its requests; the rest of it is the invocation that it makes of them.
@usableFromInline
enum RequestTaking: Sendable {
  /// One message, lent for the duration of the call.
  case single(@Sendable (UnsafeRawBufferPointer, ServerCall) throws(RPCError) -> Invocation)
  case stream(@Sendable (MessageQueue, ServerCall) -> Invocation)
}

extension Message {
  /// - Throws: `internal`, as gRPC has it for requests that cannot be read.
  @inlinable
  init(request bytes: UnsafeRawBufferPointer) throws(RPCError) {
    self.init()
    var reader = WireReader(bytes)
    do throws(WireError) { try merge(from: &reader) } catch { throw Self.unreadable(error) }
  }

  @usableFromInline
  static func unreadable(_ error: WireError) -> RPCError {
    RPCError(.internal, "the request could not be read: \(error)")
  }
}

/// Where a call's messages go. Used on the connection's event loop.
enum RequestSink {
  case none
  /// For unary and server-streaming methods: the invocation waits for the end of the request.
  case single(Invocation?)
  /// For client-streaming and bidirectional methods: the handler has begun and reads from the queue.
  case stream(MessageQueue)

  /// True while arriving bytes must not be credited: the reader is slow.
  var isFull: Bool {
    if case .stream(let queue) = self { return queue.isFull() }
    return false
  }
}
