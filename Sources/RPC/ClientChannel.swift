// One server's address and the connection to it: made when first needed, made again when lost, with backoff. Calls share it.
import Glibc
import HTTP2
import NIOCore
import NIOPosix
import ProtoWire
import Synchronization

public final class ClientChannel: Sendable {
  private enum Link {
    case idle
    case connecting(Task<Result<Connected, RPCError>, Never>)
    case ready(Connected)
    /// The last attempt failed; the next may start at `until`.
    case failed(RPCError, until: NIODeadline, attempts: Int)
    case closed
  }

  struct Connected: Sendable {
    let transport: HTTP2Connection
    let channel: any Channel
  }

  public let host: String
  public let port: Int
  private let group: any EventLoopGroup
  private let configuration: ClientConfiguration
  private let interceptors: [ClientInterceptor]
  private let link = Mutex(Link.idle)
  let authority: String

  public init(
    host: String, port: Int, group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton,
    configuration: ClientConfiguration = ClientConfiguration(), interceptors: [ClientInterceptor] = []
  ) {
    self.host = host
    self.port = port
    self.group = group
    self.configuration = configuration
    self.interceptors = interceptors
    authority = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
  }

  // MARK: Calls

  public func unary<Q: Message, R: Message>(
    _ method: UnaryMethod<Q, R>, _ request: Q, _ options: CallOptions = CallOptions()
  ) async throws(RPCError) -> R {
    let framed = MessageFraming.framed(request).withUnsafeBytes { ByteBuffer(bytes: $0) }
    let call = try await begin(method.path, options, first: framed)
    return try await singleResponse(call)
  }

  public func serverStreaming<Q: Message, R: Message>(
    _ method: ServerStreamingMethod<Q, R>, _ request: Q, _ options: CallOptions = CallOptions()
  ) async throws(RPCError) -> ResponseStream<R> {
    let framed = MessageFraming.framed(request).withUnsafeBytes { ByteBuffer(bytes: $0) }
    return ResponseStream(try await begin(method.path, options, first: framed))
  }

  public func clientStreaming<Q: Message, R: Message>(
    _ method: ClientStreamingMethod<Q, R>, _ options: CallOptions = CallOptions(),
    _ send: (RequestWriter<Q>) async throws(RPCError) -> Void
  ) async throws(RPCError) -> R {
    let call = try await begin(method.path, options, first: nil)
    do throws(RPCError) { try await send(RequestWriter(call)) } catch {
      call.onLoop { $0.cancel(error) }
      throw error
    }
    call.finishSending()
    return try await singleResponse(call)
  }

  public func bidirectional<Q: Message, R: Message>(
    _ method: BidirectionalMethod<Q, R>, _ options: CallOptions = CallOptions()
  ) async throws(RPCError) -> (RequestWriter<Q>, ResponseStream<R>) {
    let call = try await begin(method.path, options, first: nil)
    return (RequestWriter(call), ResponseStream(call))
  }

  private func singleResponse<R: Message>(_ call: ClientCall) async throws(RPCError) -> R {
    // Whatever way this ends, a call that is still open is cancelled.
    defer { call.onLoop { $0.cancel(RPCError(.cancelled, "the caller has gone")) } }
    guard let message = try await call.queue.next() else {
      throw RPCError(.internal, "the server answered OK without a message", fromPeer: true)
    }
    guard try await call.queue.next() == nil else {
      throw RPCError(.internal, "the server sent several messages where one was due", fromPeer: true)
    }
    do throws(WireError) { return try R(decoding: message) } catch {
      throw RPCError(.internal, "the response could not be read: \(error)")
    }
  }

  /// Opens a call. A stream that the connection refuses before anything was sent is tried again on a new one.
  func begin(_ path: String, _ given: CallOptions, first: ByteBuffer?) async throws(RPCError) -> ClientCall {
    var options = given
    for intercept in interceptors { try await intercept(path, &options) }
    let settled = options
    for _ in 0..<Self.maxOpenAttempts {
      let connected = try await connection(settled)
      let call = ClientCall(loop: connected.channel.eventLoop, maxMessageSize: configuration.maxMessageSize)
      let opened = await withCheckedContinuation { (continuation: CheckedContinuation<Bool, Never>) in
        call.onLoop { call in
          let opened = call.open(on: connected.transport, path: path, authority: self.authority, settled)
          if opened, let first { call.write(framed: first, end: true) }
          continuation.resume(returning: opened)
        }
      }
      if opened { return call }
      forget(connected)
    }
    throw RPCError(.unavailable, "\(authority) closes every connection before a call can start")
  }

  private static let maxOpenAttempts = 3

  // MARK: The connection

  private func connection(_ options: CallOptions) async throws(RPCError) -> Connected {
    while true {
      if let deadline = options.deadline, deadline.instant <= .now() {
        throw RPCError(.deadlineExceeded, "the deadline passed before there was a connection to \(authority)")
      }
      let (task, failure): (Task<Result<Connected, RPCError>, Never>?, RPCError?) = try take()
      if let task {
        let result = await withDeadline(options.deadline, task)
        switch result {
        case .success(let connected): return connected
        case .failure(let error):
          guard options.waitForReady, error.code == .unavailable else { throw error }
        }
      } else if let failure {
        guard options.waitForReady else { throw failure }
        await pause(until: options.deadline)
      }
      if Task.isCancelled { throw RPCError(.cancelled, "the call was cancelled") }
    }
  }

