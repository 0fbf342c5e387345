// Small files are journalled in groups: one commit says that these are begun, one that those are delivered. Three commits a
// file would cost more than sending it. A crash repeats at most the files of the groups under way, and finds out of those
// that have their final names already by their bytes.
import FerryAPI
import NIOCore

/// Small files that are delivered and not yet journalled as such.
actor FileGroup {
  /// Files of one commit, at most.
  static let maxFiles = 64
  /// A delivered file waits no longer for others.
  private static let patience = TimeAmount.milliseconds(500)

  private let journal: DeliveryJournal
  private var waiting: [DeliveryFile] = []
  private var lastFlush = NIODeadline.now()

  init(_ journal: DeliveryJournal) { self.journal = journal }

  func delivered(_ file: DeliveryFile) async throws {
    waiting.append(file)
    if waiting.count >= Self.maxFiles || NIODeadline.now() - lastFlush > Self.patience { try await flush() }
  }

  /// Journals what waits; called also when all is done or nothing more can be.
  func flush() async throws {
    lastFlush = .now()
    while !waiting.isEmpty {
      let files = Array(waiting.prefix(Self.maxFiles))
      waiting.removeFirst(files.count)
      try await journal.put(files)
      for _ in files { try await journal.pass(.cleanUp) }
    }
  }
}

/// Hands out files one by one, small ones once the journal says that they are begun.
actor FileQueue {
  /// Bytes of a file that counts as small: one that is sent again from its start without much loss.
  static let smallSize: Int64 = 1 << 20

  private let tools: DeliveryTools
  private var files: PendingFiles
  /// Read, and not yet begun.
  private var rest: [FileState] = []
  private var begun: ArraySlice<FileState> = []
  private let turn = Slots(1)

  init(_ files: PendingFiles, _ tools: DeliveryTools) {
    self.files = files
    self.tools = tools
  }

  nonisolated func isSmall(_ state: FileState) -> Bool {
    state.file.size <= Self.smallSize && state.file.size <= tools.chunkSize(state.file) && !state.hasChunks
      && state.file.status != .verifying
  }

  func next() async throws -> FileState? {
    try await turn.take()
    defer { turn.giveBack() }
    if let file = begun.popFirst() { return file }
    try await fill()
    guard let first = rest.first else { return nil }
    guard isSmall(first) else { return try await files.loaded(rest.removeFirst()) }
    let group = Array(rest.prefix { isSmall($0) })
    rest.removeFirst(group.count)
    try await tools.journal.put(
      group.map { state in
        var file = state.file
        file.status = .transferring
        return file
      })
    begun = group[...]
    return begun.popFirst()
  }

  /// Reads on until a group is full.
  private func fill() async throws {
    // Only one call at a time gets here; the copy is because a call on a property can't wait.
    var reading = files
    defer { files = reading }
    while rest.count < FileGroup.maxFiles, let file = try await reading.next() { rest.append(file) }
  }
}
