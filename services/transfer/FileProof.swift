// The proof of one file: its .part read back whole and compared chunk by chunk, or hashed by the server; what came back
// changed is sent again.
import Destinations
import FerryAPI

extension FileDelivery {
  /// How often a file is read back, chunks that came back wrong being sent again between.
  private static let maxProofRounds = 3

  func prove(_ remote: any RemoteFile) async throws {
    try await journal.begin(.verify)
    if tools.options.proof == .size { return try await compareSize(remote) }
    for round in 1... {
      let byServer = round == 1 ? try await serverDigest(remote) : nil
      let (sha256, wrong): (String?, [Int32]) =
        if let byServer { (byServer, []) } else { try await readBack(remote) }
      if let sha256, wrong.isEmpty {
        if count != 1, let failure = sourceFailure(sha256) {
          guard round < Self.maxProofRounds else { throw failure }
          // Which chunk it is can't be told: all are read anew.
          forgetSourceHash()
          try await sendAgain(Array(0..<count), "\(name) is not what the storage says it is, and is read again", remote)
          continue
        }
        return try await pass(sha256)
      }
      guard round < Self.maxProofRounds else {
        throw DeliveryFailure(
          "PROOF_FAILED",
          "\(wrong.count) of \(count) chunks of \(name) came back changed from the destination, \(round) times.",
          next: "Have the server's disk checked; the file was not given its name.", provider: tools.protocolName, subject: file.key)
      }
      // All is there, but the source gave a chunk otherwise when it was asked again: the digest is what was sent last.
      if wrong.isEmpty { continue }
      let text = "\(wrong.count) of \(count) chunks of \(name) came back changed and are sent again"
      try await sendAgain(wrong, text, remote)
    }
  }

  private func pass(_ sha256: String) async throws {
    try await reader.confirmUnchanged()
    file.sha256 = sha256
    file.status = .verifying
    // Before the rename: what a crash after it is mended by.
    if group == nil { try await journal.put(file) }
    try await journal.pass(.validate)
    try await journal.pass(.verify)
  }

  /// What the requester chose in place of a proof. The SHA-256 is that of the bytes as they were read from the source.
  private func compareSize(_ remote: any RemoteFile) async throws {
    let size = try await tools.insist("looking at \(name)") {
      try await reaching { () throws(DestinationError) in try await remote.size() }
    }
    guard size == file.size else {
      throw DeliveryFailure(
        "PROOF_FAILED", "\(name) has \(size) bytes at the destination, and \(file.size) at the source.",
        next: "Retry the delivery.", provider: tools.protocolName, subject: file.key)
    }
    // An earlier run read part of it: then the whole is read once more.
    let sha256 = if let sourceDigest { sourceDigest } else { try await readSourceDigest() }
    if let failure = sourceFailure(sha256) { throw failure }
    verifiedBytes = file.size
    journal.progress.add(file.size, to: .verify)
    try await pass(sha256)
  }

  /// Why the file, as it was read, is not the source's.
  private func sourceFailure(_ sha256: String) -> DeliveryFailure? {
    do throws(DeliveryFailure) {
      try reader.confirmChecksum(sha256: sha256)
      try compare(sha256)
      return nil
    } catch { return error }
  }

  private func sendAgain(_ wrong: [Int32], _ text: String, _ remote: any RemoteFile) async throws {
    try await journal.change { $0.event(.retry, text) }
    journal.progress.addRetry()
    for index in wrong {
      try await unwrite(index)
      try await tools.chunks.take()
      defer { tools.chunks.giveBack() }
      try await send(index, to: remote)
    }
  }

