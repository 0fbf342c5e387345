// How long a plan would take: by what earlier deliveries to the same server took, else by a guess that says it is one.
import Destinations
import FerryAPI
import RPC

struct PlanDuration: Sendable, Equatable {
  /// Recent deliveries looked at, and those of them that count.
  static let maxScan = 200
  static let maxSamples = 10

  var low: Int64
  var high: Int64
  var basis: String

  /// What one delivery took. Its speed is told as how often it took a yardstick's time.
  struct Sample: Sendable, Equatable {
    var files: Int64
    var bytes: Int64
    var seconds: Double

    var slowness: Double { seconds / PlanDuration.yardstick(files: files, bytes: bytes) }
  }

  /// Seconds of a fast server nearby: what begins a delivery, what each file costs, and 100 MB a second.
  static func yardstick(files: Int64, bytes: Int64) -> Double { 0.2 + Double(files) * 0.002 + Double(bytes) / 100e6 }

  /// A guess's bounds, in yardsticks: a fast server nearby, and a slow one far away.
  static let guessed = (low: 1.0, high: 12.0)
  /// Even the same delivery never takes the same time twice.
  static let spread = 0.25

  init(files: Int64, bytes: Int64, samples: [Sample], server: String) {
    let unit = Self.yardstick(files: files, bytes: bytes)
    let slowness = samples.map(\.slowness).sorted()
    guard let least = slowness.first, let most = slowness.last else {
      (low, high) = (Int64(unit * Self.guessed.low), Int64((unit * Self.guessed.high).rounded(.up)))
      basis = "a guess: nothing was delivered to \(server) yet"
      return
    }
    low = Int64(unit * least * (1 - Self.spread))
    high = Int64((unit * most * (1 + Self.spread)).rounded(.up))
    basis = samples.count == 1 ? "the last delivery to \(server)" : "the last \(samples.count) deliveries to \(server)"
  }
}

extension DeliveryArchive {
  /// Times of recent deliveries to the same server that went through without a break.
  func durations(to address: DestinationAddress) async throws(RPCError) -> [PlanDuration.Sample] {
    var samples: [PlanDuration.Sample] = []
    let recent = try await page(JournalKeys.all, order: .descending, limit: PlanDuration.maxScan)
    for document in recent.documents where samples.count < PlanDuration.maxSamples {
      guard let delivery = try await delivery(document.key.sort), delivery.status == .succeeded, delivery.runs == 1,
        Self.goes(delivery, to: address), let sample = Self.sample(delivery)
      else { continue }
      samples.append(sample)
    }
    return samples
  }

  private static func goes(_ delivery: Delivery, to address: DestinationAddress) -> Bool {
    // What can't be parsed any more goes to no server of today's.
    guard let other = try? DestinationAddress(delivery.destination) else { return false }
    return (other.scheme, other.host, other.port) == (address.scheme, address.host, address.port)
  }

  private static func sample(_ delivery: Delivery) -> PlanDuration.Sample? {
    let tracker = StateTracker(delivery.states)
    guard let began = tracker[.download].startedAt, let ended = tracker[.cleanUp].finishedAt else { return nil }
    let seconds = Double(ended.seconds - began.seconds) + Double(ended.nanos - began.nanos) / 1e9
    guard seconds > 0, delivery.filesTotal > 0 else { return nil }
    return PlanDuration.Sample(files: delivery.filesTotal, bytes: delivery.bytesTotal, seconds: seconds)
  }
}
