// What every server does with a call before its handler: goes on with its trace, logs how it ended, verifies the token,
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
    [metrics.interceptor, tracing, logging(logger), access(verifier, logger, rules: rules)]
  }

  /// Goes on with the caller's trace, or starts one: what is logged from here on, and the calls that the handler makes,
  /// belong to it.
  static let tracing = ServerInterceptor(
    before: { (context) throws(RPCError) in
      let sent = context.withHeader("traceparent") { TraceContext(traceparent: $0) } ?? nil
      TraceContext.enter(sent?.child() ?? .start())
    },
    after: { _, _ in TraceContext.leave() })

  /// Logs how a call ended.
  static func logging(_ logger: Logger) -> ServerInterceptor {
    let logsAll = logger.logLevel <= .debug
    return ServerInterceptor(
      after: { context, error in
        if let error {
          logger.log(level: level(of: error.code), "call failed", metadata: describe(context, error.code))
        } else if logsAll {
          logger.debug("call ended", metadata: describe(context, .ok))
        }
      })
  }

  private static func describe(_ context: CallContext, _ code: StatusCode) -> Logger.Metadata {
    [
      "method": .string(context.path), "peer": .string(context.peer), "status": .string(code.description),
      "duration_us": .stringConvertible((NIODeadline.now() - context.arrived).nanoseconds / 1000),
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
    @Sendable func access(to context: CallContext) throws(RPCError) -> MethodAccess {
      let access = context.methodState(of: verifier) { MethodAccess(rules(context.path)) }
      guard access.isKnown else {
        logger.notice("call denied", metadata: ["method": .string(context.path), "reason": "not in the access matrix"])
        throw .denied("Nobody may call \(context.path).", next: "See that the method's name is right.")
      }
      return access
    }
    return ServerInterceptor(
      settle: { (context) throws(RPCError) in
        let access = try access(to: context)
        // What was verified before is found by its bytes; a String is made of a token only the first time.
        if let known = verifier.known(authorizationOf: context) {
          context.set(known)
        } else if context.hasHeader("authorization") {
          return false
        }
        try admit(context, access, logger)
        return true
      },
      otherwise: { (context, next) async throws(RPCError) in
        let access = try access(to: context)
        var context = context
        do throws(RPCError) {
          if let token = try bearerToken(context) { context.set(try await verifier.verifiedCaller(token)) }
        } catch {
          // A public method needs no token: whoever refreshes a session may still send the expired one along.
          if !access.rule.isPublic {
            logger.notice(
              "call denied",
              metadata: [
                "method": .string(context.path), "peer": .string(context.peer), "reason": .string(error.message),
              ])
            throw error
          }
        }
        try admit(context, access, logger)
        try await next(context)
      })
  }

  private static func admit(_ context: CallContext, _ access: MethodAccess, _ logger: Logger) throws(RPCError) {
    guard !access.rule.admits(verified: context.verifiedCaller) else { return }
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
      "\(caller.name) may not do this: it needs \(access.rule.needs).", next: "Ask an administrator for the role.")
  }

  /// What the matrix says of one method.
  private final class MethodAccess: Sendable {
    let isKnown: Bool
    /// Of a method that is not known: nobody.
    let rule: Access
    init(_ access: Access?) {
      isKnown = access != nil
      rule = access ?? .roles([])
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
