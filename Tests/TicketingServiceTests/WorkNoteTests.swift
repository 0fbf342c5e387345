// Notes and closings: on both tickets, once for a key, bounded, and what a closed pair still takes.
import FerryAPI
import ServiceKit
import Testing

@testable import TicketingService

@Suite("Work notes and closing")
struct WorkNoteTests {
  @Test("a note stands on both tickets, and the first one takes them into work")
  func noteOnBoth() async throws {
    let bench = try Bench()
    let pair = try await bench.desk.open(opening("dlv_1"))
    bench.clock.advance(seconds: 5)
    let after = try await bench.desk.add(note(pair, "download", "Read 3 files."))
    #expect(after.user?.workNotes == after.audit?.workNotes)
    #expect(after.user?.workNotes.map(\.text) == ["Read 3 files."])
    #expect(after.user?.workNotes.first?.author?.id == "service:transfer")
    #expect((after.user?.status, after.audit?.status) == (.inProgress, .inProgress))
    #expect(after.user?.updatedAt?.milliseconds == bench.clock.now)
  }

  @Test("a note that a service writes for a person is the service's own and names the person")
  func author() {
    let acting = Caller(id: "usr_ada", name: "Ada Lovelace", roles: [.requester], actor: "transfer")
    #expect(acting.noteAuthor.id == "service:transfer")
    #expect(acting.noteAuthor.name == "FileFerry transfer, for Ada Lovelace")
    #expect(Caller(id: "usr_ada", name: "Ada", roles: []).noteAuthor.id == "usr_ada")
  }

  @Test("the same key is written once, and the first text stays")
  func onceForAKey() async throws {
    let bench = try Bench()
    let pair = try await bench.desk.open(opening("dlv_1"))
    let first = try await bench.desk.add(note(pair, "download", "First."))
    #expect(try await bench.desk.add(note(pair, "download", "Second.")) == first)
  }

  @Test("notes written at once are all kept, in one order on both tickets")
  func concurrentNotes() async throws {
    let bench = try Bench()
    let pair = try await bench.desk.open(opening("dlv_1"))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<12 { group.addTask { _ = try await bench.desk.add(note(pair, "n\(index % 6)")) } }
      try await group.waitForAll()
    }
    let whole = try await bench.desk.pair(pair.pairID, for: reader("usr_audit", .auditor))
    #expect(Set(whole.user?.workNotes.map(\.key) ?? []) == Set((0..<6).map { "n\($0)" }))
    #expect(whole.user?.workNotes.count == 6)
    #expect(whole.user?.workNotes == whole.audit?.workNotes)
  }

  @Test("a note that is too long is refused, and so is one beyond the last that fits")
  func bounds() async throws {
    let bench = try Bench()
    let pair = try await bench.desk.open(opening("dlv_1"))
    let long = String(repeating: "x", count: TicketLimits.workNote)
    let tooLong = await failure { _ = try await bench.desk.add(note(pair, "long", long + "x")) }
    #expect(tooLong?.code == .invalidArgument)
    let fitting = TicketLimits.workNoteBytes / TicketLimits.workNote
    for index in 0..<fitting { _ = try await bench.desk.add(note(pair, "n\(index)", long)) }
    let tooMany = await failure { _ = try await bench.desk.add(note(pair, "last", "x")) }
    #expect(tooMany?.code == .resourceExhausted)
    #expect(tooMany?.problemCode == "TOO_MANY_WORK_NOTES")
    let closed = try await bench.desk.close(closing(pair, .succeeded))
    #expect(closed.user?.status == .closed)
    #expect(closed.encodedBytes().count < 4 << 20)
  }

  @Test("the count of notes has a bound of its own")
  func countBound() async throws {
    let bench = try Bench()
    let pair = try await bench.desk.open(opening("dlv_1"))
    for index in 0..<TicketLimits.workNotes { _ = try await bench.desk.add(note(pair, "n\(index)", "x")) }
    let error = await failure { _ = try await bench.desk.add(note(pair, "one more", "x")) }
    #expect(error?.code == .resourceExhausted)
  }

  @Test("a note for a pair that is not there is NOT_FOUND")
  func noPair() async throws {
    let bench = try Bench()
    let error = await failure { _ = try await bench.desk.add(note(.with { $0.pairID = "pair_x" }, "k")) }
    #expect(error?.code == .notFound)
  }

  @Test("closing writes the outcome on both, and the same outcome again changes nothing")
  func closeTwice() async throws {
    let bench = try Bench()
    let pair = try await bench.desk.open(opening("dlv_1"))
    let closed = try await bench.desk.close(closing(pair, .succeeded, "All delivered."))
    #expect((closed.user?.outcome, closed.audit?.outcome) == (.succeeded, .succeeded))
    #expect(closed.audit?.closingNote == "All delivered.")
    bench.clock.advance(seconds: 60)
    #expect(try await bench.desk.close(closing(pair, .succeeded, "Again.")) == closed)
  }

  @Test("another outcome is refused, and an outcome has to be given")
  func otherOutcome() async throws {
    let bench = try Bench()
    let pair = try await bench.desk.open(opening("dlv_1"))
    #expect(await failure { _ = try await bench.desk.close(closing(pair, .unspecified)) }?.code == .invalidArgument)
    _ = try await bench.desk.close(closing(pair, .failed))
    let error = await failure { _ = try await bench.desk.close(closing(pair, .succeeded)) }
    #expect(error?.code == .failedPrecondition)
    #expect(error?.message.contains("closed as failed") == true)
  }

  @Test("a closed pair takes no note, but a note it has is still answered")
  func noteAfterClosing() async throws {
    let bench = try Bench()
    let pair = try await bench.desk.open(opening("dlv_1"))
    _ = try await bench.desk.add(note(pair, "download"))
    let closed = try await bench.desk.close(closing(pair, .failed))
    #expect(await failure { _ = try await bench.desk.add(note(pair, "later")) }?.code == .failedPrecondition)
    #expect(await failure { _ = try await bench.desk.add(note(pair, "retry-x")) }?.code == .failedPrecondition)
    #expect(try await bench.desk.add(note(pair, "download")) == closed)
  }

  @Test("a retry opens a closed pair again and keeps its closing note, each time")
  func retryReopens() async throws {
    let bench = try Bench()
    let pair = try await bench.desk.open(opening("dlv_1"))
    _ = try await bench.desk.close(closing(pair, .failed, "The server was full."))
    let again = try await bench.desk.add(note(pair, "retry-1", "Ada tries again."))
    #expect(again.user?.status == .inProgress && again.audit?.status == .inProgress)
    #expect(again.user?.outcome == .unspecified && again.user?.closingNote == "" && again.user?.closedAt == nil)
    #expect(again.audit?.workNotes.map(\.text) == ["The server was full.", "Ada tries again."])
    #expect(again.audit?.workNotes.map(\.key) == ["closing-1", "retry-1"])

    let closed = try await bench.desk.close(closing(pair, .cancelled, "Enough."))
    #expect(try await bench.desk.add(note(pair, "retry-1", "The same retry.")) == closed)
    let third = try await bench.desk.add(note(pair, "retry-2", "Once more."))
    #expect(third.user?.workNotes.map(\.key) == ["closing-1", "retry-1", "closing-2", "retry-2"])
    #expect(try await bench.desk.close(closing(pair, .succeeded)).user?.outcome == .succeeded)
  }
}
