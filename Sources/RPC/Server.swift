// Listens, accepts connections, and ends them gracefully.
import HTTP2
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

public struct ServerConfiguration: Sendable {
  /// Bytes of one request message, as sent and as decompressed.
  public var maxMessageSize = 4 << 20
  /// Connections open at once; more are closed on arrival.
  public var maxConnections = 10_000
  /// Calls that run at once on all connections; more are answered RESOURCE_EXHAUSTED. A connection's own limit is
  /// `http2.maxConcurrentStreams`.
  public var maxConcurrentCalls = 100_000
  /// Bytes of one connection that wait for the rest of their messages, or for their readers. Beyond it a call that adds to
  /// them ends with RESOURCE_EXHAUSTED.
  public var maxHeldBytes = 32 << 20
  /// When a call that was refused for want of room may be tried again.
  public var overloadPause: Duration = .milliseconds(500)
  public var tls: ServerTLS?
  public var http2 = HTTP2Configuration()

  /// How long the first bytes of a connection, the TLS handshake and each frame may take.
  public var headerTimeout: Duration {
    get { http2.headerTimeout }
    set { http2.headerTimeout = newValue }
  }

  public init() {}
}

/// A gRPC server over HTTP/2, with TLS if its configuration says so.
public final class Server: Sendable {
  private struct State {
    var listeners: [any Channel] = []
    var connections: [ObjectIdentifier: ServerConnection] = [:]
    /// Channels that have not yet become connections: their TLS handshake is under way.
    var handshakes = 0
    var isShuttingDown = false
    var idleWaiters: [CheckedContinuation<Void, Never>] = []
  }

  /// What gRPC's health service says; set it per service.
  public let health: HealthStatus

  private let shared: ServerShared
  private let group: any EventLoopGroup
  private let state = Mutex(State())

  public init(
    _ router: Router, interceptors: [ServerInterceptor] = [], configuration: ServerConfiguration = ServerConfiguration(),
    group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
  ) {
    health = HealthStatus()
    var router = router
    Health.register(health, in: &router)
    shared = ServerShared(router: router, interceptors: interceptors, configuration: configuration)
    self.group = group
  }

  /// Calls that run now.
  public var runningCalls: Int { shared.runningCalls.load(ordering: .relaxed) }
  public var openConnections: Int { state.withLock { $0.connections.count } }

  /// Listens, and returns the port: the one asked for, or the one that the system chose for 0.
  /// - Throws: `unavailable` with the system's own word if the address cannot be bound; `failedPrecondition` if the
  ///   certificates cannot be used.
  public func start(host: String, port: Int) async throws(RPCError) -> Int {
    let channel = try await listen("\(host):\(port)") { try await $0.bind(host: host, port: port).get() }
    return channel.localAddress?.port ?? port
  }

  /// Listens on a Unix domain socket. A socket file that nobody listens on any more is replaced.
  public func start(unixSocket path: String) async throws(RPCError) {
    _ = try await listen("unix:\(path)") {
      try await $0.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
    }
  }

  private func listen(
    _ address: String, _ bind: (ServerBootstrap) async throws -> any Channel
  ) async throws(RPCError) -> any Channel {
    let tls: TLSContextSource? =
      if let tls = shared.configuration.tls { try TLSContextSource(tls) } else { nil }
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 1024)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.maxMessagesPerRead, value: 4)
      .childChannelInitializer { [self] channel in
        channel.eventLoop.makeCompletedFuture { try accept(channel, tls) }
      }
    do {
      let channel = try await bind(bootstrap)
      state.withLock { $0.listeners.append(channel) }
      return channel
    } catch {
      throw RPCError(.unavailable, "cannot listen on \(address): \(error)")
    }
  }

  private struct Refused: Error {}

  private func accept(_ channel: any Channel, _ tls: TLSContextSource?) throws {
    if channel.remoteAddress?.port != nil {
      try channel.syncOptions?.setOption(.tcpOption(.tcp_nodelay), value: 1)
    }
    guard let tls else {
      try addConnection(channel, peerCertificate: nil)
      return
    }
    let isAccepted = state.withLock { state in
      guard hasRoom(state) else { return false }
      state.handshakes += 1
      return true
    }
    guard isAccepted else { throw Refused() }
    let pipeline = channel.pipeline.syncOperations
    let gate = TLSGate(
      timeout: shared.configuration.headerTimeout,
      opened: { [self] context in
        state.withLock { $0.handshakes -= 1 }
        do {
          let certificate = try pipeline.nioSSL_peerCertificate()
          let der = try certificate?.toDERBytes()
          try addConnection(channel, peerCertificate: der.map(PeerCertificate.init(derBytes:)))
        } catch { context.close(promise: nil) }
      },
      failed: { [self] _ in state.withLock { $0.handshakes -= 1 } })
    do {
      try pipeline.addHandler(NIOSSLServerHandler(context: tls.context()))
      try pipeline.addHandler(gate)
    } catch {
      state.withLock { $0.handshakes -= 1 }
      throw error
    }
  }

  private func hasRoom(_ state: State) -> Bool {
    !state.isShuttingDown && state.connections.count + state.handshakes < shared.configuration.maxConnections
  }

  private func addConnection(_ channel: any Channel, peerCertificate: PeerCertificate?) throws {
    let transport = HTTP2Connection(role: .server, configuration: shared.configuration.http2)
    let peer = channel.remoteAddress.map { "\($0.ipAddress ?? "unix"):\($0.port ?? 0)" } ?? "unknown"
    let connection = ServerConnection(
      transport: transport, loop: channel.eventLoop, peer: peer, shared: shared
    ) { [weak self] in self?.closed($0) }
    connection.peerCertificate = peerCertificate
    let isAccepted = state.withLock { state in
      guard hasRoom(state) else { return false }
      state.connections[ObjectIdentifier(connection)] = connection
      return true
    }
    guard isAccepted else { throw Refused() }
    transport.delegate = connection
    do { try channel.pipeline.syncOperations.addHandler(transport) } catch {
      // The channel has closed meanwhile, and nobody else will say so.
      transport.delegate = nil
      closed(connection)
      throw error
    }
  }

  private func closed(_ connection: ServerConnection) {
    let waiters = state.withLock { state in
      state.connections[ObjectIdentifier(connection)] = nil
      guard state.connections.isEmpty else { return [CheckedContinuation<Void, Never>]() }
      defer { state.idleWaiters = [] }
      return state.idleWaiters
    }
    for waiter in waiters { waiter.resume() }
  }

  /// Stops listening, sends GOAWAY, waits up to `grace` for the running calls, then ends what is left.
  public func shutdown(grace: Duration) async {
    let (listeners, connections) = state.withLock { state in
      state.isShuttingDown = true
      defer { state.listeners = [] }
      return (state.listeners, Array(state.connections.values))
    }
    // A listener that is already closed is what was wanted.
    for listener in listeners { try? await listener.close() }
    health.shutdown()
    for connection in connections {
      connection.loop.execute { connection.transport.drainAndClose() }
    }
    let cutter = Task {
      // A cancelled sleep only means that all calls ended in time.
      try? await Task.sleep(for: grace)
      let left = state.withLock { Array($0.connections.values) }
      for connection in left { connection.loop.execute { connection.transport.closeNow() } }
    }
    await withCheckedContinuation { continuation in
      let isIdle = state.withLock { state in
        if !state.connections.isEmpty { state.idleWaiters.append(continuation) }
        return state.connections.isEmpty
      }
      if isIdle { continuation.resume() }
    }
    cutter.cancel()
  }
}
