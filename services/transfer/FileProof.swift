// The proof of one file: its .part read back whole and compared chunk by chunk; what came back changed is sent again.
import Destinations
import FerryAPI

extension FileDelivery {
  /// How often a file is read back, chunks that came back wrong being sent again between.
  private static let maxProofRounds = 3

  func prove(_ remote: any RemoteFile) async throws {
    try await journal.begin(.verify)
    for round in 1... {
      let (sha256, wrong) = try await readBack(remote)
      if let sha256, wrong.isEmpty {
        if count != 1 { try compare(sha256) }
        try await reader.confirmUnchanged()
        file.sha256 = sha256
        file.status = .verifying
        // Before the rename: what a crash after it is mended by. A single chunk's record holds the same already.
        if count != 1 { try await journal.put(file) }
        try await journal.pass(.validate)
        try await journal.pass(.verify)
        return
      }
      guard round < Self.maxProofRounds else {
        throw DeliveryFailure(
          "PROOF_FAILED",
          "\(wrong.count) of \(count) chunks of \(name) came back changed from the destination, \(round) times.",
          next: "Have the server's disk checked; the file was not given its name.", provider: "sftp", subject: file.key)
      }
      try await sendAgain(wrong, remote)
    }
  }

  private func sendAgain(_ wrong: [Int32], _ remote: any RemoteFile) async throws {
    let text = "\(wrong.count) of \(count) chunks of \(name) came back changed and are sent again"
    try await journal.change { $0.event(.retry, text) }
    journal.progress.addRetry()
    for index in wrong {
      try await unwrite(index)
      try await tools.chunks.take()
      defer { tools.chunks.giveBack() }
      try await send(index, to: remote)
    }
  }

  /// The whole file's digest and the chunks that are not as they were read from the source.
  private func readBack(_ remote: any RemoteFile) async throws -> (sha256: String?, wrong: [Int32]) {
    try await tools.insist("reading back \(name)") { [chunkSize, file] in
      await self.resetVerified()
      let size = try await reaching { () throws(DestinationError) in try await remote.size() }
      // What is missing at the end can't be read; what is there is compared, the rest counts as wrong.
      let readable = min(size, file.size)
      if size > file.size {
        throw DeliveryFailure(
          "PROOF_FAILED",
          "The .part file of \(file.key.prefix(255)) has \(size) bytes, more than the \(file.size) it was sent.",
          next: "See that nobody else writes to that path, then retry.", provider: "sftp", subject: file.key)
      }
      let digest = try await reaching { () throws(DestinationError) in
        try await remote.readBack(0..<readable, chunkSize: Int(chunkSize)) { (chunk) async throws(DestinationError) in
          await self.check(chunk)
        }
      }
      let wrong = await self.unverified
      return (size == file.size ? digest.hexadecimal : nil, wrong)
    }
  }

  private func resetVerified() {
    journal.progress.add(-verifiedBytes, to: .verify)
    (verifiedBytes, proven) = (0, [])
  }

  private func check(_ read: RemoteChunk) {
    let index = Int32(clamping: read.range.lowerBound / chunkSize)
    guard let chunk = chunks[index], chunk.written, read.range == range(index), chunk.sha256 == read.digest.hexadecimal
    else { return }
    proven.insert(index)
    verifiedBytes += chunk.length
    journal.progress.add(chunk.length, to: .verify)
  }

  private var unverified: [Int32] { (0..<count).filter { !proven.contains($0) } }
}
