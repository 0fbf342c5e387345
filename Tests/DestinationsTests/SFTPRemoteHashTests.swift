// SHA-256 by the server itself: right where it works, and never believed where it doesn't.
import Foundation
import NIOCore
import Synchronization
import Testing

@testable import Destinations
@testable import Transport

@Suite("Hashes computed by the server", .enabled(if: OpenSSHServer.isInstalled)) struct SFTPRemoteHashTests {
  /// - Parameter makesGMAC: else the server's word is missing, or it is about another file.
  private func prove(_ server: OpenSSHServer, name: String, isHashed: Bool, makesGMAC: Bool) async throws {
    let destination = SFTPDestination(try server.settings(connections: 2), remoteHash: .whereOffered)
    #expect(try await destination.capabilities().remoteHashes.contains(.sha256) == isHashed)
    let content = bytes(9_000_001)
    let path = try server.path(name)
    let file = try await destination.create(path, size: 9_000_001)
    try await file.write(content, at: 0)
    let reported = Mutex<[RemoteChunk]>([])
    let whole = try await file.readBack(0..<9_000_001, chunkSize: 2 << 20) { (chunk) async throws(DestinationError) in
      reported.withLock { $0.append(chunk) }
    }
    #expect(whole == sha256(content))
    let chunks = reported.withLock { $0 }
    #expect(chunks.map(\.range.lowerBound) == [0, 2 << 20, 4 << 20, 6 << 20, 8 << 20])
    for chunk in chunks {
      let slice = content.getSlice(at: Int(chunk.range.lowerBound), length: chunk.range.count)!
      #expect(chunk.code == sha256(slice).bytes)
    }
    #expect(try await file.digest(of: 1001..<8_000_002) == sha256(content.getSlice(at: 1001, length: 7_999_001)!))
    let parameters = GMACParameters(key: Array(1...16), message: (3, 4))
    let expected = content.withUnsafeReadableBytes { GMAC.code(of: $0, parameters) }
    #expect(try await file.code(of: 9_000_001, .gmac(parameters)) == (makesGMAC ? expected : nil))
    #expect(try await file.code(of: 9_000_000, .gmac(parameters)) == nil)  // it has another size
    try await file.commit(size: 9_000_001, overwrite: true)
    #expect(try await destination.digest(of: path) == sha256(content))
    await destination.close()
  }

  @Test("names that shells trip over are hashed as they are", .timeLimit(.minutes(1)), arguments: [
    "plain.bin", "it's \"quoted\" $HOME `id` \\ ; * &", "-rf", "dir with space/#1/日本.csv", "'", "a''b",
  ])
  func names(name: String) async throws {
    try await prove(try OpenSSHServer(), name: name, isHashed: true, makesGMAC: true)
  }

  @Test("a server that runs no commands is read back", .timeLimit(.minutes(1)), arguments: [
    "ForceCommand internal-sftp", "MaxSessions 1",
  ])
  func noCommands(setting: String) async throws {
    try await prove(try OpenSSHServer(settings: [setting]), name: "a.bin", isHashed: false, makesGMAC: false)
  }

  @Test("a shell that sees another file of the same name isn't believed", .timeLimit(.minutes(1)))
  func otherFile() async throws {
    // The shell's commands are answered in a world where every file is /etc/passwd.
    let server = try OpenSSHServer()
    let script = server.folder + "/shell"
    try """
      #!/bin/sh
      case "$SSH_ORIGINAL_COMMAND" in
        *printf*) eval "$SSH_ORIGINAL_COMMAND" ;;
        *"while read"*) while read -r s n; do openssl dgst -sha256 -r /etc/passwd; done ;;
        *"openssl mac"*) echo 00112233445566778899AABBCCDDEEFF ;;
        *) exec /usr/lib/openssh/sftp-server ;;
      esac
      """.write(toFile: script, atomically: true, encoding: .utf8)
    chmod(script, 0o755)
    let lying = try OpenSSHServer(settings: ["ForceCommand \(script)", "Subsystem sftp /usr/lib/openssh/sftp-server"])
    try await prove(lying, name: "a.bin", isHashed: true, makesGMAC: false)
  }

  @Test("a command that dies midway is made up for by reading", .timeLimit(.minutes(1)))
  func dies() async throws {
    let server = try OpenSSHServer()
    let script = server.folder + "/shell"
    try """
      #!/bin/sh
      case "$SSH_ORIGINAL_COMMAND" in
        *printf*|*"<&3"*) eval "$SSH_ORIGINAL_COMMAND" ;;
        *"while read"*) sed -u 3q | eval "$SSH_ORIGINAL_COMMAND" ;;
        *"openssl mac"*) exit 1 ;;
        *) exec /usr/lib/openssh/sftp-server ;;
      esac
      """.write(toFile: script, atomically: true, encoding: .utf8)
    chmod(script, 0o755)
    let dying = try OpenSSHServer(settings: ["ForceCommand \(script)", "Subsystem sftp /usr/lib/openssh/sftp-server"])
    try await prove(dying, name: "a.bin", isHashed: true, makesGMAC: false)
  }

  @Test("only a digest is taken for one", arguments: [
    "", "0", "e3b0", String(repeating: "g", count: 64), String(repeating: "A", count: 64),
    String(repeating: "a", count: 63), String(repeating: "a", count: 65), " " + String(repeating: "a", count: 64),
  ])
  func lines(line: String) { #expect(SFTPRemoteHash.digest(line) == nil) }

  @Test("only a GMAC is taken for one", arguments: ["", "00", String(repeating: "A", count: 31), String(repeating: "G", count: 32)])
  func codes(line: String) { #expect(SFTPRemoteHash.gmac(line) == nil) }

  @Test("a digest may be followed by a name")
  func digests() {
    let text = String(repeating: "0f", count: 32)
    #expect(SFTPRemoteHash.digest(text)?.hexadecimal == text)
    #expect(SFTPRemoteHash.digest(text + " *-")?.hexadecimal == text)
  }
}
