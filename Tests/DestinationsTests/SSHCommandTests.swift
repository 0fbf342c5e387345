// Commands on a real server, several at once on one connection, beside its SFTP.
import Foundation
import Testing

@testable import Destinations
@testable import Transport

@Suite("Commands", .enabled(if: OpenSSHServer.isInstalled)) struct SSHCommandTests {
  private func connected(_ body: (SFTPConnection) async throws -> Void) async throws {
    let server = try OpenSSHServer()
    let connection = SFTPConnection(
      to: SSHEndpoint(host: "127.0.0.1", port: server.port),
      login: SSHLogin(user: "root", privateKey: try server.userKeyText()),
      hostKeys: SSHHostKeyPolicy(acceptNew: true))
    try await connection.connect()
    try await body(connection)
    #expect(connection.isUsable)
    #expect(try await connection.attributes(of: ".")?.isDirectory == true)
    await connection.close()
  }

  @Test("a command that says nothing is given up in time")
  func silent() async throws {
    try await connected { connection in
      let command = try #require(await connection.start("sleep 30"))
      let start = ContinuousClock.now
      #expect(await connection.line(of: command, within: .milliseconds(500)) == nil)
      #expect(ContinuousClock.now - start < .seconds(5))
      await connection.end(command)
    }
  }

  @Test("as many as are allowed at once get their own answers, and no more are started")
  func several() async throws {
    try await connected { connection in
      var commands: [SSHCommand] = []
      for _ in 0..<SFTPConnection.maxCommands { commands.append(try #require(await connection.start("cat"))) }
      #expect(await connection.start("cat") == nil)
      await withTaskGroup(of: Void.self) { group in
        for (index, command) in commands.enumerated() {
          group.addTask {
            for line in ["\(index)", "\(index) again"] {
              await connection.send(line + "\n", to: command)
              #expect(await connection.line(of: command, within: .seconds(20)) == line)
            }
            await connection.endInput(of: command)
            #expect(await connection.line(of: command, within: .seconds(20)) == nil)
          }
        }
      }
      for command in commands { await connection.end(command) }
    }
  }

  @Test("commands that are ended before they have begun leave later ones alone")
  func ended() async throws {
    try await connected { connection in
      for index in 0..<12 {
        let early = try #require(await connection.start("cat"))
        await connection.end(early)
        let command = try #require(await connection.start("echo \(index); echo more >&2"))
        #expect(await connection.line(of: command, within: .seconds(20)) == "\(index)")
        await connection.end(command)
      }
    }
  }

  @Test("output that nobody asks for ends the command")
  func chatty() async throws {
    try await connected { connection in
      let command = try #require(await connection.start("yes | tr -d '\\n'"))
      #expect(await connection.line(of: command, within: .seconds(20)) == nil)
      await connection.end(command)
    }
  }
}
