// The life of a service: data folder, log, server, ready; then on SIGTERM or SIGINT a drain that is bounded in time.
import DocumentStore
import Dispatch
import FerryAPI
import Logging
import ProtoWire
import RPC

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

public enum Drain {
  /// How long running calls may take to end after SIGTERM.
  public static let calls: Duration = .seconds(10)
  /// How long everything may take before the process ends anyway.
  static let seconds = 15
  /// EX_SOFTWARE of sysexits.h: the drain did not end.
  static let exitCode: Int32 = 70
}

/// How long a connection with calls under way may be silent before a PING asks whether the other side is still there.
enum ServiceTimes {
  static let clientKeepalive: Duration = .seconds(30)
  static let serverKeepalive: Duration = .seconds(60)
}

/// The files and sockets that the process may have open. Shells give a process 1,024, for the sake of programs that use
/// select(2), and let it ask for more (getrlimit(2)).
enum OpenFiles {
  /// Enough for all connections that a service takes, and its own.
  static let wanted: rlim_t = 65_536

  /// As many as wanted, or as the system lets it have.
  static func raise() {
    var limit = rlimit()
    guard getrlimit(resource, &limit) == 0, limit.rlim_cur < wanted else { return }
    limit.rlim_cur = min(wanted, limit.rlim_max)
    // Refused, the service goes on with what it has.
    _ = setrlimit(resource, &limit)
  }

  #if canImport(Glibc)
    private static let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
  #else
    private static let resource = RLIMIT_NOFILE
  #endif
}

/// Runs a service until it is told to stop.
/// - Parameters:
///   - name: "ticketing", as in the access matrix and the ports.
///   - files: the .proto files it serves, for reflection.
///   - tls: what its port speaks; nil: no TLS.
///   - fetchKeys: for auth alone, which has the keys itself; all others ask auth.
///   - build: makes the router; what it opens it closes with `environment.onShutdown`.
/// - Throws: why it could not start.
public func runService(
  name: String, options: ServiceOptions, peers: PeerOptions, files: [FileDescriptor],
  tls: ServerTLS? = nil, fetchKeys: TokenVerifier.FetchKeys? = nil, build: (ServiceEnvironment) async throws -> Router
) async throws {
  let start = ContinuousClock.now
  // A write to a closed pipe or socket is an error of that write, not the end of the process. Signals that stop the
  // service are caught from here on, so that none is lost while it starts.
  signal(SIGPIPE, SIG_IGN)
  let stop = StopSignals()
  OpenFiles.raise()
  Lifeline.holdIfAsked()
  umask(0o077)
  let dataDirectory = try options.dataFolder(for: name)
  let logger = Logger(label: name) { _ in JSONLogHandler(service: name, level: options.logLevel) }
  let environment = try ServiceEnvironment(
    name: name, options: options, peers: peers, dataDirectory: dataDirectory, logger: logger, fetchKeys: fetchKeys)
  do {
    var router = try await build(environment)
    let services = router.services
    router.enableReflection(files)
    var configuration = ServerConfiguration()
    configuration.http2.keepaliveTime = ServiceTimes.serverKeepalive
    configuration.tls = tls
    let server = Server(
      router,
      interceptors: CallInterceptors.all(environment.verifier, logger, metrics: environment.metrics),
      configuration: configuration)
    for service in services { server.health.set(service, .serving) }
    let port = try await server.start(host: options.host, port: options.port(for: name))
    let time = (ContinuousClock.now - start).components
    logger.notice(
      "ready",
      metadata: [
        "host": .string(options.host), "port": .stringConvertible(port),
        "startup_ms": .stringConvertible(time.seconds * 1000 + time.attoseconds / 1_000_000_000_000_000),
      ])
    let received = await stop.wait()
    logger.notice("stopping", metadata: ["signal": .stringConvertible(received)])
    boundDrain(logger)
    environment.stopping()
    await server.shutdown(grace: Drain.calls)
  } catch {
    logger.critical("the service could not start", metadata: ["error": "\(error)"])
    await environment.shutdown()
    throw error
  }
  await environment.shutdown()
  logger.notice("stopped")
}

/// Ends the process if the drain takes too long: a hook that hangs must not keep a dead service alive.
private func boundDrain(_ logger: Logger) {
  DispatchQueue.global().asyncAfter(deadline: .now() + .seconds(Drain.seconds)) {
    logger.critical("stopping took longer than \(Drain.seconds) s; the process ends now")
    exit(Drain.exitCode)
  }
}

/// SIGTERM and SIGINT as a value to wait for. After the first one the system's own handling is back: a second one
/// kills.
private final class StopSignals: Sendable {
  private let received: AsyncStream<Int32>

  init() {
    received = AsyncStream(bufferingPolicy: .bufferingOldest(1)) { continuation in
      for number in [SIGTERM, SIGINT] {
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler {
          signal(number, SIG_DFL)
          continuation.yield(number)
          source.cancel()
        }
        source.resume()
      }
    }
  }

  func wait() async -> Int32 {
    for await number in received { return number }
    return SIGTERM
  }
}
