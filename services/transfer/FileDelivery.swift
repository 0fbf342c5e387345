// One file from its source to its final name: its .part file made or found again, chunks sent and, while others follow,
// read back, then renamed. Everything that has to survive a crash is in the journal before the next step relies on it; of
// small files that is only that they were begun, because sending one again costs less than writing down how far it came.
//
// Why reading back proves the source's bytes, also after a crash: a chunk counts as written only with a code of the bytes as
// they were read from the source (ChunkCodes.swift), under a condition on the object's version; the read-back goes over the
// whole .part file and compares every chunk with that, whichever run wrote it. So when all are equal, the file's own
// SHA-256 is that of the source's version: a run that reads all of the source computes it as the bytes come, one that goes on
// has it from the read-back. Of a file that is compressed on its way all this is said of the compressed bytes, each chunk of
// which was unpacked again and compared when it was made; the source's own SHA-256 is then computed beside.
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
  /// A numbered name that was free, and is kept from other deliveries until the file has it.
  var claimed: RemotePath?
  /// Of a small file: the others with which it is journalled.
  let group: FileGroup?
  /// The journal said so when this run took the file up.
  let wasBegun: Bool
  let reader: RangeReader
  let chunkSize: Int64
  let count: Int32
  /// Of a file that is compressed on its way.
  private(set) var packer: FilePacker?
  /// Chunks whose bytes were read, and those that are compressed, for the figures.
  private var isRead: Set<Int32> = []
  private var isPacked: Set<Int32> = []
  var verifiedBytes: Int64 = 0
  /// Chunks that were read back equal, in the read-back under way or just done.
  var proven: Set<Int32> = []
  var hasPassedRead = false
  /// Who waits until a chunk is written: the read-back, and writes to a server that takes them in order only.
  private var waiters: [UInt64: (index: Int32, turn: CheckedContinuation<Bool, Never>)] = [:]
  private var nextWaiter: UInt64 = 0
  /// Of the bytes that are sent; not running where an earlier run sent some of them.
  private(set) var sentHash: OrderedHash
  /// The code that the server will be asked for of all, if it can make one; of this run alone.
  var serverCode: FileCode?
  /// The server itself says what it holds; nothing is read back, as long as its word is that of the source.
  private(set) var isHashedThere = false
  /// Of the source's, where those that are sent are others.
  private(set) var sourceHash: OrderedHash
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
    reader = tools.reader(state.file)
    chunkSize = tools.chunkSize(state.file)
    count = Int32(clamping: Planner.chunks(state.file, chunkSize: chunkSize))
    sentHash = OrderedHash(tools.threads, isWanted: false)
    sourceHash = OrderedHash(tools.threads, isWanted: false)
  }

  /// Once it is settled whether the file is compressed.
  func prepareToPack() {
    guard let compressor = file.compression.compressor(level: tools.options.compressionLevel) else { return }
    packer = FilePacker(compressor, tools.threads, name: name, count: count, chunks: chunks) { [chunkSize, file] index in
      Self.length(index, chunkSize: chunkSize, of: file)
    }
    sourceHash = OrderedHash(tools.threads, isWanted: !chunks.values.contains(where: \.written))
  }

  func run() async throws {
    // Planned by us; one that can't be read is no path of ours.
    guard let path = try? RemotePath(text: file.remotePath) else {
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
      if (error as? DeliveryFailure)?.problem.code == FilePacker.changed { try await forgetPlaces(from: 0) }
      throw error
    }
  }

  /// The first chunks are read back while later ones are on their way; where the server hashes, it is asked once, at the end.
  private func sendAndProve(_ remote: any RemoteFile) async throws {
    // What an earlier run read can't be hashed with the rest; a single chunk's own is the file's.
    let isWhole = !chunks.values.contains(where: \.written)
    // A server learns a key when all bytes are there.
    if isWhole, count > 0 { serverCode = tools.hashing.code(chunks: count) }
    isHashedThere = tools.hashing.hasSHA256 || serverCode != nil
    let isNotReadBack = isHashedThere || tools.options.proof == .size
    sentHash = OrderedHash(tools.threads, isWanted: (count > 1 || isNotReadBack) && isWhole, whole: serverCode)
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
    guard file.status != .waiting else { return }
    let destination = tools.destination
    for name in try file.names(tools.options) {
      try await reaching { () throws(DestinationError) in try await destination.removePart(of: name) }
    }
  }

  // MARK: Send

  private func send(to remote: any RemoteFile) async throws {
    let missing = (0..<count).filter { chunks[$0]?.written != true }
    for index in 0..<count where chunks[index]?.written == true { note(taken: index, counted: true) }
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

  /// Where the chunk is at the source.
  func range(_ index: Int32) -> Range<Int64> {
    let start = Int64(index) * chunkSize
    return start..<min(start + chunkSize, file.size)
  }

  func length(_ index: Int32) -> Int64 { Self.length(index, chunkSize: chunkSize, of: file) }

  private static func length(_ index: Int32, chunkSize: Int64, of file: DeliveryFile) -> Int64 {
    min(chunkSize, file.size - Int64(index) * chunkSize)
  }

  /// Where the chunk is at the destination, once that is known.
  func rangeThere(_ index: Int32) -> Range<Int64> { chunks[index]?.rangeThere ?? range(index) }

  /// Bytes of the file at the destination, once all chunks have been sent.
  var sizeThere: Int64 { packer == nil ? file.size : rangeThere(count - 1).upperBound }

  /// One chunk: read, compressed if that is wanted, journalled as being sent, hashed, written, and journalled as written.
  func send(_ index: Int32, to remote: any RemoteFile) async throws {
    try await tools.insist("chunk \(index + 1) of \(count) of \(name)") { [tools] in
      try await tools.journal.begin(.download)
      let bytes = try await self.taken(index)
      defer { tools.buffers.giveBack(bytes) }
      async let evidence = self.evidence(index, bytes)
      try await tools.journal.begin(.transfer)
      if !tools.writesAtOffsets, index > 0 {
        try await self.sendLost(before: index, to: remote)
        try await self.untilWritten(index - 1)
      }
      do {
        try await tools.write(bytes, at: await self.rangeThere(index).lowerBound, to: remote)
      } catch let failure as DeliveryFailure {
        throw try await self.rewound(failure)
      }
      try await self.written(index, try await evidence)
    }
  }

  /// The chunk's bytes as they are to be sent, which the journal knows by then: it must before the first of them is at the
  /// destination.
  private func taken(_ index: Int32) async throws -> ByteBuffer {
    guard let packer else {
      // Reading need not wait for the journal.
      async let intended: Void = intend(index)
      let bytes = try await reader.read(range(index))
      note(read: index, Int64(bytes.readableBytes), counted: false)
      try await intended
      return bytes
    }
    let bytes = try await reader.read(range(index))
    defer { tools.buffers.giveBack(bytes) }
    note(read: index, Int64(bytes.readableBytes), counted: false)
    try await journal.begin(.compress)
    async let hashed = sourceHash.add(index, bytes)
    let packed = try await packer.pack(index, bytes)
    _ = try await hashed
    note(packed: index, length(index), counted: false)
    try await intend(index, packed)
    return packed.bytes
  }

  /// What a chunk will be told by when it comes back.
  private func evidence(_ index: Int32, _ bytes: ByteBuffer) async throws(CancellationError) -> ChunkEvidence {
    guard count > 1, !isHashedThere else {
      guard let digest = try await sentHash.add(index, bytes) else { return .sha256(await tools.threads.sha256(bytes)) }
      return count == 1 ? .sha256(digest) : .sha256FromStart(digest)
    }
    let parameters = tools.codes.parameters(file: file.index, chunk: index)
    let code = await tools.threads.over(bytes) { GMAC.code(of: $0, parameters) }
    _ = try await sentHash.add(index, bytes, code)
    return .gmac(code)
  }

  /// Returns once the chunk is written. Throws CancellationError if the task is cancelled first, which it is when the sending
  /// has failed.
  func untilWritten(_ index: Int32) async throws(CancellationError) {
    if chunks[index]?.written == true { return }
    let number = nextWaiter
    nextWaiter += 1
    let hasCome = await withTaskCancellationHandler {
      await withCheckedContinuation { (turn: CheckedContinuation<Bool, Never>) in
        if Task.isCancelled { turn.resume(returning: false) } else { waiters[number] = (index, turn) }
      }
    } onCancel: {
      Task { await self.stopWaiting(number) }
    }
    if !hasCome { throw CancellationError() }
  }

  private func stopWaiting(_ number: UInt64) { waiters.removeValue(forKey: number)?.turn.resume(returning: false) }

  private func wake(_ index: Int32) {
    for (number, waiter) in waiters where waiter.index == index {
      waiters[number] = nil
      waiter.turn.resume(returning: true)
    }
  }

  private func intend(_ index: Int32, _ packed: FilePacker.Packed? = nil) async throws {
    var chunk = chunks[index] ?? Chunk()
    chunk.index = index
    (chunk.offset, chunk.length) = (range(index).lowerBound, length(index))
    chunk.sends += 1
    chunk.forget()
    if let packed { chunk.take(packed) }
    chunks[index] = chunk
    if group == nil { try await journal.put(chunk, of: file.index) }
  }

  private func written(_ index: Int32, _ evidence: ChunkEvidence) async throws {
    guard var chunk = chunks[index] else { return }
    chunk.beWritten(evidence)
    if group == nil { try await journal.put(chunk, of: file.index) }
    chunks[index] = chunk
    journal.progress.add(chunk.length, to: .transfer)
    wake(index)
  }

  /// Of the chunks that were written those that reach beyond `size`: the server did not keep them.
  func unwriteChunks(behind size: Int64) async throws -> [Chunk] {
    let gone = chunks.values.filter { $0.written && $0.rangeThere.upperBound > size }
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

  /// Of a chunk that needs neither now.
  func note(taken index: Int32, counted: Bool) {
    note(read: index, length(index), counted: counted)
    note(packed: index, length(index), counted: counted)
  }

  /// As `note(read:)`, of the compressed; a file that isn't compressed is counted as a whole, in `passPacked`.
  private func note(packed index: Int32, _ length: Int64, counted: Bool) {
    guard packer != nil else { return }
    guard isPacked.insert(index).inserted, !counted else { return }
    journal.progress.add(length, to: .compress)
  }

  /// All bytes were read: of the right version, by each answer's ETag, and, for a single chunk, of the stated hash.
  func passRead() async throws {
    guard !hasPassedRead else { return }
    if packer == nil, count == 1, let sha256 = chunks[0]?.sha256 { try compare(sha256) }
    hasPassedRead = true
    try await journal.begin(.download)
    try await journal.begin(.validate)
    if tools.options.compresses { try await passPacked() }
    try await journal.begin(.transfer)
    try await journal.pass(.download)
  }

  /// Also of a file that lies as at the source, where others are compressed.
  func passPacked() async throws {
    try await journal.begin(.compress)
    if packer == nil { journal.progress.add(file.size, to: .compress) } else { journal.progress.addPacked(file.size, await packer?.size ?? 0) }
    try await journal.pass(.compress)
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
    let (size, destination) = (sizeThere, tools.destination)
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
