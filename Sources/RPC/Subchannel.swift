// One server's address and the connection to it: made when first needed, made again when lost, with backoff and jitter.
import HTTP2
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// An open connection. Its calls are under way on `loop`.
final class ClientConnection: HTTP2ConnectionDelegate, Sendable {
  let transport: HTTP2Connection
  let channel: any Channel
  let loop: any EventLoop
  /// Calls under way, for load balancing.
  let running = Atomic<Int>(0)
  private let onLeaving: @Sendable (ClientConnection) -> Void

  init(transport: HTTP2Connection, channel: any Channel, onLeaving: @escaping @Sendable (ClientConnection) -> Void) {
    self.transport = transport
    self.channel = channel
    loop = channel.eventLoop
    self.onLeaving = onLeaving
  }

  func connection(_ connection: HTTP2Connection, opened stream: HTTP2Stream, headers: HTTP2Headers) {}
  func connectionReady(_ connection: HTTP2Connection) {}
  func connectionGoingAway(_ connection: HTTP2Connection, error: HTTP2ErrorCode) { onLeaving(self) }
  func connectionClosed(_ connection: HTTP2Connection, reason: String) { onLeaving(self) }

  /// Ends the calls whose deadline has passed; one timer serves them all.
  func connection(_ connection: HTTP2Connection, timeIs now: NIODeadline) -> NIODeadline {
    var next = NIODeadline.distantFuture
    connection.forEachStream { stream in
      guard let call = stream.delegate as? ClientCall, let deadline = call.deadline else { return }
      if deadline.instant <= now {
        call.cancel(RPCError(.deadlineExceeded, "the deadline of the call passed"))
      } else {
        next = min(next, deadline.instant)
      }
    }
    return next
  }
}

final class Subchannel: Sendable {
  typealias Attempt = Pending<Result<ClientConnection, RPCError>>

  private enum Link {
    case idle
    case connecting(Attempt)
    case ready(ClientConnection)
    /// The last attempt failed; the next may start at `until`.
    case failed(RPCError, until: NIODeadline, attempts: Int)
    case closed
  }

  let address: ServerAddress
  private let group: any EventLoopGroup
  private let configuration: ClientConfiguration
  private let tls: TLSContextSource?
  private let link = Mutex(Link.idle)
  /// Hears that a connection was lost or could not be made: the addresses may have changed.
  private let onTrouble: @Sendable () -> Void

  init(
    _ address: ServerAddress, group: any EventLoopGroup, configuration: ClientConfiguration, tls: TLSContextSource?,
    onTrouble: @escaping @Sendable () -> Void
  ) {
    self.address = address
    self.group = group
    self.configuration = configuration
    self.tls = tls
    self.onTrouble = onTrouble
  }

  /// The connection if there is one now.
  var ready: ClientConnection? {
    link.withLock { link in
      if case .ready(let connection) = link, connection.channel.isActive { return connection }
      return nil
    }
  }

  /// What to wait for.
  enum Step {
    case ready(ClientConnection)
    case connecting(Attempt)
    /// No attempt may start before the given moment.
    case failed(RPCError, until: NIODeadline)
  }

  /// The connection, or an attempt to make one, which this starts if it may.
  func step() -> Step {
    link.withLock { link in
      switch link {
      case .closed: return .failed(Self.closedError(address), until: .distantFuture)
      case .ready(let connection):
        return connection.channel.isActive ? .ready(connection) : .connecting(startConnecting(&link, attempts: 0))
      case .connecting(let attempt): return .connecting(attempt)
      case .idle: return .connecting(startConnecting(&link, attempts: 0))
      case .failed(let error, let until, let attempts):
        if .now() < until { return .failed(error, until: until) }
        return .connecting(startConnecting(&link, attempts: attempts))
      }
    }
  }

  private static func closedError(_ address: ServerAddress) -> RPCError {
    RPCError(.unavailable, "the channel to \(address) is closed")
  }

  private func startConnecting(_ link: inout Link, attempts: Int) -> Attempt {
    let attempt = Attempt()
    Task { attempt.complete(await self.connect(attempts: attempts)) }
    link = .connecting(attempt)
    return attempt
  }

