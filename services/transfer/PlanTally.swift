// What a plan's files add up to: counts, bytes by storage class, and the requests that reading them takes.
import FerryAPI

struct PlanTally: Sendable {
  struct OfClass: Sendable, Equatable {
    var files: Int64 = 0
    var bytes: Int64 = 0
    /// GET and HEAD.
    var reads: Int64 = 0
  }

  /// As asked for; 0 for the default.
  let chunkSize: Int64
  private(set) var files: Int64 = 0
  private(set) var bytes: Int64 = 0
  private(set) var largest: Int64 = 0
  private(set) var empty: Int64 = 0
  /// Of the object modified last, seconds since 1970.
  private(set) var latestChange: Int64 = 0
  /// By the provider's word: "STANDARD_IA"; empty where it tells none.
  private(set) var classes: [String: OfClass] = [:]

  init(chunkSize: Int64) { self.chunkSize = chunkSize }

  mutating func add(_ planned: PlannedFile) {
    let size = planned.file.size
    files += 1
    bytes += size
    largest = max(largest, size)
    if size == 0 { empty += 1 }
    latestChange = max(latestChange, planned.file.sourceModifiedAt?.seconds ?? 0)
    let chunk = Planner.chunkSize(size, wanted: chunkSize)
    let chunks = max(1, (size + chunk - 1) / chunk)
    var sum = classes[planned.storageClass] ?? OfClass()
    sum.files += 1
    sum.bytes += size
    sum.reads += chunks + (chunks > 1 ? 1 : 0)  // a file of several chunks is asked for its checksum first
    classes[planned.storageClass] = sum
  }
}
