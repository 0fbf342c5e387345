// The names of servers: what a target's text stands for, names that are looked up, and Unix domain sockets.
import FoundationEssentials
import InteropMessages
import RPC
import Synchronization
import Testing

@Suite("Targets", .timeLimit(.minutes(2)))
struct TargetTests {
  private func addresses(_ text: String) throws -> [String] {
    switch try Target(text) {
    case .addresses(let list): list.map(\.description)
    case .dns(let host, let port): ["dns \(host) \(port)"]
    }
  }

  @Test(
    "a target's text names its servers",
    arguments: [
      ("dns:///files.example.com:7104", ["dns files.example.com 7104"]),
      ("dns:files.example.com:7104", ["dns files.example.com 7104"]),
      ("ipv4:10.0.0.7:7104", ["10.0.0.7:7104"]),
      ("ipv4:10.0.0.7:7104,10.0.0.8:7105", ["10.0.0.7:7104", "10.0.0.8:7105"]),
      ("ipv6:[::1]:7104", ["[::1]:7104"]),
      ("ipv6:[::1]:7104,[fe80::2]:80", ["[::1]:7104", "[fe80::2]:80"]),
      ("unix:/run/ferry.sock", ["unix:/run/ferry.sock"]),
      ("unix:///run/ferry.sock", ["unix:/run/ferry.sock"]),
      ("unix:ferry.sock", ["unix:ferry.sock"]),
      ("localhost:7104", ["localhost:7104"]),
      ("[::1]:7104", ["[::1]:7104"]),
    ])
  func parsing(_ text: String, _ expected: [String]) throws {
    #expect(try addresses(text) == expected)
  }

  @Test(
    "a text that is no target is refused with what to write instead",
    arguments: [
      "", ":", "localhost", "localhost:", ":80", "localhost:port", "localhost:0", "localhost:65536", "localhost:-1",
      "::1:80", "[::1]", "[::1]80", "[]:80", "unix:", "unix://", "dns:", "dns:///", "dns:///name",
      "dns://10.0.0.1/name:80", "ipv4:", "ipv4:10.0.0.7", "ipv4:10.0.0.7:80,", "ipv4:10.0.0.7:80,,10.0.0.8:80",
      "ipv4:name:80", "ipv4:[::1]:80", "ipv6:10.0.0.7:80", "ipv6:[name]:80", "https://files.example.com:443",
      "xds:///name", "a name:80",
    ])
  func badTargets(_ text: String) {
    let error = #expect(throws: RPCError.self) { _ = try Target(text) }
    #expect(error?.code == .invalidArgument)
    #expect(error?.message.hasPrefix("\"\(text)\" is not a target: ") == true)
    #expect(error?.message.contains("Write dns:///name:port") == true)
  }

  // MARK: Names

  /// Answers look-ups as the test says and counts them.
  private final class Book: Sendable {
    private struct State {
      var addresses: [ServerAddress]
      var lookUps = 0
    }
    private let state: Mutex<State>
    init(_ addresses: [ServerAddress]) { state = Mutex(State(addresses: addresses)) }
    var lookUps: Int { state.withLock { $0.lookUps } }
    func set(_ addresses: [ServerAddress]) { state.withLock { $0.addresses = addresses } }
    func look(_ host: String, _ port: Int) -> [ServerAddress] {
      state.withLock { state in
        state.lookUps += 1
        return host == "ferry.test" && port == 7104 ? state.addresses : []
      }
    }
  }

  private func channel(_ book: Book, _ policy: LoadBalancing = .pickFirst) throws -> ClientChannel {
    var configuration = ClientConfiguration()
    configuration.loadBalancing = policy
    configuration.initialBackoff = .milliseconds(5)
    configuration.maxBackoff = .milliseconds(20)
    configuration.resolve = { (host, port) async throws(RPCError) in book.look(host, port) }
    return ClientChannel(try Target("dns:///ferry.test:7104"), configuration: configuration)
  }

  @Test("a name is looked up once, however many calls begin at once")
  func lookedUpOnce() async throws {
    try await Cluster.with(1) { cluster in
      let book = Book(cluster.addresses)
      let channel = try channel(book)
      let answers = try await withThrowingTaskGroup(of: Int.self) { group in
        for _ in 0..<50 { group.addTask { try await channel.who() } }
        return try await group.reduce(into: []) { $0.append($1) }
      }
      #expect(answers == [Int](repeating: 0, count: 50))
      #expect(book.lookUps == 1)
      await channel.close()
    }
  }

  @Test("a name is looked up again when its server is lost")
  func lookedUpAgain() async throws {
    try await Cluster.with(2) { cluster in
      let book = Book([cluster.address(0)])
      let channel = try channel(book)
      #expect(try await channel.who() == 0)
      book.set([cluster.address(1)])
      #expect(try await channel.who() == 0, "nothing has happened that asks for another look")
      await cluster.servers[0].shutdown(grace: .seconds(10))
      #expect(try await channel.who() == 1)
      #expect(book.lookUps == 2)
      await channel.close()
    }
  }

  @Test("the loss of one of several servers is enough to look the name up again")
  func oneOfSeveralLost() async throws {
    try await Cluster.with(3) { cluster in
      let book = Book([cluster.address(0), cluster.address(1)])
      let channel = try channel(book, .roundRobin)
      #expect(try await channel.reaches([0, 1]))
      book.set([cluster.address(0), cluster.address(2)])
      await cluster.servers[1].shutdown(grace: .seconds(10))
      #expect(try await channel.reaches([0, 2], within: .seconds(5)))
      await channel.close()
    }
  }

