// The two ways to take a call's messages: exactly one, decoded as it arrives, or a stream through a queue.
import NIOCore
import ProtoWire

/// For unary and server-streaming methods: one request, then the handler.
final class SingleRequestSink<Request: Message>: RequestSink {
  private unowned let call: ServerCall
  private let handler: @Sendable (Request, CallContext) async throws(RPCError) -> Void
  private var request: Request?

  init(_ call: ServerCall, _ handler: @escaping @Sendable (Request, CallContext) async throws(RPCError) -> Void) {
    self.call = call
    self.handler = handler
  }

  var isFull: Bool { false }

  func received(_ message: UnsafeRawBufferPointer) throws(RPCError) {
    guard request == nil else { throw RPCError(.unimplemented, "this method takes one request and got several") }
    var whole = Request()
    var reader = WireReader(message)
    do throws(WireError) { try whole.merge(from: &reader) } catch {
      throw RPCError(.internal, "the request could not be read: \(error)")
    }
    request = whole
  }

  func receivedEnd() throws(RPCError) {
    guard let request else { throw RPCError(.unimplemented, "this method takes one request and got none") }
    let handler = handler
    call.run { context throws(RPCError) in try await handler(request, context) }
  }

  func ended(_ error: RPCError) {}
}

/// For client-streaming and bidirectional methods: the handler starts at once and reads from a queue.
final class StreamingRequestSink: RequestSink {
  private let queue: MessageQueue

  init(_ call: ServerCall, _ handler: @escaping @Sendable (MessageQueue, CallContext) async throws(RPCError) -> Void) {
    let queue = MessageQueue { [weak call] in call?.onLoop { $0.giveWindow() } }
    self.queue = queue
    call.run { context throws(RPCError) in try await handler(queue, context) }
  }

  var isFull: Bool { queue.isFull() }

  func received(_ message: UnsafeRawBufferPointer) throws(RPCError) { queue.push(ByteBuffer(bytes: message)) }
  func receivedEnd() throws(RPCError) { queue.finish(.success(())) }
  func ended(_ error: RPCError) { queue.finish(.failure(error)) }
}
