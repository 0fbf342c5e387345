// Runs of schedules: once each, whatever is cut short; missed ones made up for by one; what stands in their way, told.
import DocumentStore
import FerryAPI
import Foundation
import Logging
import RPC
import ServiceKit
import Synchronization
import Testing
import Workflow

@testable import TransferService

@Suite struct ScheduleRunnerTests {
  /// 2026-11-27 06:00 UTC, a Friday.
  private static let start: Int64 = 1_795_759_200_000
  private static let minute: Int64 = 60_000

  /// What the runner is told by others, and what it tells them.
  private final class World: Sendable {
    struct State {
      var now = ScheduleRunnerTests.start
      var roles: [Role] = [.requester]
      var refusal: RPCError?
      var told: [NotifyRequest] = []
    }
    let state = Mutex(State())
  }

  private let folder = FileManager.default.temporaryDirectory.path + "/schedules-\(UUID().uuidString)"
  private let world = World()
  private let schedules: ScheduleStore
  private let archive: DeliveryArchive
  private let runner: ScheduleRunner
  private let engine: WorkflowEngine

  init() async throws {
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let store = try SQLiteDocumentStore(path: folder + "/transfer.sqlite")
    let box = SecretBox(key: [UInt8](repeating: 7, count: 32))
    let destinations = DestinationStore(store: store, box: box)
    try await destinations.save(
      .init(
        destination: .with { ($0.name, $0.url) = ("acme", "sftp://acme@127.0.0.1:9/in") },
        credentials: .with { $0.password = "secret" }))
    engine = WorkflowEngine(store: store, instance: "one", options: .init(namespace: JournalKeys.namespace))
    // Whether it moves anything is others' affair: here a delivery stays as it began.
    await engine.register(WorkflowKind(JournalKeys.kind) { _ in [] })
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    archive = DeliveryArchive(store: store, box: box)
    schedules = ScheduleStore(store: store)
    runner = ScheduleRunner(
      schedules: schedules,
      starter: DeliveryStarter(archive: archive, destinations: destinations, engine: engine, logger: logger),
      logger: logger, now: { [world] in world.state.withLock { $0.now } }
    ) { [world] person async throws(RPCError) in
      let (refusal, roles) = world.state.withLock { ($0.refusal, $0.roles) }
      if let refusal { throw refusal }
      return .with { user in
        user.person = .with { ($0.id, $0.name) = (person, "Ada") }
        user.roles = roles
      }
    } tell: { [world] request async throws(RPCError) in world.state.withLock { $0.told.append(request) } }
  }

  private func save(_ name: String = "daily", _ change: (inout Schedule) -> Void = { _ in }) async throws -> Schedule {
    var schedule = Schedule.with {
      ($0.name, $0.cron) = (name, "* * * * *")
      $0.owner = .with { ($0.id, $0.name) = ("usr_ada", "Ada") }
      $0.nextRunAt = Timestamp(milliseconds: Self.start + Self.minute)
      $0.request = .with {
        $0.source = .with { source in
          source.bucket = "exports"
          source.selections = [.with { $0.value = "{date}/{hour}.csv" }]
        }
        $0.destination = .with { $0.name = "acme" }
      }
    }
    change(&schedule)
    let ready = schedule
    try await schedules.update(name) { (_) throws(RPCError) in ready }
    return ready
  }

