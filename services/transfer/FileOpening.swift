// How a file's delivery begins: its .part made or found again, or the file found to be there already; and what becomes of a
// name that is taken.
import Destinations
import FerryAPI

extension FileDelivery {
  /// Numbered names that are tried for one file.
  private static let maxNumber = 1000

  /// Nil if the file turned out to be delivered: renamed by a run that died before it could say so.
  func open(_ path: RemotePath) async throws -> (any RemoteFile)? {
    let destination = tools.destination
    let begun = chunks.values.contains(where: \.written) || file.status == .verifying
    if begun {
      do {
        let remote = try await tools.insist("opening \(name)") {
          try await reaching(path.text) { () throws(DestinationError) in try await destination.reopen(path) }
        }
        if let packer { try await forgetPlaces(from: await packer.placedChunks) }
        try await forgetChunks(missingFrom: remote)
        return remote
      } catch let failure as DeliveryFailure where failure.problem.code == "TARGET_MISSING" {
        if try await isRenamed(path) { return nil }
        try await forgetAllChunks()
      }
    }
    // A small file's end is journalled together with others', so a crash may have come between its name and its record.
    let mayBeThere = tools.options.onConflict == .skipIfEqual || (group != nil && wasBegun)
    if mayBeThere, try await isThereAlready(path) { return nil }
    if tools.options.onConflict == .fail, try await isTaken(path) {
      throw DeliveryFailure(
        "TARGET_EXISTS", "\(path) already exists at the destination.",
        next: "Choose another path, or allow overwriting.", provider: tools.protocolName, subject: path.text)
    }
    let target = tools.options.onConflict == .keepBoth ? try await freeName(path) : path
    // Before there is a .part file: whoever clears up looks for those of files that were begun.
    file.status = .transferring
    if group == nil || claimed != nil { try await journal.put(file) }
    // How much a compressed file will need nobody knows.
    let size = packer == nil ? file.size : nil
    return try await tools.insist("creating \(name)") {
      try await reaching(target.text) { () throws(DestinationError) in try await destination.create(target, size: size) }
    }
  }

  private func isTaken(_ path: RemotePath) async throws -> Bool {
    let destination = tools.destination
    for name in path.whole(hasSidecar: tools.options.checksumSidecar) {
      let found = try await tools.insist("looking for \(name)") {
        try await reaching(name.text) { () throws(DestinationError) in try await destination.stat(name) != nil }
      }
      if found { return true }
    }
    return false
  }

  /// The name itself if nothing has it, else the first numbered one that nothing has, which becomes the file's.
  private func freeName(_ wanted: RemotePath) async throws -> RemotePath {
    guard try await isTaken(wanted) else { return wanted }
    for number in 1...Self.maxNumber {
      let candidate = wanted.numbered(number)
      guard tools.claim(candidate.text) == nil else { continue }
      claimed = candidate
      guard try await isTaken(candidate) else {
        file.remotePath = candidate.text
        return candidate
      }
      claimed = nil
      tools.giveBack(candidate.text)
    }
    throw DeliveryFailure(
      "TARGET_EXISTS", "\(wanted) and \(Self.maxNumber) numbered names after it already exist at the destination.",
      next: "Choose another path.", provider: tools.protocolName, subject: wanted.text)
  }

  /// Does the final name hold the source's very bytes? Then the file is delivered, and nothing has to move.
  private func isThereAlready(_ path: RemotePath) async throws -> Bool {
    let expected: Digests
    let found: String?
    if packer == nil {
      found = try await digest(of: path, ifSized: file.size)
      guard found != nil else { return false }
      expected = try await readThrough(packing: packer)
    } else {
      // Its size is known only once it is compressed, which only a file that is there is worth.
      guard try await isTaken(path) else { return false }
      expected = try await readThrough(packing: packer)
      found = try await digest(of: path, ifSized: expected.size)
    }
    guard found == expected.sent else { return false }
    if let failure = sourceFailure(expected.source) { throw failure }
    // An earlier run may have begun to send it. What can't be removed is looked for again when all is cleared up.
    if wasBegun { try? await removePart() }
    for index in 0..<count { note(taken: index, counted: chunks[index]?.written == true) }
    journal.progress.add(file.size, to: .transfer)
    journal.progress.add(file.size, to: .verify)
    hasPassedRead = true
    file.serverChecksum = ""
    note(expected)
    if tools.options.compresses { try await passPacked() }
    for state in [DeliveryState.download, .validate, .transfer, .verify] {
      try await journal.begin(state)
      try await journal.pass(state)
    }
    try await finish(sha256: expected.sent)
    return true
  }

