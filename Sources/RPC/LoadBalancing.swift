// How a channel spreads its calls over the servers that it knows (grpc/grpc doc/load-balancing.md; gRFC A48 for
// least-request).

public enum LoadBalancing: Sendable {
  /// The first server that can be reached, until it is lost.
  case pickFirst
  /// One after the other.
  case roundRobin
  /// Of two servers taken by chance, the one with fewer calls under way.
  case leastRequest

  /// The names of the service config.
  init?(policyName: String) {
    switch policyName {
    case "pick_first": self = .pickFirst
    case "round_robin": self = .roundRobin
    case "least_request", "least_request_experimental": self = .leastRequest
    default: return nil
    }
  }

  /// The place in `loads` of the server to take. Each load is the calls under way there, nil if it is not connected.
  /// - Parameters:
  ///   - turn: counts the calls, for round-robin.
  ///   - random: a number from 0 to 1, without 1.
  func pick(_ loads: [Int?], turn: Int, random: () -> Double) -> Int? {
    switch self {
    case .pickFirst: return loads.firstIndex { $0 != nil }
    case .roundRobin:
      for offset in loads.indices {
        let index = Int(UInt(bitPattern: turn &+ offset) % UInt(loads.count))
        if loads[index] != nil { return index }
      }
      return nil
    case .leastRequest:
      let ready = loads.indices.filter { loads[$0] != nil }
      guard let first = Self.choose(ready, random()), let second = Self.choose(ready, random()) else { return nil }
      return (loads[first] ?? 0) <= (loads[second] ?? 0) ? first : second
    }
  }

  private static func choose(_ indices: [Int], _ random: Double) -> Int? {
    indices.isEmpty ? nil : indices[min(Int(random * Double(indices.count)), indices.count - 1)]
  }
}