  private func connect(attempts: Int) async -> Result<ClientConnection, RPCError> {
    do {
      let connection = try await open()
      let isWanted = link.withLock { link in
        if case .closed = link { return false }
        link = .ready(connection)
        return true
      }
      guard isWanted else {
        connection.channel.close(promise: nil)
        return .failure(Self.closedError(address))
      }
      // It may have gone before anybody could hear of it.
      if !connection.channel.isActive { forget(connection) }
      return .success(connection)
    } catch {
      let failure = RPCError(.unavailable, "cannot connect to \(address): \(Self.reason(error))")
      let wait = Self.backoff(attempts: attempts, configuration, random: configuration.random() * 0.4 - 0.2)
      link.withLock { link in
        if case .closed = link { return }
        link = .failed(failure, until: .now() + wait, attempts: attempts + 1)
      }
      onTrouble()
      return .failure(failure)
    }
  }

  private func open() async throws -> ClientConnection {
    let bootstrap = ClientBootstrap(group: group)
      .connectTimeout(TimeAmount(clamping: configuration.connectTimeout))
      .channelOption(.maxMessagesPerRead, value: 4)
    let prepare: @Sendable (any Channel) -> EventLoopFuture<EventLoopFuture<ClientConnection>> = { channel in
      channel.eventLoop.makeCompletedFuture { try self.prepare(channel) }
    }
    let opened: EventLoopFuture<ClientConnection>
    switch address {
    case .host(let host, let port):
      opened = try await bootstrap.channelOption(.tcpOption(.tcp_nodelay), value: 1)
        .connect(host: host, port: port, channelInitializer: prepare)
    case .unix(let path):
      opened = try await bootstrap.connect(unixDomainSocketPath: path, channelInitializer: prepare)
    }
    return try await opened.get()
  }

  /// Fills a new channel's pipeline. The future is done when HTTP/2 may be spoken: at once, or after TLS is agreed.
  private func prepare(_ channel: any Channel) throws -> EventLoopFuture<ClientConnection> {
    let transport = HTTP2Connection(role: .client, configuration: configuration.http2)
    let connection = ClientConnection(transport: transport, channel: channel) { [weak self] in self?.forget($0) }
    transport.delegate = connection
    let pipeline = channel.pipeline.syncOperations
    guard let tls else {
      try pipeline.addHandler(transport)
      return channel.eventLoop.makeSucceededFuture(connection)
    }
    let promise = channel.eventLoop.makePromise(of: ClientConnection.self)
    do {
      try pipeline.addHandler(NIOSSLClientHandler(context: tls.context(), serverHostname: serverName))
      try pipeline.addHandler(
        TLSGate(
          timeout: configuration.connectTimeout,
          opened: { context in
            do {
              try context.pipeline.syncOperations.addHandler(transport)
              promise.succeed(connection)
            } catch { promise.fail(error) }
          },
          failed: { error in
            // The two hold each other until the transport's channel closes, and this one never got a channel.
            transport.delegate = nil
            promise.fail(error)
          }))
    } catch {
      promise.fail(error)
      throw error
    }
    return promise.futureResult
  }

  /// The name for SNI and the certificate; nil for IP addresses, which NIOSSL checks by the connection's own address.
  private var serverName: String? {
    if let name = configuration.tls?.serverName { return name }
    guard case .host(let host, _) = address, address.ipFamily == nil else { return nil }
    return host
  }

  static func backoff(attempts: Int, _ configuration: ClientConfiguration, random: Double) -> TimeAmount {
    var wait = Double(TimeAmount(clamping: configuration.initialBackoff).nanoseconds)
    let most = Double(TimeAmount(clamping: configuration.maxBackoff).nanoseconds)
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
    return TLSFailure.reason(error)
  }

  /// New calls go elsewhere; those under way end as they can.
  func forget(_ connection: ClientConnection) {
    let wasCurrent = link.withLock { link in
      guard case .ready(let current) = link, current === connection else { return false }
      link = .idle
      return true
    }
    if wasCurrent { onTrouble() }
  }

  /// Ends the connection. Running calls end with `unavailable`.
  func close() async {
    let connection: ClientConnection? = link.withLock { link in
      defer { link = .closed }
      if case .ready(let connection) = link { return connection }
      return nil
    }
    // A channel that is already closed is what was wanted.
    try? await connection?.channel.close()
  }

  /// Lets the calls under way end, and takes no new ones: the address is no longer one of the target's.
  func retire() {
    let connection: ClientConnection? = link.withLock { link in
      defer { link = .closed }
      if case .ready(let connection) = link { return connection }
      return nil
    }
    connection?.loop.execute { connection?.transport.drainAndClose() }
  }
}
