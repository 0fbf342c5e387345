// What wraps calls, on both sides: one function each.

/// Wraps a call on the server: it may refuse it by throwing, add to the context, and see how it ended. Runs on the
/// connection's event loop, so it must not block.
///
/// A struct around the function, because Swift would put a conversion around each bare function in an array, and a call
/// passes through all of them.
public struct ServerInterceptor: Sendable {
  public typealias Next = @Sendable (CallContext) async throws(RPCError) -> Void

  let intercept: @Sendable (CallContext, _ next: @escaping Next) async throws(RPCError) -> Void

  public init(_ intercept: @escaping @Sendable (CallContext, _ next: @escaping Next) async throws(RPCError) -> Void) {
    self.intercept = intercept
  }
}

/// Changes a call's options before it leaves the client, or refuses it by throwing.
public struct ClientInterceptor: Sendable {
  let intercept: @Sendable (_ path: String, _ options: inout CallOptions) async throws(RPCError) -> Void

  public init(
    _ intercept: @escaping @Sendable (_ path: String, _ options: inout CallOptions) async throws(RPCError) -> Void
  ) {
    self.intercept = intercept
  }
}

/// What is left to do of a call once its request is there, or once its stream of requests has begun. A struct for the reason
/// that is given above: calls keep one in an optional.
@usableFromInline
struct Invocation: Sendable {
  @usableFromInline let run: ServerInterceptor.Next
  @usableFromInline init(_ run: @escaping ServerInterceptor.Next) { self.run = run }
}

enum Interceptors {
  /// The interceptors of a server as one function, the first one outermost. It is made once and ends in each call's own
  /// invocation, so that a call makes no closures.
  static func chain(_ interceptors: [ServerInterceptor]) -> Invocation {
    var chain = Invocation { (context) async throws(RPCError) in
      guard let invocation = context.call.invocation else { throw RPCError(.cancelled, "the call is over") }
      try await invocation.run(context)
    }
    for interceptor in interceptors.reversed() {
      let (next, intercept) = (chain.run, interceptor.intercept)
      chain = Invocation { (context) async throws(RPCError) in try await intercept(context, next) }
    }
    return chain
  }
}
