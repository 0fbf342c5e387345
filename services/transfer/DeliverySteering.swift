// The calls that change the course of a delivery: pause, resume, cancel, retry. Each is in the journal before the run hears
// of it, so that it counts also if this process ends in between.
import FerryAPI
import RPC
import ServiceKit
import Workflow

extension DeliveryCalls {
  /// Of a reason that a person gives.
  private static let maxReason = 500

  // MARK: Pause and resume

  func pause(_ request: PauseDeliveryRequest, _ context: CallContext) async throws(RPCError) -> Delivery {
    let delivery = try await changeable(request.id, context)
    if delivery.status == .paused { return delivery }
    try Self.refuseEnded(delivery, "pause")
    try await ask(JournalKeys.pause, of: delivery, Self.signed(request.reason, try context.caller))
    let watcher = hub.watch(delivery.id)
    workflow.running.pause(delivery.id)
    return try await settled(delivery.id, watcher, Self.wait(Self.stopWait, context)) {
      $0.status == .paused || $0.status.isEnded
    }
  }

  func resume(_ request: ResumeDeliveryRequest, _ context: CallContext) async throws(RPCError) -> Delivery {
    var delivery = try await changeable(request.id, context)
    if delivery.status.isEnded {
      throw .precondition(
        "The delivery \(delivery.id) has ended: it is not paused.",
        next: delivery.status == .succeeded ? "Start a new delivery to deliver it again." : "Retry it.")
    }
    try await archive.delete(JournalKeys.partition(delivery.id), JournalKeys.pause)
    if delivery.status != .paused {
      // A run that was told of the pause comes to its end first; one that was not goes on as it is.
      guard workflow.running.isPaused(delivery.id), await ended(delivery.id) else { return delivery }
      delivery = try await current(delivery.id) ?? delivery
      guard delivery.status == .paused else { return delivery }
    }
    return try await goOn(delivery, context) { $0.status != .paused }
  }

  /// The next run of a paused delivery.
  private func goOn(
    _ delivery: Delivery, _ context: CallContext, until isSettled: @escaping @Sendable (Delivery) -> Bool
  ) async throws(RPCError) -> Delivery {
    try await expectEnd(delivery)
    try await archive.put(JournalKeys.starting, delivery.id, [])
    let watcher = hub.watch(delivery.id)
    try await starter.start(delivery)
    return try await settled(delivery.id, watcher, Self.wait(Self.stopWait, context), isSettled)
  }

  // MARK: Cancel and retry

  func cancel(_ request: CancelDeliveryRequest, _ context: CallContext) async throws(RPCError) -> Delivery {
    let delivery = try await changeable(request.id, context)
    if delivery.status == .cancelled { return delivery }
    try Self.refuseEnded(delivery, "cancel")
    try await ask(JournalKeys.cancel, of: delivery, Self.signed(request.reason, try context.caller))
    // A paused one has no run that would hear of it: the next one clears up and tells the tickets.
    var last = delivery
    if last.status != .paused {
      let watcher = hub.watch(delivery.id)
      workflow.running.cancel(delivery.id)
      last = try await settled(delivery.id, watcher, Self.wait(Self.stopWait, context)) {
        $0.status.isEnded || $0.status == .paused
      }
    }
    return last.status == .paused ? try await goOn(last, context) { $0.status.isEnded } : last
  }

  func retry(_ request: RetryDeliveryRequest, _ context: CallContext) async throws(RPCError) -> Delivery {
    let before = try await changeable(request.id, context)
    try DestinationChoice.check(request.credentials)
    guard before.status != .paused else {
      throw .precondition("The delivery \(before.id) is paused.", next: "Resume it: it goes on where it stood.")
    }
    let isEnded = before.status == .failed || before.status == .cancelled
    let canGoOn = if isEnded { true } else { await isStranded(before) }
    guard canGoOn else {
      throw .precondition(
        "The delivery \(before.id) has not failed and was not cancelled.",
        next: before.status == .succeeded ? "Start a new delivery to deliver it again." : "Wait until it has ended.")
    }
    try await expectEnd(before)
    try await archive.reset(before.id, credentials: request.credentials)
    let watcher = hub.watch(before.id)
    try await starter.start(before)
    return try await settled(before.id, watcher, Self.wait(Self.ticketWait, context)) { $0.status != .pending }
  }

  /// Its run failed in a way that left it no time to say so.
  private func isStranded(_ delivery: Delivery) async -> Bool {
    if delivery.status == .succeeded { return false }
    // A store that can't be read says nothing: then it counts as under way.
    return (try? await engine.run(RunID(delivery.id)))?.status == .failed
  }

  /// The record ends a moment before the engine's run does.
  private func expectEnd(_ delivery: Delivery) async throws(RPCError) {
    guard await ended(delivery.id) else {
      throw .unavailable("The delivery \(delivery.id) is just ending its run.", next: "Try again in a moment.")
    }
  }

  private func ended(_ id: String) async -> Bool {
    await withTaskGroup(of: Bool.self) { group in
      // Cancelled or unknown: either way there is no ended run to go on with.
      group.addTask { (try? await engine.wait(RunID(id))) != nil }
      group.addTask {
        // Only cancellation, by the other task's end, ends the sleep early.
        try? await Task.sleep(for: Self.retryWait)
        return false
      }
      let first = await group.next() ?? false
      group.cancelAll()
      return first
    }
  }

  // MARK: What they share

  private static func refuseEnded(_ delivery: Delivery, _ verb: String) throws(RPCError) {
    guard !delivery.status.isEnded else {
      throw .precondition(
        "The delivery \(delivery.id) has ended already.", next: "Nothing: there is nothing to \(verb).")
    }
  }

  /// "by Ada, the server is being moved"
  private static func signed(_ reason: String, _ caller: Caller) -> String {
    let printable = String(reason.unicodeScalars.filter { $0.value >= 0x20 }.prefix(maxReason).map(Character.init))
    return "by \(caller.name.isEmpty ? caller.id : caller.name)" + (printable.isEmpty ? "" : ", \(printable)")
  }

  private func ask(_ key: String, of delivery: Delivery, _ text: String) async throws(RPCError) {
    try await archive.put(JournalKeys.partition(delivery.id), key, Array(text.utf8))
  }
}
