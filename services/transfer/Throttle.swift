// Holds bytes back to a schedule's rate: whoever is about to send some asks, and is told how long to wait. Those who ask
// share the rate in the order in which they do.
import DocumentStore
import Synchronization

final class Throttle: Sendable {
  /// A quarter of a second's bytes go at once, within these bounds.
  private static let slices = 4096...(256 << 10)

  private struct State {
    var schedule: BandwidthSchedule
    /// When all that was asked for so far will have gone.
    var free: ContinuousClock.Instant?
  }

  private let state: Mutex<State>
  private let now: @Sendable () -> UnixMilliseconds

  /// - Parameter now: the time of the day, which the schedule goes by.
  init(_ schedule: BandwidthSchedule, now: @escaping @Sendable () -> UnixMilliseconds) {
    state = Mutex(State(schedule: schedule))
    self.now = now
  }

  func follow(_ schedule: BandwidthSchedule) { state.withLock { $0.schedule = schedule } }

  /// Bytes to send at once; nil: as many as there are.
  var slice: Int? {
    state.withLock { $0.schedule }.rate(at: now()).map { min(max(Int($0 / 4), Self.slices.lowerBound), Self.slices.upperBound) }
  }

  /// Returns when so many bytes may go.
  func wait(_ bytes: Int) async throws {
    guard let start = reserve(bytes, at: .now) else { return }
    try await Task.sleep(until: start, clock: .continuous)
  }

  /// When they may go; nil: at once.
  func reserve(_ bytes: Int, at moment: ContinuousClock.Instant) -> ContinuousClock.Instant? {
    let time = now()
    return state.withLock { state in
      guard let rate = state.schedule.rate(at: time) else {
        state.free = nil
        return nil
      }
      let start = max(state.free ?? moment, moment)
      state.free = start + .seconds(Double(bytes) / Double(rate))
      return start > moment ? start : nil
    }
  }
}

/// The throttles of destinations, which all deliveries to one share.
final class DestinationThrottles: Sendable {
  private struct Entry {
    var throttle: Throttle
    var users = 0
  }
  private let entries = Mutex<[String: Entry]>([:])

  /// The server's, by the newest schedule. Given back by `release`.
  func take(_ server: String, _ schedule: BandwidthSchedule, now: @escaping @Sendable () -> UnixMilliseconds) -> Throttle {
    entries.withLock { entries in
      var entry = entries[server] ?? Entry(throttle: Throttle(schedule, now: now))
      entry.throttle.follow(schedule)
      entry.users += 1
      entries[server] = entry
      return entry.throttle
    }
  }

  func release(_ server: String) {
    entries.withLock { entries in
      entries[server]?.users -= 1
      if entries[server]?.users == 0 { entries[server] = nil }
    }
  }
}
