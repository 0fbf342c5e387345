// Advice on a request before it is sent: each rule looks at the request and, where there is one, at the analysis of its
// files, and speaks or stays silent. The sentences are RecommendationWords'.
import FerryAPI

enum RecommendationRules {
  /// From here on compressing text pays.
  static let compressibleBytes: Int64 = 1 << 30
  static let manyFiles: Int64 = 1000
  /// A file below is small: its delivery is mostly waiting for the server.
  static let smallFileBytes: Int64 = 64 << 10
  static let smallestGoodChunk: Int64 = 1 << 20
  static let largestGoodChunk: Int64 = 64 << 20
  static let manyChunks: Int64 = 10_000
  static let manyKeys = 20
  /// Taken where the request does not say (transfer.proto).
  static let defaultChunk: Int64 = 8 << 20

  static func all(for request: RecommendRequest) -> [Recommendation] {
    guard let delivery = request.request else { return [] }
    let facts = Facts(delivery: delivery, analysis: request.analysis)
    return [
      pinHostKey, failOnConflict, priority, compress, packSmallFiles, chunkSize, selectPrefix, selectKey,
    ].compactMap { $0(facts) }
  }

  struct Facts {
    let delivery: DeliveryRequest
    let analysis: FileAnalysis?
    var options: DeliveryOptions { delivery.options ?? DeliveryOptions() }
    var selections: [Selection] { delivery.source?.selections ?? [] }
  }

  private static func pinHostKey(_ facts: Facts) -> Recommendation? {
    guard let keys = facts.delivery.destination?.hostKeys, keys.acceptNew, keys.fingerprints.isEmpty else { return nil }
    return RecommendationWords.pinHostKey
  }

  private static func failOnConflict(_ facts: Facts) -> Recommendation? {
    // Unspecified is taken as overwrite.
    guard facts.delivery.environment == .prod, ![.fail, .keepBoth].contains(facts.options.onConflict) else { return nil }
    return RecommendationWords.failOnConflict
  }

  private static func priority(_ facts: Facts) -> Recommendation? {
    let priority = facts.delivery.priority
    if facts.delivery.environment == .prod, priority == .low { return RecommendationWords.raisePriority }
    if facts.delivery.environment == .dev, priority == .high || priority == .critical {
      return RecommendationWords.lowerPriority(RequestWords.priority(priority))
    }
    return nil
  }

  private static func compress(_ facts: Facts) -> Recommendation? {
    guard [.unspecified, .none].contains(facts.options.compression) else { return nil }
    let groups = facts.analysis?.groups.filter(\.compressible) ?? []
    let bytes = groups.reduce(Int64(0)) { $0.addingReportingOverflow($1.bytes).partialValue }
    guard bytes >= compressibleBytes else { return nil }
    return RecommendationWords.compress(bytes: bytes, kinds: groups.map(\.kind))
  }

  private static func packSmallFiles(_ facts: Facts) -> Recommendation? {
    guard let analysis = facts.analysis, analysis.files >= manyFiles, analysis.bytes / analysis.files < smallFileBytes
    else { return nil }
    return RecommendationWords.packSmallFiles(files: analysis.files, average: analysis.bytes / analysis.files)
  }

  private static func chunkSize(_ facts: Facts) -> Recommendation? {
    let chunk = facts.options.chunkSize
    if chunk > largestGoodChunk { return RecommendationWords.smallerChunks(chunk: chunk) }
    if chunk > 0, chunk < smallestGoodChunk { return RecommendationWords.largerChunks(chunk: chunk) }
    let size = chunk > 0 ? chunk : defaultChunk
    let chunks = (facts.analysis?.bytes ?? 0) / size
    // A larger chunk has to be allowed by the rule above.
    guard chunks > manyChunks, size < largestGoodChunk else { return nil }
    return RecommendationWords.fewerChunks(chunk: size, chunks: chunks)
  }

  /// Many single files of one folder: the folder says it shorter, and takes in what comes later.
  private static func selectPrefix(_ facts: Facts) -> Recommendation? {
    let keys = facts.selections.filter { $0.kind == .key }.map(\.value)
    guard keys.count >= manyKeys, let first = keys.first, let end = first.lastIndex(of: "/") else { return nil }
    let folder = String(first[...end])
    guard keys.allSatisfy({ $0.hasPrefix(folder) }) else { return nil }
    return RecommendationWords.selectPrefix(folder: folder, keys: keys.count)
  }

  /// One prefix that holds one file: naming the file keeps out what may come later.
  private static func selectKey(_ facts: Facts) -> Recommendation? {
    guard let only = facts.selections.first, facts.selections.count == 1, only.kind != .key,
      facts.analysis?.files == 1
    else { return nil }
    return RecommendationWords.selectKey(prefix: only.value)
  }
}
