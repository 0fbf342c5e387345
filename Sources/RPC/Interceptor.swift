// Runs the interceptors of a server around a handler, the first one outermost.

enum Interceptors {
  static func run(
    _ interceptors: [ServerInterceptor], from index: Int, _ context: CallContext,
    _ handler: @escaping @Sendable (CallContext) async throws(RPCError) -> Void
  ) async throws(RPCError) {
    guard index < interceptors.count else {
      try await handler(context)
      return
    }
    try await interceptors[index](context) { (context: CallContext) async throws(RPCError) in
      try await run(interceptors, from: index + 1, context, handler)
    }
  }
}
