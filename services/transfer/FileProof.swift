// The proof of one file: its .part read back whole and compared chunk by chunk, or hashed by the server; what came back
// changed is sent again.
import Destinations
import FerryAPI

extension FileDelivery {
  /// How often a file is read back, chunks that came back wrong being sent again between.
  private static let maxProofRounds = 3

  func prove(_ remote: any RemoteFile) async throws {
    try await journal.begin(.verify)
    file.serverChecksum = ""
    if tools.options.proof == .size { return try await compareSize(remote) }
    for round in 1... {
      let byServer = round == 1 ? try await serverDigest(remote) : nil
      let (sha256, wrong): (String?, [Int32]) =
        if let byServer { (byServer, []) } else { try await readBack(remote) }
      if let sha256, wrong.isEmpty {
        let source = packer == nil ? sha256 : try await sourceSHA256OfPacked()
        if packer != nil || count != 1, let failure = sourceFailure(source) {
          guard round < Self.maxProofRounds, packer == nil else { throw failure }
          // Which chunk it is can't be told: all are read anew.
          await sentHash.forget()
          try await sendAgain(Array(0..<count), "\(name) is not what the storage says it is, and is read again", remote)
          continue
        }
        return try await pass(Digests(source: source, sent: sha256, size: sizeThere))
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

  private func pass(_ digests: Digests) async throws {
    try await reader.confirmUnchanged()
    note(digests)
    file.status = .verifying
    // Before the rename: what a crash after it is mended by.
    if group == nil { try await journal.put(file) }
    try await journal.pass(.validate)
    try await journal.pass(.verify)
  }

  /// Into the file's record.
  func note(_ digests: Digests) {
    file.sha256 = digests.sent
    if packer != nil { (file.sourceSHA256, file.deliveredSize) = (digests.source, digests.size) }
  }

  /// What the requester chose in place of a proof. The SHA-256 is that of the bytes as they were read from the source.
  private func compareSize(_ remote: any RemoteFile) async throws {
    let size = try await tools.insist("looking at \(name)") {
      try await reaching { () throws(DestinationError) in try await remote.size() }
    }
    guard size == sizeThere else {
      throw DeliveryFailure(
        "PROOF_FAILED", "\(name) has \(size) bytes at the destination, and \(sizeThere) were sent.",
        next: "Retry the delivery.", provider: tools.protocolName, subject: file.key)
    }
    // An earlier run read part of it: then the whole is read once more.
    let digests = if let read = await digestsAsRead() { read } else { try await readThrough(packing: packer) }
    if let failure = sourceFailure(digests.source) { throw failure }
    verifiedBytes = file.size
    journal.progress.add(file.size, to: .verify)
    try await pass(digests)
  }

  /// If all of the file was read in this run.
  private func digestsAsRead() async -> Digests? {
    guard let sent = await sentHash.digest(of: count) else { return nil }
    guard packer != nil else { return Digests(source: sent, sent: sent, size: sizeThere) }
    return await sourceHash.digest(of: count).map { Digests(source: $0, sent: sent, size: sizeThere) }
  }

  /// An earlier run read part of it: then the whole is read once more.
  private func sourceSHA256OfPacked() async throws -> String {
    if let digest = await sourceHash.digest(of: count) { return digest }
    return try await readThrough(packing: nil).source
  }

  /// Why the file, as it was read, is not the source's.
  /// - Parameter sha256: of what was read.
  func sourceFailure(_ sha256: String) -> DeliveryFailure? {
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
    try await tools.insist("reading back \(name)") { [file, count] in
      await self.resetVerified()
      // Codes of chunks do where what is sent is hashed; those of a server that hashes come from the whole's hash.
      let isHashed = await self.sentHash.isRunning
      let hashesWhole = await self.isHashedThere || !isHashed
      // While others are being sent these go in their turn.
      if await self.isSent { try await self.sendLost(before: self.count, to: remote) }
      var sha256: String?
      do {
        sha256 = try await reaching { () throws(DestinationError) in
          try await remote.readBack(
            chunks: Int(count), hashesWhole: hashesWhole,
            whenWritten: { (index) async throws(DestinationError) in try await self.whenWritten(Int32(index)) },
            onChunk: { (chunk) async throws(DestinationError) in await self.check(chunk, Int32(chunk.index)) }
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
      let sent = await self.sizeThere
      if size > sent {
        throw DeliveryFailure(
          "PROOF_FAILED",
          "The .part file of \(file.key.prefix(255)) has \(size) bytes, more than the \(sent) it was sent.",
          next: "See that nobody else writes to that path, then retry.", provider: self.tools.protocolName,
          subject: file.key)
      }
      let wrong = await self.unverified
      if !hashesWhole { sha256 = await self.sentHash.digest(of: count) }
      return (size == sent ? sha256 : nil, wrong)
    }
  }

  /// The whole file's digest by the server's own word, where that is allowed and equals the source's; else nil, and reading
  /// back tells which chunks are wrong.
  private func serverDigest(_ remote: any RemoteFile) async throws -> String? {
    guard isHashedThere, count > 1 || serverCode != nil else { return nil }
    resetVerified()
    if let digest = try await digestByCode(remote) { return digest }
    guard tools.hashing.hasSHA256, count > 1 else { return nil }
    // The file's own digest up to a chunk's end proves all chunks before it; behind it are those of a later run.
    let covering = (0..<count).last { chunks[$0]?.sha256FromStart.isEmpty == false }
    let rest = covering.map { $0 + 1 } ?? 0
    if let covering {
      let digest = try await hashed(by: remote, until: rangeThere(covering).upperBound)
      guard digest == chunks[covering]?.sha256FromStart else { return nil }
      for index in 0...covering { prove(index) }
      if rest == count { return digest }
    }
    let digest = try await tools.insist("having the rest of \(name) hashed") { [count] in
      try await reaching { () throws(DestinationError) in
        try await remote.readBack(
          chunks: Int(count - rest), hashesWhole: true,
          whenWritten: { (index) async throws(DestinationError) in
            WrittenChunk(range: await self.rangeThere(rest + Int32(index)), code: .sha256)
          },
          onChunk: { (chunk) async throws(DestinationError) in await self.check(chunk, rest + Int32(chunk.index)) }
        )?.hexadecimal
      }
    }
    guard unverified.isEmpty else { return nil }
    return rest == 0 ? digest : try await hashed(by: remote, until: sizeThere)
  }

  /// The digest of what was sent, if the server says of what it has the code that those bytes have: a GMAC under a key that
  /// nobody knew while they were sent, or a hash.
  private func digestByCode(_ remote: any RemoteFile) async throws -> String? {
    guard let serverCode, let digest = await sentHash.digest(of: count), let expected = await sentHash.code(of: count)
    else { return nil }
    self.serverCode = nil  // for once
    let found = try await tools.insist("having \(name) hashed") { [size = sizeThere] in
      try await reaching { () throws(DestinationError) in try await remote.code(of: size, serverCode) }
    }
    guard found == expected else { return nil }
    file.serverChecksum = RemoteHashing.text(serverCode, expected) ?? ""
    for index in 0..<count { prove(index) }
    return digest
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

  private func check(_ read: RemoteChunk, _ index: Int32) {
    guard let chunk = chunks[index], chunk.written, read.range == chunk.rangeThere, chunk.isTold(by: read.code) else { return }
    prove(index)
  }

  private func prove(_ index: Int32) {
    guard proven.insert(index).inserted else { return }
    verifiedBytes += length(index)
    journal.progress.add(length(index), to: .verify)
  }

  /// Returns once a chunk is written, with where it is and how it is told.
  private func whenWritten(_ index: Int32) async throws(DestinationError) -> WrittenChunk {
    do throws(CancellationError) { try await untilWritten(index) } catch {
      throw DestinationError(.cancelled, "Reading back was cancelled.", nextStep: "Start it again if it is wanted.")
    }
    let code: ChunkCode =
      switch chunks[index]?.evidence {
      case .gmac: .gmac(tools.codes.parameters(file: file.index, chunk: index))
      case .sha256FromStart: .sha256FromStart
      case .sha256, nil: .sha256
      }
    return WrittenChunk(range: rangeThere(index), code: code)
  }

  /// Those that are not the source's. Of chunks that are told by all up to their end only the first wrong one counts: of those
  /// behind it nothing is known.
  private var unverified: [Int32] {
    let unproven = (0..<count).filter { !proven.contains($0) }
    return unproven.filter { $0 == unproven.first || chunks[$0]?.sha256FromStart.isEmpty != false }
  }
}
