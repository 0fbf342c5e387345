// What each recommendation says: one sentence of advice, one with the facts behind it. When it is given is
// RecommendationRules' part.
import FerryAPI

enum RecommendationWords {
  private static func make(_ code: String, _ text: String, because reason: String) -> Recommendation {
    Recommendation.with {
      $0.code = code
      $0.text = text
      $0.reason = reason
    }
  }

  static let pinHostKey = make(
    "PIN_HOST_KEY", "Give the fingerprint of the server's host key instead of accepting a new one.",
    because: "The request accepts the key of a host never seen before, so the first connection trusts whoever answers.")

  static let failOnConflict = make(
    "FAIL_ON_CONFLICT", "Let the delivery fail if a file is already there, unless replacing it is what you want.",
    because: "The environment is PROD, and files that are already there would be replaced.")

  static let raisePriority = make(
    "RAISE_PRIORITY", "Consider a higher priority.", because: "The environment is PROD, but the priority is low.")

  static func lowerPriority(_ priority: String) -> Recommendation {
    make(
      "LOWER_PRIORITY", "Consider a lower priority.",
      because: "The environment is DEV, but the priority is \(priority).")
  }

  static func compress(bytes: Int64, kinds: [String]) -> Recommendation {
    make(
      "COMPRESS", "Have these files compressed on their way, with gzip or zstd, if the receiver can unpack them.",
      because: "\(Measures.size(bytes)) are of kinds that usually shrink: \(kinds.joined(separator: ", ")).")
  }

  static func packSmallFiles(files: Int64, average: Int64) -> Recommendation {
    make(
      "PACK_SMALL_FILES", "Pack the small files into one archive, if the receiver can unpack it.",
      because: "There are \(Measures.files(files)) of \(Measures.size(average)) on average, "
        + "and each one costs several exchanges with the server.")
  }

  static func smallerChunks(chunk: Int64) -> Recommendation {
    make(
      "SMALLER_CHUNKS",
      "Choose a chunk size of \(Measures.size(RecommendationRules.largestGoodChunk)) or less, or leave it open.",
      because: "The chunk size is \(Measures.size(chunk)), and a chunk that breaks off is sent again as a whole.")
  }

  static func largerChunks(chunk: Int64) -> Recommendation {
    make(
      "LARGER_CHUNKS",
      "Choose a chunk size of \(Measures.size(RecommendationRules.smallestGoodChunk)) or more, or leave it open.",
      because: "The chunk size is \(Measures.size(chunk)), and each one costs an exchange and an entry in the journal.")
  }

  static func fewerChunks(chunk: Int64, chunks: Int64) -> Recommendation {
    make(
      "LARGER_CHUNKS", "Choose a larger chunk size, up to \(Measures.size(RecommendationRules.largestGoodChunk)).",
      because: "Chunks of \(Measures.size(chunk)) make about \(Measures.number(chunks)) of them.")
  }

  static func selectPrefix(folder: String, keys: Int) -> Recommendation {
    make(
      "SELECT_PREFIX", "Select the folder \(OneLine.text(folder)) instead of its single files, if all of it is meant.",
      because: "\(Measures.counted(Int64(keys), "file", "files")) of this folder are selected one by one.")
  }

  static func selectKey(prefix: String) -> Recommendation {
    make(
      "SELECT_KEY", "Select the one file by its full key.",
      because: prefix.isEmpty
        ? "The whole bucket is selected and holds one file; one that is added later would go along."
        : "The selection \(OneLine.text(prefix)) holds one file; one that is added later would go along.")
  }
}
