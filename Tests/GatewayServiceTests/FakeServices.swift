// Services to stand behind the gateway in tests: real gRPC servers on free ports, whose handlers a test gives.
import FerryAPI
import RPC

@testable import GatewayService

struct FakeServices {
  let backends: Backends
  private let servers: [RPC.Server]

  /// Services by name; those that are not named here are not there.
  init(_ routers: [String: RPC.Router]) async throws {
    var channels: [String: ClientChannel] = [:]
    var servers: [RPC.Server] = []
    for (name, router) in routers {
      let server = RPC.Server(router)
      channels[name] = ClientChannel(host: "127.0.0.1", port: try await server.start(host: "127.0.0.1", port: 0))
      servers.append(server)
    }
    let found = channels
    self.servers = servers
    backends = Backends { (name, _) in found[name] ?? Self.closed }
  }

  func stop() async {
    for server in servers { await server.shutdown(grace: .zero) }
  }

  /// Port 1 of the loopback: nothing listens there.
  private static var closed: ClientChannel { ClientChannel(host: "127.0.0.1", port: 1) }

  static var nowhere: Backends { Backends { (_, _) in closed } }
}

extension RPC.Router {
  static func with(_ fill: (inout RPC.Router) -> Void) -> RPC.Router {
    var router = RPC.Router()
    fill(&router)
    return router
  }
}