  /// What to wait for: a connection in the making, or the error that forbids one for now.
  private func take() throws(RPCError) -> (Task<Result<Connected, RPCError>, Never>?, RPCError?) {
    // The typed error cannot cross the lock's closure, so it leaves by a Result.
    let result: Result<(Task<Result<Connected, RPCError>, Never>?, RPCError?), RPCError> = link.withLock { link in
      switch link {
      case .closed: return .failure(RPCError(.unavailable, "the channel to \(authority) is closed"))
      case .ready(let connected):
        if connected.channel.isActive { return .success((Task { .success(connected) }, nil)) }
        return .success((startConnecting(&link, attempts: 0), nil))
      case .connecting(let task): return .success((task, nil))
      case .idle: return .success((startConnecting(&link, attempts: 0), nil))
      case .failed(let error, let until, let attempts):
        if .now() < until { return .success((nil, error)) }
        return .success((startConnecting(&link, attempts: attempts), nil))
      }
    }
    return try result.get()
  }

  private func startConnecting(_ link: inout Link, attempts: Int) -> Task<Result<Connected, RPCError>, Never> {
    let task = Task { await self.connect(attempts: attempts) }
    link = .connecting(task)
    return task
  }

  private func connect(attempts: Int) async -> Result<Connected, RPCError> {
    let http2 = configuration.http2
    let bootstrap = ClientBootstrap(group: group)
      .connectTimeout(.nanoseconds(Deadline.nanoseconds(configuration.connectTimeout)))
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelOption(.maxMessagesPerRead, value: 4)
    do {
      let (channel, transport) = try await bootstrap.connect(host: host, port: port) { channel in
        channel.eventLoop.makeCompletedFuture {
          let transport = HTTP2Connection(role: .client, configuration: http2)
          try channel.pipeline.syncOperations.addHandler(transport)
          return (channel, transport)
        }
      }
      let connected = Connected(transport: transport, channel: channel)
      let isWanted = link.withLock { link in
        if case .closed = link { return false }
        link = .ready(connected)
        return true
      }
      guard isWanted else {
        channel.close(promise: nil)
        return .failure(RPCError(.unavailable, "the channel to \(authority) is closed"))
      }
      channel.closeFuture.whenComplete { [weak self] _ in self?.forget(connected) }
      return .success(connected)
    } catch {
      let failure = RPCError(.unavailable, "cannot connect to \(authority): \(Self.reason(error))")
      let wait = Self.backoff(attempts: attempts, configuration, random: Double.random(in: -0.2...0.2))
      link.withLock { link in
        if case .closed = link { return }
        link = .failed(failure, until: .now() + wait, attempts: attempts + 1)
      }
      return .failure(failure)
    }
  }

  static func backoff(attempts: Int, _ configuration: ClientConfiguration, random: Double) -> TimeAmount {
    var wait = Double(Deadline.nanoseconds(configuration.initialBackoff))
    let most = Double(Deadline.nanoseconds(configuration.maxBackoff))
    for _ in 0..<min(attempts, 64) { wait = min(wait * 1.6, most) }
    return .nanoseconds(Int64(wait * (1 + random)))
  }

  /// The system's own word without the address list and the call names that NIO prints around it.
  private static func reason(_ error: any Error) -> String {
    if let failure = error as? NIOConnectionError {
      if let first = failure.connectionErrors.first { return reason(first.error) }
      if failure.dnsAError != nil || failure.dnsAAAAError != nil { return "the name \(failure.host) cannot be resolved" }
    }
    if let system = error as? IOError { return String(cString: strerror(system.errnoCode)).lowercased() }
    if let late = error as? ChannelError, case .connectTimeout(let time) = late {
      return "no answer within \(time.nanoseconds / 1_000_000) ms"
    }
    return "\(error)"
  }

  private func forget(_ connected: Connected) {
    link.withLock { link in
      if case .ready(let current) = link, current.transport === connected.transport { link = .idle }
    }
  }

  private func withDeadline(
    _ deadline: Deadline?, _ task: Task<Result<Connected, RPCError>, Never>
  ) async -> Result<Connected, RPCError> {
    guard let deadline else { return await task.value }
    return await withTaskGroup(of: Result<Connected, RPCError>?.self) { group in
      group.addTask { await task.value }
      group.addTask {
        // A cancelled sleep only means that the connection came first.
        try? await Task.sleep(for: deadline.remaining)
        return nil
      }
      let first = await group.next() ?? nil
      group.cancelAll()
      return first
        ?? .failure(RPCError(.deadlineExceeded, "the deadline passed before there was a connection to \(authority)"))
    }
  }

  private func pause(until deadline: Deadline?) async {
    let until: NIODeadline = link.withLock { link in
      if case .failed(_, let until, _) = link { until } else { .now() }
    }
    let end = deadline.map { min($0.instant, until) } ?? until
    let left = (end - .now()).nanoseconds
    // A cancelled sleep is seen by the caller's own check.
    if left > 0 { try? await Task.sleep(for: .nanoseconds(left)) }
  }

  /// Ends the connection. Running calls end with `unavailable`.
  public func close() async {
    let connected: Connected? = link.withLock { link in
      defer { link = .closed }
      if case .ready(let connected) = link { return connected }
      return nil
    }
    // A channel that is already closed is what was wanted.
    try? await connected?.channel.close()
  }
}
