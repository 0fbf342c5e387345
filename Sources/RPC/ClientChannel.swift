// A target and the calls to it. Which of its servers a call goes to, and whether a failed one is made again, is decided here;
// connections are the subchannels'.
import HTTP2
import NIOCore
import NIOPosix
import ProtoWire
import Synchronization

public final class ClientChannel: Sendable {
  public let target: Target
  private let servers: ServerPool
  private let configuration: ClientConfiguration
  private let interceptors: [ClientInterceptor]
  private let requestHeaders: RequestHeaders
  private let throttle: RetryThrottle?

  public init(
    _ target: Target, group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
    configuration: ClientConfiguration = ClientConfiguration(), interceptors: [ClientInterceptor] = []
  ) {
    self.target = target
    self.configuration = configuration
    self.interceptors = interceptors
    servers = ServerPool(target, group: group, configuration: configuration)
    requestHeaders = RequestHeaders(
      authority: configuration.authority ?? target.authority, isTLS: configuration.tls != nil)
    throttle = configuration.serviceConfig.retryThrottling.map(RetryThrottle.init)
  }

  /// One server, or all that its name stands for, tried in the order of the name's addresses.
  public convenience init(
    host: String, port: Int, group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
    configuration: ClientConfiguration = ClientConfiguration(), interceptors: [ClientInterceptor] = []
  ) {
    self.init(
      .addresses([.host(host, port)]), group: group, configuration: configuration, interceptors: interceptors)
  }

  // MARK: Calls

  public func unary<Q: Message, R: Message>(
    _ method: UnaryMethod<Q, R>, _ request: Q, _ options: CallOptions = CallOptions()
  ) async throws(RPCError) -> R {
    try await unaryResponse(method, request, options).message
  }

  /// The answer with its metadata.
  public func unaryResponse<Q: Message, R: Message>(
    _ method: UnaryMethod<Q, R>, _ request: Q, _ options: CallOptions = CallOptions()
  ) async throws(RPCError) -> UnaryResponse<R> {
    let framed = try MessageFraming.framed(request, options.compression)
    let raw = try await attempts(method.path, options) { (prepared, number) in
      await self.attempt(prepared, number) { (call, headers) in await call.perform(headers, framed: framed) }
    }
    return try raw.decoded()
  }

  /// With a retry policy it returns once the server has begun to answer.
  public func serverStreaming<Q: Message, R: Message>(
    _ method: ServerStreamingMethod<Q, R>, _ request: Q, _ options: CallOptions = CallOptions()
  ) async throws(RPCError) -> ResponseStream<R> {
    let framed = try MessageFraming.framed(request, options.compression)
    let isRetried = configuration.serviceConfig.method(method.path).map { $0.retry != nil || $0.hedging != nil } ?? false
    let late: @Sendable (StreamingCall) -> Void = { call in
      call.onLoop { $0.cancel(RPCError(.cancelled, "another attempt of the call was faster")) }
    }
    let call = try await attempts(method.path, options, discard: late) { (prepared, number) in
      await self.streamingAttempt(prepared, number, first: framed, waits: isRetried)
    }
    return ResponseStream(call)
  }

  /// With a retry policy `send` is run again for each attempt.
  public func clientStreaming<Q: Message, R: Message>(
    _ method: ClientStreamingMethod<Q, R>, _ options: CallOptions = CallOptions(),
    _ send: @Sendable (RequestWriter<Q>) async throws(RPCError) -> Void
  ) async throws(RPCError) -> R {
    try await clientStreamingResponse(method, options, send).message
  }

  /// The answer with its metadata.
  public func clientStreamingResponse<Q: Message, R: Message>(
    _ method: ClientStreamingMethod<Q, R>, _ options: CallOptions = CallOptions(),
    _ send: @Sendable (RequestWriter<Q>) async throws(RPCError) -> Void
  ) async throws(RPCError) -> UnaryResponse<R> {
    let raw = try await withoutActuallyEscaping(send) { (send) async throws(RPCError) in
      try await attempts(method.path, options) { (prepared, number) in
        await self.attempt(prepared, number) { (call, headers) in
          guard await Self.open(call, headers) else { return .failure(Self.notSent) }
          do throws(RPCError) {
            try await send(RequestWriter(call: call, compression: options.compression))
          } catch {
            // The call's own status counts if it was over already; else what the sender threw becomes it.
            call.onLoop { $0.cancel(error) }
          }
          call.finishSending()
          return await call.response()
        }
      }
    }
    return try raw.decoded()
  }

  public func bidirectional<Q: Message, R: Message>(
    _ method: BidirectionalMethod<Q, R>, _ options: CallOptions = CallOptions()
  ) async throws(RPCError) -> (RequestWriter<Q>, ResponseStream<R>) {
    let call = try await begin(method.path, options)
    return (RequestWriter(call: call, compression: options.compression), ResponseStream(call))
  }

  /// A call both of whose directions are streams of bytes; retried only as long as nothing has left.
  func begin(_ path: String, _ options: CallOptions) async throws(RPCError) -> StreamingCall {
    try await attempts(path, options, isReplayable: false) { (prepared, number) in
      await self.streamingAttempt(prepared, number, first: nil, waits: false)
    }
  }

