// Draws ticket numbers from a counter document. Callers that wait at the same time are served by one conditional put,
// so that the counter is no bottleneck; a put that fails, or a pair that is not written after all, leaves a gap.
import DocumentStore
import RPC
import ServiceKit

actor NumberSequence {
  /// Numbers that one put draws, at most.
  static let maximumDraw = 100
  static let key = DocumentKey(partition: "counter", sort: "ticket")

  private let store: any DocumentStore
  private var waiting: [CheckedContinuation<Result<Int64, RPCError>, Never>] = []
  private var isDrawing = false

  init(_ store: any DocumentStore) { self.store = store }

  /// A number that nobody was given before, from 1 on. Safe also beside other processes on the same store.
  func next() async throws(RPCError) -> Int64 {
    let result = await withCheckedContinuation { (reply: CheckedContinuation<Result<Int64, RPCError>, Never>) in
      waiting.append(reply)
      if !isDrawing {
        isDrawing = true
        Task { await serve() }
      }
    }
    return try result.get()
  }

  private func serve() async {
    while !waiting.isEmpty {
      let group = Array(waiting.prefix(Self.maximumDraw))
      waiting.removeFirst(group.count)
      do throws(RPCError) {
        let first = try await draw(Int64(group.count))
        for (offset, reply) in group.enumerated() { reply.resume(returning: .success(first + Int64(offset))) }
      } catch {
        for reply in group { reply.resume(returning: .failure(error)) }
      }
    }
    isDrawing = false
  }

  /// The first of `count` new numbers.
  private func draw(_ count: Int64) async throws(RPCError) -> Int64 {
    let store = store
    return try await Retry.onConflict("ticket") {
      let document = try await store.get(Self.key)
      let last = try document.map { try Self.number(in: $0.body) } ?? 0
      let body = Array(String(last + count).utf8)
      try await store.put(Self.key, body, if: document.map { .version($0.version) } ?? .absent)
      return last + 1
    }
  }

  private static func number(in body: [UInt8]) throws(DocumentStoreError) -> Int64 {
    guard let number = Int64(String(decoding: body, as: UTF8.self)) else {
      throw DocumentStoreError(
        .corrupt, message: "The counter of ticket numbers holds no number.",
        nextStep: "Restore the database from a backup.")
    }
    return number
  }
}
