// A notification desk on a database of its own, a clock set by hand, and a messenger that does what the test says.
import DocumentStore
import FerryAPI
import Foundation
import Logging
import RPC
import ServiceKit
import Synchronization

@testable import NotificationService

final class HandClock: Sendable {
  private let value = Mutex<UnixMilliseconds>(1_700_000_000_000)
  var now: UnixMilliseconds { value.withLock { $0 } }
  func advance(_ duration: Duration) { value.withLock { $0 += duration.milliseconds } }
}

/// Answers each sending with the next result of its script, then with success; keeps what was sent.
final class ScriptedMessenger: Messenger {
  let name: String
  let deduplicates: Bool
  let detail = "To the test."
  private struct State {
    var script: [SendFailure] = []
    var sent: [Outgoing] = []
  }
  private let state = Mutex(State())

  init(_ name: String = "email", deduplicates: Bool = true) {
    self.name = name
    self.deduplicates = deduplicates
  }

  func fail(_ failures: SendFailure...) { state.withLock { $0.script += failures } }
  var sent: [Outgoing] { state.withLock { $0.sent } }

  func send(_ outgoing: Outgoing) async throws(SendFailure) {
    let failure = state.withLock { state in
      state.sent.append(outgoing)
      return state.script.isEmpty ? nil : state.script.removeFirst()
    }
    if let failure { throw failure }
  }
}

/// Fails the commits that a test picks, as a process does that dies between two of them.
final class BrittleStore: DocumentStore {
  let inner: any DocumentStore
  private let breaks = Mutex<@Sendable (Batch) -> Bool>({ _ in false })

  init(_ inner: any DocumentStore) { self.inner = inner }

  func breakCommits(where test: @escaping @Sendable (Batch) -> Bool) { breaks.withLock { $0 = test } }
  func mend() { breakCommits { _ in false } }

  func get(_ key: DocumentKey) async throws(DocumentStoreError) -> Document? { try await inner.get(key) }

  func query(
    partition: String, prefix: String, order: QueryOrder, limit: Int, after: PageToken?
  ) async throws(DocumentStoreError) -> DocumentPage {
    try await inner.query(partition: partition, prefix: prefix, order: order, limit: limit, after: after)
  }

  func commit(_ batch: Batch) async throws(DocumentStoreError) -> [DocumentVersion] {
    if breaks.withLock({ $0(batch) }) {
      throw DocumentStoreError(.unavailable, message: "The test broke this commit.", nextStep: "None.")
    }
    return try await inner.commit(batch)
  }

  func sweepExpired(limit: Int) async throws(DocumentStoreError) -> Int { try await inner.sweepExpired(limit: limit) }
}

final class Bench: Sendable {
  let folder: String
  let store: BrittleStore
  let clock = HandClock()
  let messenger: ScriptedMessenger
  let desk: NotificationDesk

  init(_ messenger: ScriptedMessenger = ScriptedMessenger()) throws {
    folder = FileManager.default.temporaryDirectory.appendingPathComponent("notes-\(UUID().uuidString)").path
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    store = BrittleStore(try SQLiteDocumentStore(path: "\(folder)/notification.sqlite"))
    self.messenger = messenger
    let clock = clock
    desk = NotificationDesk(
      store, channels: [Outlet(name: messenger.name, messenger: messenger, setup: "")], now: { clock.now })
  }

  deinit { try? FileManager.default.removeItem(atPath: folder) }

  /// A lane as it is after a start: nothing of it is remembered but what is journalled.
  var lane: OutboxLane {
    let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    return desk.lane(messenger, schedule: RetrySchedule(chance: { 1 }), logger: silent)
  }

  /// Handles all that is due now.
  func drain() async throws -> OutboxLane.Step {
    while true {
      let step = try await lane.step()
      if step != .handled { return step }
    }
  }

  func channel(_ notification: FerryAPI.Notification) async throws -> ChannelDelivery? {
    let stored = try await desk.documents.notification(of: notification.recipient?.id ?? "", id: notification.id)
    return stored?.notification.channels.first { $0.channel == messenger.name }
  }
}

let ada = Person.with { $0.id = "usr_ada"; $0.name = "Ada Lovelace"; $0.email = "ada@example.com" }
let grace = Person.with { $0.id = "usr_grace"; $0.name = "Grace Hopper"; $0.email = "grace@example.com" }

func reader(_ id: String, _ roles: Role...) -> NotificationReader {
  NotificationReader(Caller(id: id, name: id, roles: Set(roles)))
}

func telling(_ key: String, to person: Person = ada, about delivery: String = "dlv_1") -> NotifyRequest {
  .with {
    $0.key = key
    $0.recipient = person
    $0.severity = .success
    $0.title = "Delivered: \(key)"
    $0.body = "All files were delivered."
    $0.facts = [.with { $0.name = "Ticket"; $0.value = "REQ0000001" }]
    $0.deliveryID = delivery
  }
}

func failing(_ kind: SendFailure.Kind, retryAfter: Duration? = nil, mayHaveArrived: Bool = false) -> SendFailure {
  SendFailure(
    kind: kind, problem: .with { $0.code = "TEST"; $0.message = "The test said no."; $0.nextStep = "Nothing." },
    retryAfter: retryAfter, mayHaveArrived: mayHaveArrived)
}

func failure(_ call: () async throws -> Void) async -> RPCError? {
  do { try await call(); return nil } catch { return error as? RPCError }
}

extension NotificationDesk {
  func tell(_ request: NotifyRequest) async throws -> FerryAPI.Notification {
    try await notify(request).notification ?? FerryAPI.Notification()
  }
}
