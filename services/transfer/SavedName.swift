// The names of what is saved for later: destinations and schedules.
import RPC
import ServiceKit

enum SavedName {
  static let maxBytes = 64

  /// - Parameter what: "destination"
  static func check(_ name: String, of what: String) throws(RPCError) {
    let isPlain = name.unicodeScalars.allSatisfy { scalar in
      scalar.isASCII
        && (scalar.properties.isAlphabetic || ("0"..."9").contains(scalar) || "-_.".unicodeScalars.contains(scalar))
    }
    guard !name.isEmpty, name.utf8.count <= maxBytes, isPlain else {
      throw .invalid(
        "A \(what) can't be named \(String(name.prefix(maxBytes)).debugDescription).",
        next: "Use 1 to \(maxBytes) letters, digits, \"-\", \"_\" and \".\".")
    }
  }
}
