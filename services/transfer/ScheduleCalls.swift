// The calls of fileferry.v1.Transfer about schedules: who may see and change which, and what is checked before one is kept.
import FerryAPI
import RPC
import ServiceKit

struct ScheduleCalls: Sendable {
  let schedules: ScheduleStore
  let runner: ScheduleRunner
  let deliveries: DeliveryCalls

  func register(in router: inout Router) {
    router.handle(Transfer.saveSchedule) { q, c throws(RPCError) in try await save(q, c) }
    router.handle(Transfer.listSchedules) { _, c throws(RPCError) in try await list(c) }
    router.handle(Transfer.deleteSchedule) { q, c throws(RPCError) in try await delete(q, c) }
    router.handle(Transfer.runSchedule) { q, c throws(RPCError) in try await run(q, c) }
  }

  private func list(_ context: CallContext) async throws(RPCError) -> ListSchedulesResponse {
    let caller = try context.caller
    let all = try await schedules.all()
    return .with { $0.schedules = all.filter { Self.sees(caller, $0) } }
  }

  private static func sees(_ caller: Caller, _ schedule: Schedule) -> Bool {
    DeliveryCalls.seesAll(caller) || schedule.owner?.id == caller.id
  }

  private static func changes(_ caller: Caller, _ schedule: Schedule) -> Bool {
    schedule.owner?.id == caller.id || caller.has(anyOf: .operator, .admin)
  }

  private func changeable(_ name: String, _ context: CallContext) async throws(RPCError) -> Schedule {
    let caller = try context.caller
    guard let schedule = try await schedules.load(name), Self.sees(caller, schedule) else {
      throw .told(
        .notFound, "SCHEDULE_UNKNOWN",
        "There is no schedule named \(String(name.prefix(100)).debugDescription) that you may see.",
        next: "Check the name in the list of schedules.", subject: String(name.prefix(100)))
    }
    guard Self.changes(caller, schedule) else { throw Self.notYours(schedule.name) }
    return schedule
  }

  private static func notYours(_ name: String) -> RPCError {
    .denied(
      "Only its owner, operators and administrators may change the schedule \(name).",
      next: "Ask one of them, or choose another name.")
  }

  private func save(_ request: SaveScheduleRequest, _ context: CallContext) async throws(RPCError) -> Schedule {
    let caller = try context.caller
    guard !caller.isService else {
      throw .denied("A schedule is somebody's.", next: "Call it with a person's token.")
    }
    guard let given = request.schedule else {
      throw .invalid("The call holds no schedule.", next: "Give its name, its times and what it delivers.")
    }
    try SavedName.check(given.name, of: "schedule")
    let now = Timestamp.now()
    let times = try ScheduleTimes(given)
    let next = try times.next(after: now.milliseconds)
    try await check(given, times.request(given.request, at: next.milliseconds))
    if try await schedules.load(given.name) == nil, try await schedules.all().count >= ScheduleStore.maxSchedules {
      throw .told(
        .resourceExhausted, "TOO_MANY_SCHEDULES", "There are \(ScheduleStore.maxSchedules) schedules already.",
        next: "Remove one that is not needed any more.")
    }
    let saved = try await schedules.update(given.name) { (stored) throws(RPCError) in
      if let stored, !Self.changes(caller, stored) { throw Self.notYours(given.name) }
      var schedule = stored ?? Schedule()
      // Who says what is delivered answers for it; to pause is no such word.
      if stored == nil || schedule.request != given.request { schedule.owner = caller.person }
      let hasOldTimes = schedule.cron == given.cron && schedule.timeZone == given.timeZone && !schedule.paused
      (schedule.name, schedule.request) = (given.name, given.request)
      (schedule.cron, schedule.timeZone, schedule.paused) = (given.cron, given.timeZone, given.paused)
      schedule.updatedAt = now
      // A run that is due this moment is not lost to a save of the same times.
      if given.paused { schedule.nextRunAt = nil } else if !hasOldTimes { schedule.nextRunAt = next }
      return schedule
    }
    await runner.wake()
    guard let saved else { throw .fault("The schedule \(given.name) was not kept.") }
    return saved
  }

  /// All that its runs would be refused for, as far as it can be told now.
  private func check(_ schedule: Schedule, _ request: DeliveryRequest?) async throws(RPCError) {
    let wanted = try RequestCheck.check(request)
    let choice = try await DestinationChoice.resolve(
      wanted.destination, path: wanted.path, given: nil, store: deliveries.workflow.destinations)
    // One that is spelled out would have to keep its password here.
    guard wanted.destination?.name.isEmpty == false || choice.isOfThisMachine else {
      throw .invalid(
        "A schedule delivers to a saved destination.", next: "Have the server saved as a destination, and name it.",
        problem: "SCHEDULE_INVALID", subject: "destination")
    }
  }

  private func delete(
    _ request: DeleteScheduleRequest, _ context: CallContext
  ) async throws(RPCError) -> DeleteScheduleResponse {
    let schedule = try await changeable(request.name, context)
    try await schedules.delete(schedule.name)
    return DeleteScheduleResponse()
  }

  private func run(_ request: RunScheduleRequest, _ context: CallContext) async throws(RPCError) -> Delivery {
    let schedule = try await changeable(request.name, context)
    let started = try await runner.runNow(schedule)
    return try await deliveries.withTickets(started.id, context)
  }
}
