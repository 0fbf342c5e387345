// What the journal holds when a run begins: the files still to deliver with their chunks, and the figures as they
// follow from what is proven.
import FerryAPI

struct JournalLoad: Sendable {
  /// Not delivered, in order.
  private(set) var pending: [FileState] = []
  private(set) var writtenChunks: Int64 = 0
  private(set) var allChunks: Int64 = 0
  private(set) var deliveredFiles: Int64 = 0

  init(_ journal: DeliveryJournal) async throws {
    let options = await journal.delivery.request?.options ?? DeliveryOptions()
    let isEnding = await journal.meta.ending != nil
    var files: [DeliveryFile] = []
    try await journal.each(JournalKeys.files) { files.append(try DeliveryFile(decoding: $0.body)) }
    var chunks: [Int32: [Int32: Chunk]] = [:]
    let delivered = Set(files.filter { $0.status == .delivered }.map(\.index))
    try await journal.each(JournalKeys.allChunks) { document in
      let number = document.key.sort.dropFirst(2).prefix { $0 != "/" }
      guard let file = Int32(number), !delivered.contains(file) else { return }
      let chunk = try Chunk(decoding: document.body)
      chunks[file, default: [:]][chunk.index] = chunk
    }
    var checksums: [Int32: String] = [:]
    try await journal.each(JournalKeys.checksums) { document in
      guard let file = Int32(document.key.sort.dropFirst(2)) else { return }
      checksums[file] = String(decoding: document.body, as: UTF8.self)
    }
    for var file in files {
      let size = Planner.chunkSize(file.size, wanted: options.chunkSize)
      let count = (file.size + size - 1) / size
      allChunks += count
      if file.status == .delivered {
        (deliveredFiles, writtenChunks) = (deliveredFiles + 1, writtenChunks + count)
        Self.count(delivered: file, journal.progress)
        continue
      }
      if file.status == .failed, isEnding { journal.progress.addFailedFile() }
      if file.status == .failed { (file.status, file.problem) = (.waiting, nil) }
      let known = chunks[file.index] ?? [:]
      for chunk in known.values where chunk.written {
        writtenChunks += 1
        journal.progress.add(chunk.length, to: .download)
        journal.progress.add(chunk.length, to: .transfer)
      }
      let wasBegun = file.status == .transferring
      pending.append(
        FileState(file: file, chunks: known, sourceSHA256: checksums[file.index] ?? "", wasBegun: wasBegun))
    }
  }

  private static func count(delivered file: DeliveryFile, _ progress: DeliveryProgress) {
    for state in StateTracker.perFile {
      _ = progress.pass(state)
      if StateTracker.countsBytes(state) { progress.add(file.size, to: state) }
    }
  }

  /// Says so where this is not the first run.
  func tellResumption(_ journal: DeliveryJournal) async throws {
    let (written, all) = (writtenChunks, allChunks)
    try await journal.change { change in
      let run = change.delivery.runs
      guard run > 1 else { return }
      let text = "run \(run) took the delivery up: \(written) of \(all) chunks were already written"
      change.event(.note, text)
      change.note("run/\(run)", "R\(text.dropFirst()).")
    }
  }
}
