// The table of a server's methods. A handler is one async function; what kind of call it serves follows from its method.
import HTTP2
import NIOCore
import ProtoWire

public struct Router: Sendable {
  typealias MakeSink = @Sendable (ServerCall) -> any RequestSink

  private(set) var methods: [String: MakeSink] = [:]
  private(set) var forwards: [String: MakeSink] = [:]
  /// Names of the services that have a handler, in the order of registration.
  public private(set) var services: [String] = []

  public init() {}

  private mutating func register(_ method: some Method, _ make: @escaping MakeSink) {
    precondition(methods[method.path] == nil, "\(method.path) has two handlers")
    methods[method.path] = make
    if !services.contains(method.service) { services.append(method.service) }
  }

  public mutating func handle<Q: Message, R: Message>(
    _ method: UnaryMethod<Q, R>, _ handler: @escaping @Sendable (Q, CallContext) async throws(RPCError) -> R
  ) {
    register(method) { call in
      SingleRequestSink<Q>(call) { request, context throws(RPCError) in
        let response = try await handler(request, context)
        try await call.send(response)
      }
    }
  }

  public mutating func handle<Q: Message, R: Message>(
    _ method: ServerStreamingMethod<Q, R>,
    _ handler: @escaping @Sendable (Q, CallContext, ResponseWriter<R>) async throws(RPCError) -> Void
  ) {
    register(method) { call in
      SingleRequestSink<Q>(call) { request, context throws(RPCError) in
        try await handler(request, context, ResponseWriter(call))
      }
    }
  }

  public mutating func handle<Q: Message, R: Message>(
    _ method: ClientStreamingMethod<Q, R>,
    _ handler: @escaping @Sendable (RequestStream<Q>, CallContext) async throws(RPCError) -> R
  ) {
    register(method) { call in
      StreamingRequestSink(call) { queue, context throws(RPCError) in
        let response = try await handler(RequestStream(queue), context)
        try await call.send(response)
      }
    }
  }

  public mutating func handle<Q: Message, R: Message>(
    _ method: BidirectionalMethod<Q, R>,
    _ handler: @escaping @Sendable (RequestStream<Q>, CallContext, ResponseWriter<R>) async throws(RPCError) -> Void
  ) {
    register(method) { call in
      StreamingRequestSink(call) { queue, context throws(RPCError) in
        try await handler(RequestStream(queue), context, ResponseWriter(call))
      }
    }
  }

  /// Passes every method of a service on to another server: messages as they are, with metadata, deadline and status.
  public mutating func forward(service: String, to channel: ClientChannel) {
    forwards[service] = { call in
      StreamingRequestSink(call) { queue, context throws(RPCError) in
        try await Forwarding.relay(queue, context, call, to: channel)
      }
    }
    if !services.contains(service) { services.append(service) }
  }

  func sink(for path: String) -> MakeSink? {
    if let found = methods[path] { return found }
    guard !forwards.isEmpty, path.first == "/" else { return nil }
    return forwards[String(path.dropFirst().prefix { $0 != "/" })]
  }

  /// Why a path has no handler, for the status message.
  func unimplemented(_ path: String) -> RPCError {
    let service = String(path.dropFirst().prefix { $0 != "/" })
    return services.contains(service)
      ? RPCError(.unimplemented, "the service \(service) has no method at \(path)")
      : RPCError(.unimplemented, "this server has no service \(service)")
  }
}

/// Sends the responses of a streaming call.
public struct ResponseWriter<Response: Message>: Sendable {
  let call: ServerCall
  init(_ call: ServerCall) { self.call = call }

  /// Waits while the caller reads slowly; throws `cancelled` once the call is over.
  public func send(_ response: Response) async throws(RPCError) { try await call.send(response) }
}

/// The requests of a streaming call, in order.
public struct RequestStream<Request: Message>: AsyncSequence, Sendable {
  public typealias Element = Request
  public typealias Failure = RPCError
  let queue: MessageQueue
  init(_ queue: MessageQueue) { self.queue = queue }

  public struct AsyncIterator: AsyncIteratorProtocol, Sendable {
    let queue: MessageQueue

    public func next() async throws(RPCError) -> Request? {
      guard let message = try await queue.next() else { return nil }
      do throws(WireError) { return try Request(decoding: message) } catch {
        throw RPCError(.internal, "a request could not be read: \(error)")
      }
    }

    public func next(isolation actor: isolated (any Actor)?) async throws(RPCError) -> Request? {
      try await next()
    }
  }

  public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(queue: queue) }
}
