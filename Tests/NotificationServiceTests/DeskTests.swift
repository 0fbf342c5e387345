// Notify, lists, marking as read, and watching.
import DocumentStore
import FerryAPI
import Synchronization
import Testing

@testable import NotificationService

@Suite("Notify")
struct NotifyTests {
  @Test("the same key is told a person once, also when many tell it at once")
  func oncePerKey() async throws {
    let bench = try Bench()
    let ids = try await withThrowingTaskGroup(of: String.self) { group in
      for _ in 0..<16 { group.addTask { try await bench.desk.tell(telling("done")).id } }
      return try await group.reduce(into: Set<String>()) { $0.insert($1) }
    }
    #expect(ids.count == 1)
    let list = try await bench.desk.list(ListNotificationsRequest(), for: reader("usr_ada"))
    #expect(list.notifications.map(\.id) == Array(ids) && list.unread == 1)
    _ = try await bench.drain()
    bench.clock.advance(.seconds(120))
    _ = try await bench.drain()
    #expect(bench.messenger.sent.count == 1)
  }

  @Test("the same key for another person is told them, too")
  func keyOfAPerson() async throws {
    let bench = try Bench()
    let first = try await bench.desk.tell(telling("done"))
    let second = try await bench.desk.tell(telling("done", to: grace))
    #expect(first.id != second.id && second.sequence == 1)
  }

  @Test("in the app it is there at once, with sequence and severity")
  func inApp() async throws {
    let bench = try Bench()
    let told = try await bench.desk.tell(telling("done"))
    #expect(told.sequence == 1 && told.severity == .success && !told.read)
    #expect(told.channels.map(\.channel) == ["in-app", "email"])
    #expect(told.channels.first?.status == .sent)
    #expect(try await bench.desk.tell(telling("next")).sequence == 2)
  }

  @Test("a crash before it is stored leaves nothing behind that is shown, and the retry tells it once")
  func crash() async throws {
    let bench = try Bench()
    bench.store.breakCommits { $0.partition.hasPrefix("recipient/") }
    _ = await failure { _ = try await bench.desk.tell(telling("done")) }
    bench.store.mend()
    let about = ListNotificationsRequest.with { $0.deliveryID = "dlv_1" }
    #expect(try await bench.desk.list(about, for: reader("u", .auditor)).notifications.isEmpty)
    let told = try await bench.desk.tell(telling("done"))
    #expect(try await bench.desk.list(about, for: reader("u", .auditor)).notifications.map(\.id) == [told.id])
    _ = try await bench.drain()
    #expect(bench.messenger.sent.map(\.notification.id) == [told.id])
  }

  @Test("a request without key, recipient or title, or with too much, is refused")
  func refused() async throws {
    let bench = try Bench()
    let spoils: [(inout NotifyRequest) -> Void] = [
      { $0.key = "" }, { $0.recipient = nil }, { $0.title = "" },
      { $0.body = String(repeating: "x", count: NotificationLimits.body + 1) },
      { $0.facts = [Fact](repeating: .with { $0.name = "a" }, count: NotificationLimits.facts + 1) },
    ]
    for spoil in spoils {
      var request = telling("done")
      spoil(&request)
      let error = await failure { [request] in _ = try await bench.desk.tell(request) }
      #expect(error?.code == .invalidArgument)
    }
  }
}

@Suite("Reading notifications")
struct ReadingTests {
  let bench: Bench
  let mine: [FerryAPI.Notification]

  /// Five for Ada about delivery 1, two for Grace, one of them about delivery 1.
  init() async throws {
    bench = try Bench()
    var mine: [FerryAPI.Notification] = []
    for index in 1...5 { mine.append(try await bench.desk.tell(telling("k\(index)"))) }
    _ = try await bench.desk.tell(telling("g1", to: grace))
    _ = try await bench.desk.tell(telling("g2", to: grace, about: "dlv_2"))
    self.mine = mine
  }

  func keys(_ reader: NotificationReader, _ fill: (inout ListNotificationsRequest) -> Void = { _ in }) async throws
    -> [String]
  {
    try await bench.desk.list(.with(fill), for: reader).notifications.map(\.key)
  }

  @Test("everybody lists their own, newest first, admins too")
  func own() async throws {
    #expect(try await keys(reader("usr_ada")) == ["k5", "k4", "k3", "k2", "k1"])
    #expect(try await keys(reader("usr_root", .admin)) == [])
  }

  @Test("about a delivery, auditors, operators and admins see all, others their own")
  func aboutADelivery() async throws {
    let ask = { (request: inout ListNotificationsRequest) in request.deliveryID = "dlv_1" }
    #expect(try await Set(keys(reader("u", .auditor), ask)) == ["k1", "k2", "k3", "k4", "k5", "g1"])
    #expect(try await keys(reader("u", .operator), ask).count == 6)
    #expect(try await keys(reader("usr_grace", .requester), ask) == ["g1"])
  }

