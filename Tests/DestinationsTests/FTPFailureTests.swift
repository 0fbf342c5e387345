// What goes wrong with FTP servers, and what a person is told: logins, certificates, lost connections, probes.
import Foundation
import NIOCore
import Testing

@testable import Destinations
@testable import Transport

@Suite("FTP failures", .enabled(if: VsftpdServer.isInstalled)) struct FTPFailureTests {
  private func kind(_ settings: DestinationSettings) async -> DestinationError? {
    await #expect(throws: DestinationError.self) { try await FTPDestination(settings).stat(settings.address.path) }
  }

  @Test("a wrong password is refused with the server's own words, and not repeated")
  func wrongPassword() async throws {
    let server = try VsftpdServer()
    let error = await kind(try server.settings(password: "n0t-this"))
    #expect(error?.kind == .loginRefused)
    #expect(error?.providerCode.hasPrefix("530") == true)
    #expect(error?.retryable == false)
    #expect(error?.description.contains("n0t-this") == false)
  }

  @Test("a certificate that nobody vouches for is refused, and its pin shown")
  func unknownCertificate() async throws {
    let server = try VsftpdServer(.ftpes)
    let error = await kind(try server.settings(ftp: FTPSettings()))
    #expect(error?.kind == .hostKeyUnknown)
    #expect(error?.retryable == false)
    let pin = try #require(error?.shownHostKey)
    let trusting = FTPDestination(try server.settings(ftp: FTPSettings(pinnedPublicKeys: [pin])))
    #expect(try await trusting.stat(server.path("none")) == nil)
    await trusting.close()
  }

  @Test("another key than the pinned one is refused, whoever vouches for it", arguments: [true, false])
  func wrongPin(withCA: Bool) async throws {
    let server = try VsftpdServer(.ftps)
    let other = "sha256//" + String(repeating: "A", count: 43) + "="
    let settings = try server.settings(
      ftp: FTPSettings(trustedCertificatesPEM: withCA ? server.certificate : nil, pinnedPublicKeys: [other]))
    let error = await kind(settings)
    #expect(error?.kind == .hostKeyChanged)
    #expect(error?.shownHostKey?.hasPrefix("sha256//") == true)
  }

  @Test("active mode with TLS is refused at once where libcurl would hang")
  func activeTLS() async throws {
    let server = try VsftpdServer(.ftpes)
    var settings = try server.settings()
    settings.ftp.active = true
    let destination = FTPDestination(settings)
    let path = try server.path("a")
    do throws(DestinationError) {
      let file = try await destination.create(path, size: 3)
      try await file.write(ByteBuffer(string: "abc"), at: 0)
      try await file.commit(size: 3, overwrite: true)
    } catch {
      #expect(error.kind == .unsupported)
      #expect(error.nextStep.contains("passive"))
    }
    await destination.close()
  }

  @Test("a server without TLS is told as one, and gets no password")
  func noTLS() async throws {
    let server = try VsftpdServer()
    var settings = try server.settings()
    settings.address = DestinationAddress(
      scheme: "ftpes", user: "ftp", host: "127.0.0.1", port: server.port, path: settings.address.path)
    let error = await kind(settings)
    #expect(error?.kind == .unreachable)
    #expect(error?.providerCode == "CURLE_USE_SSL_FAILED")
  }

  @Test("a connection that died idle is replaced; one that dies in an upload tells where to go on")
  func lost() async throws {
    let server = try VsftpdServer()
    let destination = try server.destination()
    #expect(try await destination.stat(server.path("a")) == nil)
    server.endConnections()
    #expect(try await destination.stat(server.path("a")) == nil)

    let content = bytes(8 << 20)
    let file = try await destination.create(try server.path("a"), size: nil)
    try await file.write(content.getSlice(at: 0, length: 1 << 20)!, at: 0)
    server.endConnections()
    var end: Int64?
    for _ in 0..<3 where end == nil {
      do { try await file.write(content.getSlice(at: 1 << 20, length: 7 << 20)!, at: 1 << 20) } catch {
        end = error.goOnAt
        if end == nil { #expect(error.retryable, "\(error)") }
      }
    }
    let offset = try await file.size()
    try await file.write(content.getSlice(at: Int(offset), length: (8 << 20) - Int(offset))!, at: offset)
    try await file.commit(size: 8 << 20, overwrite: true)
    #expect(try server.content("a") == content)
    await destination.close()
  }

  @Test("one connection more than the server takes makes do with fewer")
  func tooMany() async throws {
    let server = try VsftpdServer(settings: ["max_clients=2"])
    let destination = try server.destination(connections: 4)
    var files: [any RemoteFile] = []
    for index in 0..<4 { files.append(try await destination.create(try server.path("\(index)"), size: nil)) }
    for file in files { try await file.write(bytes(10), at: 0) }
    for file in files { try await file.commit(size: 10, overwrite: false) }
    #expect(try server.names.count == 4)
    await destination.close()
  }

  @Test("a folder where nobody may write is told as denied")
  func denied() async throws {
    let server = try VsftpdServer()
    chmod(server.files, 0o555)
    let destination = try server.destination()
    let error = await #expect(throws: DestinationError.self) {
      try await destination.create(try server.path("a"), size: 1)
    }
    #expect(error?.kind == .denied)
    #expect(error?.providerCode.hasPrefix("55") == true)
    await destination.close()
  }

  @Test("a probe takes every step, shows the certificate, and leaves nothing behind", arguments: VsftpdServer.Mode.allCases)
  func probe(mode: VsftpdServer.Mode) async throws {
    let server = try VsftpdServer(mode)
    let steps = await FTPDestination(try server.settings(path: "/in/not/there")).probe()
    let security = mode == .ftp ? [] : ["TLS"]
    #expect(steps.map(\.name) == ["resolve", "connect"] + security + ["login", "write", "rename", "delete"])
    #expect(steps.allSatisfy { $0.ok }, "\(steps)")
    if mode != .ftp {
      let step = try #require(steps.first { $0.name == "TLS" })
      #expect(step.detail.contains("ferry test"))
      #expect(step.hostKey?.hasPrefix("sha256//") == true)
    }
    #expect(try server.names.isEmpty)
  }

  @Test("a probe stops at the first failure and says which it was")
  func probeFails() async throws {
    let server = try VsftpdServer(.ftpes)
    let untrusted = await FTPDestination(try server.settings(ftp: FTPSettings())).probe()
    #expect(untrusted.map(\.name) == ["resolve", "connect", "TLS"])
    #expect(untrusted.last?.error?.kind == .hostKeyUnknown)
    let refused = await FTPDestination(try server.settings(password: "x")).probe()
    #expect(refused.map(\.name) == ["resolve", "connect", "TLS", "login"])
    #expect(refused.last?.error?.kind == .loginRefused)
  }
}