  @Test("a server whose address is no longer the name's ends its running call and gets no more")
  func removedAddress() async throws {
    try await Cluster.with(3) { cluster in
      let book = Book([cluster.address(0), cluster.address(1)])
      let channel = try channel(book, .roundRobin)
      #expect(try await channel.reaches([0, 1]))
      var held: [Task<Payload, any Error>] = []
      while !cluster.waiting.entries.contains(0) {
        let count = held.count + 1
        held.append(Task { try await channel.unary(Cluster.wait, Empty()) })
        await cluster.waiting.until { $0.count == count }
      }
      book.set([cluster.address(2)])
      let stopping = Task { await cluster.servers[1].shutdown(grace: .seconds(20)) }
      #expect(try await channel.reaches([2], within: .seconds(5)))
      cluster.gate.open()
      for call in held { _ = try await call.value }
      await stopping.value
      #expect(try await channel.reaches([2]))
      await channel.close()
    }
  }

  @Test("a name that cannot be found fails the call with the resolver's words, and is found later")
  func unknownName() async throws {
    try await Cluster.with(1) { cluster async throws in
      let isKnown = Gate()
      var configuration = ClientConfiguration()
      configuration.initialBackoff = .milliseconds(5)
      let address = cluster.address(0)
      configuration.resolve = { (_, _) async throws(RPCError) in
        guard isKnown.isOpen else { throw RPCError(.unavailable, "nobody knows ferry.test") }
        return [address]
      }
      let channel = ClientChannel(.dns("ferry.test", 7104), configuration: configuration)
      let error = await failure { () async throws(RPCError) in try await channel.unary(Cluster.who, Empty()) }
      #expect(error?.code == .unavailable)
      #expect(error?.message == "nobody knows ferry.test")
      isKnown.open()
      #expect(try await channel.who() == 0)
      await channel.close()
    }
  }

  @Test("a name without an address fails the call and says so")
  func noAddress() async throws {
    let channel = try channel(Book([]))
    let error = await failure { () async throws(RPCError) in try await channel.unary(Cluster.who, Empty()) }
    #expect(error?.code == .unavailable)
    #expect(error?.message == "the name ferry.test:7104 stands for no address")
    await channel.close()
  }

  @Test("the system's resolver knows localhost and says what it does not know")
  func systemResolver() async throws {
    let found = try await DNS.lookup("localhost", 80)
    #expect(found.contains(.host("127.0.0.1", 80)) || found.contains(.host("::1", 80)))
    #expect(Set(found).count == found.count)
    let error = await failure { () async throws(RPCError) in try await DNS.lookup("no such name", 80) }
    #expect(error?.code == .unavailable)
    #expect(error?.message.hasPrefix("the name no such name cannot be resolved: ") == true)
  }

  /// A channel whose name is never found, or whose server never answers.
  private func withSilence<R>(_ isName: Bool, _ body: (ClientChannel) async throws -> R) async throws -> R {
    var configuration = ClientConfiguration()
    configuration.connectTimeout = .seconds(30)
    configuration.resolve = { (_, _) async throws(RPCError) in
      await Gate().wait()
      return []
    }
    return try await FullBacklog.with { address in
      let target = isName ? Target.dns("ferry.test", 7104) : .addresses([address])
      let channel = ClientChannel(target, configuration: configuration)
      let result = try await body(channel)
      await channel.close()
      return result
    }
  }

  @Test(
    "a deadline and a cancellation hold while a name is looked up or a server does not answer",
    arguments: [true, false])
  func endedWhileConnecting(_ isName: Bool) async throws {
    try await withSilence(isName) { channel async throws in
      let late = await within(.seconds(10)) {
        await failure { () async throws(RPCError) in
          try await channel.unary(Cluster.who, Empty(), .timeout(.milliseconds(100)))
        }
      }
      #expect(late??.code == .deadlineExceeded)
      let call = Task { () async -> RPCError? in
        await failure { () async throws(RPCError) in try await channel.unary(Cluster.who, Empty()) }
      }
      call.cancel()
      let cancelled = await within(.seconds(10)) { await call.value }
      #expect(cancelled??.code == .cancelled)
    }
  }

  // MARK: Unix domain sockets

  @Test("a server on a Unix domain socket is called by its path, and a socket file left behind is replaced")
  func unixSocket() async throws {
    let path = FileManager.default.temporaryDirectory.path + "/ferry-\(UInt32.random(in: 0 ... .max)).sock"
    let peers = Log<String>()
    for round in 1...2 {
      var router = Router()
      TestService.register(in: &router)
      let server = Server(
        router,
        interceptors: [
          ServerInterceptor { (context, next) async throws(RPCError) in
            peers.add(context.peer)
            try await next(context)
          }
        ])
      try await server.start(unixSocket: path)
      let channel = ClientChannel(try Target("unix:\(path)"))
      let answer = try await channel.unary(TestService.unaryCall, .with { $0.responseSize = 100_000 })
      #expect(answer.payload?.body.count == 100_000)
      #expect(peers.entries.count == round)
      await channel.close()
      await server.shutdown(grace: .zero)
    }
    let channel = ClientChannel(try Target("unix:\(path)"))
    let error = await failure { () async throws(RPCError) in try await channel.unary(TestService.emptyCall, Empty()) }
    #expect(error?.code == .unavailable)
    #expect(error?.message.hasPrefix("cannot connect to unix:\(path): ") == true)
    await channel.close()
    try? FileManager.default.removeItem(atPath: path)  // the server may have removed it
  }
}
