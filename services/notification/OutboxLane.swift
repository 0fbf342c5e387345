// Sends what is due through one channel, one after the other, so that a server that hangs holds up only its own
// channel. Before a sending a mark is journalled, after it the outcome: a mark that is found at the start of an attempt
// means that the process died, or lost its database, while it sent. What then is right depends on the channel: mail
// goes out again under its old Message-ID, by which mail systems drop the second; Teams has no such thing, so a card
// goes out once more, says that it may be the second, and is given up if that too is cut off.
import DocumentStore
import FerryAPI
import Logging
import ServiceKit

struct OutboxLane: Sendable {
  /// An entry whose notification has not appeared for so long belongs to a Notify that never ended.
  static let orphanAge: Duration = .seconds(60)
  static let orphanWait: Duration = .seconds(1)
  /// Sendings of unknown outcome that a channel without deduplication may have: the first and one more.
  static let maximumUncertain: Int32 = 1
  /// Wait after the database failed.
  static let storeWait: Duration = .seconds(5)

  enum Step: Sendable, Equatable {
    case empty
    case waits(until: UnixMilliseconds)
    case handled
    case stopped
  }

  let messenger: any Messenger
  let outbox: Outbox
  let documents: NotificationDocuments
  let schedule: RetrySchedule
  let now: @Sendable () -> UnixMilliseconds
  let bell: Doorbell
  let logger: Logger

  /// Until the task is cancelled.
  func run() async {
    while !Task.isCancelled {
      do throws(DocumentStoreError) {
        switch try await step() {
        case .handled: continue
        case .empty: await bell.wait()
        case .waits(let due): await bell.wait(atMost: .milliseconds(max(1, due - now())))
        case .stopped: return
        }
      } catch {
        logger.error("the outbox could not go on", metadata: ["channel": "\(messenger.name)", "error": "\(error)"])
        await bell.wait(atMost: Self.storeWait)
      }
    }
  }

  /// Handles the entry that is due first.
  func step() async throws(DocumentStoreError) -> Step {
    guard let queued = try await outbox.first() else { return .empty }
    let time = now()
    if queued.dueAt > time { return .waits(until: queued.dueAt) }
    let entry = queued.entry
    guard let stored = try await documents.notification(of: entry.recipientID, id: entry.notificationID) else {
      return try await orphan(queued, at: time)
    }
    let state = stored.notification.channels.first { $0.channel == messenger.name }
    if state?.status == .sent || state?.status == .failed {
      try await outbox.finish(queued)  // the process died after it had recorded the outcome
      return .handled
    }
    return try await attempt(queued, stored.notification, at: time)
  }

  private func orphan(_ queued: Outbox.Queued, at time: UnixMilliseconds) async throws(DocumentStoreError) -> Step {
    if time - queued.entry.createdAt > Self.orphanAge.milliseconds {
      try await outbox.finish(queued)
    } else {
      try await outbox.move(queued, to: time + Self.orphanWait.milliseconds)
    }
    return .handled
  }

  private func attempt(
    _ found: Outbox.Queued, _ notification: FerryAPI.Notification, at time: UnixMilliseconds
  ) async throws(DocumentStoreError) -> Step {
    var queued = found
    if queued.entry.attempting { queued.entry.uncertain += 1 }
    if isTooUncertain(queued.entry) { return try await fail(queued, OutboxProblems.outcomeUnknown(messenger.name)) }
    if time - queued.entry.createdAt > RetrySchedule.maximumAge.milliseconds {
      return try await fail(queued, OutboxProblems.tooOld(messenger.name))
    }
    queued.entry.attempting = true
    queued.entry.attempts += 1
    try await outbox.save(&queued)
    do throws(SendFailure) {
      try await messenger.send(Outgoing(notification: notification, mayBeRepeat: queued.entry.uncertain > 0))
    } catch {
      return try await failed(queued, error)
    }
    try await record(queued, .sent, nil)
    try await outbox.finish(queued)
    logger.info(
      "notification sent",
      metadata: [
        "channel": "\(messenger.name)", "notification": "\(notification.id)", "attempts": "\(queued.entry.attempts)",
      ])
    return .handled
  }

