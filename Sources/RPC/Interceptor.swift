// What wraps calls, on both sides: one function each.

/// Wraps a call on the server: it may refuse it by throwing, add to the context, and see how it ended. Runs on the
/// connection's event loop, so it must not block.
///
/// There are two forms. One is around the rest of the call and may wait for something; the other is beside it and never
/// waits, which costs a call a tenth as much: Swift makes a frame for each async function that a call is inside, and asks for
/// its executor at each return.
public struct ServerInterceptor: Sendable {
  /// The rest of a call: the interceptors behind this one, and then the handler. Called like a function.
  public struct Next: Sendable {
    let chain: InterceptorChain?
    let invocation: Invocation

    @inline(__always)  // so that it is no step of its own
    public func callAsFunction(_ context: CallContext) async throws(RPCError) {
      // The interceptor may have waited for so long that the caller or the deadline has ended the call.
      if Task.isCancelled { throw ServerCall.over }
      if let chain {
        try await chain.run(context, invocation)
      } else {
        try await invocation.run(context)
      }
    }
  }

  typealias Around = @Sendable (CallContext, _ next: Next) async throws(RPCError) -> Void
  typealias Before = @Sendable (inout CallContext) throws(RPCError) -> Bool
  typealias After = @Sendable (CallContext, RPCError?) -> Void

  /// Comes first. False if it has to be decided by waiting, in `around`.
  fileprivate let before: Before?
  fileprivate let around: Around?
  /// Comes last if the call came past `before`.
  fileprivate let after: After?

  fileprivate init(before: Before?, around: Around?, after: After?) {
    self.before = before
    self.around = around
    self.after = after
  }

  /// Around the rest of the call.
  public init(_ intercept: @escaping @Sendable (CallContext, _ next: Next) async throws(RPCError) -> Void) {
    self.init(before: nil, around: intercept, after: nil)
  }

  /// Beside the call.
  /// - Parameters:
  ///   - before: what comes before the rest of it, and may refuse it by throwing.
  ///   - after: how the rest of it ended; nothing that was refused before comes here.
  public init(
    before: @escaping @Sendable (inout CallContext) throws(RPCError) -> Void = { (_) throws(RPCError) in },
    after: (@Sendable (CallContext, RPCError?) -> Void)? = nil
  ) {
    self.init(
      before: { (context) throws(RPCError) in
        try before(&context)
        return true
      }, around: nil, after: after)
  }

  /// Beside the calls that it can decide on at once, and around the others.
  /// - Parameters:
  ///   - settle: whether that is decided; it refuses the call by throwing.
  ///   - intercept: has to find out whether the call may go on, and then goes on with it.
  public init(
    settle: @escaping @Sendable (inout CallContext) throws(RPCError) -> Bool,
    otherwise intercept: @escaping @Sendable (CallContext, _ next: Next) async throws(RPCError) -> Void
  ) {
    self.init(before: settle, around: intercept, after: nil)
  }
}

/// The interceptors of a server, the first one outermost. Made once, so that a call makes no closures: those up to the first
/// that may have to wait run in one frame, and then come the others.
final class InterceptorChain: Sendable {
  /// What runs at once.
  private let beside: Beside?
  /// Comes behind them, unless it settled among them that the call goes on.
  private let around: ServerInterceptor.Around?
  private let maySettle: Bool
  private let rest: InterceptorChain?

  convenience init(_ interceptors: [ServerInterceptor]) { self.init(interceptors[...]) }

  private init(_ interceptors: ArraySlice<ServerInterceptor>) {
    let count = interceptors.prefix { $0.around == nil }.count
    let waiting = interceptors.dropFirst(count).first
    let first = interceptors.prefix(count + 1).filter { $0.before != nil || $0.after != nil }
    beside = first.reversed().reduce(nil) { Beside($1, inner: $0) }
    around = waiting?.around
    maySettle = waiting?.before != nil
    let others = interceptors.dropFirst(count + 1)
    rest = others.isEmpty ? nil : InterceptorChain(others)
  }

  /// An interceptor beside a call, and those inside of it.
  private final class Beside: Sendable {
    private let before: ServerInterceptor.Before?
    private let after: ServerInterceptor.After?
    private let inner: Beside?

    init(_ interceptor: ServerInterceptor, inner: Beside?) {
      before = interceptor.before
      after = interceptor.after
      self.inner = inner
    }

    /// - Returns: whether the innermost has decided that the call goes on.
    func enter(_ context: inout CallContext) throws(RPCError) -> Bool {
      let isSettled = if let before { try before(&context) } else { false }
      guard let inner else { return isSettled }
      do throws(RPCError) {
        return try inner.enter(&context)
      } catch {
        after?(context, error)
        throw error
      }
    }

    func leave(_ context: CallContext, _ error: RPCError?) {
      inner?.leave(context, error)
      after?(context, error)
    }
  }

  func run(_ context: CallContext, _ invocation: Invocation) async throws(RPCError) {
    var context = context
    let isSettled = if let beside { try beside.enter(&context) } else { false }
    do throws(RPCError) {
      if let around, !(maySettle && isSettled) {
        try await around(context, ServerInterceptor.Next(chain: rest, invocation: invocation))
      } else if let rest {
        try await rest.run(context, invocation)
      } else {
        try await invocation.run(context)
      }
    } catch {
      beside?.leave(context, error)
      throw error
    }
    beside?.leave(context, nil)
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

/// What is left to do of a call once its request is there, or once its stream of requests has begun. A struct, because Swift
/// would put a conversion around a bare function in an optional, and a call passes through it.
@usableFromInline
struct Invocation: Sendable {
  @usableFromInline typealias Run = @Sendable (CallContext) async throws(RPCError) -> Void
  @usableFromInline let run: Run
  @usableFromInline init(_ run: @escaping Run) { self.run = run }
}
