// rpc-bench-server: the bench's echo service behind the interceptors of a real service, for `scripts/bench rpc` and
// `scripts/bench client`. It signs people in by itself: it makes a key and one token when it starts.
import ArgumentParser
import BenchEcho
import Glibc
import Logging
import NIOCore
import NIOPosix
import RPC
import ServiceKit

@main
struct BenchServer: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rpc-bench-server", abstract: "Serves bench.Echo on loopback until it is killed.")

  @Option(help: "Port to listen on; 0 lets the system choose.")
  var port = 0

  @Option(help: "Threads that serve connections.")
  var threads = 1

  /// The main thread only waits, so that what is measured are the threads that serve.
  func run() throws {
    let logger = Logger(label: "bench") { _ in JSONLogHandler(service: "bench", level: .notice) }
    let issuer = try BenchIssuer()
    let verifier = TokenVerifier(logger: logger) { () async throws(RPCError) in issuer.keySet }
    let interceptors = CallInterceptors.all(verifier, logger, metrics: CallMetrics()) { path in
      path.hasPrefix("/bench.Echo/") ? .signedIn : AccessMatrix.access(to: path)
    }
    let group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
    let server = Server(router(), interceptors: interceptors, group: group)
    let bound = try group.any().makeFutureWithTask { [port] in try await server.start(host: "127.0.0.1", port: port) }.wait()
    print("{\"port\": \(bound), \"token\": \"\(issuer.token)\"}")
    fflush(nil)
    while true { pause() }
  }

  private func router() -> Router {
    var router = Router()
    router.handle(Echo.say) { (message: EchoMessage, _: CallContext) async throws(RPCError) -> EchoMessage in message }
    router.handle(Echo.feed) {
      (request: FeedRequest, _: CallContext, responses: ResponseWriter<EchoMessage>) async throws(RPCError) in
      let message = EchoMessage.with { $0.payload = [UInt8](repeating: 7, count: Int(request.size)) }
      for _ in 0..<request.count { try await responses.send(message) }
    }
    return router
  }
}
