// Listens, accepts connections, and ends them gracefully.
import HTTP2
import NIOCore
import NIOPosix
import Synchronization

public struct ServerConfiguration: Sendable {
  /// Bytes of one request message.
  public var maxMessageSize = 4 << 20
  /// Connections open at once; more are closed on arrival.
  public var maxConnections = 10_000
  public var http2 = HTTP2Configuration()

  public init() {}
}

/// A gRPC server over HTTP/2 without TLS.
public final class Server: Sendable {
  private struct State {
    var listener: (any Channel)?
    var connections: [ObjectIdentifier: ServerConnection] = [:]
    var isShuttingDown = false
    var idleWaiters: [CheckedContinuation<Void, Never>] = []
  }

  /// What gRPC's health service says; set it per service.
  public let health: HealthStatus

  private let router: Router
  private let interceptors: [ServerInterceptor]
  private let configuration: ServerConfiguration
  private let group: any EventLoopGroup
  private let state = Mutex(State())

  public init(
    _ router: Router, interceptors: [ServerInterceptor] = [], configuration: ServerConfiguration = ServerConfiguration(),
    group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
  ) {
    health = HealthStatus()
    var router = router
    Health.register(health, in: &router)
    self.router = router
    self.interceptors = interceptors
    self.configuration = configuration
    self.group = group
  }

  /// Listens, and returns the port: the one asked for, or the one that the system chose for 0.
  /// - Throws: `unavailable` with the system's own word if the address cannot be bound.
  public func start(host: String, port: Int) async throws(RPCError) -> Int {
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 1024)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelOption(.maxMessagesPerRead, value: 4)
      .childChannelInitializer { [self] channel in
        channel.eventLoop.makeCompletedFuture { try accept(channel) }
      }
    let channel: any Channel
    do {
      channel = try await bootstrap.bind(host: host, port: port).get()
    } catch {
      throw RPCError(.unavailable, "cannot listen on \(host):\(port): \(error)")
    }
    state.withLock { $0.listener = channel }
    return channel.localAddress?.port ?? port
  }

  private struct TooManyConnections: Error {}

  private func accept(_ channel: any Channel) throws {
    let transport = HTTP2Connection(role: .server, configuration: configuration.http2)
    let peer = channel.remoteAddress.map { "\($0.ipAddress ?? "unix"):\($0.port ?? 0)" } ?? "unknown"
    let connection = ServerConnection(
      transport: transport, loop: channel.eventLoop, peer: peer, router: router, interceptors: interceptors,
      configuration: configuration
    ) { [weak self] in self?.closed($0) }
    let accepted = state.withLock { state in
      guard !state.isShuttingDown, state.connections.count < configuration.maxConnections else { return false }
      state.connections[ObjectIdentifier(connection)] = connection
      return true
    }
    guard accepted else { throw TooManyConnections() }
    transport.delegate = connection
    try channel.pipeline.syncOperations.addHandler(transport)
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
    let (listener, connections) = state.withLock { state in
      state.isShuttingDown = true
      defer { state.listener = nil }
      return (state.listener, Array(state.connections.values))
    }
    // A listener that is already closed is what was wanted.
    try? await listener?.close()
    health.shutdown()
    for connection in connections {
      connection.loop.execute { connection.transport?.drainAndClose() }
    }
    let cutter = Task {
      // A cancelled sleep only means that all calls ended in time.
      try? await Task.sleep(for: grace)
      let left = state.withLock { Array($0.connections.values) }
      for connection in left { connection.loop.execute { connection.transport?.closeNow() } }
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
