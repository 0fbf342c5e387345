import Testing
import Transport

@testable import Destinations

@Suite("servers that lock uploads")
struct LockingServersTests {
  private let start = ContinuousClock.now

  private func server(_ number: Int) -> SSHEndpoint { SSHEndpoint(host: "host\(number)", port: 21) }

  @Test("a server is known by host and port, for a while")
  func known() {
    let servers = LockingServers()
    servers.note(server(1), now: start)
    #expect(servers.contains(server(1), now: start))
    #expect(!servers.contains(server(2), now: start))
    #expect(!servers.contains(SSHEndpoint(host: "host1", port: 2121), now: start))
    #expect(servers.contains(server(1), now: start + LockingServers.remembered - .seconds(1)))
    #expect(!servers.contains(server(1), now: start + LockingServers.remembered))
    servers.note(server(1), now: start + LockingServers.remembered)
    #expect(servers.contains(server(1), now: start + LockingServers.remembered))
  }

  @Test("the one that was found first makes room for one too many")
  func full() {
    let servers = LockingServers()
    for number in 0...LockingServers.maxServers { servers.note(server(number), now: start + .milliseconds(number)) }
    let now = start + .seconds(10)
    #expect(!servers.contains(server(0), now: now))
    #expect((1...LockingServers.maxServers).allSatisfy { servers.contains(server($0), now: now) })
  }
}
