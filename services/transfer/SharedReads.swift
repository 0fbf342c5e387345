// Deliveries of the same files to several servers read the source once: what one of them reads is held for the others until
// they have taken it, in bounded memory. The quicker ones wait for a slower one for as long as it takes something every moment;
// one that doesn't is left behind, reads for itself, and is one of them again once it has caught up.
import NIOCore
import Synchronization

/// The groups that have deliveries under way in this process.
final class SharedReads: Sendable {
  private let groups = Mutex<[String: (reads: GroupReads, members: Int)]>([:])

  /// Each is followed by a `leave`.
  func join(_ group: String, _ delivery: String) -> GroupReads {
    let reads = groups.withLock { groups in
      let known = groups[group] ?? (GroupReads(), 0)
      groups[group] = (known.reads, known.members + 1)
      return known.reads
    }
    reads.join(delivery)
    return reads
  }

  func leave(_ group: String, _ delivery: String) {
    let reads = groups.withLock { groups -> GroupReads? in
      guard let known = groups[group] else { return nil }
      groups[group] = known.members > 1 ? (known.reads, known.members - 1) : nil
      return known.reads
    }
    reads?.leave(delivery)
  }
}

/// What the deliveries of one group have read and others of it still want.
final class GroupReads: Sendable {
  /// Held at most, but for a single piece that is larger.
  static let maxBytes = 32 << 20
  /// Nothing was taken for that long, and there is no room: who is waited for is left behind.
  static let patience = Duration.seconds(1)
  /// Places that are known to have been served to one; whoever is asked about an earlier one has been there.
  static let memory = 64

  typealias Load = @Sendable () async throws(DeliveryFailure) -> ByteBuffer

  /// In the order in which deliveries come by.
  struct Place: Hashable, Comparable {
    /// The file's index in the delivery.
    var file: Int32
    /// Bytes from its start.
    var offset: Int64

    static func < (one: Place, other: Place) -> Bool { (one.file, one.offset) < (other.file, other.offset) }
  }

  private struct Piece {
    /// What was read: the object and its version.
    let source: String
    let size: Int
    /// Reaches 1 when the reading is over, however it ended.
    let loaded: Milestone
    var bytes: ByteBuffer?
    /// Who has not taken it.
    var wanted: Set<String>
  }

  private struct Member {
    var asked: [Place] = []
    var isBehind = false

    mutating func ask(_ place: Place) {
      asked.append(place)
      if asked.count > GroupReads.memory { asked.removeFirst() }
    }

    func wants(_ place: Place) -> Bool {
      if isBehind || asked.contains(place) { return false }
      return asked.count < GroupReads.memory || asked.contains { $0 < place }
    }
  }

  private struct State {
    var members: [String: Member] = [:]
    var pieces: [Place: Piece] = [:]
    /// Of the pieces, oldest first.
    var order: [Place] = []
    var bytes = 0
    /// The farthest place that was read.
    var front = Place(file: 0, offset: 0)
    /// Counts what makes room.
    var freed: Int32 = 0

    mutating func remove(_ place: Place) {
      guard let piece = pieces.removeValue(forKey: place) else { return }
      order.removeAll { $0 == place }
      bytes -= piece.size
      freed &+= 1
    }

    /// `member` wants none of the pieces any more.
    mutating func release(_ member: String) {
      for place in order {
        pieces[place]?.wanted.remove(member)
        if pieces[place]?.wanted.isEmpty == true { remove(place) }
      }
    }
  }

  private enum Step {
    case take(ByteBuffer)
    case wait(Milestone)
    case load(Milestone)
    case alone
    /// There is no room; `Int32`: what was freed so far.
    case full(Int32)
  }

  private let state = Mutex(State())
  private let freed = Milestone()

  func join(_ member: String) { state.withLock { $0.members[member] = Member() } }

  func leave(_ member: String) {
    change { state in
      state.members[member] = nil
      state.release(member)
    }
  }

  private func change(_ edit: (inout sending State) -> Void) {
    let count = state.withLock { state in
      edit(&state)
      return state.freed
    }
    freed.reach(count)
  }

  /// The bytes at a place: taken if another delivery has read them, else by `load`, and held for those who will come by.
  /// - Parameters:
  ///   - source: the object and its version; a delivery that planned another reads for itself.
  ///   - size: bytes that `load` gives.
  func read(
    _ place: Place, of source: String, size: Int, by member: String, _ load: Load
  ) async throws(DeliveryFailure) -> ByteBuffer {
    while true {
      switch state.withLock({ Self.step(place, source, size, member, &$0) }) {
      case .take(let bytes):
        change { Self.take(place, member, &$0) }
        return bytes
      case .alone: return try await load()
      case .wait(let loaded): try await until(loaded, 1)
      case .full(let count): try await room(after: count)
      case .load(let loaded):
        do throws(DeliveryFailure) {
          let bytes = try await load()
          state.withLock { state in
            if state.pieces[place]?.loaded === loaded { state.pieces[place]?.bytes = bytes }
          }
          loaded.reach(1)
          return bytes
        } catch {
          // Those who waited read for themselves.
          change { state in
            if state.pieces[place]?.loaded === loaded { state.remove(place) }
          }
          loaded.reach(1)
          throw error
        }
      }
    }
  }

  /// Whoever has to wait comes once more, and still counts as one that wants what is there.
  private static func step(
    _ place: Place, _ source: String, _ size: Int, _ member: String, _ state: inout State
  ) -> Step {
    if place >= state.front { state.members[member]?.isBehind = false }
    let step = choose(place, source, size, member, &state)
    switch step {
    case .take, .load, .alone: state.members[member]?.ask(place)
    case .wait, .full: break
    }
    return step
  }

  private static func choose(
    _ place: Place, _ source: String, _ size: Int, _ member: String, _ state: inout State
  ) -> Step {
    if let piece = state.pieces[place] {
      guard piece.source == source, piece.size == size, piece.wanted.contains(member) else { return .alone }
      return piece.bytes.map { .take($0) } ?? .wait(piece.loaded)
    }
    let others = state.members.filter { $0.key != member && $0.value.wants(place) }
    if others.isEmpty { return .alone }
    if state.bytes + size > maxBytes, !state.pieces.isEmpty { return .full(state.freed) }
    let loaded = Milestone()
    state.pieces[place] = Piece(source: source, size: size, loaded: loaded, wanted: Set(others.keys))
    state.order.append(place)
    state.bytes += size
    state.front = max(state.front, place)
    return .load(loaded)
  }

  private static func take(_ place: Place, _ member: String, _ state: inout State) {
    state.pieces[place]?.wanted.remove(member)
    if state.pieces[place]?.wanted.isEmpty == true { state.remove(place) }
  }

  /// Returns when something was freed; who holds the oldest piece up for too long is left behind.
  private func room(after count: Int32) async throws(DeliveryFailure) {
    let timer = Task {
      do { try await Task.sleep(for: Self.patience) } catch { return }  // something was freed in time
      change { state in
        guard state.freed == count, let oldest = state.order.first else { return }
        for member in state.pieces[oldest]?.wanted ?? [] {
          state.members[member]?.isBehind = true
          state.release(member)
        }
      }
    }
    defer { timer.cancel() }
    try await until(freed, count + 1)
  }

  private func until(_ milestone: Milestone, _ mark: Int32) async throws(DeliveryFailure) {
    do throws(CancellationError) { try await milestone.until(mark) } catch {
      throw DeliveryFailure(
        "CANCELLED", "The delivery was interrupted.", next: "It goes on by itself.", scope: .delivery)
    }
  }
}
