// What every server does with a call before its handler: goes on with the trace, logs how it ended, verifies the token,
// and asks the access matrix.
import Logging
import NIOCore
import RPC

public enum CallInterceptors {
  /// What every server wraps its calls in, outermost first.
  /// - Parameter rules: who may call a path; nil says nobody.
  public static func all(
    _ verifier: TokenVerifier, _ logger: Logger, metrics: CallMetrics,
    rules: @escaping @Sendable (_ path: String) -> Access? = AccessMatrix.access(to:)
  ) -> [ServerInterceptor] {
    [metrics.interceptor, tracing(logger), access(verifier, logger, rules: rules)]
  }

  /// The rest of the call, and what it logs, belongs to its trace.
  static func tracing(_ logger: Logger) -> ServerInterceptor {
    ServerInterceptor { (context, next) async throws(RPCError) in
      let trace = (context.withHeader("traceparent") { TraceContext(traceparent: $0) } ?? nil)?.child() ?? .start()
      let start = NIODeadline.now()
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
    _ context: CallContext, _ start: NIODeadline, _ code: StatusCode, _ trace: TraceContext
  ) -> Logger.Metadata {
    [
      "method": .string(context.path), "peer": .string(context.peer), "status": .string(code.description),
      "duration_us": .stringConvertible((NIODeadline.now() - start).nanoseconds / 1000),
      "trace_id": .string(trace.traceID),
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
  /// - Parameter rules: who may call a path; nil says nobody.
  static func access(
    _ verifier: TokenVerifier, _ logger: Logger,
    rules: @escaping @Sendable (_ path: String) -> Access? = AccessMatrix.access(to:)
  ) -> ServerInterceptor {
    ServerInterceptor { (context, next) async throws(RPCError) in
      guard let access = context.methodState(of: verifier, { MethodAccess(rules(context.path)) }).access else {
        logger.notice("call denied", metadata: ["method": .string(context.path), "reason": "not in the access matrix"])
        throw .denied("Nobody may call \(context.path).", next: "See that the method's name is right.")
      }
      var context = context
      do throws(RPCError) {
        // What was verified before is found by its bytes; a String is made of a token only the first time.
        if let known = verifier.known(authorizationOf: context) {
          context.set(known)
        } else if let token = try bearerToken(context) {
          context.set(try await verifier.verifiedCaller(token))
        }
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
      guard access.admits(context.verifiedCaller?.caller) else {
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

  /// What the matrix says of one method.
  private final class MethodAccess: Sendable {
    let access: Access?
    init(_ access: Access?) { self.access = access }
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
