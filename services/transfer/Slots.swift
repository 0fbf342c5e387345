// A bounded number of places, taken in the order they were asked for: chunks in flight, files at once.
import Synchronization

final class Slots: Sendable {
  private struct State {
    var free: Int
    var next: UInt64 = 0
    var waiting: [(number: UInt64, turn: CheckedContinuation<Bool, Never>)] = []
  }

  private let state: Mutex<State>

  init(_ count: Int) { state = Mutex(State(free: max(1, count))) }

  /// Waits for a place. Throws CancellationError without one if the task is cancelled first.
  func take() async throws {
    let number = state.withLock { state in
      state.next += 1
      return state.next
    }
    let granted = await withTaskCancellationHandler {
      await withCheckedContinuation { (turn: CheckedContinuation<Bool, Never>) in
        let answer: Bool? = state.withLock { state in
          if Task.isCancelled { return false }
          if state.free > 0 {
            state.free -= 1
            return true
          }
          state.waiting.append((number, turn))
          return nil
        }
        if let answer { turn.resume(returning: answer) }
      }
    } onCancel: {
      let turn = state.withLock { state -> CheckedContinuation<Bool, Never>? in
        guard let index = state.waiting.firstIndex(where: { $0.number == number }) else { return nil }
        return state.waiting.remove(at: index).turn
      }
      turn?.resume(returning: false)
    }
    if !granted { throw CancellationError() }
  }

  func giveBack() {
    let turn = state.withLock { state -> CheckedContinuation<Bool, Never>? in
      if state.waiting.isEmpty {
        state.free += 1
        return nil
      }
      return state.waiting.removeFirst().turn
    }
    turn?.resume(returning: true)
  }
}
