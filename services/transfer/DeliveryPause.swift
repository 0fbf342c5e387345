// A delivery put aside by a person, and taken up again. To the engine a pause is a run that failed, so that it keeps no
// place, no lease and no connection; the record says "paused", and all that is proven stays where it is.
import FerryAPI

struct DeliveryPause: Sendable {
  /// The tickets hear of it at once where ticketing answers within this; else with the next run.
  private static let noteTime = Duration.seconds(2)

  private let journal: DeliveryJournal
  private let outbox: NoteOutbox

  init(_ journal: DeliveryJournal, _ outbox: NoteOutbox) {
    self.journal = journal
    self.outbox = outbox
  }

  /// Ends the run. A crash after the record is written finds it paused already and tells nothing twice.
  func begin() async throws -> Never {
    let asked = try await journal.context.get(JournalKeys.pause).map { String(decoding: $0.body, as: UTF8.self) }
    let text = "paused" + (asked.map { " \($0)" } ?? "")
    try await journal.change { $0.pause(text) }
    await outbox.flush(within: Self.noteTime)
    throw DeliveryEnded(description: text)
  }

  /// Called by every run that is not to be paused: it goes on from the record of one that was.
  func end() async throws {
    try await journal.change { $0.resume() }
  }
}

extension DeliveryJournal.Change {
  fileprivate mutating func pause(_ text: String) {
    guard delivery.status != .paused else { return }
    meta.isPausedUntaken = delivery.status == .pending
    delivery.status = .paused
    delivery.waitingFor = text
    event(.note, text)
    note("paused-\(delivery.runs)", "\(text.prefix(1).uppercased())\(text.dropFirst()).")
  }

  /// Back to the status that the pause found. False if it was not paused.
  mutating func leavePause() -> Bool {
    guard delivery.status == .paused else { return false }
    delivery.status = meta.isPausedUntaken == true ? .pending : .running
    meta.isPausedUntaken = nil
    delivery.waitingFor = ""
    return true
  }

  fileprivate mutating func resume() {
    guard leavePause() else { return }
    event(.note, "resumed")
    note("resumed-\(delivery.runs)", "Resumed: what is proven already is not sent again.")
  }
}
