// One stream of a service's events, read by all who follow the same thing here: the newest events are kept, and each
// reader takes them at its own pace. Who falls behind what is kept gets a watch of its own until it has caught up, so no
// reader slows another and nothing piles up.
import NIOCore
import RPC
import Synchronization

/// One event as all its readers get it.
struct SharedEvent: Sendable {
  /// Its place in the order of events, from 1.
  var sequence: Int64
  /// As it goes over the wire.
  var frame: ByteBuffer
  /// Live figures as of `sequence`: only the newest count.
  var isPassing = false
}

final class SharedWatch: Sendable {
  /// Events that are kept, and their bytes; one is kept however large it is.
  static let keptEvents = 64
  static let keptBytes = 128 << 10

  enum Step {
    case frame(ByteBuffer)
    /// All is read that is there.
    case nothing
    /// What follows this sequence is not kept any more.
    case behind(after: Int64)
    case ended(ProblemDetails?)
  }

  private struct Seat {
    let bell: ReaderBell
    var sequence: Int64
    /// The number of the figures that were read last.
    var figures: UInt64 = 0
  }

  private struct State {
    var kept = CircularBuffer<SharedEvent>()
    var bytes = 0
    /// Whoever has read this far, or further, can go on here.
    var start: Int64
    var figures: (number: UInt64, frame: ByteBuffer)?
    var count: UInt64 = 0
    var seats: [ObjectIdentifier: Seat] = [:]
    var ended: Result<Void, ProblemDetails>?
    var feeder: Task<Void, Never>?
    var feederWaits: CheckedContinuation<Void, Never>?

    var isFull: Bool { !kept.isEmpty && (kept.count >= keptEvents || bytes >= keptBytes) }

    /// The feeder waits for a reader who has the watch to themselves; among several, whoever is behind goes elsewhere.
    var mustWait: Bool {
      guard isFull, seats.count == 1, let seat = seats.values.first, let oldest = kept.first else { return false }
      return seat.sequence < oldest.sequence
    }

    mutating func keep(_ event: SharedEvent) {
      while isFull, let oldest = kept.popFirst() {
        bytes -= oldest.frame.readableBytes
        start = oldest.sequence
      }
      kept.append(event)
      bytes += event.frame.readableBytes
      figures = nil  // what there is of them is older
    }

    mutating func takeFeeder() -> CheckedContinuation<Void, Never>? {
      defer { feederWaits = nil }
      return feederWaits
    }
  }
  private let state: Mutex<State>

  init(after sequence: Int64) { state = Mutex(State(start: sequence)) }

  /// Starts the task that puts events in.
  func begin(_ feed: @escaping @Sendable (SharedWatch) async throws(RPCError) -> Void) {
    let feeder = Task {
      let outcome: Result<Void, ProblemDetails>
      do throws(RPCError) {
        try await feed(self)
        outcome = .success(())
      } catch { outcome = .failure(ProblemDetails(error)) }
      self.end(outcome)
    }
    let isOver = state.withLock { state in
      state.feeder = feeder
      return state.ended != nil
    }
    if isOver { feeder.cancel() }
  }

  // MARK: The feeder's side

  /// Keeps an event for the readers. False once there are none.
  func put(_ event: SharedEvent) async -> Bool {
    while true {
      let bells: [ReaderBell]? = state.withLock { state in
        if state.ended != nil { return [] }
        if event.isPassing {
          state.count += 1
          state.figures = (state.count, event.frame)
        } else if state.mustWait {
          return nil
        } else {
          state.keep(event)
        }
        return state.seats.values.map(\.bell)
      }
      guard let bells else {
        await roomAgain()
        continue
      }
      for bell in bells { bell.ring(.news) }
      return !bells.isEmpty
    }
  }

