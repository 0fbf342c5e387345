// What wraps calls, on both sides: one function each.

/// Wraps a call on the server: it may refuse it by throwing, add to the context, and see how it ended. Runs on the
/// connection's event loop, so it must not block.
///
/// A struct around the function, because Swift would put a conversion around each bare function in an array, and a call
/// passes through all of them.
public struct ServerInterceptor: Sendable {
  /// The rest of a call: the interceptors behind this one, and then the handler. Called like a function.
  public struct Next: Sendable {
    @usableFromInline let chain: InterceptorChain
    @usableFromInline let index: Int

    @inlinable init(_ chain: InterceptorChain, _ index: Int) {
      self.chain = chain
      self.index = index
    }

    // Inlined, so that it is no step of its own on the way of a call.
    @inlinable @inline(__always)
    public func callAsFunction(_ context: CallContext) async throws(RPCError) {
      if index < chain.interceptors.count {
        try await chain.interceptors[index].intercept(context, Next(chain, index + 1))
      } else {
        guard let invocation = context.call.invocation else { throw ServerCall.over }
        try await invocation.run(context)
      }
    }
  }

  @usableFromInline let intercept: @Sendable (CallContext, _ next: Next) async throws(RPCError) -> Void

  public init(_ intercept: @escaping @Sendable (CallContext, _ next: Next) async throws(RPCError) -> Void) {
    self.intercept = intercept
  }
}

/// The interceptors of a server, the first one outermost. Made once, so that a call makes no closures.
@usableFromInline
final class InterceptorChain: Sendable {
  @usableFromInline let interceptors: [ServerInterceptor]

  init(_ interceptors: [ServerInterceptor]) { self.interceptors = interceptors }

  func run(_ context: CallContext) async throws(RPCError) { try await ServerInterceptor.Next(self, 0)(context) }
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
  @usableFromInline typealias Run = @Sendable (CallContext) async throws(RPCError) -> Void
  @usableFromInline let run: Run
  @usableFromInline init(_ run: @escaping Run) { self.run = run }
}