  // MARK: Attempts

  /// A call's path and options after interceptors and service config.
  struct Prepared: Sendable {
    var path: String
    var options: CallOptions
  }

  private static var notSent: AttemptFailure {
    AttemptFailure(error: RPCError(.unavailable, "the connection takes no new calls"), stage: .notSent)
  }

  /// Attempts that a connection refused before anything was processed may be made again this often.
  static let maxTransparentAttempts = 3

  private func attempts<R: Sendable>(
    _ path: String, _ given: CallOptions, isReplayable: Bool = true, discard: @Sendable (R) -> Void = { _ in },
    _ attempt: @escaping @Sendable (Prepared, _ number: Int) async -> Result<R, AttemptFailure>
  ) async throws(RPCError) -> R {
    var options = given
    for interceptor in interceptors { try await interceptor.intercept(path, &options) }
    let method = configuration.serviceConfig.method(path)
    if let method { options.apply(method) }
    let prepared = Prepared(path: path, options: options)
    if isReplayable, let hedging = method?.hedging {
      return try await Hedging.run(hedging, throttle, discard: discard) { (number) async throws(RPCError) in
        do throws(AttemptFailure) { return try await attempt(prepared, number).get() } catch { throw error.error }
      }
    }
    var retry: RetryState?
    if isReplayable, let policy = method?.retry {
      retry = RetryState(policy, throttle, deadline: options.deadline, random: configuration.random)
    }
    var number = 1
    while true {
      retry?.began()
      switch await attempt(prepared, number) {
      case .success(let answer):
        retry?.succeeded()
        return answer
      case .failure(let failure):
        guard let pause = retry?.pause(after: failure.error, isCommitted: failure.stage == .committed) else {
          throw failure.error
        }
        do { try await Task.sleep(for: pause) } catch {
          throw RPCError(.cancelled, "the call was cancelled while it waited to be tried again")
        }
        number += 1
      }
    }
  }

  /// One attempt with one answer.
  private func attempt(
    _ prepared: Prepared, _ number: Int,
    _ body: (UnaryCall, HTTP2Headers) async -> Result<RawResponse, AttemptFailure>
  ) async -> Result<RawResponse, AttemptFailure> {
    await transparently(prepared, number) { (connection, headers) in
      let call = UnaryCall(
        connection: connection, deadline: prepared.options.deadline, maxMessageSize: configuration.maxMessageSize)
      return await body(call, headers)
    }
  }

  private func streamingAttempt(
    _ prepared: Prepared, _ number: Int, first: ByteBuffer?, waits: Bool
  ) async -> Result<StreamingCall, AttemptFailure> {
    await transparently(prepared, number) { (connection, headers) in
      let call = StreamingCall(
        connection: connection, deadline: prepared.options.deadline, maxMessageSize: configuration.maxMessageSize)
      guard await call.begin(headers, first: first) else { return .failure(Self.notSent) }
      guard waits else { return .success(call) }
      // The call's own end is asked for below.
      _ = try? await call.initialMetadata()
      guard let early = call.failure(), early.stage != .committed else { return .success(call) }
      return .failure(early)
    }
  }

  /// Runs `body` with a connection and the call's header fields; again on another connection as long as the servers did not
  /// process it.
  private func transparently<R>(
    _ prepared: Prepared, _ number: Int,
    _ body: (ClientConnection, HTTP2Headers) async -> Result<R, AttemptFailure>
  ) async -> Result<R, AttemptFailure> {
    var refusals = 0
    while true {
      let connection: ClientConnection
      if let ready = servers.ready() { connection = ready } else {
        do throws(RPCError) { connection = try await servers.connection(prepared.options) } catch {
          return .failure(AttemptFailure(error: error, stage: .sent))
        }
      }
      let headers = requestHeaders.headers(path: prepared.path, prepared.options, previousAttempts: number - 1)
      let result = await body(connection, headers)
      refusals += 1
      guard case .failure(let failure) = result, Self.isTransparent(failure), refusals < Self.maxTransparentAttempts else {
        return result
      }
      if failure.stage == .notSent { servers.forget(connection) }
    }
  }

  private static func isTransparent(_ failure: AttemptFailure) -> Bool {
    !Task.isCancelled && (failure.stage == .notSent || failure.stage == .notProcessed)
  }

  private static func open(_ call: ClientCall, _ headers: HTTP2Headers) async -> Bool {
    await withCheckedContinuation { continuation in
      call.onLoop { continuation.resume(returning: $0.open(headers)) }
    }
  }

  /// Ends the connections. Running calls end with `unavailable`.
  public func close() async { await servers.close() }
}

extension CallOptions {
  /// What the service config says where the caller said nothing; of two deadlines the earlier counts.
  fileprivate mutating func apply(_ method: ServiceConfig.MethodConfig) {
    if let timeout = method.timeout {
      let latest = Deadline.after(timeout)
      deadline = deadline.map { min($0, latest) } ?? latest
    }
    if waitForReady == nil { waitForReady = method.waitForReady }
  }
}