  private func failed(_ sent: Outbox.Queued, _ failure: SendFailure) async throws(DocumentStoreError) -> Step {
    if failure.kind == .stopped { return .stopped }  // the mark stays: the next start knows that it does not know
    var queued = sent
    queued.entry.attempting = false
    if failure.mayHaveArrived { queued.entry.uncertain += 1 }
    if isTooUncertain(queued.entry) { return try await fail(queued, OutboxProblems.outcomeUnknown(messenger.name)) }
    guard let wait = schedule.wait(after: failure, attempts: queued.entry.attempts) else {
      return try await fail(queued, failure.problem)
    }
    logger.warning(
      "notification not sent, will be tried again",
      metadata: [
        "channel": "\(messenger.name)", "notification": "\(queued.entry.notificationID)",
        "attempts": "\(queued.entry.attempts)", "wait_ms": "\(wait.milliseconds)",
        "error": "\(failure.problem.message)",
      ])
    try await record(queued, .queued, failure.problem)
    try await outbox.move(queued, to: now() + wait.milliseconds)
    return .handled
  }

  /// Gives up, and says why where the reader of the notification sees it.
  private func fail(_ queued: Outbox.Queued, _ problem: Problem) async throws(DocumentStoreError) -> Step {
    logger.error(
      "notification given up",
      metadata: [
        "channel": "\(messenger.name)", "notification": "\(queued.entry.notificationID)",
        "attempts": "\(queued.entry.attempts)", "error": "\(problem.message)",
      ])
    try await record(queued, .failed, problem)
    try await outbox.finish(queued)
    return .handled
  }

  private func isTooUncertain(_ entry: OutboxEntry) -> Bool {
    !messenger.deduplicates && entry.uncertain > Self.maximumUncertain
  }

  /// Journals how it stands in the notification itself; over again while its reader marks it as read.
  private func record(
    _ queued: Outbox.Queued, _ status: ChannelStatus, _ problem: Problem?
  ) async throws(DocumentStoreError) {
    let time = Timestamp(milliseconds: now())
    for attempt in 0...Retry.conflictLimit {
      let entry = queued.entry
      guard var stored = try await documents.notification(of: entry.recipientID, id: entry.notificationID),
        let index = stored.notification.channels.firstIndex(where: { $0.channel == messenger.name })
      else { return }
      stored.notification.channels[index].status = status
      stored.notification.channels[index].attempts = entry.attempts
      stored.notification.channels[index].time = time
      stored.notification.channels[index].problem = problem.map { problem in
        var problem = problem
        problem.time = problem.time ?? time
        return problem
      }
      do throws(DocumentStoreError) { return try await documents.update(stored) } catch {
        guard case .conflict = error.kind, attempt < Retry.conflictLimit else { throw error }
      }
    }
  }
}

extension NotificationDesk {
  func lane(_ messenger: any Messenger, schedule: RetrySchedule = .random, logger: Logger) -> OutboxLane {
    OutboxLane(
      messenger: messenger, outbox: outbox(of: messenger.name), documents: documents, schedule: schedule, now: now,
      bell: bells[messenger.name] ?? Doorbell(), logger: logger)
  }

  /// One task for each channel that is set up; cancel them to stop.
  func startLanes(logger: Logger) -> [Task<Void, Never>] {
    channels.compactMap(\.messenger).map { messenger in
      let lane = lane(messenger, logger: logger)
      return Task { await lane.run() }
    }
  }
}

enum OutboxProblems {
  static func outcomeUnknown(_ channel: String) -> Problem {
    .with {
      $0.code = "OUTCOME_UNKNOWN"
      $0.message = "Sending to \(channel) was cut off twice, so it may have arrived up to twice, or not at all."
      $0.nextStep = "Look there for it; it is not sent again."
    }
  }

  static func tooOld(_ channel: String) -> Problem {
    .with {
      $0.code = "EXPIRED"
      $0.message = "The message could not be sent to \(channel) for 24 hours and was given up."
      $0.nextStep = "See that the channel works; the message can be read here."
    }
  }
}
