// The two ends of a streaming call on the client.
import NIOCore
import ProtoWire

/// Sends the requests of a streaming call.
public struct RequestWriter<Request: Message>: Sendable {
  let call: ClientCall
  let compression: CompressionAlgorithm

  /// Waits while the server reads slowly. Throws the call's status once the call is over.
  /// - Parameter compress: false sends this message plain although the call's options name a compression.
  public func send(_ request: Request, compress: Bool = true) async throws(RPCError) {
    try await call.send(framed: try MessageFraming.framed(request, compress ? compression : .identity))
  }

  /// No more requests will come.
  public func finish() { call.finishSending() }
}

/// The responses of a streaming call. It ends when the status is OK and throws the status otherwise. The call is cancelled
/// when the reading task is, or when the stream and its iterators are let go.
public struct ResponseStream<Response: Message>: AsyncSequence, Sendable {
  public typealias Element = Response
  public typealias Failure = RPCError

  /// Cancels the call when nobody holds it any more.
  final class Lifetime: Sendable {
    let call: StreamingCall
    init(_ call: StreamingCall) { self.call = call }
    deinit {
      let call = call
      call.onLoop { $0.cancel(RPCError(.cancelled, "the caller has gone")) }
    }
  }

  private let lifetime: Lifetime
  init(_ call: StreamingCall) { lifetime = Lifetime(call) }

  public func cancel() { lifetime.call.onLoop { $0.cancel(RPCError(.cancelled, "the call was cancelled")) } }

  /// Waits for the response's header block.
  /// - Throws: the call's status, if it ended without one.
  public func initialMetadata() async throws(RPCError) -> Metadata { try await lifetime.call.initialMetadata() }

  /// What came with the status; empty before the end.
  public var trailingMetadata: Metadata { lifetime.call.trailingMetadata }

  public struct AsyncIterator: AsyncIteratorProtocol, Sendable {
    let lifetime: Lifetime

    /// Whether the message that `next` gave last came compressed.
    public var lastMessageWasCompressed: Bool { lifetime.call.queue.lastWasCompressed }

    public func next() async throws(RPCError) -> Response? {
      do throws(RPCError) {
        guard let message = try await lifetime.call.queue.next() else { return nil }
        do throws(WireError) { return try Response(decoding: message.bytes) } catch {
          throw RPCError(.internal, "a response could not be read: \(error)")
        }
      } catch {
        lifetime.call.onLoop { $0.cancel(error) }
        throw error
      }
    }

    public func next(isolation actor: isolated (any Actor)?) async throws(RPCError) -> Response? {
      try await next()
    }
  }

  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(lifetime: lifetime) }
}