  @Test("pages join to the whole list", arguments: [1, 2, 5, 100] as [Int32])
  func pages(size: Int32) async throws {
    for delivery in ["", "dlv_1"] {
      var collected: [String] = []
      var token = ""
      repeat {
        let page = try await bench.desk.list(
          .with { $0.pageSize = size; $0.pageToken = token; $0.deliveryID = delivery }, for: reader("usr_ada"))
        #expect(page.notifications.count <= Int(size))
        collected += page.notifications.map(\.key)
        token = page.nextPageToken
      } while !token.isEmpty
      #expect(collected == ["k5", "k4", "k3", "k2", "k1"])
    }
  }

  @Test("marking as read counts down, and twice is once")
  func markRead() async throws {
    let ada = reader("usr_ada")
    let ids = [mine[0].id, mine[2].id, mine[0].id]
    for _ in 0..<2 { _ = try await bench.desk.markRead(.with { $0.ids = ids }, for: ada) }
    let list = try await bench.desk.list(.with { $0.unreadOnly = true }, for: ada)
    #expect(list.unread == 3)
    #expect(list.notifications.map(\.key) == ["k5", "k4", "k2"])
  }

  @Test("nobody marks what is not theirs, and then nothing is marked")
  func markOthers() async throws {
    let ids = [mine[0].id]
    let error = await failure { _ = try await bench.desk.markRead(.with { $0.ids = ids }, for: reader("usr_grace")) }
    #expect(error?.code == .notFound)
    let mixed = [mine[1].id, "ntf_nothing"]
    #expect(
      await failure { _ = try await bench.desk.markRead(.with { $0.ids = mixed }, for: reader("usr_ada")) }?.code
        == .notFound)
    #expect(try await bench.desk.list(ListNotificationsRequest(), for: reader("usr_ada")).unread == 5)
  }

  @Test("reading and sending at the same time lose neither")
  func markWhileSending() async throws {
    let ids = mine.map(\.id)
    async let sent = bench.drain()
    async let marked = bench.desk.markRead(.with { $0.ids = ids }, for: reader("usr_ada"))
    _ = try await (sent, marked)
    let list = try await bench.desk.list(ListNotificationsRequest(), for: reader("usr_ada"))
    #expect(list.unread == 0)
    #expect(list.notifications.allSatisfy { $0.read && $0.channels.last?.status == .sent })
  }
}

/// What a watcher has received, and a way to wait for it.
private final class Received: Sendable {
  private let keys = Mutex<[String]>([])
  func add(_ key: String) { keys.withLock { $0.append(key) } }
  var all: [String] { keys.withLock { $0 } }
  func wait(for count: Int) async { while all.count < count { await Task.yield() } }
}

@Suite("Watching notifications")
struct WatchTests {
  private func watch(_ bench: Bench, after: Int64 = 0, _ received: Received) -> Task<Void, any Error> {
    Task {
      try await bench.desk.watch(.with { $0.afterSequence = after }, for: reader("usr_ada")) { notification in
        received.add(notification.key)
      }
    }
  }

  @Test("stored ones come first, then live ones, in order and once each")
  func storedThenLive() async throws {
    let bench = try Bench()
    for index in 1...3 { _ = try await bench.desk.tell(telling("k\(index)")) }
    let received = Received()
    let task = watch(bench, after: 1, received)
    await received.wait(for: 2)
    for index in 4...20 { _ = try await bench.desk.tell(telling("k\(index)")) }
    _ = try await bench.desk.tell(telling("g", to: grace))
    await received.wait(for: 19)
    task.cancel()
    try await task.value
    #expect(received.all == (2...20).map { "k\($0)" })
  }

  @Test("a watcher that reads slowly misses nothing and holds up nobody")
  func slowReader() async throws {
    let bench = try Bench()
    let gate = Doorbell()
    let received = Received()
    let task = Task {
      try await bench.desk.watch(WatchNotificationsRequest(), for: reader("usr_ada")) { notification in
        if received.all.isEmpty { await gate.wait() }
        received.add(notification.key)
      }
    }
    for index in 1...50 { _ = try await bench.desk.tell(telling("k\(index)")) }
    gate.ring()
    await received.wait(for: 50)
    task.cancel()
    try await task.value
    #expect(received.all == (1...50).map { "k\($0)" })
  }

  @Test("watchers of one person are bounded, and a place is free again when one leaves")
  func bounded() async throws {
    let hub = NotificationHub()
    let bells = try (0..<NotificationLimits.watchersOfOne).map { _ in try hub.watch("usr_ada") }
    #expect(await failure { _ = try hub.watch("usr_ada") }?.code == .resourceExhausted)
    _ = try hub.watch("usr_grace")
    hub.leave("usr_ada", bells[0])
    _ = try hub.watch("usr_ada")
  }

  @Test("closing ends every watch")
  func closes() async throws {
    let bench = try Bench()
    _ = try await bench.desk.tell(telling("k1"))
    let received = Received()
    let task = watch(bench, received)
    await received.wait(for: 1)
    bench.desk.hub.close()
    try await task.value
    #expect(await failure { _ = try bench.desk.hub.watch("usr_ada") }?.code == .unavailable)
  }
}
