// The two ends of a streaming call on the client.
import NIOCore
import ProtoWire

/// Sends the requests of a streaming call.
public struct RequestWriter<Request: Message>: Sendable {
  let call: ClientCall
  init(_ call: ClientCall) { self.call = call }

  /// Waits while the server reads slowly. What became of the call is told by its responses.
  public func send(_ request: Request) async throws(RPCError) {
    try await call.send(framed: MessageFraming.framed(request).withUnsafeBytes { ByteBuffer(bytes: $0) })
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
    let call: ClientCall
    init(_ call: ClientCall) { self.call = call }
    deinit {
      let call = call
      call.onLoop { $0.cancel(RPCError(.cancelled, "the caller has gone")) }
    }
  }

  private let lifetime: Lifetime
  init(_ call: ClientCall) { lifetime = Lifetime(call) }

  public func cancel() { lifetime.call.onLoop { $0.cancel(RPCError(.cancelled, "the call was cancelled")) } }

  public struct AsyncIterator: AsyncIteratorProtocol, Sendable {
    let lifetime: Lifetime

    public func next() async throws(RPCError) -> Response? {
      do throws(RPCError) {
        guard let message = try await lifetime.call.queue.next() else { return nil }
        do throws(WireError) { return try Response(decoding: message) } catch {
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