  private func roomAgain() async {
    await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
      let isThere = state.withLock { state in
        if state.ended != nil || !state.mustWait { return true }
        state.feederWaits = continuation
        return false
      }
      if isThere { continuation.resume() }
    }
  }

  private func end(_ outcome: Result<Void, ProblemDetails>) {
    let bells = state.withLock { state in
      if state.ended == nil { state.ended = outcome }
      state.feeder = nil
      return state.seats.values.map(\.bell)
    }
    for bell in bells { bell.ring(.news) }
  }

  func beat() {
    for bell in state.withLock({ $0.seats.values.map(\.bell) }) { bell.ring(.heartbeat) }
  }

  // MARK: The readers' side

  /// Takes a seat for a reader who has read as far as a sequence. False if the watch is over or does not go back so far.
  func join(_ bell: ReaderBell, after sequence: Int64) -> Bool {
    let (joined, feeder) = state.withLock { state in
      guard state.ended == nil, state.start <= sequence else {
        return (false, nil as CheckedContinuation<Void, Never>?)
      }
      state.seats[ObjectIdentifier(bell)] = Seat(bell: bell, sequence: sequence)
      return (true, state.takeFeeder())
    }
    feeder?.resume()
    return joined
  }

  func position(of bell: ReaderBell) -> Int64? { state.withLock { $0.seats[ObjectIdentifier(bell)]?.sequence } }

  /// What the reader gets next.
  func next(_ bell: ReaderBell) -> Step {
    let (step, feeder): (Step, CheckedContinuation<Void, Never>?) = state.withLock { state in
      let reader = ObjectIdentifier(bell)
      guard var seat = state.seats[reader] else { return (.ended(nil), nil) }
      if seat.sequence < state.start { return (.behind(after: seat.sequence), nil) }
      if let event = state.kept.first(where: { $0.sequence > seat.sequence }) {
        seat.sequence = event.sequence
        state.seats[reader] = seat
        return (.frame(event.frame), state.mustWait ? nil : state.takeFeeder())
      }
      if let figures = state.figures, figures.number > seat.figures {
        seat.figures = figures.number
        state.seats[reader] = seat
        return (.frame(figures.frame), nil)
      }
      switch state.ended {
      case nil: return (.nothing, nil)
      case .success: return (.ended(nil), nil)
      case .failure(let problem): return (.ended(problem), nil)
      }
    }
    feeder?.resume()
    return step
  }

  /// True if the seat was the last: the watch is over then.
  func leave(_ bell: ReaderBell) -> Bool {
    let (isOver, feeder, waiting) = state.withLock { state in
      state.seats[ObjectIdentifier(bell)] = nil
      guard state.seats.isEmpty else { return (false, nil as Task<Void, Never>?, state.takeFeeder()) }
      if state.ended == nil { state.ended = .success(()) }
      return (true, state.feeder, state.takeFeeder())
    }
    feeder?.cancel()
    waiting?.resume()
    return isOver
  }
}

/// Wakes one reader. A ring of news while it does not wait is kept, several are one; a heartbeat is for those who wait only.
final class ReaderBell: Sendable {
  enum Ring { case news, heartbeat, finished }

  private struct State {
    var hasNews = false
    var isFinished = false
    var waiter: CheckedContinuation<Ring, Never>?
  }
  private let state = Mutex(State())

  var isFinished: Bool { state.withLock { $0.isFinished } }
  var isWaiting: Bool { state.withLock { $0.waiter != nil } }

  func ring(_ ring: Ring) {
    let waiter = state.withLock { state in
      if ring == .finished { state.isFinished = true }
      if state.waiter == nil, ring == .news { state.hasNews = true }
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.resume(returning: ring)
  }

  func finish() { ring(.finished) }

  /// Until the next ring. One waiter at a time.
  func wait() async -> Ring {
    await withCheckedContinuation { (continuation: CheckedContinuation<Ring, Never>) in
      let now: Ring? = state.withLock { state in
        if state.isFinished { return .finished }
        if state.hasNews {
          state.hasNews = false
          return .news
        }
        state.waiter = continuation
        return nil
      }
      if let now { continuation.resume(returning: now) }
    }
  }
}
