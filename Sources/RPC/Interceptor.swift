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
      if let chain {
        try await chain.run(context, invocation)
      } else {
        // An interceptor may have waited for so long that the caller or the deadline has ended the call.
        if Task.isCancelled { throw ServerCall.over }
        try await invocation.run(context)
      }
    }

    /// The same where an error cannot be thrown on.
    public func result(_ context: CallContext) async -> Result<Void, RPCError> {
      do throws(RPCError) { return .success(try await self(context)) } catch { return .failure(error) }
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
    before: @escaping @Sendable (inout CallContext) throws(RPCError) -> Void,
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
/// that may have to wait are one, and then come the others.
final class InterceptorChain: Sendable {
  private let before: ServerInterceptor.Before?
  private let around: ServerInterceptor.Around?
  private let after: ServerInterceptor.After?
  private let rest: InterceptorChain?

  convenience init(_ interceptors: [ServerInterceptor]) { self.init(interceptors[...]) }

  private init(_ interceptors: ArraySlice<ServerInterceptor>) {
    let beside = interceptors.prefix { $0.around == nil }
    let waiting = interceptors.dropFirst(beside.count).first
    let first = (beside + (waiting.map { [$0] } ?? [])).reduce(nil as ServerInterceptor?) { outer, inner in
      outer.map { Self.both($0, inner) } ?? inner
    }
    before = first?.before
    around = first?.around
    after = first?.after
    let others = interceptors.dropFirst(beside.count + 1)
    rest = others.isEmpty ? nil : InterceptorChain(others)
  }

  /// One that is outside another and does not wait, and that other.
  private static func both(_ outer: ServerInterceptor, _ inner: ServerInterceptor) -> ServerInterceptor {
    let outerBefore = outer.before
    let outerAfter = outer.after
    let innerBefore = inner.before
    let innerAfter = inner.after
    let before: ServerInterceptor.Before = { (context) throws(RPCError) -> Bool in
      if let outerBefore { _ = try outerBefore(&context) }
      guard let innerBefore else { return false }
      do throws(RPCError) {
        return try innerBefore(&context)
      } catch {
        outerAfter?(context, error)
        throw error
      }
    }
    let after: ServerInterceptor.After = { context, error in
      innerAfter?(context, error)
      outerAfter?(context, error)
    }
    let hasAfter = outerAfter != nil || innerAfter != nil
    return ServerInterceptor(before: before, around: inner.around, after: hasAfter ? after : nil)
  }

  func run(_ context: CallContext, _ invocation: Invocation) async throws(RPCError) {
    var context = context
    let goesOn = if let before { try before(&context) } else { false }
    do throws(RPCError) {
      if !goesOn, let around {
        try await around(context, ServerInterceptor.Next(chain: rest, invocation: invocation))
      } else if let only = rest?.only {
        // What is nothing but around a call needs no frame of its own.
        try await only(context, ServerInterceptor.Next(chain: rest?.rest, invocation: invocation))
      } else {
        try await ServerInterceptor.Next(chain: rest, invocation: invocation)(context)
      }
    } catch {
      after?(context, error)
      throw error
    }
    after?(context, nil)
  }

  private var only: ServerInterceptor.Around? { before == nil && after == nil ? around : nil }
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
