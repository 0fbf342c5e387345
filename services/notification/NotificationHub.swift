// Who is watching: a doorbell for each watcher, rung when something new is stored for their person. No message passes
// through here, so a slow watcher costs a bell and nothing else; it reads from the store at its own pace.
import RPC
import ServiceKit
import Synchronization

final class NotificationHub: Sendable {
  private struct State {
    var bells: [String: [Doorbell]] = [:]
    var count = 0
    var closed = false
  }
  private let state = Mutex(State())

  func watch(_ person: String) throws(RPCError) -> Doorbell {
    let bell = Doorbell()
    let refusal: RPCError? = state.withLock { state in
      if state.closed { return .unavailable("The notification service is stopping.") }
      let own = state.bells[person, default: []].count
      guard own < NotificationLimits.watchersOfOne, state.count < NotificationLimits.watchers else {
        return .told(
          .resourceExhausted, "TOO_MANY_WATCHERS", "Too many connections are watching notifications already.",
          next: own < NotificationLimits.watchersOfOne ? "Try again later." : "Close some of your windows.",
          retryable: true)
      }
      state.bells[person, default: []].append(bell)
      state.count += 1
      return nil
    }
    if let refusal { throw refusal }
    return bell
  }

  func leave(_ person: String, _ bell: Doorbell) {
    state.withLock { state in
      guard let index = state.bells[person]?.firstIndex(where: { $0 === bell }) else { return }
      state.bells[person]?.remove(at: index)
      state.count -= 1
      if state.bells[person]?.isEmpty ?? false { state.bells[person] = nil }
    }
  }

  /// Something new is stored for this person.
  func ring(_ person: String) {
    let bells = state.withLock { $0.bells[person] ?? [] }
    for bell in bells { bell.ring() }
  }

  var isClosed: Bool { state.withLock { $0.closed } }

  /// Ends every watch.
  func close() {
    let bells = state.withLock { state in
      state.closed = true
      return state.bells.values.flatMap { $0 }
    }
    for bell in bells { bell.ring() }
  }
}
