// The table of a server's methods. A handler is one async function; what kind of call it serves follows from its method.
import HTTP2
import NIOCore
import ProtoWire

public struct Router: Sendable {
  private var methods: [String: RegisteredMethod] = [:]
  private var forwards: [String: RequestTaking] = [:]
  /// Names of the services that have a handler, in the order of registration.
  public private(set) var services: [String] = []

  public init() {}

  @usableFromInline
  mutating func register(path: String, service: String, _ taking: RequestTaking) {
    precondition(methods[path] == nil, "\(path) has two handlers")
    methods[path] = RegisteredMethod(path: path, taking: taking)
    if !services.contains(service) { services.append(service) }
  }

  // These four are inlinable so that decoding, handler and encoding become one piece of code for each method, made for its
  // two messages: half the cost of a small call would otherwise be generic code that looks their types up.

  @inlinable
  public mutating func handle<Q: Message, R: Message>(
    _ method: UnaryMethod<Q, R>, _ handler: @escaping @Sendable (Q, CallContext) async throws(RPCError) -> R
  ) {
    register(
      path: method.path, service: method.service,
      .single { (bytes, call) throws(RPCError) in
        let request = try Q(request: bytes)
        return Invocation { (context) async throws(RPCError) in
          let response = try await handler(request, context)
          try await call.respond { $0.fields(of: response) }
        }
      })
  }

  @inlinable
  public mutating func handle<Q: Message, R: Message>(
    _ method: ServerStreamingMethod<Q, R>,
    _ handler: @escaping @Sendable (Q, CallContext, ResponseWriter<R>) async throws(RPCError) -> Void
  ) {
    register(
      path: method.path, service: method.service,
      .single { (bytes, call) throws(RPCError) in
        let request = try Q(request: bytes)
        return Invocation { (context) async throws(RPCError) in try await handler(request, context, ResponseWriter(call)) }
      })
  }

  @inlinable
  public mutating func handle<Q: Message, R: Message>(
    _ method: ClientStreamingMethod<Q, R>,
    _ handler: @escaping @Sendable (RequestStream<Q>, CallContext) async throws(RPCError) -> R
  ) {
    register(
      path: method.path, service: method.service,
      .stream { (queue, call) in
        Invocation { (context) async throws(RPCError) in
          let response = try await handler(RequestStream(queue), context)
          try await call.respond { $0.fields(of: response) }
        }
      })
  }

  @inlinable
  public mutating func handle<Q: Message, R: Message>(
    _ method: BidirectionalMethod<Q, R>,
    _ handler: @escaping @Sendable (RequestStream<Q>, CallContext, ResponseWriter<R>) async throws(RPCError) -> Void
  ) {
    register(
      path: method.path, service: method.service,
      .stream { (queue, call) in
        Invocation { (context) async throws(RPCError) in
          try await handler(RequestStream(queue), context, ResponseWriter(call))
        }
      })
  }

  /// Passes every method of a service on to another server: messages as they are, with metadata, deadline and status.
  public mutating func forward(service: String, to channel: ClientChannel) {
    forwards[service] = .stream { (queue, call) in
      Invocation { (context) async throws(RPCError) in try await Forwarding.relay(queue, context, call, to: channel) }
    }
    if !services.contains(service) { services.append(service) }
  }

  func table() -> MethodTable { MethodTable(methods, forwards: forwards) }

  /// Why a path has no handler, for the status message.
  func unimplemented(_ path: String) -> RPCError {
    let service = MethodTable.service(of: path)
    return services.contains(service)
      ? RPCError(.unimplemented, "the service \(service) has no method at \(path)")
      : RPCError(.unimplemented, "this server has no service \(service)")
  }
}