  /// SHA-256 of the whole, in hexadecimal.
  struct Digests: Sendable {
    var source: String
    /// Of what is sent: the source's, where it is sent as it is.
    var sent: String
    /// Bytes of that.
    var size: Int64
  }

  /// Reads the source through once, in order, and compresses it where that is wanted: else what is sent counts as the source.
  func readThrough(packing packer: FilePacker?) async throws -> Digests {
    let (source, sent) = (OrderedHash(tools.threads, isWanted: true), OrderedHash(tools.threads, isWanted: packer != nil))
    var size: Int64 = 0
    for index in 0..<count {
      try await tools.chunks.take()
      defer { tools.chunks.giveBack() }
      size += try await tools.insist("reading \(name)") { [tools, reader, range = range(index)] in
        let bytes = try await reader.read(range)
        defer { tools.buffers.giveBack(bytes) }
        _ = try await source.add(index, bytes)
        guard let packer else { return Int64(bytes.readableBytes) }
        let packed = try await packer.pack(index, bytes)
        _ = try await sent.add(index, packed.bytes)
        return Int64(packed.bytes.readableBytes)
      }
    }
    guard let whole = await source.digest(of: count) else { throw CancellationError() }
    return Digests(source: whole, sent: await sent.digest(of: count) ?? whole, size: size)
  }

  /// Of what has the final name; nil if nothing of that size has.
  private func digest(of path: RemotePath, ifSized size: Int64) async throws -> String? {
    let destination = tools.destination
    return try await tools.insist("looking for \(path)") {
      try await reaching(path.text) { () throws(DestinationError) -> String? in
        guard let found = try await destination.stat(path), !found.isDirectory, found.size == size else { return nil }
        return try await destination.digest(of: path).hexadecimal
      }
    }
  }

  /// The .part file is gone: was it renamed just before a crash? Only equal bytes say so.
  private func isRenamed(_ path: RemotePath) async throws -> Bool {
    guard (0..<count).allSatisfy({ chunks[$0]?.written == true }), let expected = provenSHA256 else { return false }
    let digest = try await digest(of: path, ifSized: sizeThere)
    guard digest == expected else { return false }
    for chunk in chunks.values { note(taken: chunk.index, counted: true) }
    journal.progress.add(file.size, to: .verify)
    try await passRead()
    _ = journal.progress.pass(.transfer)
    _ = journal.progress.pass(.verify)
    try await finish(sha256: expected)
    return true
  }

  /// Of the whole file, if the journal knows it: a single chunk's is the file's, and so is that to the last one's end.
  private var provenSHA256: String? {
    if !file.sha256.isEmpty { return file.sha256 }
    // Of a compressed file the journal must know the source's, too.
    guard packer == nil, let last = chunks[count - 1] else { return nil }
    let digest = count == 1 ? last.sha256 : last.sha256FromStart
    return digest.isEmpty ? nil : digest
  }

  /// What the .part file is too short to hold was not kept by the server, whatever it acknowledged.
  private func forgetChunks(missingFrom remote: any RemoteFile) async throws {
    let size = try await tools.insist("looking at \(name)") {
      try await reaching { () throws(DestinationError) in try await remote.size() }
    }
    for chunk in try await unwriteChunks(behind: size) { unread(chunk) }
  }

  /// It will be read again.
  private func unread(_ chunk: Chunk) {
    journal.progress.add(-chunk.length, to: .download)
    if packer != nil { journal.progress.add(-chunk.length, to: .compress) }
  }

  /// Chunks of a compressed file from this one on have no place at the destination yet, whatever the journal has of them: of
  /// one before them it has none, or none of them is what it was.
  func forgetPlaces(from first: Int32) async throws {
    for var chunk in chunks.values where chunk.index >= first && chunk.deliveredLength > 0 {
      if chunk.written {
        try await unwrite(chunk.index)
        unread(chunk)
      }
      chunk.forget()
      chunk.forgetPlace()
      chunks[chunk.index] = chunk
      if group == nil { try await journal.put(chunk, of: file.index) }
    }
  }

  private func forgetAllChunks() async throws {
    let lost = chunks.values.filter(\.written)
    file.sha256 = ""
    for chunk in lost {
      try await unwrite(chunk.index)
      unread(chunk)
    }
    let text = "the .part file of \(name) was gone: its \(lost.count) written chunks are sent again"
    try await journal.change { change in
      change.event(.note, text)
      change.reopen(.download, text)
      change.reopen(.compress, text)
      change.reopen(.transfer, text)
    }
  }
}
