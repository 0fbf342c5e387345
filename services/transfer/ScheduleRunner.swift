// Starts what schedules ask for, when it is time. What was started is known by an idempotency key of the schedule's and the
// run's time, so that neither a crash nor a second instance starts a run twice.
import DocumentStore
import FerryAPI
import Logging
import RPC
import ServiceKit

actor ScheduleRunner {
  /// The longest sleep: other instances may have saved something meanwhile.
  static let longestWait = Duration.seconds(30)
  private static let callTimeout = Duration.seconds(10)

  /// Who may have deliveries: as in the access matrix.
  private static let delivering: Set<Role> = [.requester, .operator, .admin]

  private let schedules: ScheduleStore
  private let starter: DeliveryStarter
  private let whoIs: @Sendable (String) async throws(RPCError) -> User
  private let tell: @Sendable (NotifyRequest) async throws(RPCError) -> Void
  private let now: @Sendable () -> UnixMilliseconds
  private let logger: Logger
  private var sleeper: Task<Void, Never>?
  private var worker: Task<Void, Never>?
  private var isWoken = false

  /// - Parameters:
  ///   - whoIs: a person by id, as they stand now; refused if they may not sign in any more.
  ///   - tell: a notification.
  init(
    schedules: ScheduleStore, starter: DeliveryStarter, logger: Logger,
    now: @escaping @Sendable () -> UnixMilliseconds = SystemTime.now,
    whoIs: @escaping @Sendable (String) async throws(RPCError) -> User,
    tell: @escaping @Sendable (NotifyRequest) async throws(RPCError) -> Void
  ) {
    (self.schedules, self.starter, self.logger) = (schedules, starter, logger)
    (self.now, self.whoIs, self.tell) = (now, whoIs, tell)
  }

  init(
    schedules: ScheduleStore, starter: DeliveryStarter, logger: Logger, identity: ServiceIdentity, auth: Auth.Client,
    notifications: Notifications.Client
  ) {
    self.init(schedules: schedules, starter: starter, logger: logger) { person async throws(RPCError) in
      try await auth.whoAmI(
        WhoAmIRequest(), try await identity.options(onBehalfOf: person, timeout: Self.callTimeout))
    } tell: { request async throws(RPCError) in
      _ = try await notifications.notify(request, try await identity.options(timeout: Self.callTimeout))
    }
  }

  func start() {
    guard worker == nil else { return }
    worker = Task {
      while !Task.isCancelled {
        let wait = await pass()
        await sleep(wait)
      }
    }
  }

  /// Looks at the schedules again at once: one has been saved.
  func wake() {
    isWoken = true
    sleeper?.cancel()
  }

  func stop() async {
    worker?.cancel()
    wake()
    await worker?.value
  }

  private func sleep(_ time: Duration) async {
    if !isWoken {
      // Only being woken ends the sleep early.
      let sleeper = Task { _ = try? await Task.sleep(for: time) }
      self.sleeper = sleeper
      await sleeper.value
      self.sleeper = nil
    }
    isWoken = false
  }

  /// Runs all that is due, and says how long nothing will be.
  func pass() async -> Duration {
    let all: [Schedule]
    do throws(RPCError) { all = try await schedules.all() } catch {
      logger.warning("the schedules could not be read", metadata: ["error": "\(error)"])
      return Self.longestWait
    }
    var wait = Self.longestWait
    for schedule in all where !schedule.paused {
      guard let due = schedule.nextRunAt?.milliseconds else { continue }
      var next: UnixMilliseconds? = due
      if due <= now() { next = await runDue(schedule, due) }
      if let next { wait = min(wait, max(.zero, .milliseconds(next - now()))) }
    }
    return wait
  }

  /// - Returns: when it is to be looked at again; nil: at the next pass.
  private func runDue(_ schedule: Schedule, _ due: UnixMilliseconds) async -> UnixMilliseconds? {
    var outcome: Result<Delivery, RPCError>
    do throws(RPCError) {
      outcome = .success(try await run(schedule, at: due, key: "schedule/\(schedule.name)/\(due)"))
    } catch { outcome = .failure(error) }
    let isLater = if case .failure(let error) = outcome { error.problem?.retryable ?? error.mayWorkLater } else { false }
    do throws(RPCError) {
      let kept = try await schedules.update(schedule.name) { (stored) throws(RPCError) in
        // Removed, paused or put to other times meanwhile: that counts.
        guard var stored, !stored.paused, stored.nextRunAt == schedule.nextRunAt else { return nil }
        note(outcome, in: &stored)
        // It was saved with times that have a next one.
        if !isLater { stored.nextRunAt = try? ScheduleTimes(stored).next(after: now()) }
        return stored
      }
      if case .failure(let error) = outcome, !isLater, kept != nil { await report(error, of: schedule, due) }
      // What may work later is tried at the next pass, not at once.
      return isLater ? nil : kept?.nextRunAt?.milliseconds
    } catch {
      logger.warning("a schedule's run could not be noted", metadata: ["schedule": "\(schedule.name)", "error": "\(error)"])
      return nil
    }
  }

  private func note(_ outcome: Result<Delivery, RPCError>, in schedule: inout Schedule) {
    schedule.lastRunAt = Timestamp(milliseconds: now())
    switch outcome {
    case .success(let delivery):
      schedule.lastDeliveryID = delivery.id
      schedule.lastProblem = nil
    case .failure(let error):
      schedule.lastProblem =
        error.problem
        ?? .with {
          $0.code = "\(error.code)"
          $0.message = error.message
        }
    }
  }

  /// A run besides its times.
  func runNow(_ schedule: Schedule) async throws(RPCError) -> Delivery {
    let delivery = try await run(schedule, at: now(), key: "")
    try await schedules.update(schedule.name) { (stored) throws(RPCError) in
      guard var stored else { return nil }
      note(.success(delivery), in: &stored)
      return stored
    }
    return delivery
  }

  private func run(_ schedule: Schedule, at time: UnixMilliseconds, key: String) async throws(RPCError) -> Delivery {
    let times = try ScheduleTimes(schedule)
    let owner = try await owner(of: schedule)
    if let last = try await starter.archive.delivery(schedule.lastDeliveryID), !last.status.isEnded {
      throw .precondition(
        "This run was left out: the delivery \(last.id) of the run before it is not over.",
        next: "Run the schedule less often, or see why that delivery takes so long.", problem: "PREVIOUS_RUN_NOT_OVER")
    }
    let wanted = times.request(schedule.request, at: time)
    switch try await starter.begin(wanted, by: owner, key: key, schedule: schedule.name) {
    case .known(let delivery): return delivery
    case .new(let delivery):
      try await starter.start(delivery)
      logger.notice("a schedule started a delivery", metadata: ["schedule": "\(schedule.name)", "delivery": "\(delivery.id)"])
      return delivery
    }
  }

  /// As they stand now, if they may still have deliveries.
  private func owner(of schedule: Schedule) async throws(RPCError) -> Person {
    let user: User
    do throws(RPCError) { user = try await whoIs(schedule.owner?.id ?? "") } catch {
      if error.mayWorkLater { throw error }
      throw Self.lost(schedule)
    }
    guard !Self.delivering.isDisjoint(with: user.roles), let person = user.person else { throw Self.lost(schedule) }
    return person
  }

  private static func lost(_ schedule: Schedule) -> RPCError {
    .precondition(
      "Its owner, \(schedule.owner?.name ?? "nobody"), may not have deliveries any more.",
      next: "Let somebody who may save the schedule again: it is theirs from then on.", problem: "SCHEDULE_OWNER_LOST")
  }

  /// The owner hears of a run that started nothing. If they can't be told now, the schedule itself still says so.
  private func report(_ error: RPCError, of schedule: Schedule, _ due: UnixMilliseconds) async {
    let request = NotifyRequest.with {
      $0.key = "schedule/\(schedule.name)/\(due)"
      $0.recipient = schedule.owner
      $0.severity = error.problem?.code == "PREVIOUS_RUN_NOT_OVER" ? .warning : .error
      $0.title = "The schedule \(schedule.name) started no delivery"
      $0.body = [error.problem?.message ?? error.message, error.problem?.nextStep].compactMap { $0 }.joined(separator: " ")
      $0.facts = [
        .with { ($0.name, $0.value) = ("Schedule", schedule.name) },
        .with { ($0.name, $0.value) = ("Due", Timestamp(milliseconds: due).description) },
      ]
    }
    do throws(RPCError) { try await tell(request) } catch {
      logger.warning(
        "a schedule's owner could not be told", metadata: ["schedule": "\(schedule.name)", "error": "\(error)"])
    }
  }
}

extension RPCError {
  /// The same may work at another time, whoever asked.
  fileprivate var mayWorkLater: Bool {
    switch code {
    case .unavailable, .deadlineExceeded, .aborted, .resourceExhausted, .cancelled: true
    default: problem?.retryable ?? false
    }
  }
}