  /// The whole file's digest and the chunks that are not as they were read from the source. The first time this runs beside
  /// the sending, and waits for each chunk to be written.
  private func readBack(_ remote: any RemoteFile) async throws -> (sha256: String?, wrong: [Int32]) {
    try await tools.insist("reading back \(name)") { [chunkSize, file] in
      await self.resetVerified()
      // Codes of chunks do where the source is hashed as it is read; those of a server that hashes come from the whole's hash.
      let isHashedAtSource = await self.isHashedAtSource
      let hashesWhole = self.tools.hashesRemotely || !isHashedAtSource
      // While others are being sent these go in their turn.
      if await self.isSent { try await self.sendLost(before: self.count, to: remote) }
      var sha256: String?
      do {
        sha256 = try await reaching { () throws(DestinationError) in
          try await remote.readBack(
            0..<file.size, chunkSize: Int(chunkSize), hashesWhole: hashesWhole,
            whenWritten: { (range) async throws(DestinationError) in
              do throws(CancellationError) {
                return try await self.whenWritten(Int32(clamping: range.lowerBound / chunkSize))
              } catch {
                throw DestinationError(.cancelled, "Reading back was cancelled.", nextStep: "Start it again if it is wanted.")
              }
            },
            onChunk: { (chunk) async throws(DestinationError) in await self.check(chunk) }
          )?.hexadecimal
        }
      } catch let failure as DeliveryFailure where failure.problem.code == "TARGET_SHORT" {
        // What is missing at the end can't be read; what is there was compared, the rest counts as wrong.
        sha256 = nil
        for index in 0..<self.count { try await self.untilWritten(index) }
      } catch let failure as DeliveryFailure {
        throw try await self.rewound(failure)
      }
      let size = try await reaching { () throws(DestinationError) in try await remote.size() }
      if size > file.size {
        throw DeliveryFailure(
          "PROOF_FAILED",
          "The .part file of \(file.key.prefix(255)) has \(size) bytes, more than the \(file.size) it was sent.",
          next: "See that nobody else writes to that path, then retry.", provider: self.tools.protocolName,
          subject: file.key)
      }
      let wrong = await self.unverified
      if !hashesWhole { sha256 = await self.sourceDigest }
      return (size == file.size ? sha256 : nil, wrong)
    }
  }

  /// The whole file's digest by the server's own word, where that is allowed and equals the source's; else nil, and reading
  /// back tells which chunks are wrong.
  private func serverDigest(_ remote: any RemoteFile) async throws -> String? {
    guard tools.hashesRemotely, count > 1 else { return nil }
    resetVerified()
    // The file's own digest up to a chunk's end proves all chunks before it; behind it are those of a later run.
    let covering = (0..<count).last { chunks[$0]?.sha256FromStart.isEmpty == false }
    let rest = covering.map { $0 + 1 } ?? 0
    if let covering {
      let digest = try await hashed(by: remote, until: range(covering).upperBound)
      guard digest == chunks[covering]?.sha256FromStart else { return nil }
      for index in 0...covering { prove(index) }
      if rest == count { return digest }
    }
    let digest = try await tools.insist("having the rest of \(name) hashed") { [chunkSize, range = range(rest), file] in
      try await reaching { () throws(DestinationError) in
        try await remote.readBack(range.lowerBound..<file.size, chunkSize: Int(chunkSize)) {
          (chunk) async throws(DestinationError) in await self.check(chunk)
        }.hexadecimal
      }
    }
    guard unverified.isEmpty else { return nil }
    return rest == 0 ? digest : try await hashed(by: remote, until: file.size)
  }

  private func hashed(by remote: any RemoteFile, until end: Int64) async throws -> String {
    try await tools.insist("having \(name) hashed") {
      try await reaching { () throws(DestinationError) in try await remote.digest(of: 0..<end).hexadecimal }
    }
  }

  private func resetVerified() {
    journal.progress.add(-verifiedBytes, to: .verify)
    (verifiedBytes, proven) = (0, [])
  }

  private func check(_ read: RemoteChunk) {
    let index = Int32(clamping: read.range.lowerBound / chunkSize)
    guard let chunk = chunks[index], chunk.written, read.range == range(index), chunk.isTold(by: read.code) else { return }
    prove(index)
  }

  private func prove(_ index: Int32) {
    guard proven.insert(index).inserted else { return }
    verifiedBytes += length(index)
    journal.progress.add(length(index), to: .verify)
  }

  /// Returns once a chunk is written, with how it is told.
  private func whenWritten(_ index: Int32) async throws(CancellationError) -> ChunkCode {
    try await untilWritten(index)
    return switch chunks[index]?.evidence {
    case .gmac: .gmac(tools.codes.parameters(file: file.index, chunk: index))
    case .sha256FromStart: .sha256FromStart
    case .sha256, nil: .sha256
    }
  }

  /// Those that are not the source's. Of chunks that are told by all up to their end only the first wrong one counts: of those
  /// behind it nothing is known.
  private var unverified: [Int32] {
    let unproven = (0..<count).filter { !proven.contains($0) }
    return unproven.filter { $0 == unproven.first || chunks[$0]?.sha256FromStart.isEmpty != false }
  }
}
