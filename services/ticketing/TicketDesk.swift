// The ticketing service's state and what its methods share: the store, the counter, the clock, and whole pairs as
// answers. Opening, notes, closing and reading are each in a file of their own.
import DocumentStore
import FerryAPI
import RPC
import ServiceKit

struct TicketDesk: Sendable {
  let documents: TicketDocuments
  let numbers: NumberSequence
  let now: @Sendable () -> UnixMilliseconds

  init(_ store: any DocumentStore, now: @escaping @Sendable () -> UnixMilliseconds = SystemTime.now) {
    documents = TicketDocuments(store: store)
    numbers = NumberSequence(store)
    self.now = now
  }

  var timestamp: Timestamp {
    Timestamp(milliseconds: now())
  }

  /// Reads a pair, lets `change` decide, and writes both tickets with the notes it returns; over again while somebody
  /// else gets in between. Nil: nothing is to be written.
  func change(
    _ pairID: String, _ change: @Sendable (inout StoredPair) async throws -> [WorkNote]?
  ) async throws(RPCError) -> TicketPair {
    try await Retry.onConflict("ticket") {
      guard var pair = try await documents.pair(pairID) else { throw RPCError.noPair(pairID) }
      if let notes = try await change(&pair) { try await documents.update(pair, adding: notes) }
    }
    return try await whole(pairID)
  }

  /// The pair with its notes, as both tickets show them.
  func whole(_ pairID: String) async throws(RPCError) -> TicketPair {
    try await Retry.onConflict("ticket") {
      guard let pair = try await documents.pair(pairID) else { throw RPCError.noPair(pairID) }
      return answer(pair, notes: try await documents.notes(of: pairID))
    }
  }

  func answer(_ pair: StoredPair, notes: [WorkNote]) -> TicketPair {
    var pair = pair
    pair.both { $0.workNotes = notes }
    return TicketPair.with {
      $0.pairID = pair.id
      $0.user = pair.user
      $0.audit = pair.audit
    }
  }
}
