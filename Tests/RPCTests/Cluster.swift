// Several servers that say which of them answered, for the tests of how calls are spread.
import InteropMessages
import RPC

/// Servers with numbers from 0. A call of `who` is answered with the number; one of `wait` when the gate opens.
final class Cluster: Sendable {
  static let who = UnaryMethod<Empty, Payload>("test.Cluster", "Who")
  static let wait = UnaryMethod<Empty, Payload>("test.Cluster", "Wait")

  let servers: [Server]
  let ports: [Int]
  /// The numbers of the servers on which a call waits, in the order of their beginning.
  let waiting: Log<Int>
  let gate: Gate

  private init(_ servers: [Server], _ ports: [Int], _ waiting: Log<Int>, _ gate: Gate) {
    self.servers = servers
    self.ports = ports
    self.waiting = waiting
    self.gate = gate
  }

  static func with<R>(_ count: Int, _ body: (Cluster) async throws -> R) async throws -> R {
    let waiting = Log<Int>()
    let gate = Gate()
    var servers: [Server] = []
    var ports: [Int] = []
    for number in 0..<count {
      let server = Server(router(number, waiting, gate))
      ports.append(try await server.start(host: "127.0.0.1", port: 0))
      servers.append(server)
    }
    let cluster = Cluster(servers, ports, waiting, gate)
    let result: Result<R, any Error>
    do { result = .success(try await body(cluster)) } catch { result = .failure(error) }
    gate.open()
    for server in servers { await server.shutdown(grace: .milliseconds(200)) }
    return try result.get()
  }

  private static func router(_ number: Int, _ waiting: Log<Int>, _ gate: Gate) -> Router {
    var router = Router()
    router.handle(who) { (_: Empty, _: CallContext) async throws(RPCError) -> Payload in
      .with { $0.body = [UInt8(number)] }
    }
    router.handle(wait) { (_: Empty, _: CallContext) async throws(RPCError) -> Payload in
      waiting.add(number)
      await gate.wait()
      return .with { $0.body = [UInt8(number)] }
    }
    return router
  }

  /// Another server with this number, at the port of one that has been stopped.
  func restart(_ number: Int) async throws -> Server {
    let server = Server(Self.router(number, waiting, gate))
    _ = try await server.start(host: "127.0.0.1", port: ports[number])
    return server
  }

  func address(_ number: Int) -> ServerAddress { .host("127.0.0.1", ports[number]) }
  var addresses: [ServerAddress] { ports.indices.map { address($0) } }

  func channel(_ policy: LoadBalancing, random: @escaping @Sendable () -> Double = { 0 }) -> ClientChannel {
    var configuration = ClientConfiguration()
    configuration.loadBalancing = policy
    configuration.initialBackoff = .milliseconds(5)
    configuration.maxBackoff = .milliseconds(20)
    configuration.random = random
    return ClientChannel(.addresses(addresses), configuration: configuration)
  }
}

extension ClientChannel {
  /// The number of the server that answers.
  func who() async throws -> Int {
    let options = CallOptions(deadline: .after(.seconds(20)), waitForReady: true)
    return Int(try await unary(Cluster.who, Empty(), options).body.first ?? 255)
  }

  /// Calls until these servers, and no others, have answered in so many calls in a row; false if that takes too long.
  func reaches(_ wanted: Set<Int>, in calls: Int = 6, within limit: Duration = .seconds(20)) async throws -> Bool {
    let clock = ContinuousClock()
    let end = clock.now + limit
    var latest: [Int] = []
    while clock.now < end {
      latest = latest.suffix(calls - 1) + [try await who()]
      if latest.count == calls, Set(latest) == wanted { return true }
    }
    return false
  }
}
