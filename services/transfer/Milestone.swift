// A count that only grows, and tasks that wait for it to come so far: what has to go in order among chunks that are under way
// side by side.
import Synchronization

final class Milestone: Sendable {
  private struct State {
    var reached: Int32 = 0
    var next: UInt64 = 0
    var waiting: [UInt64: (mark: Int32, turn: CheckedContinuation<Bool, Never>)] = [:]
  }

  private let state = Mutex(State())

  var reached: Int32 { state.withLock { $0.reached } }

  func reach(_ mark: Int32) {
    let turns = state.withLock { state -> [CheckedContinuation<Bool, Never>] in
      state.reached = max(state.reached, mark)
      let come = state.waiting.filter { $0.value.mark <= state.reached }
      for number in come.keys { state.waiting[number] = nil }
      return come.values.map(\.turn)
    }
    for turn in turns { turn.resume(returning: true) }
  }

  /// Returns once the count is `mark` or more. Throws CancellationError if the task is cancelled first.
  func until(_ mark: Int32) async throws(CancellationError) {
    let number = state.withLock { state in
      state.next += 1
      return state.next
    }
    let hasCome = await withTaskCancellationHandler {
      await withCheckedContinuation { (turn: CheckedContinuation<Bool, Never>) in
        let answer: Bool? = state.withLock { state in
          if state.reached >= mark { return true }
          if Task.isCancelled { return false }
          state.waiting[number] = (mark, turn)
          return nil
        }
        if let answer { turn.resume(returning: answer) }
      }
    } onCancel: {
      let turn = state.withLock { $0.waiting.removeValue(forKey: number)?.turn }
      turn?.resume(returning: false)
    }
    if !hasCome { throw CancellationError() }
  }
}
