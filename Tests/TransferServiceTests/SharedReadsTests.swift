// Several deliveries read a source once, as long as they keep pace; one that doesn't, or that planned another version, reads for
// itself, and nobody waits for long.
import NIOCore
import Synchronization
import Testing

@testable import TransferService

@Suite final class SharedReadsTests: Sendable {
  private static let size = 8 << 20

  private let shared = SharedReads()
  private let loads = Mutex(0)

  private func bytes(_ place: Int) -> ByteBuffer { ByteBuffer(repeating: UInt8(truncatingIfNeeded: place), count: 16) }

  /// As a delivery does: place by place, several at once.
  private func read(
    _ reads: GroupReads, _ places: Range<Int>, by member: String, source: String = "v1", size: Int = size, atOnce: Int = 3
  ) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for place in places {
        if place >= places.lowerBound + atOnce { try await group.next() }
        group.addTask { [self] in
          let found = try await reads.read(
            GroupReads.Place(file: 0, offset: Int64(place)), of: source, size: size, by: member
          ) { [self] () async throws(DeliveryFailure) in
            loads.withLock { $0 += 1 }
            await Task.yield()
            return bytes(place)
          }
          #expect(found == bytes(place))
        }
      }
      try await group.waitForAll()
    }
  }

  @Test("what one reads the others take", arguments: [2, 5])
  func once(_ members: Int) async throws {
    let names = (0..<members).map { "m\($0)" }
    let reads = names.map { shared.join("g", $0) }
    try await withThrowingTaskGroup(of: Void.self) { group in
      for (name, reads) in zip(names, reads) { group.addTask { [self] in try await read(reads, 0..<200, by: name) } }
      try await group.waitForAll()
    }
    #expect(loads.withLock { $0 } == 200)
    for name in names { shared.leave("g", name) }
  }

  @Test("who comes later finds what there is room for")
  func later() async throws {
    let (first, second) = (shared.join("g", "a"), shared.join("g", "b"))
    let places = 0..<GroupReads.maxBytes / Self.size
    try await read(first, places, by: "a")
    try await read(second, places, by: "b")
    #expect(loads.withLock { $0 } == places.count)
  }

  @Test("one that takes nothing is waited for once, and reads for itself")
  func leftBehind() async throws {
    let (first, second) = (shared.join("g", "a"), shared.join("g", "b"))
    let began = ContinuousClock.now
    try await read(first, 0..<50, by: "a")
    #expect(ContinuousClock.now - began < GroupReads.patience * 3)
    #expect(loads.withLock { $0 } == 50)
    try await read(second, 0..<50, by: "b")
    #expect(loads.withLock { $0 } == 100)
    // Caught up, it is one of them again.
    try await read(first, 50..<52, by: "a")
    try await read(second, 50..<52, by: "b")
    #expect(loads.withLock { $0 } == 102)
  }

  @Test("one that leaves is waited for no longer")
  func leaves() async throws {
    let reads = shared.join("g", "a")
    _ = shared.join("g", "b")
    try await read(reads, 0..<4, by: "a")
    let began = ContinuousClock.now
    async let rest: Void = read(reads, 4..<8, by: "a")
    try await Task.sleep(for: .milliseconds(50))
    shared.leave("g", "b")
    try await rest
    #expect(ContinuousClock.now - began < GroupReads.patience)
  }

  @Test("another version is read for itself")
  func versions() async throws {
    let (first, second) = (shared.join("g", "a"), shared.join("g", "b"))
    try await read(first, 0..<3, by: "a", source: "v1")
    try await read(second, 0..<3, by: "b", source: "v2")
    #expect(loads.withLock { $0 } == 6)
  }

  @Test("another length at the same place is read for itself")
  func lengths() async throws {
    let (first, second) = (shared.join("g", "a"), shared.join("g", "b"))
    try await read(first, 0..<3, by: "a", size: 16)
    try await read(second, 0..<3, by: "b", size: 32)
    #expect(loads.withLock { $0 } == 6)
  }

  @Test("a read that fails is the reader's alone: who waited reads for itself")
  func failure() async throws {
    let (first, second) = (shared.join("g", "a"), shared.join("g", "b"))
    let place = GroupReads.Place(file: 0, offset: 0)
    let started = Milestone()
    let failing = Task {
      try await first.read(place, of: "v1", size: 16, by: "a") { () async throws(DeliveryFailure) in
        started.reach(1)
        try? await Task.sleep(for: .milliseconds(30))
        throw DeliveryFailure("STORAGE_UNAVAILABLE", "It is away.", next: "Try again.")
      }
    }
    try await started.until(1)
    let found = try await second.read(place, of: "v1", size: 16, by: "b") { [self] () async throws(DeliveryFailure) in bytes(7) }
    #expect(found == bytes(7))
    await #expect(throws: DeliveryFailure.self) { _ = try await failing.value }
  }

  @Test("a cancelled wait ends at once")
  func cancelled() async throws {
    let (first, second) = (shared.join("g", "a"), shared.join("g", "b"))
    let place = GroupReads.Place(file: 0, offset: 0)
    let (started, over) = (Milestone(), Milestone())
    let slow = Task { [self] in
      try await first.read(place, of: "v1", size: 16, by: "a") { [self] () async throws(DeliveryFailure) in
        started.reach(1)
        try? await over.until(1)
        return bytes(1)
      }
    }
    try await started.until(1)
    let waiting = Task { [self] in
      try await second.read(place, of: "v1", size: 16, by: "b") { [self] () async throws(DeliveryFailure) in bytes(2) }
    }
    try await Task.sleep(for: .milliseconds(20))
    waiting.cancel()
    await #expect { try await waiting.value } throws: { ($0 as? DeliveryFailure)?.problem.code == "CANCELLED" }
    over.reach(1)
    #expect(try await slow.value == bytes(1))
  }
}
