// The gateway's executable: options, then the gRPC side (ServiceKit runs it) and the HTTP side next to it. It holds no
// data and no rights: whatever it is asked, it asks the other services with the caller's own token.
import ArgumentParser
import FerryAPI
import FoundationEssentials
import Logging
import ServiceKit

@main
struct GatewayCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ferry-gateway",
    abstract: "The front door: REST and JSON, server-sent events, the web page, and gRPC to every service.")

  @OptionGroup var options: ServiceOptions
  @OptionGroup var peers: PeerOptions
  @OptionGroup var tls: TLSFiles

  @Option(
    help: "Port of the HTTP side: REST, events and the web page; 0 takes a free one. [environment: FERRY_HTTP_PORT]")
  var httpPort: UInt16 = Self.environment("FERRY_HTTP_PORT").flatMap { UInt16($0) } ?? 7080

  @Option(
    help: "Folder of the web page. [environment: FERRY_WEB_ROOT; default: the one installed with this executable]")
  var webRoot = Self.environment("FERRY_WEB_ROOT") ?? ""

  private static func environment(_ name: String) -> String? { ProcessInfo.processInfo.environment[name]?.nonEmpty }

  func run() async throws {
    let files = try StaticFiles(root: webRoot.nonEmpty ?? StaticFiles.installedRoot())
    let serverTLS = tls.serverTLS(Logger(label: "gateway") { _ in JSONLogHandler(service: "gateway", level: options.logLevel) })
    try await runService(
      name: "gateway", options: options, peers: peers, files: FerryFiles.all, tls: serverTLS
    ) { environment in
      let backends = Backends { environment.channel(to: $0, connection: $1) }
      let http = HTTPService(
        api: RestAPI(backends: backends, logger: environment.logger, isTLS: serverTLS != nil), files: files,
        host: options.host, port: Int(httpPort), tls: serverTLS)
      try await http.start()
      environment.onShutdown { await http.stop() }
      return GatewayService(backends: backends).router()
    }
  }
}
