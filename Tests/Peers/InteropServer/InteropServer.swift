// rpc-interop-server: gRPC's test service on our server, for other people's clients. Test code only.
import ArgumentParser
import InteropMessages
import RPC

@main
struct InteropServer: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rpc-interop-server",
    abstract: "Serves grpc.testing.TestService on loopback until it is told to stop.",
    discussion: "SIGTERM and SIGINT let running calls end; a second one ends the process at once.")

  @Option(help: "Port to listen on; 0 lets the system choose. The port is printed on a line of its own.")
  var port = 0

  @Flag(help: "Serve TLS. Without --certificate one for localhost and 127.0.0.1 is made, which nobody vouches for.")
  var tls = false

  @Option(help: "PEM file of the certificate and those that lead to its authority. It is read again when it changes.")
  var certificate: String?

  @Option(help: "PEM file of the certificate's key. It is read again when it changes.")
  var key: String?

  @Option(help: "PEM file of the authorities of clients; only clients that they vouch for are served.")
  var clientCA: String?

  @Option(help: "Milliseconds that a connection has for its first bytes, and a call for its headers.")
  var headerTimeoutMs: Int?

  /// How long running calls may take to end after SIGTERM.
  private static let grace = Duration.seconds(10)
  private static let reloadInterval = Duration.seconds(1)
  /// For a certificate whose files go once it is read.
  private static let never = Duration.seconds(10 * 365 * 86_400)

  func validate() throws {
    guard (certificate == nil) == (key == nil) else {
      throw ValidationError("--certificate and --key go together.")
    }
    guard tls || (certificate == nil && clientCA == nil) else {
      throw ValidationError("--certificate, --key and --client-ca need --tls.")
    }
    if let headerTimeoutMs, headerTimeoutMs <= 0 { throw ValidationError("--header-timeout-ms takes 1 or more.") }
  }

  func run() async throws {
    let signals = StopSignals()
    var configuration = ServerConfiguration()
    if let headerTimeoutMs { configuration.headerTimeout = .milliseconds(headerTimeoutMs) }
    let own = tls && certificate == nil ? try SelfSigned() : nil
    defer { own?.remove() }
    if let certificate = certificate ?? own?.certificateFile, let key = key ?? own?.keyFile {
      configuration.tls = serverTLS(certificate, key, interval: own == nil ? Self.reloadInterval : Self.never)
    }
    var router = Router()
    TestService.register(in: &router)
    router.enableReflection([TestService.file])
    let server = Server(router, configuration: configuration)
    server.health.set(TestService.name, .serving)
    let bound = try await server.start(host: "127.0.0.1", port: port)
    // Whatever ends this process later leaves no key behind.
    own?.remove()
    print(bound)
    flushStandardOutput()
    await signals.wait()
    await server.shutdown(grace: Self.grace)
  }

  private func serverTLS(_ certificate: String, _ key: String, interval: Duration) -> ServerTLS {
    ServerTLS(
      certificateFile: certificate, keyFile: key, clientCAFile: clientCA, reloadInterval: interval,
      onReload: { failure in
        tellOnStandardError(failure.map { "Certificates are as before: \($0.message)" } ?? "Certificates read anew.")
      })
  }
}
