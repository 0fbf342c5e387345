// The runs that wait in this process for a free place, most urgent first, then oldest. The store's index is the truth;
// this is a bounded copy of its front.

import DocumentStore

struct RunQueue {
  struct Entry: Sendable {
    var id: RunID
    /// The run's key in the index, which is also its rank.
    var rank: String
  }

  let maximumCount: Int
  /// Least urgent first, so that taking the next one is cheap.
  private var entries: [Entry] = []
  private var ids: Set<RunID> = []
  /// Runs were left out for want of room: the index has to be read again when the queue runs dry.
  private(set) var hasOverflowed = false

  init(maximumCount: Int) {
    self.maximumCount = maximumCount
  }

  var isEmpty: Bool { entries.isEmpty }
  var count: Int { entries.count }
  func contains(_ id: RunID) -> Bool { ids.contains(id) }

  mutating func insert(_ entry: Entry) {
    insert(contentsOf: [entry])
  }

  mutating func insert(contentsOf new: [Entry]) {
    for entry in new where ids.insert(entry.id).inserted { entries.append(entry) }
    if new.count == 1, let entry = new.first, entries.last?.id == entry.id {
      // The usual case, one newcomer: a binary search instead of a sort.
      entries.removeLast()
      var (low, high) = (0, entries.count)
      while low < high {
        let middle = (low + high) / 2
        if entries[middle].rank > entry.rank { low = middle + 1 } else { high = middle }
      }
      entries.insert(entry, at: low)
    } else {
      entries.sort { $0.rank > $1.rank }
    }
    let excess = entries.count - maximumCount
    if excess > 0 {
      hasOverflowed = true
      for entry in entries.prefix(excess) { ids.remove(entry.id) }
      entries.removeFirst(excess)
    }
  }

  mutating func next() -> Entry? {
    guard let entry = entries.popLast() else { return nil }
    ids.remove(entry.id)
    return entry
  }

  mutating func remove(_ id: RunID) {
    if ids.remove(id) != nil { entries.removeAll { $0.id == id } }
  }

  mutating func forgetOverflow() {
    hasOverflowed = false
  }
}
