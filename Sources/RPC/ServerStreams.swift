// The two ends of a streaming call on the server.
import NIOCore
import ProtoWire

/// Sends the responses of a streaming call.
public struct ResponseWriter<Response: Message>: Sendable {
  @usableFromInline let call: ServerCall
  @usableFromInline init(_ call: ServerCall) { self.call = call }

  /// Waits while the caller reads slowly; throws `cancelled` once the call is over.
  /// - Parameter compress: false sends this message plain although the context sets a compression.
  @inlinable
  public func send(_ response: Response, compress: Bool = true) async throws(RPCError) {
    try await call.send(compress: compress) { $0.fields(of: response) }
  }
}

/// The requests of a streaming call, in order.
public struct RequestStream<Request: Message>: AsyncSequence, Sendable {
  public typealias Element = Request
  public typealias Failure = RPCError
  let queue: MessageQueue
  @usableFromInline init(_ queue: MessageQueue) { self.queue = queue }

  public struct AsyncIterator: AsyncIteratorProtocol, Sendable {
    let queue: MessageQueue

    /// Whether the message that `next` gave last came compressed.
    public var lastMessageWasCompressed: Bool { queue.lastWasCompressed }

    public func next() async throws(RPCError) -> Request? {
      guard let message = try await queue.next() else { return nil }
      do throws(WireError) { return try Request(decoding: message.bytes) } catch {
        throw RPCError(.internal, "a request could not be read: \(error)")
      }
    }

    public func next(isolation actor: isolated (any Actor)?) async throws(RPCError) -> Request? {
      try await next()
    }
  }

  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(queue: queue) }
}
