// The journal of one delivery while its body runs: the only writer of its record, states, events and notes. A change of
// a state, its event and its work note are one batch, so that each is there exactly once, whenever the process dies.
import DocumentStore
import FerryAPI
import FoundationEssentials
import ServiceKit
import Workflow

actor DeliveryJournal {
  /// Retries told as events of their own; later ones only count.
  private static let maxRetryEvents = 500

  nonisolated let context: RunContext
  nonisolated let progress: DeliveryProgress
  private let hub: WatchHub
  /// One change at a time: a batch holds the record as it is after its change.
  private let turn = Slots(1)
  private(set) var delivery: Delivery
  private(set) var meta: DeliveryMeta
  private var tracker: StateTracker
  private var retryEvents = 0

  private init(_ context: RunContext, _ delivery: Delivery, _ meta: DeliveryMeta, _ hub: WatchHub) {
    self.context = context
    self.delivery = delivery
    self.meta = meta
    self.hub = hub
    tracker = StateTracker(delivery.states)
    progress = DeliveryProgress()
    progress.set(retries: delivery.retries)
  }

  static func open(_ context: RunContext, hub: WatchHub) async throws -> DeliveryJournal {
    guard context.partition == JournalKeys.partition(context.id.rawValue),
      let record = try await context.get(JournalKeys.delivery), let meta = try await context.get(JournalKeys.meta)
    else {
      throw DeliveryFailure(
        "JOURNAL_BROKEN", "The journal of delivery \(context.id) has no record.",
        next: "Restore the service's database, or start the delivery anew.", scope: .delivery)
    }
    return DeliveryJournal(
      context, try Delivery(decoding: record.body),
      try JSONDecoder().decode(DeliveryMeta.self, from: Data(meta.body)), hub)
  }

  nonisolated func now() -> Timestamp { Timestamp(milliseconds: context.clock.now()) }

  /// As it stands, live figures included.
  func snapshot() -> Delivery {
    var current = delivery
    current.states = tracker.states
    progress.overlay(&current)
    return current
  }

  func state(_ state: DeliveryState) -> StateProgress { tracker[state] }
  var failingState: DeliveryState { tracker.failing }

  // MARK: Changes

  /// What a change adds to the record: events, and notes for both tickets.
  struct Change {
    var delivery: Delivery
    var meta: DeliveryMeta
    var tracker: StateTracker
    fileprivate(set) var events: [(kind: DeliveryEventKind, message: String)] = []
    fileprivate(set) var notes: [(key: String, text: String)] = []
    let time: Timestamp

    mutating func event(_ kind: DeliveryEventKind, _ message: String) { events.append((kind, message)) }
    mutating func note(_ key: String, _ text: String) { notes.append((key, text)) }

    /// The tickets are open: it is under way.
    mutating func take() {
      delivery.status = .running
      if delivery.startedAt == nil { delivery.startedAt = time }
    }

    mutating func begin(_ state: DeliveryState) {
      if tracker.begin(state, at: time) { event(.state, "\(StateTracker.name(state)) began") }
    }

    mutating func reopen(_ state: DeliveryState, _ note: String) {
      if tracker.reopen(state, note: note) { event(.state, "\(StateTracker.name(state)) is taken up again: \(note)") }
    }

    /// - Parameter note: what people read of it, in the state, the event and both tickets.
    mutating func end(_ state: DeliveryState, _ status: StateStatus, _ note: String) {
      guard tracker.end(state, status, note: note, at: time) else { return }
      let word =
        switch status {
        case .skipped: "skipped"
        case .failed: "failed"
        default: "done"
        }
      let name = StateTracker.name(state)
      event(.state, "\(name) \(word): \(note)")
      self.note(StateTracker.key(state), "\(name.prefix(1).uppercased())\(name.dropFirst()) \(word): \(note)")
    }
  }

  /// Applies a change and writes it down, with what belongs to it, in one batch. Nothing happens if it changes nothing.
  func change(
    also extra: @Sendable (inout Batch) -> Void = { _ in }, _ edit: @Sendable (inout Change) -> Void
  ) async throws {
    try await turn.take()
    defer { turn.giveBack() }
    var change = Change(delivery: delivery, meta: meta, tracker: tracker, time: now())
    edit(&change)
    var batch = context.batch()
    extra(&batch)
    let same = change.delivery == delivery && change.meta == meta && change.tracker == tracker
    if same, change.events.isEmpty, change.notes.isEmpty, batch.operations.isEmpty { return }
    change.delivery.states = change.tracker.states
    change.delivery.sequence += Int64(change.events.count)
    progress.overlay(&change.delivery)
    try Self.add(&change, to: &batch)
    try await context.commit(batch)
    (delivery, meta, tracker) = (change.delivery, change.meta, change.tracker)
    hub.publish(delivery.id, sequence: delivery.sequence)
  }

  private static func add(_ change: inout Change, to batch: inout Batch) throws {
    // A note's key is told once in the pair's life: each attempt has its own.
    let suffix = change.meta.attempt > 1 ? "/attempt-\(change.meta.attempt)" : ""
    for note in change.notes {
      let request = AddWorkNoteRequest.with { ($0.key, $0.text) = (note.key + suffix, note.text) }
      batch.put(JournalKeys.note(change.meta.nextNote), request.encodedBytes())
      change.meta.nextNote += 1
    }
    let first = change.delivery.sequence - Int64(change.events.count) + 1
    for (offset, event) in change.events.enumerated() {
      var told = DeliveryEvent()
      told.sequence = first + Int64(offset)
      (told.kind, told.message, told.time) = (event.kind, event.message, change.time)
      told.delivery = change.delivery
      told.delivery?.request = nil  // the record has it; a watcher is given it back
      batch.put(JournalKeys.event(told.sequence), told.encodedBytes())
    }
    batch.put(JournalKeys.delivery, change.delivery.encodedBytes())
    batch.put(JournalKeys.meta, [UInt8](try JSONEncoder().encode(change.meta)))
  }

  /// Begins a state if it hasn't begun. Called from every chunk; the journal is only asked the first time.
  nonisolated func begin(_ state: DeliveryState) async throws {
    guard progress.begins(state) else { return }
    try await change { $0.begin(state) }
  }

  /// Counts a file that has passed a state, and ends the state with the last one.
  nonisolated func pass(_ state: DeliveryState) async throws {
    let passed = progress.pass(state)
    if passed == (await delivery.filesTotal) { try await settle() }
  }

  /// Ends every state that all files have passed.
  func settle() async throws {
    let figures = progress.current
    let bytes = ByteText.describe(delivery.bytesTotal)
    let files = ByteText.files(delivery.filesTotal)
    guard delivery.filesTotal > 0 else { return }
    try await change { change in
      for state in StateTracker.perFile where figures.passed[state] == change.delivery.filesTotal {
        let note =
          switch state {
          case .download: "\(files), \(bytes), read from the source"
          case .compress: Self.text(figures.packed, of: change.delivery)
          case .validate: "\(files) of the version that was planned"
          case .transfer: "\(bytes) written to the destination"
          case .verify:
            change.delivery.options.proof == .size
              ? "\(bytes) at the destination by its word: the size alone was compared, as chosen"
              : "\(bytes) at the destination, every chunk proven to be the source's"
          default: "\(files) under their final names, no .part file left"
          }
        change.end(state, .done, note)
      }
    }
  }

  private static func text(_ packed: DeliveryProgress.Packed, of delivery: Delivery) -> String {
    guard packed.files > 0 else { return "it would not have paid for any of \(ByteText.files(delivery.filesTotal))" }
    let sizes = "\(ByteText.describe(packed.from)) became \(ByteText.describe(packed.to))"
    let some = packed.files == delivery.filesTotal ? ByteText.files(packed.files) : "\(packed.files) of \(delivery.filesTotal) files"
    let format = delivery.options.compression == .zstd ? Compression.zstd : Compression.gzip
    return "\(some) to \(format.word): \(sizes), each chunk unpacked again and compared"
  }

  /// Something is tried again.
  nonisolated func retried(_ what: String, _ failure: DeliveryFailure) async throws {
    progress.addRetry()
    try await noteRetry(what, failure)
  }

  private func noteRetry(_ what: String, _ failure: DeliveryFailure) async throws {
    retryEvents += 1
    guard retryEvents <= Self.maxRetryEvents else { return }
    let problem = failure.problem
    try await change { $0.event(.retry, "\(what) is tried again after \(problem.code): \(problem.message)") }
  }

  // MARK: Files and chunks

  nonisolated func put(_ file: DeliveryFile) async throws { try await put([file]) }

  /// Files whose records belong to one moment: no more than `FileGroup.maxFiles`.
  nonisolated func put(_ files: [DeliveryFile]) async throws {
    var batch = context.batch()
    for file in files { batch.put(JournalKeys.file(file.index), file.encodedBytes()) }
    try await context.commit(batch)
  }

  nonisolated func put(_ chunk: Chunk, of file: Int32) async throws {
    var batch = context.batch()
    batch.put(JournalKeys.chunk(file, chunk.index), chunk.encodedBytes())
    try await context.commit(batch)
  }

  /// Every document under a prefix, in order; a page of them is held.
  nonisolated func each(_ prefix: String, _ body: (Document) async throws -> Void) async throws {
    var documents = JournalCursor(context, prefix)
    while let document = try await documents.next() { try await body(document) }
  }
}

/// Sizes and counts as people read them.
enum ByteText {
  static func describe(_ bytes: Int64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"]
    guard bytes >= 1024 else { return bytes == 1 ? "1 byte" : "\(bytes) bytes" }
    var (value, unit) = (Double(bytes) / 1024, 0)
    while value >= 1024, unit < units.count - 1 { (value, unit) = (value / 1024, unit + 1) }
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(tenths % 10) \(units[unit])"
  }

  static func files(_ count: Int64) -> String { count == 1 ? "1 file" : "\(count) files" }
}
