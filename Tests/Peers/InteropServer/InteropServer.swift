// rpc-interop-server: gRPC's test service on our server, for other people's clients. Test code only.
import ArgumentParser
import InteropMessages
import RPC

@main
struct InteropServer: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rpc-interop-server", abstract: "Serves grpc.testing.TestService on loopback until it is killed.")

  @Option(help: "Port to listen on; 0 lets the system choose. The port is printed on a line of its own.")
  var port = 0

  func run() async throws {
    var router = Router()
    TestService.register(in: &router)
    router.enableReflection([TestService.file])
    let server = Server(router)
    server.health.set(TestService.name, .serving)
    let bound = try await server.start(host: "127.0.0.1", port: port)
    print(bound)
    flushStandardOutput()
    while true { try await Task.sleep(for: .seconds(3600)) }
  }
}
