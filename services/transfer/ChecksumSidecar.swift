// The ".sha256" beside a delivered file: one line as GNU sha256sum writes it, so that `sha256sum -c` checks the file where it
// lies. It is proven like the file itself, and renamed in one step over one that is there.
import Destinations
import FerryAPI
import NIOCore

extension FileDelivery {
  func writeSidecar() async throws {
    let path = try RemotePath(text: file.remotePath)
    let text = ChecksumSidecar.line(sha256: file.sha256, name: path.name ?? "")
    let bytes = ByteBuffer(string: text)
    let destination = tools.destination
    let mode = tools.options.filePermissions
    try await tools.insist("writing \(path.sidecar)") { [tools] in
      let expected = await tools.threads.sha256(bytes)
      let remote = try await reaching(path.sidecar.text) { () throws(DestinationError) in
        try await destination.create(path.sidecar, size: Int64(bytes.readableBytes))
      }
      do {
        let found = try await reaching(path.sidecar.text) { () throws(DestinationError) in
          try await remote.write(bytes, at: 0)
          return try await remote.digest(of: 0..<Int64(bytes.readableBytes)).hexadecimal
        }
        guard found == expected else {
          throw DeliveryFailure(
            "PROOF_FAILED", "\(path.sidecar) came back changed from the destination.",
            next: "Have the server's disk checked.", retryable: true, provider: tools.protocolName,
            subject: path.sidecar.text)
        }
        try await tools.give(FileAttributes(mode: mode), to: remote)
        try await reaching(path.sidecar.text) { () throws(DestinationError) in
          try await remote.commit(size: Int64(bytes.readableBytes), overwrite: true)
        }
      } catch {
        await remote.close()
        throw error
      }
    }
    file.hasSidecar = true
  }
}

enum ChecksumSidecar {
  /// A name with a backslash has it doubled, and the line begins with one (GNU coreutils, "md5sum invocation").
  static func line(sha256: String, name: String) -> String {
    guard name.utf8.contains(UInt8(ascii: "\\")) else { return "\(sha256)  \(name)\n" }
    return "\\\(sha256)  " + name.split(separator: "\\", omittingEmptySubsequences: false).joined(separator: "\\\\") + "\n"
  }
}

extension RemotePath {
  /// All that a delivered file is.
  func whole(hasSidecar: Bool) -> [RemotePath] { hasSidecar ? [self, sidecar] : [self] }
}
