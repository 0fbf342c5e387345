// The eight states of a delivery and how each may change: waiting, active, then done, skipped or failed, each once in
// an attempt. It decides what is a change; writing it down is the journal's.
import FerryAPI

struct StateTracker: Sendable, Equatable {
  static let order: [DeliveryState] = [
    .download, .validate, .compress, .transfer, .verify, .cleanUp, .storeMetadata, .notify,
  ]
  /// Those that every file goes through, in the order in which it does.
  static let perFile: [DeliveryState] = [.download, .validate, .compress, .transfer, .verify, .cleanUp]

  /// Always eight, in order.
  private(set) var states: [StateProgress]

  init() {
    states = Self.order.map { state in
      StateProgress.with { ($0.state, $0.status) = (state, .waiting) }
    }
  }

  /// From the journal; anything but eight states in order begins anew.
  init(_ journalled: [StateProgress]) {
    self.init()
    if journalled.map(\.state) == Self.order { states = journalled }
  }

  subscript(_ state: DeliveryState) -> StateProgress {
    get { states[Self.index(state)] }
    set { states[Self.index(state)] = newValue }
  }

  private static func index(_ state: DeliveryState) -> Int { Int(state.rawValue) - 1 }

  static func countsBytes(_ state: DeliveryState) -> Bool { [.download, .compress, .transfer, .verify].contains(state) }

  /// What there is to do, once the files are known.
  /// - Parameter compresses: some of them may be compressed; else that state is over.
  mutating func plan(files: Int64, bytes: Int64, compresses: Bool) {
    for state in Self.order {
      self[state].total =
        switch state {
        case .download, .transfer, .verify: bytes
        case .validate, .cleanUp: files
        case .compress: compresses ? bytes : 0
        default: 1
        }
    }
  }

  /// True if this began the state.
  mutating func begin(_ state: DeliveryState, at time: Timestamp) -> Bool {
    guard self[state].status == .waiting else { return false }
    self[state].status = .active
    self[state].startedAt = time
    return true
  }

  /// True if this ended the state. A state that never began begins and ends at once.
  mutating func end(_ state: DeliveryState, _ status: StateStatus, note: String, at time: Timestamp) -> Bool {
    guard self[state].status == .waiting || self[state].status == .active else { return false }
    if self[state].startedAt == nil, status != .skipped { self[state].startedAt = time }
    if status == .done { self[state].done = self[state].total }
    self[state].status = status
    self[state].note = note
    self[state].finishedAt = time
    return true
  }

  /// True if the state was done and is taken up again, because something it had proven is gone.
  mutating func reopen(_ state: DeliveryState, note: String) -> Bool {
    guard self[state].status == .done else { return false }
    self[state].status = .active
    self[state].note = note
    self[state].finishedAt = nil
    return true
  }

  /// The state that a failure is told of: the first that is under way, else the first that never began.
  var failing: DeliveryState {
    states.first { $0.status == .active }?.state ?? states.first { $0.status == .waiting }?.state ?? .notify
  }

  /// Of its work note: "clean-up".
  static func key(_ state: DeliveryState) -> String {
    String(name(state).map { $0 == " " ? "-" : $0 })
  }

  static func name(_ state: DeliveryState) -> String {
    switch state {
    case .download: "download"
    case .validate: "validate"
    case .compress: "compress"
    case .transfer: "transfer"
    case .verify: "verify"
    case .cleanUp: "clean up"
    case .storeMetadata: "store metadata"
    case .notify: "notify"
    default: "unknown"
    }
  }
}
