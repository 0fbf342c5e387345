// What a service finds when it is built: its folder, log, store, identity, and channels to the services it calls. Also
// the hooks that undo it all in reverse order when the service stops.
import DocumentStore
import FerryAPI
import Logging
import RPC
import Synchronization

public final class ServiceEnvironment: Sendable {
  /// Expired documents are removed this often...
  static let sweepInterval: Duration = .seconds(300)
  /// ... and this many at once.
  static let sweepSize = 1000
  private static let keysTimeout: Duration = .seconds(3)

  /// Bytes of one answer from another service: the receipt of the largest delivery fits.
  static let maxAnswerSize = 32 << 20

  /// "ticketing"
  public let name: String
  /// This service's own folder, 0700.
  public let dataDirectory: String
  public let logger: Logger
  public let verifier: TokenVerifier
  public let identity: ServiceIdentity
  public let secretBox: SecretBox
  /// Of the calls that this service has answered.
  public let metrics = CallMetrics()

  private let peers: PeerOptions
  private struct State {
    var channels: [String: ClientChannel] = [:]
    var store: SQLiteDocumentStore?
    var stoppingHooks: [@Sendable () -> Void] = []
    var hooks: [@Sendable () async -> Void] = []
  }
  private let state = Mutex(State())

  init(
    name: String, options: ServiceOptions, peers: PeerOptions, dataDirectory: String, logger: Logger,
    fetchKeys: TokenVerifier.FetchKeys?
  ) throws(ServiceFailure) {
    self.name = name
    self.dataDirectory = dataDirectory
    self.logger = logger
    self.peers = peers
    secretBox = try SecretBox(keyFile: dataDirectory + "/seal.key")
    let auth = Auth.Client(Self.makeChannel(to: peers.auth))
    // Not `fetchKeys ?? { ... }`: the compiler (6.3.1) crashes on a closure with typed throws in an autoclosure.
    var fetch: TokenVerifier.FetchKeys = { () async throws(RPCError) in
      try await auth.getKeys(GetKeysRequest(), .timeout(Self.keysTimeout)).jwksJSON
    }
    if let fetchKeys { fetch = fetchKeys }
    verifier = TokenVerifier(logger: logger, fetchKeys: fetch)
    identity = ServiceIdentity(service: name, secretFile: options.serviceSecretFile) {
      (request, options) async throws(RPCError) in
      try await auth.issueServiceToken(request, options)
    }
    state.withLock { $0.channels[Self.key("auth", 0)] = auth.channel }
  }

  /// The channel to a service, shared by all who ask for it; it connects when it is first used. Another `connection` is a
  /// channel of its own, for calls that must not take the places of others: a connection carries a bounded number of streams.
  public func channel(to service: String, connection: Int = 0) -> ClientChannel {
    let key = Self.key(service, connection)
    return state.withLock { state in
      if let channel = state.channels[key] { return channel }
      guard let address = peers.address(of: service) else {
        // A name in the source text, not something from outside.
        preconditionFailure("no service is called \(service)")
      }
      let channel = Self.makeChannel(to: address)
      state.channels[key] = channel
      return channel
    }
  }

  private static func key(_ service: String, _ connection: Int) -> String { "\(service)/\(connection)" }

  /// Calls through it belong to the running trace.
  private static func makeChannel(to address: PeerAddress) -> ClientChannel {
    var configuration = ClientConfiguration()
    configuration.maxMessageSize = maxAnswerSize
    configuration.http2.keepaliveTime = ServiceTimes.clientKeepalive
    return ClientChannel(
      host: address.host, port: address.port, configuration: configuration,
      interceptors: [ClientInterceptor { (_, options) in options.setTrace() }])
  }

  /// The service's own SQLite file, opened at the first call and closed when the service stops.
  public func openStore() async throws(DocumentStoreError) -> any DocumentStore {
    if let store = state.withLock({ $0.store }) { return store }
    let store = try SQLiteDocumentStore(path: "\(dataDirectory)/\(name).sqlite")
    state.withLock { $0.store = store }
    let logger = logger
    let sweeper = Task {
      while !Task.isCancelled {
        // A cancelled sleep only means that the service stops.
        try? await Task.sleep(for: Self.sweepInterval)
        do { try await store.sweepExpired(limit: Self.sweepSize) } catch {
          logger.warning("expired documents could not be removed", metadata: ["error": "\(error)"])
        }
      }
    }
    onShutdown {
      sweeper.cancel()
      await sweeper.value
      do { try await store.close() } catch {
        logger.error("the database could not be closed", metadata: ["error": "\(error)"])
      }
    }
    return store
  }

  /// Hooks run when the service is told to stop, before it waits for its calls: for those that would never end by
  /// themselves, such as watches.
  public func onStopping(_ hook: @escaping @Sendable () -> Void) { state.withLock { $0.stoppingHooks.append(hook) } }

  func stopping() {
    for hook in state.withLock({ $0.stoppingHooks }) { hook() }
  }

  /// Hooks run in reverse order, after the last call has ended.
  public func onShutdown(_ hook: @escaping @Sendable () async -> Void) { state.withLock { $0.hooks.append(hook) } }

  func shutdown() async {
    while let hook = state.withLock({ $0.hooks.popLast() }) { await hook() }
    let channels = state.withLock { state in
      defer { state.channels = [:] }
      return Array(state.channels.values)
    }
    for channel in channels { await channel.close() }
  }
}
