// One message, encoded and decoded by both libraries: first whether they agree, then how long each takes and how many
// blocks of memory it asks for.
import CMeasure
import Foundation
import ProtoWire
import SwiftProtobuf

/// Of one operation of one library.
struct Cost: Encodable {
  var nanoseconds: Double
  var allocations: Int
}

struct Costs: Encodable {
  var ours: Cost
  var theirs: Cost
}

struct Measured: Encodable {
  var message: String
  var bytes: Int
  var encode: Costs
  var decode: Costs
}

/// The libraries do not agree, so that comparing their speed would mean nothing.
struct Disagreement: Error, CustomStringConvertible {
  var description: String
}

struct Comparison<Ours: ProtoWire.Message, Theirs: SwiftProtobuf.Message> {
  let name: String
  let ours: Ours
  let theirs: Theirs
  let bytes: [UInt8]

  /// - Throws: Disagreement if the libraries read or write the message differently.
  init(_ name: String, _ ours: Ours, _ type: Theirs.Type) throws {
    self.name = name
    self.ours = ours
    bytes = ours.encodedBytes()
    theirs = try Theirs(serializedBytes: bytes)
    guard try theirs.serializedBytes() as [UInt8] == bytes else {
      throw Disagreement(description: "\(name): SwiftProtobuf writes other bytes")
    }
    var known = TextFormatEncodingOptions()
    known.printUnknownFields = false
    guard theirs.textFormatString() == theirs.textFormatString(options: known) else {
      throw Disagreement(description: "\(name): SwiftProtobuf does not know all of the fields")
    }
    let again = try Ours(decoding: bytes)
    guard again == ours, again.encodedBytes() == bytes else {
      throw Disagreement(description: "\(name): what was decoded is not what was encoded")
    }
  }

  /// The median of `rounds`; in each of them the four operations take turns, `nanoseconds` long.
  func measured(rounds: Int, nanoseconds: UInt64) throws -> Measured {
    let operations = [encodeOurs, encodeTheirs, decodeOurs, decodeTheirs]
    let repeats = try operations.map { try Self.repeats(of: $0, in: nanoseconds) }
    var samples = [[Double]](repeating: [], count: operations.count)
    for _ in 0..<rounds {
      for index in operations.indices {
        let began = cpuNanoseconds()
        try operations[index](repeats[index])
        samples[index].append(Double(cpuNanoseconds() - began) / Double(repeats[index]))
      }
    }
    let costs = try zip(operations, samples).map { operation, samples in
      Cost(nanoseconds: samples.sorted()[samples.count / 2], allocations: try Self.allocations(of: operation))
    }
    return Measured(
      message: name, bytes: bytes.count, encode: .init(ours: costs[0], theirs: costs[1]),
      decode: .init(ours: costs[2], theirs: costs[3]))
  }

  /// Blocks for one encode and one decode by our library.
  func ourAllocations() throws -> (encode: Int, decode: Int) {
    (try Self.allocations(of: encodeOurs), try Self.allocations(of: decodeOurs))
  }

  // MARK: The four operations. Each includes the end of what it made.

  private func encodeOurs(_ times: Int) throws {
    for _ in 0..<times { use(ours.encodedBytes()) }
  }

  private func encodeTheirs(_ times: Int) throws {
    for _ in 0..<times { use(try theirs.serializedBytes() as [UInt8]) }
  }

  private func decodeOurs(_ times: Int) throws {
    for _ in 0..<times { use(try Ours(decoding: bytes)) }
  }

  private func decodeTheirs(_ times: Int) throws {
    for _ in 0..<times { use(try Theirs(serializedBytes: bytes)) }
  }

  private func use(_ bytes: [UInt8]) { bytes.withUnsafeBytes { observe($0.baseAddress) } }

  private func use<M>(_ message: M) { withUnsafePointer(to: message) { observe($0) } }

  // MARK: Measuring

  private static func repeats(of operation: (Int) throws -> Void, in nanoseconds: UInt64) throws -> Int {
    var count = 1
    while true {
      let began = cpuNanoseconds()
      try operation(count)
      let took = cpuNanoseconds() - began
      if took >= nanoseconds / 2 { return max(1, Int(Double(count) * Double(nanoseconds) / Double(took))) }
      count *= 2
    }
  }

  /// Of the second time: the first one also sets up what a library makes once.
  private static func allocations(of operation: (Int) throws -> Void) throws -> Int {
    try operation(1)
    let before = allocation_count()
    try operation(1)
    return Int(allocation_count() - before)
  }
}

/// What this thread has used of the CPU: the waits that other programs cause do not count.
func cpuNanoseconds() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
