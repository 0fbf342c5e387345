// The figures of a delivery under way, in memory: what moved so far, file by file and state by state. The journal holds
// what is proven; these are what people watch, and what a resumed run counts anew from the journal.
import FerryAPI
import Synchronization

final class DeliveryProgress: Sendable {
  struct Figures: Sendable, Equatable {
    /// Bytes of the source for download, compress, transfer and verify; files for validate and clean up.
    var done: [DeliveryState: Int64] = [:]
    /// Files that have passed a state.
    var passed: [DeliveryState: Int64] = [:]
    var begun: Set<DeliveryState> = []
    /// What is told once in a run: a handful.
    var said: Set<String> = []
    /// Of the files that were compressed.
    var packed = Packed()
    var filesFailed: Int64 = 0
    var retries: Int64 = 0
  }

  struct Packed: Sendable, Equatable {
    var files: Int64 = 0
    /// Bytes: before, and after.
    var from: Int64 = 0
    var to: Int64 = 0
  }

  private let figures = Mutex(Figures())

  var current: Figures { figures.withLock { $0 } }

  func add(_ amount: Int64, to state: DeliveryState) {
    figures.withLock { $0.done[state, default: 0] += amount }
  }

  /// Counts a file that has passed a state, and says how many have.
  func pass(_ state: DeliveryState) -> Int64 {
    figures.withLock { figures in
      figures.passed[state, default: 0] += 1
      if !StateTracker.countsBytes(state) { figures.done[state, default: 0] += 1 }
      return figures.passed[state, default: 0]
    }
  }

  /// A file that is compressed: its bytes before, and after.
  func addPacked(_ from: Int64, _ to: Int64) {
    figures.withLock { figures in
      figures.packed.files += 1
      figures.packed.from += from
      figures.packed.to += to
    }
  }

  /// Takes a pass back: what it stood for is gone.
  func revoke(_ state: DeliveryState) {
    figures.withLock { figures in
      figures.passed[state, default: 0] -= 1
      if !StateTracker.countsBytes(state) { figures.done[state, default: 0] -= 1 }
    }
  }

  /// True the first time it is asked for a state.
  func begins(_ state: DeliveryState) -> Bool { figures.withLock { $0.begun.insert(state).inserted } }

  /// True the first time it is asked for a text.
  func saysFirst(_ text: String) -> Bool { figures.withLock { $0.said.insert(text).inserted } }

  func addFailedFile() { figures.withLock { $0.filesFailed += 1 } }
  func addRetry() { figures.withLock { $0.retries += 1 } }
  func set(retries: Int64) { figures.withLock { $0.retries = retries } }

  /// Puts the live figures over what was journalled last.
  func overlay(_ delivery: inout Delivery) {
    let figures = current
    delivery.filesDone = figures.passed[.cleanUp] ?? 0
    delivery.filesFailed = figures.filesFailed
    delivery.bytesDone = min(figures.done[.transfer] ?? 0, delivery.bytesTotal)
    delivery.retries = max(delivery.retries, figures.retries)
    for index in delivery.states.indices where delivery.states[index].status != .done {
      let state = delivery.states[index].state
      if StateTracker.perFile.contains(state) {
        delivery.states[index].done = min(figures.done[state] ?? 0, delivery.states[index].total)
      }
    }
  }
}
