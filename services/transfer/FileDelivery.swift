// One file from its source to its final name: its .part file made or found again, chunks sent, all of it proven by
// reading it back, then renamed. Everything that has to survive a crash is in the journal before the next step relies
// on it.
//
// Why reading back proves the source's bytes, also after a crash: a chunk counts as written only with the SHA-256 of
// the bytes as they were read from the source, under a condition on the object's version; the read-back goes over the
// whole .part file and compares every chunk with that, whichever run wrote it. So when all are equal, the file's own
// SHA-256, which the same read-back gives, is that of the source's version.
import Destinations
import FerryAPI
import FoundationEssentials
import NIOCore

actor FileDelivery {
  let tools: DeliveryTools
  var file: DeliveryFile
  var chunks: [Int32: Chunk]
  private let sourceSHA256: String
  private let path: RemotePath?
  let reader: RangeReader
  let chunkSize: Int64
  let count: Int32
  /// Chunks whose bytes were read, for the figures.
  private var isRead: Set<Int32> = []
  var verifiedBytes: Int64 = 0
  /// Chunks that were read back equal, in the read-back under way or just done.
  var proven: Set<Int32> = []
  private var hasPassedRead = false

  var journal: DeliveryJournal { tools.journal }
  var name: String { String(file.key.prefix(255)) }

  init(tools: DeliveryTools, state: FileState) {
    self.tools = tools
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
    guard let remote = try await open(path) else { return }  // it was there already, proven
    do {
      try await send(to: remote)
      try await prove(remote)
      try await commit(remote, path)
    } catch {
      await remote.close()
      throw error
    }
  }

  /// What a failed file leaves at the destination goes.
  func removePart() async throws {
    guard let path, file.status != .waiting else { return }
    let destination = tools.destination
    try await reaching { () throws(DestinationError) in try await destination.removePart(of: path) }
  }

  // MARK: Open

  /// Nil if the file turned out to be delivered: renamed by a run that died before it could say so.
  private func open(_ path: RemotePath) async throws -> (any RemoteFile)? {
    let destination = tools.destination
    let begun = chunks.values.contains(where: \.written) || file.status == .verifying
    if begun {
      do {
        return try await tools.insist("opening \(name)") {
          try await reaching(path.text) { () throws(DestinationError) in try await destination.reopen(path) }
        }
      } catch let failure as DeliveryFailure where failure.problem.code == "TARGET_MISSING" {
        if try await isRenamed(path) { return nil }
        try await forgetChunks()
      }
    }
    if tools.options.onConflict == .fail { try await refuseExisting(path) }
    let size = file.size
    let remote = try await tools.insist("creating \(name)") {
      try await reaching(path.text) { () throws(DestinationError) in try await destination.create(path, size: size) }
    }
    file.status = .transferring
    if count != 1 { try await journal.put(file) }  // a single chunk's first record says the same
    return remote
  }

  private func refuseExisting(_ path: RemotePath) async throws {
    let destination = tools.destination
    let found = try await tools.insist("looking for \(path)") {
      try await reaching(path.text) { () throws(DestinationError) in try await destination.stat(path) }
    }
    if found != nil {
      throw DeliveryFailure(
        "TARGET_EXISTS", "\(path) already exists at the destination.",
        next: "Choose another path, or allow overwriting.", provider: "sftp", subject: path.text)
    }
  }

  /// The .part file is gone: was it renamed just before a crash? Only equal bytes say so.
  private func isRenamed(_ path: RemotePath) async throws -> Bool {
    guard (0..<count).allSatisfy({ chunks[$0]?.written == true }), let expected = provenSHA256 else { return false }
    let (destination, size) = (tools.destination, file.size)
    let digest: String? = try await tools.insist("looking for \(path)") {
      try await reaching(path.text) { () throws(DestinationError) in
        guard let found = try await destination.stat(path), !found.isDirectory, found.size == size else { return nil }
        return try await destination.digest(of: path).hexadecimal
      }
    }
    guard digest == expected else { return false }
    for chunk in chunks.values { note(read: chunk.index, chunk.length, counted: true) }
    journal.progress.add(file.size, to: .verify)
    try await passRead()
    _ = journal.progress.pass(.transfer)
    _ = journal.progress.pass(.verify)
    try await finish(sha256: expected)
    return true
  }

  /// Of the whole file, if the journal knows it: a single chunk's is the file's.
  private var provenSHA256: String? {
    if !file.sha256.isEmpty { return file.sha256 }
    return count == 1 ? chunks[0]?.sha256 : nil
  }

  private func forgetChunks() async throws {
    let lost = chunks.values.filter(\.written)
    file.sha256 = ""
    for chunk in lost {
      try await unwrite(chunk.index)
      journal.progress.add(-chunk.length, to: .download)
    }
    let text = "the .part file of \(name) was gone: its \(lost.count) written chunks are sent again"
    try await journal.change { change in
      change.event(.note, text)
      change.reopen(.download, text)
      change.reopen(.transfer, text)
    }
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
        try await group.waitForAll()
      }
    }
    try await passRead()
    try await journal.pass(.transfer)
  }

  func range(_ index: Int32) -> Range<Int64> {
    let start = Int64(index) * chunkSize
    return start..<min(start + chunkSize, file.size)
  }

  private func length(_ index: Int32) -> Int64 { range(index).upperBound - range(index).lowerBound }

  /// One chunk: journalled as being sent, read, hashed, written, and journalled as written.
  func send(_ index: Int32, to remote: any RemoteFile) async throws {
    let range = range(index)
    try await tools.insist("chunk \(index + 1) of \(count) of \(name)") { [tools, reader] in
      try await self.intend(index)
      try await tools.journal.begin(.download)
      let bytes = try await reader.read(range)
      let sha256 = await tools.threads.sha256(bytes)
      await self.note(read: index, Int64(bytes.readableBytes), counted: false)
      try await tools.journal.begin(.transfer)
      try await reaching { () throws(DestinationError) in try await remote.write(bytes, at: range.lowerBound) }
      try await self.written(index, sha256)
    }
  }

  private func intend(_ index: Int32) async throws {
    var chunk = chunks[index] ?? Chunk()
    chunk.index = index
    (chunk.offset, chunk.length) = (range(index).lowerBound, length(index))
    chunk.sends += 1
    (chunk.written, chunk.sha256) = (false, "")
    chunks[index] = chunk
    if count == 1 {
      file.status = .transferring
      try await journal.put(file, chunks: [chunk])
    } else {
      try await journal.put(chunk, of: file.index)
    }
  }

  private func written(_ index: Int32, _ sha256: String) async throws {
    guard var chunk = chunks[index] else { return }
    (chunk.sha256, chunk.written) = (sha256, true)
    try await journal.put(chunk, of: file.index)
    chunks[index] = chunk
    journal.progress.add(chunk.length, to: .transfer)
  }

  /// A chunk that was journalled as written is not there, or not as it should be.
  func unwrite(_ index: Int32) async throws {
    guard var chunk = chunks[index], chunk.written else { return }
    (chunk.sha256, chunk.written) = ("", false)
    try await journal.put(chunk, of: file.index)
    chunks[index] = chunk
    journal.progress.add(-chunk.length, to: .transfer)
  }

  /// - Parameter counted: the figures have it from the journal already.
  private func note(read index: Int32, _ length: Int64, counted: Bool) {
    guard isRead.insert(index).inserted, !counted else { return }
    journal.progress.add(length, to: .download)
  }

  /// All bytes were read: of the right version, by each answer's ETag, and, for a single chunk, of the stated hash.
  private func passRead() async throws {
    guard !hasPassedRead else { return }
    if count == 1, let sha256 = chunks[0]?.sha256 { try compare(sha256) }
    hasPassedRead = true
    try await journal.begin(.download)
    try await journal.begin(.validate)
    try await journal.begin(.transfer)
    try await journal.pass(.download)
  }

  /// The whole file's SHA-256 against the provider's own, where it states one.
  func compare(_ sha256: String) throws {
    guard !sourceSHA256.isEmpty, let stated = Data(base64Encoded: sourceSHA256) else { return }
    guard Hex.encode(stated) == sha256 else {
      throw DeliveryFailure(
        "PROOF_FAILED", "The bytes read of \(name) don't have the SHA-256 that the storage states for it.",
        next: "Try again; if it stays, have the object uploaded anew.", provider: "s3", subject: file.key)
    }
  }

  // MARK: Commit

  private func commit(_ remote: any RemoteFile, _ path: RemotePath) async throws {
    try await journal.begin(.cleanUp)
    let (size, overwrite, destination) = (file.size, tools.options.onConflict != .fail, tools.destination)
    let sha256 = file.sha256
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

  private func finish(sha256: String) async throws {
    file.sha256 = sha256
    file.status = .delivered
    file.problem = nil
    file.deliveredAt = journal.now()
    try await journal.put(file)
    try await journal.pass(.cleanUp)
  }
}
