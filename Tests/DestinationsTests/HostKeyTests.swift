// When a host key is trusted: the policy alone, and against a real server.
import Testing

@testable import Destinations
@testable import Transport

@Suite("Host keys") struct HostKeyTests {
  private static let one = "SHA256:uXKo7WFyU6hAHCQ4bMS2vQ2oBsQ9jgwUqVwtVsIQ7qU"
  private static let two = "SHA256:AAAAAWFyU6hAHCQ4bMS2vQ2oBsQ9jgwUqVwtVsIQ7qU"
  private let shown = SSHHostKey(type: "ssh-ed25519", fingerprint: one)

  @Test("pinned keys count before known ones, and both before a readiness for new ones")
  func policy() {
    let (one, two) = (Self.one, Self.two)
    #expect(SSHHostKeyPolicy(pinned: [two, one]).decide(shown) == .trusted)
    #expect(SSHHostKeyPolicy(known: [one]).decide(shown) == .trusted)
    #expect(SSHHostKeyPolicy(pinned: [two], known: [one], acceptNew: true).decide(shown) == .changed(expected: [two]))
    #expect(SSHHostKeyPolicy(known: [two], acceptNew: true).decide(shown) == .changed(expected: [two]))
    #expect(SSHHostKeyPolicy(acceptNew: true).decide(shown) == .accepted)
    #expect(SSHHostKeyPolicy().decide(shown) == .unknown)
    #expect(SSHHostKeyPolicy(pinned: [""], acceptNew: true).decide(shown) == .changed(expected: [""]))
  }

  @Test("a fingerprint is understood as people paste it", arguments: [
    one, one + "=", " \(one)\n", String(one.dropFirst(7)), "sha256:" + one.dropFirst(7),
  ])
  func normalized(text: String) { #expect(SSHHostKey.normalized(text) == Self.one) }

  @Test("what is no SHA-256 fingerprint matches nothing", arguments: [
    "", "SHA256:", "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48", one + "A", String(one.dropLast()),
  ])
  func refused(text: String) { #expect(SSHHostKey.normalized(text) == nil) }

  @Test("an unknown key ends the connection before the login", .enabled(if: OpenSSHServer.isInstalled))
  func unknown() async throws {
    let server = try OpenSSHServer()
    let steps = await SFTPDestination(try server.settings(hostKeys: SSHHostKeyPolicy())).probe()
    #expect(steps.map(\.name) == ["resolve", "connect", "handshake", "host key"])
    #expect(steps.map(\.ok) == [true, true, true, false])
    #expect(steps.last?.error?.kind == .hostKeyUnknown)
    #expect(steps.last?.hostKey == server.keys["ed25519"])
    #expect(steps.last?.error?.shownHostKey == server.keys["ed25519"])
  }

  @Test("a changed key is refused, even where new ones are accepted", .enabled(if: OpenSSHServer.isInstalled))
  func changed() async throws {
    let server = try OpenSSHServer(hostKeys: ["ed25519", "ecdsa"])
    let policy = SSHHostKeyPolicy(known: [Self.one], acceptNew: true)
    let destination = SFTPDestination(try server.settings(hostKeys: policy))
    let path = try server.path("a")
    let error = await #expect(throws: DestinationError.self) { try await destination.stat(path) }
    #expect(error?.kind == .hostKeyChanged)
    #expect(error?.retryable == false)
    #expect(error?.message.contains(Self.one) == true)
  }

  @Test("any of a server's keys may be the known one", .enabled(if: OpenSSHServer.isInstalled),
    arguments: ["ed25519", "ecdsa"])
  func severalKeys(type: String) async throws {
    let server = try OpenSSHServer(hostKeys: ["ed25519", "ecdsa", "rsa"])
    let key = try #require(server.keys[type])
    let destination = SFTPDestination(try server.settings(hostKeys: SSHHostKeyPolicy(pinned: [key])))
    #expect(try await destination.server().hostKey.fingerprint == key)
    #expect(try await destination.server().hostKeyIsNew == false)
    await destination.close()
  }

  @Test("a new key is accepted where that is allowed, and told", .enabled(if: OpenSSHServer.isInstalled))
  func accepted() async throws {
    let server = try OpenSSHServer()
    let destination = SFTPDestination(try server.settings(hostKeys: SSHHostKeyPolicy(acceptNew: true)))
    let found = try await destination.server()
    #expect(found.hostKeyIsNew)
    #expect(found.hostKey == SSHHostKey(type: "ssh-ed25519", fingerprint: try #require(server.keys["ed25519"])))
    #expect(found.banner.contains("OpenSSH"))
    await destination.close()
  }
}
