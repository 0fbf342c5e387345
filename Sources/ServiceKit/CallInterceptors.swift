// What every server does with a call before its handler: goes on with the trace, logs how it ended, verifies the token,
// and asks the access matrix.
import Logging
import RPC

enum CallInterceptors {
  /// Outermost: the rest of the call, and what it logs, belongs to its trace.
  static func tracing(_ logger: Logger) -> ServerInterceptor {
    { context, next throws(RPCError) in
      let trace =
        context.header("traceparent").flatMap { TraceContext(traceparent: $0) }?.child() ?? TraceContext.start()
      let start = ContinuousClock.now
      do {
        try await TraceContext.$current.withValue(trace) { try await next(context) }
        logger.debug("call ended", metadata: describe(context, start, .ok, trace))
      } catch {
        // withValue forgets which error its body throws; it is always the one of `next`.
        let error: RPCError = error as? RPCError ?? RPCError(.internal, "the call failed")
        logger.log(level: level(of: error.code), "call failed", metadata: describe(context, start, error.code, trace))
        throw error
      }
    }
  }

  private static func describe(
    _ context: CallContext, _ start: ContinuousClock.Instant, _ code: StatusCode, _ trace: TraceContext
  ) -> Logger.Metadata {
    let time = (ContinuousClock.now - start).components
    let microseconds = time.seconds * 1_000_000 + time.attoseconds / 1_000_000_000_000
    return [
      "method": .string(context.path), "peer": .string(context.peer), "status": .string(code.description),
      "duration_us": .stringConvertible(microseconds), "trace_id": .string(trace.traceID),
    ]
  }

  private static func level(of code: StatusCode) -> Logger.Level {
    switch code {
    case .internal, .unknown, .dataLoss: .error
    case .cancelled: .debug
    default: .info
    }
  }

  /// Verifies the token if there is one, and lets pass whom the access matrix admits.
  static func access(_ verifier: TokenVerifier, _ logger: Logger) -> ServerInterceptor {
    { context, next throws(RPCError) in
      guard let access = AccessMatrix.access(to: context.path) else {
        logger.notice("call denied", metadata: ["method": .string(context.path), "reason": "not in the access matrix"])
        throw .denied("Nobody may call \(context.path).", next: "See that the method's name is right.")
      }
      var context = context
      do throws(RPCError) {
        if let token = try bearerToken(context) { context.set(try await verifier.verify(token)) }
      } catch {
        // A public method needs no token: whoever refreshes a session may still send the expired one along.
        if !access.isPublic {
          logger.notice(
            "call denied",
            metadata: [
              "method": .string(context.path), "peer": .string(context.peer), "reason": .string(error.message),
            ])
          throw error
        }
      }
      guard access.admits(context.callerIfKnown) else {
        guard let caller = context.callerIfKnown else {
          logger.notice(
            "call denied",
            metadata: ["method": .string(context.path), "peer": .string(context.peer), "reason": "no access token"])
          throw .unauthenticated("This call needs an access token.", next: "Sign in first.")
        }
        logger.notice(
          "call denied",
          metadata: [
            "method": .string(context.path), "caller": .string(caller.description), "reason": "not admitted",
          ])
        throw .denied(
          "\(caller.name) may not do this: it needs \(access.needs).", next: "Ask an administrator for the role.")
      }
      try await next(context)
    }
  }

  /// Nil without an authorization field (RFC 6750 section 2.1).
  private static func bearerToken(_ context: CallContext) throws(RPCError) -> String? {
    guard let value = context.header("authorization") else { return nil }
    guard value.utf8.count > 7, value.prefix(7).lowercased() == "bearer " else {
      throw TokenVerifier.refusal("the authorization field is not a bearer token")
    }
    return String(value.dropFirst(7))
  }
}