  private func deliveries() async throws -> [Delivery] {
    var found: [Delivery] = []
    for document in try await archive.page(JournalKeys.all, limit: 100).documents {
      found.append(try #require(try await archive.delivery(document.key.sort)))
    }
    return found
  }

  private func wait(_ time: Int64) { world.state.withLock { $0.now += time } }
  private func saved(_ name: String = "daily") async throws -> Schedule { try #require(try await schedules.load(name)) }
  private func end() async {
    await engine.stop()
    // A temporary folder that is left is no failure.
    try? FileManager.default.removeItem(atPath: folder)
  }

  @Test("a run starts when it is due, not before, with its own time's words, and is noted")
  func due() async throws {
    _ = try await save()
    #expect(await runner.pass() == .seconds(30))
    wait(Self.minute - 1)
    #expect(await runner.pass() == .milliseconds(1))
    #expect(try await deliveries().isEmpty)
    wait(1)
    #expect(await runner.pass() == .seconds(30))
    let started = try #require(try await deliveries().first)
    #expect(started.schedule == "daily" && started.requester?.id == "usr_ada" && started.status == .pending)
    #expect(started.request?.source?.selections.first?.value == "2026-11-27/06.csv")
    let noted = try await saved()
    #expect(noted.lastDeliveryID == started.id && noted.lastProblem == nil)
    #expect(noted.nextRunAt?.milliseconds == Self.start + 2 * Self.minute)
    #expect(noted.request?.source?.selections.first?.value == "{date}/{hour}.csv")
    await end()
  }

  @Test("a run that was started and not noted is not started again, by this instance or another")
  func once() async throws {
    let before = try await save()
    wait(Self.minute)
    _ = await runner.pass()
    // As after a crash between the two.
    try await schedules.update("daily") { (_) throws(RPCError) in before }
    _ = await runner.pass()
    #expect(try await deliveries().count == 1)
    #expect(try await saved().lastDeliveryID == deliveries().first?.id)
    await end()
  }

  @Test("runs that fell into a time away are made up for by one, and the next is in the future")
  func missed() async throws {
    _ = try await save()
    wait(5 * Self.minute + 10)
    _ = await runner.pass()
    #expect(try await deliveries().count == 1)
    #expect(try await saved().nextRunAt?.milliseconds == Self.start + 6 * Self.minute)
    await end()
  }

  @Test("a run is left out while the one before it is not over, and its owner is told once")
  func overlap() async throws {
    _ = try await save()
    wait(Self.minute)
    _ = await runner.pass()
    wait(Self.minute)
    _ = await runner.pass()
    _ = await runner.pass()
    #expect(try await deliveries().count == 1)
    let now = try await saved()
    #expect(now.lastProblem?.code == "PREVIOUS_RUN_NOT_OVER" && now.lastProblem?.nextStep.isEmpty == false)
    let told = world.state.withLock { $0.told }
    #expect(told.count == 1 && told.first?.recipient?.id == "usr_ada" && told.first?.severity == .warning)
    await end()
  }

  @Test("what may work later is tried at the next pass; what will not is told, and the next run comes all the same")
  func failures() async throws {
    _ = try await save()
    wait(Self.minute)
    world.state.withLock { $0.refusal = RPCError(.unavailable, "auth does not answer") }
    #expect(await runner.pass() == .seconds(30))
    #expect(try await saved().nextRunAt?.milliseconds == Self.start + Self.minute)
    #expect(try await saved().lastProblem?.message == "auth does not answer")
    #expect(world.state.withLock { $0.told.isEmpty })
    world.state.withLock { $0.refusal = .denied("This user is disabled.", next: "Ask an administrator.") }
    _ = await runner.pass()
    #expect(try await saved().lastProblem?.code == "SCHEDULE_OWNER_LOST")
    #expect(try await saved().nextRunAt?.milliseconds == Self.start + 2 * Self.minute)
    #expect(world.state.withLock { $0.told.map(\.severity) } == [.error])
    wait(Self.minute)
    world.state.withLock { ($0.refusal, $0.roles) = (nil, [.auditor]) }
    _ = await runner.pass()
    #expect(try await deliveries().isEmpty)
    wait(Self.minute)
    world.state.withLock { $0.roles = [.requester] }
    _ = await runner.pass()
    #expect(try await deliveries().count == 1)
    #expect(try await saved().lastProblem == nil)
    await end()
  }

  @Test("a paused one does not run")
  func paused() async throws {
    _ = try await save { ($0.paused, $0.nextRunAt) = (true, nil) }
    wait(10 * Self.minute)
    #expect(await runner.pass() == .seconds(30))
    #expect(try await deliveries().isEmpty)
    await end()
  }

  @Test("a run besides its times leaves them as they are")
  func now() async throws {
    let schedule = try await save()
    let delivery = try await runner.runNow(schedule)
    #expect(delivery.schedule == "daily")
    let noted = try await saved()
    #expect(noted.lastDeliveryID == delivery.id && noted.nextRunAt == schedule.nextRunAt)
    await end()
  }
}
