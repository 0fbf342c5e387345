// The HTTP/1.1 server: the REST routes and the page's files on one port, with bounds on connections, headers and idle
// time. It stops gracefully: no new requests, event streams end at once, and what runs gets a moment.
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import RPC
import ServiceLifecycle
import Synchronization

final class HTTPService: Sendable {
  /// Those of event streams, and of everything else.
  static let maxConnections = EventStreams.limit + 2048
  /// Of the request's target, too: the longest path and query that the API takes, percent-encoded, are some 60 KiB.
  static let maxHeaderFieldBytes = 64 << 10
  static let maxHeaderBytes = 96 << 10
  static let maxHeaderFields = 100
  static let idleTimeout = TimeAmount.seconds(60)
  static let shutdownGrace = Duration.seconds(3)

  private struct Running {
    var group: ServiceGroup?
    var task: Task<Void, any Error>?
  }

  private let api: RestAPI
  private let files: StaticFiles
  private let host: String
  private let port: Int
  private let tls: ServerTLS?
  private let running = Mutex(Running())

  /// - Parameter tls: nil: no TLS.
  init(api: RestAPI, files: StaticFiles, host: String, port: Int, tls: ServerTLS? = nil) {
    self.api = api
    self.files = files
    self.host = host
    self.port = port
    self.tls = tls
  }

  /// Listens; returns once it does, or throws why it cannot.
  func start() async throws {
    let (ports, bound) = AsyncStream.makeStream(of: Int.self, bufferingPolicy: .bufferingNewest(1))
    let application = Application(
      router: router(),
      server: try server(),
      configuration: ApplicationConfiguration(
        address: .hostname(host, port: port), serverName: nil,
        availableConnectionsDelegate: .maximum(Self.maxConnections, logger: api.logger)),
      onServerRunning: { channel in
        bound.yield(channel.localAddress?.port ?? 0)
        bound.finish()
      }, logger: Self.quiet(api.logger))
    var configuration = ServiceGroupConfiguration(services: [application], logger: Self.quiet(api.logger))
    configuration.maximumGracefulShutdownDuration = Self.shutdownGrace
    let group = ServiceGroup(configuration: configuration)
    let task = Task {
      defer { bound.finish() }
      try await group.run()
    }
    running.withLock { $0 = Running(group: group, task: task) }
    for await port in ports {
      api.logger.info("http ready", metadata: ["host": "\(host)", "port": "\(port)", "tls": "\(tls != nil)"])
      return
    }
    try await task.value
    throw RPCError(.unavailable, "The HTTP side ended before it was ready.")
  }

  private func server() throws(RPCError) -> HTTPServerBuilder {
    let configuration = HTTP1Channel.Configuration(
      idleTimeout: Self.idleTimeout,
      httpDecoderConfiguration: .init(
        maxHeaderFieldSize: Self.maxHeaderFieldBytes, maxHeaderListSize: Self.maxHeaderBytes,
        maxHeaderFieldCount: Self.maxHeaderFields))
    guard let tls else { return .http1(configuration: configuration) }
    let acceptor = try TLSAcceptor(tls, applicationProtocols: HTTPSChannel.applicationProtocols)
    return HTTPServerBuilder { responder in
      HTTPSChannel(HTTP1Channel(responder: responder, configuration: configuration), acceptor)
    }
  }

  /// Lets what runs end, for a bounded time, then closes.
  func stop() async {
    let now = running.withLock { $0 }
    await now.group?.triggerGracefulShutdown()
    do { try await now.task?.value } catch {
      api.logger.warning("http shutdown", metadata: ["error": "\(error)"])
    }
  }

  /// The libraries' own chatter is no news.
  private static func quiet(_ logger: Logger) -> Logger {
    var logger = logger
    logger.logLevel = max(logger.logLevel, .warning)
    return logger
  }

  /// Every route; what is none of them is one of the page's files under its exact name, or nothing.
  func router() -> Hummingbird.Router<BasicRequestContext> {
    let router = Hummingbird.Router(context: BasicRequestContext.self)
    router.add(middleware: PageMiddleware(api: api, files: files))
    api.register(in: router)
    return router
  }
}

/// Answers what no route takes: gRPC-Web's calls, and the page's files. Routes never throw: they tell their own failures.
struct PageMiddleware: RouterMiddleware {
  let api: RestAPI
  let files: StaticFiles

  func handle(
    _ request: Request, context: BasicRequestContext, next: (Request, BasicRequestContext) async throws -> Response
  ) async throws -> Response {
    do { return try await next(request, context) } catch is HTTPError {
      if let response = GRPCWeb(backends: api.backends).response(request) { return response }
      return answer(request.method, request.uri.path, request.headers)
    }
  }

  func answer(_ method: HTTPRequest.Method, _ path: String, _ headers: HTTPFields) -> Response {
    guard method == .get || method == .head, var response = files.response(path, headers) else {
      return api.unanswered(path)
    }
    SecurityHeaders.add(to: &response)
    return method == .head ? response.createHeadResponse() : response
  }
}
