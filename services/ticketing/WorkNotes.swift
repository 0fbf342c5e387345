// Adds a note to both tickets of a pair, once for its key. The first one takes the pair into work. A closed pair takes
// none, except that a delivery which is tried again ("retry-1", "retry-2", …) opens it anew.
import FerryAPI
import RPC
import ServiceKit

extension TicketDesk {
  func addNote(_ request: AddWorkNoteRequest, by author: Person) async throws(RPCError) -> TicketPair {
    try OpeningRules.text("key", request.key, atMost: TicketLimits.workNoteKey, required: true)
    try OpeningRules.text("text", request.text, atMost: TicketLimits.workNote, required: true)
    let note = WorkNote.with {
      $0.key = request.key
      $0.text = request.text
      $0.author = author
      $0.time = timestamp
    }
    return try await change(request.pairID) { pair in
      if try await documents.hasNote(request.key, in: pair.id) { return nil }
      var notes = [note]
      if pair.user.status == .closed {
        guard WorkNoteKey.isRetry(request.key) else { throw RPCError.closed(pair) }
        if let closing = reopen(&pair) { notes.insert(closing, at: 0) }
      }
      try checkRoom(for: notes, in: pair)
      let time = note.time
      pair.both {
        $0.status = .inProgress
        $0.updatedAt = time
      }
      return notes
    }
  }

  /// Takes the outcome back; what was said at the closing is kept as a note, which is returned.
  private func reopen(_ pair: inout StoredPair) -> WorkNote? {
    let closed = pair.user
    pair.record.reopened += 1
    let count = pair.record.reopened
    pair.both {
      $0.outcome = .unspecified
      $0.closingNote = ""
      $0.closedAt = nil
    }
    if closed.closingNote.isEmpty { return nil }
    return WorkNote.with {
      $0.key = WorkNoteKey.closing(count)
      $0.text = closed.closingNote
      // The author of a closing is not kept: it is the transfer service at all times.
      $0.time = closed.closedAt
    }
  }

  private func checkRoom(for notes: [WorkNote], in pair: StoredPair) throws(RPCError) {
    let count = Int(pair.record.notes) + notes.count
    let bytes = notes.reduce(Int(pair.record.noteBytes)) { $0 + $1.text.utf8.count }
    guard count > TicketLimits.workNotes || bytes > TicketLimits.workNoteBytes else { return }
    throw .told(
      .resourceExhausted, "TOO_MANY_WORK_NOTES",
      "\(pair.user.number) has \(pair.record.notes) work notes of \(pair.record.noteBytes) bytes; "
        + "\(TicketLimits.workNotes) notes of \(TicketLimits.workNoteBytes) bytes in all are the most.",
      next: "Close the ticket, or look into the delivery's own events for what follows.", subject: pair.user.number)
  }
}

extension Caller {
  /// Who a note is by: a service that acts for a person wrote it itself, and says for whom.
  var noteAuthor: Person {
    guard let service else { return person }
    return Person.with {
      $0.id = "service:\(service)"
      $0.name = isService ? "FileFerry \(service)" : "FileFerry \(service), for \(name)"
    }
  }
}

enum WorkNoteKey {
  static func closing(_ count: Int32) -> String { "closing-\(count)" }

  /// "retry-1" and so on.
  static func isRetry(_ key: String) -> Bool {
    let digits = key.dropFirst("retry-".count)
    return key.hasPrefix("retry-") && !digits.isEmpty && digits.utf8.allSatisfy { (0x30...0x39).contains($0) }
  }
}
