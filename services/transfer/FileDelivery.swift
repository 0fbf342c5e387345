// One file from its source to its final name: its .part file made or found again, chunks sent and, while others follow,
// read back, then renamed. Everything that has to survive a crash is in the journal before the next step relies on it; of
// small files that is only that they were begun, because sending one again costs less than writing down how far it came.
//
// Why reading back proves the source's bytes, also after a crash: a chunk counts as written only with a code of the bytes as
// they were read from the source (ChunkCodes.swift), under a condition on the object's version; the read-back goes over the
// whole .part file and compares every chunk with that, whichever run wrote it. So when all are equal, the file's own
// SHA-256 is that of the source's version: a run that reads all of the source computes it as the bytes come, one that goes on
// has it from the read-back.
import Crypto
import Destinations
import FerryAPI
import FoundationEssentials
import NIOCore
import Transport

actor FileDelivery {
  let tools: DeliveryTools
  var file: DeliveryFile
  var chunks: [Int32: Chunk]
  private let sourceSHA256: String
  private let path: RemotePath?
  /// A numbered name that was free, and is kept from other deliveries until the file has it.
  var claimed: RemotePath?
  /// Of a small file: the others with which it is journalled.
  let group: FileGroup?
  /// The journal said so when this run took the file up.
  let wasBegun: Bool
  let reader: RangeReader
  let chunkSize: Int64
  let count: Int32
  /// Chunks whose bytes were read, for the figures.
  private var isRead: Set<Int32> = []
  var verifiedBytes: Int64 = 0
  /// Chunks that were read back equal, in the read-back under way or just done.
  var proven: Set<Int32> = []
  var hasPassedRead = false
  /// Who waits until chunks are written: the read-back, and writes to a server that takes them in order only; and who waits
  /// to be hashed.
  private var waiters: [UInt64: (moment: Moment, turn: CheckedContinuation<Bool, Never>)] = [:]
  private var nextWaiter: UInt64 = 0
  /// Of the chunks up to `hashedChunks`, in order; nil where an earlier run read some of them.
  private var sourceHash: SHA256?
  private var hashedChunks: Int32 = 0
  /// GMACs of the chunks in `sourceHash`: one that has to be read again must be the same again.
  private var hashedCodes: [Int32: [UInt8]] = [:]
  /// Written once, and then not kept by a server that takes a file in one stream.
  private var lost: Set<Int32> = []
  /// No chunk is on its way any more, but for those that a proof finds wrong.
  private(set) var isSent = false

  var journal: DeliveryJournal { tools.journal }
  var name: String { String(file.key.prefix(255)) }

  init(tools: DeliveryTools, state: FileState, group: FileGroup? = nil) {
    self.tools = tools
    self.group = group
    wasBegun = state.wasBegun
    file = state.file
    chunks = state.chunks
    sourceSHA256 = state.sourceSHA256
    path = try? RemotePath(text: state.file.remotePath)  // planned by us; one that can't be read is told in run()
    reader = tools.reader(state.file)
    chunkSize = tools.chunkSize(state.file)
    count = Int32(clamping: (state.file.size + chunkSize - 1) / chunkSize)
  }

  func run() async throws {
    guard let path else {
      throw DeliveryFailure(
        "NAME_UNSAFE", "The journalled path \(file.remotePath.debugDescription) can't be used.",
        next: "Start a new delivery.", subject: file.key)
    }
    defer { if let claimed { tools.giveBack(claimed.text) } }
    guard let remote = try await open(path) else { return }  // it was there already, proven
    do {
      try await sendAndProve(remote)
      try await commit(remote, remote.path)
    } catch {
      await remote.close()
      throw error
    }
  }

  /// The first chunks are read back while later ones are on their way; where the server hashes, it is asked once, at the end.
  private func sendAndProve(_ remote: any RemoteFile) async throws {
    let isNotReadBack = tools.hashesRemotely || tools.options.proof == .size
    // What an earlier run read can't be hashed with the rest; a single chunk's own is the file's.
    if count > 1 || isNotReadBack, !chunks.values.contains(where: \.written) { sourceHash = SHA256() }
    guard count > 1, !isNotReadBack else {
      try await send(to: remote)
      return try await prove(remote)
    }
    try await withThrowingTaskGroup(of: Void.self) { group in
      group.addTask { try await self.send(to: remote) }
      group.addTask { try await self.prove(remote) }
      // The first that fails ends the other.
      while try await group.next() != nil {}
    }
  }

  /// What a failed file leaves at the destination goes.
  func removePart() async throws {
    guard path != nil, file.status != .waiting else { return }
    let destination = tools.destination
    let hasSidecar = tools.options.checksumSidecar
    let names = try RemotePath(text: file.remotePath).whole(hasSidecar: hasSidecar)
    for name in names { try await reaching { () throws(DestinationError) in try await destination.removePart(of: name) } }
  }

  // MARK: Send

  private func send(to remote: any RemoteFile) async throws {
    let missing = (0..<count).filter { chunks[$0]?.written != true }
    for index in 0..<count where chunks[index]?.written == true { note(read: index, length(index), counted: true) }
    if missing.count == 1 {
      try await tools.chunks.take()
      defer { tools.chunks.giveBack() }
      try await send(missing[0], to: remote)
    } else if !missing.isEmpty {
      try await withThrowingTaskGroup(of: Void.self) { group in
        var running = 0
        for index in missing {
          // A place is taken before the task is made, so that a file of many chunks is not as many tasks.
          if running >= DeliveryWork.maxChunksInFlight {
            try await group.next()
            running -= 1
          }
          try await tools.chunks.take()
          running += 1
          group.addTask { [tools] in
            defer { tools.chunks.giveBack() }
            try await self.send(index, to: remote)
          }
        }
        while try await group.next() != nil {}
      }
    }
    try await sendLost(before: count, to: remote)
    if !tools.writesAtOffsets, count > 0 { try await endStream(remote) }
    isSent = true
    try await passRead()
    try await journal.pass(.transfer)
  }

  /// Has the server say that it has the whole stream: until then it may keep others, and so the proof, from the file.
  private func endStream(_ remote: any RemoteFile) async throws {
    try await tools.insist("ending the upload of \(name)") {
      do {
        _ = try await reaching { () throws(DestinationError) in try await remote.size() }
      } catch let failure as DeliveryFailure {
        throw try await self.rewound(failure)
      }
      try await self.sendLost(before: self.count, to: remote)
    }
  }

  /// Chunks that a broken stream took with it go again, in order.
  func sendLost(before end: Int32, to remote: any RemoteFile) async throws {
    while let index = lost.min(), index < end {
      lost.remove(index)
      try await send(index, to: remote)
    }
  }

  /// If a stream broke of which the server kept only so many bytes, the chunks behind them are lost, and the failure is one
  /// that another try may mend.
  func rewound(_ failure: DeliveryFailure) async throws -> DeliveryFailure {
    guard let size = failure.goOnAt else { return failure }
    lost.formUnion(try await unwriteChunks(behind: size).map(\.index))
    var passing = failure
    passing.problem.retryable = true
    return passing
  }

  func range(_ index: Int32) -> Range<Int64> {
    let start = Int64(index) * chunkSize
    return start..<min(start + chunkSize, file.size)
  }

  func length(_ index: Int32) -> Int64 { range(index).upperBound - range(index).lowerBound }

  /// One chunk: journalled as being sent, read, hashed, written, and journalled as written.
  func send(_ index: Int32, to remote: any RemoteFile) async throws {
    let range = range(index)
    try await tools.insist("chunk \(index + 1) of \(count) of \(name)") { [tools, reader] in
      // The intent must be in the journal before the first byte is at the destination; reading need not wait for that.
      async let intended: Void = self.intend(index)
      try await tools.journal.begin(.download)
      let bytes = try await reader.read(range)
      defer { tools.buffers.giveBack(bytes) }
      async let evidence = self.evidence(index, bytes)
      await self.note(read: index, Int64(bytes.readableBytes), counted: false)
      try await tools.journal.begin(.transfer)
      try await intended
      if !tools.writesAtOffsets, index > 0 {
        try await self.sendLost(before: index, to: remote)
        try await self.untilWritten(index - 1)
      }
      do {
        try await tools.write(bytes, at: range.lowerBound, to: remote)
      } catch let failure as DeliveryFailure {
        throw try await self.rewound(failure)
      }
      try await self.written(index, try await evidence)
    }
  }

  /// What a chunk will be told by when it comes back.
  private func evidence(_ index: Int32, _ bytes: ByteBuffer) async throws(CancellationError) -> ChunkEvidence {
    guard count > 1, !tools.hashesRemotely else {
      guard let digest = try await hashInOrder(index, bytes) else { return .sha256(await tools.threads.sha256(bytes)) }
      return count == 1 ? .sha256(digest) : .sha256FromStart(digest)
    }
    let parameters = tools.codes.parameters(file: file.index, chunk: index)
    let code = await tools.threads.over(bytes) { GMAC.code(of: $0, parameters) }
    if try await hashInOrder(index, bytes, code) == nil, hashedCodes[index] != code { forgetSourceHash() }
    return .gmac(code)
  }

  /// The file's digest is then had by reading it back.
  func forgetSourceHash() {
    (sourceHash, hashedCodes) = (nil, [:])
    wake()
  }

  var isHashedAtSource: Bool { sourceHash != nil }

  /// Adds a chunk to the source's hash when all before it are in, and gives the digest up to its end; nil if the source is
  /// not hashed so, or the chunk was in before. Its bytes are held that long; the chunks in flight are bounded, and the first
  /// of them waits for none.
  private func hashInOrder(
    _ index: Int32, _ bytes: ByteBuffer, _ code: [UInt8]? = nil
  ) async throws(CancellationError) -> String? {
    guard sourceHash != nil, index >= hashedChunks else { return nil }
    try await until(.hashed(index))
    guard let earlier = sourceHash, index == hashedChunks else { return nil }
    hashedCodes[index] = code
    let hash = await tools.threads.run {
      var hash = earlier
      bytes.withUnsafeReadableBytes { hash.update(bufferPointer: $0) }
      return hash
    }
    // Forgotten meanwhile, it stays so.
    if sourceHash != nil { sourceHash = hash }
    hashedChunks = index + 1
    wake()
    return Hex.encode(hash.finalize())
  }

  /// Of the whole source, if all of it was read in this run.
  var sourceDigest: String? { hashedChunks == count ? sourceHash.map { Hex.encode($0.finalize()) } : nil }

  private enum Moment: Sendable {
    case written(Int32)
    /// All chunks before this one are hashed.
    case hashed(Int32)
  }

  private func hasCome(_ moment: Moment) -> Bool {
    switch moment {
    case .written(let index): chunks[index]?.written == true
    case .hashed(let index): hashedChunks >= index || sourceHash == nil
    }
  }

  func untilWritten(_ index: Int32) async throws(CancellationError) { try await until(.written(index)) }

  /// Throws CancellationError if the task is cancelled first, which it is when the sending has failed.
  private func until(_ moment: Moment) async throws(CancellationError) {
    if hasCome(moment) { return }
    let number = nextWaiter
    nextWaiter += 1
    let hasCome = await withTaskCancellationHandler {
      await withCheckedContinuation { (turn: CheckedContinuation<Bool, Never>) in
        if Task.isCancelled { turn.resume(returning: false) } else { waiters[number] = (moment, turn) }
      }
    } onCancel: {
      Task { await self.stopWaiting(number) }
    }
    if !hasCome { throw CancellationError() }
  }

  private func stopWaiting(_ number: UInt64) { waiters.removeValue(forKey: number)?.turn.resume(returning: false) }

  private func wake() {
    for (number, waiter) in waiters where hasCome(waiter.moment) {
      waiters[number] = nil
      waiter.turn.resume(returning: true)
    }
  }

  private func intend(_ index: Int32) async throws {
    var chunk = chunks[index] ?? Chunk()
    chunk.index = index
    (chunk.offset, chunk.length) = (range(index).lowerBound, length(index))
    chunk.sends += 1
    chunk.forget()
    chunks[index] = chunk
    if group == nil { try await journal.put(chunk, of: file.index) }
  }

  private func written(_ index: Int32, _ evidence: ChunkEvidence) async throws {
    guard var chunk = chunks[index] else { return }
    chunk.beWritten(evidence)
    if group == nil { try await journal.put(chunk, of: file.index) }
    chunks[index] = chunk
    journal.progress.add(chunk.length, to: .transfer)
    wake()
  }

  /// Of the chunks that were written those that reach beyond `size`: the server did not keep them.
  func unwriteChunks(behind size: Int64) async throws -> [Chunk] {
    let gone = chunks.values.filter { $0.written && range($0.index).upperBound > size }
    for chunk in gone { try await unwrite(chunk.index) }
    return gone
  }

  /// A chunk that was journalled as written is not there, or not as it should be.
  func unwrite(_ index: Int32) async throws {
    guard var chunk = chunks[index], chunk.written else { return }
    chunk.forget()
    if group == nil { try await journal.put(chunk, of: file.index) }
    chunks[index] = chunk
    journal.progress.add(-chunk.length, to: .transfer)
  }

  /// - Parameter counted: the figures have it from the journal already.
  func note(read index: Int32, _ length: Int64, counted: Bool) {
    guard isRead.insert(index).inserted, !counted else { return }
    journal.progress.add(length, to: .download)
  }

  /// All bytes were read: of the right version, by each answer's ETag, and, for a single chunk, of the stated hash.
  func passRead() async throws {
    guard !hasPassedRead else { return }
    if count == 1, let sha256 = chunks[0]?.sha256 { try compare(sha256) }
    hasPassedRead = true
    try await journal.begin(.download)
    try await journal.begin(.validate)
    try await journal.begin(.transfer)
    try await journal.pass(.download)
  }

  /// The whole file's SHA-256 against the provider's own, where it states one.
  func compare(_ sha256: String) throws(DeliveryFailure) {
    guard !sourceSHA256.isEmpty, let stated = Data(base64Encoded: sourceSHA256) else { return }
    guard Hex.encode(stated) == sha256 else {
      throw DeliveryFailure(
        "PROOF_FAILED", "The bytes read of \(name) don't have the SHA-256 that the storage states for it.",
        next: "Try again; if it stays, have the object uploaded anew.", subject: file.key)
    }
  }

  // MARK: Commit

  private func commit(_ remote: any RemoteFile, _ path: RemotePath) async throws {
    try await journal.begin(.cleanUp)
    let (size, destination) = (file.size, tools.destination)
    let overwrite = tools.options.onConflict != .fail && tools.options.onConflict != .keepBoth
    let sha256 = file.sha256
    try await tools.give(attributes, to: remote)
    let attempts = Slots(1)
    try await tools.insist("renaming \(name)") {
      do {
        try await reaching(path.text) { () throws(DestinationError) in
          try await remote.commit(size: size, overwrite: overwrite)
        }
      } catch let failure as DeliveryFailure where failure.problem.code == "TARGET_MISSING" {
        // A try before this one may have done it and lost the answer: equal bytes under the final name say so.
        try await attempts.take()
        defer { attempts.giveBack() }
        let found = try await reaching(path.text) { () throws(DestinationError) -> String? in
          guard try await destination.stat(path)?.size == size else { return nil }
          return try await destination.digest(of: path).hexadecimal
        }
        if found != sha256 { throw failure }
      }
    }
    try await finish(sha256: sha256)
  }

  private var attributes: FileAttributes {
    let options = tools.options
    return FileAttributes(
      mode: options.filePermissions,
      modified: options.keepTimes ? file.sourceModifiedAt?.seconds : nil)
  }

  func finish(sha256: String) async throws {
    file.sha256 = sha256
    if tools.options.checksumSidecar { try await writeSidecar() }
    file.status = .delivered
    file.problem = nil
    file.deliveredAt = journal.now()
    if let group { return try await group.delivered(file) }
    try await journal.put(file)
    try await journal.pass(.cleanUp)
  }
}
