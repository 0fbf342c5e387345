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
  /// With their ranks.
  private var ids: [RunID: String] = [:]
  /// Runs were left out for want of room: the index has to be read again when the queue runs dry.
  private(set) var hasOverflowed = false

  init(maximumCount: Int) {
    self.maximumCount = maximumCount
  }

  var isEmpty: Bool { entries.isEmpty }
  var count: Int { entries.count }
  func contains(_ id: RunID) -> Bool { ids[id] != nil }

  /// How many go before it; nil if it isn't here.
  func before(_ id: RunID) -> Int? {
    guard let rank = ids[id] else { return nil }
    return entries.count - firstIndex(notAfter: rank) - 1
  }

  /// Of the entries, which are least urgent first.
  private func firstIndex(notAfter rank: String) -> Int {
    var (low, high) = (0, entries.count)
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].rank > rank { low = middle + 1 } else { high = middle }
    }
    return low
  }

  mutating func insert(_ entry: Entry) {
    insert(contentsOf: [entry])
  }

  mutating func insert(contentsOf new: [Entry]) {
    for entry in new where ids[entry.id] == nil {
      ids[entry.id] = entry.rank
      entries.append(entry)
    }
    if new.count == 1, let entry = new.first, entries.last?.id == entry.id {
      // The usual case, one newcomer: a binary search instead of a sort.
      entries.removeLast()
      entries.insert(entry, at: firstIndex(notAfter: entry.rank))
    } else {
      entries.sort { $0.rank > $1.rank }
    }
    let excess = entries.count - maximumCount
    if excess > 0 {
      hasOverflowed = true
      for entry in entries.prefix(excess) { ids[entry.id] = nil }
      entries.removeFirst(excess)
    }
  }

  mutating func next() -> Entry? {
    guard let entry = entries.popLast() else { return nil }
    ids[entry.id] = nil
    return entry
  }

  mutating func remove(_ id: RunID) {
    if ids.removeValue(forKey: id) != nil { entries.removeAll { $0.id == id } }
  }

  mutating func forgetOverflow() {
    hasOverflowed = false
  }
}
