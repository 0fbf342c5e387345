// How a source and a destination are typed: s3://BUCKET/KEY, and sftp://USER@HOST:PORT/PATH or a saved NAME:/PATH.
import ArgumentParser
import FerryAPI

enum Locations {
  /// `s3://BUCKET/KEY-OR-PREFIX`. The key is taken as it is, not percent-decoded: keys may hold any character.
  static func source(_ text: String, connection: String?) throws -> Source {
    guard let mark = text.range(of: "://") else {
      throw ValidationError("'\(text)' is not a source: write s3://BUCKET/KEY, or folder://BUCKET/KEY for a folder.")
    }
    let scheme = text[..<mark.lowerBound]
    let rest = text[mark.upperBound...]
    let bucket = rest.prefix { $0 != "/" }
    guard !bucket.isEmpty else { throw ValidationError("'\(text)' names no bucket: write \(scheme)://BUCKET/KEY.") }
    let key = String(rest.dropFirst(bucket.count + 1))
    return .with {
      $0.connection = connection ?? (scheme == "s3" ? "default" : String(scheme))
      $0.bucket = String(bucket)
      $0.selections = [
        .with {
          $0.kind = key.isEmpty || key.hasSuffix("/") ? .prefix : .unspecified
          $0.value = key
        }
      ]
    }
  }

  /// A URL is spelled out; anything else is a saved destination's name, with a path of its own after a colon.
  static func destination(_ text: String) -> (destination: FerryAPI.Destination, path: String) {
    if text.range(of: "://") != nil { return (.with { $0.url = text }, "") }
    let name = text.prefix { $0 != ":" }
    return (.with { $0.name = String(name) }, String(text.dropFirst(name.count + 1)))
  }
}

extension StringProtocol {
  /// The first place of `other`; FoundationEssentials has no such search.
  func range(of other: String) -> Range<Index>? {
    var start = startIndex
    while start < endIndex {
      if self[start...].hasPrefix(other) { return start..<index(start, offsetBy: other.count) }
      start = index(after: start)
    }
    return nil
  }
}
