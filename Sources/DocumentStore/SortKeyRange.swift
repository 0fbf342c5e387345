// A query's range of sort keys in byte order, as SQL: a prefix becomes a lower and an exclusive upper bound (no
// LIKE, whose wildcards and case rules would let other keys in), and a page token moves one of the two.

import FoundationEssentials
import GRDB

struct SortKeyRange {
  let sql: String
  private let bounds: [String]

  init(
    partition: String, prefix: String, order: QueryOrder, after token: PageToken?
  ) throws(DocumentStoreError) {
    try DocumentKey.validate(partition: partition)
    try DocumentKey.validate(sort: prefix, mayBeEmpty: true)
    var bounds = [partition, prefix]
    var sql = "SELECT version, expires_at, body, sort FROM document WHERE partition = ? AND sort >= ?"
    if let end = Self.upperBound(of: prefix) {
      sql += " AND sort < ?"
      bounds.append(end)
    }
    if let token {
      sql += order == .ascending ? " AND sort > ?" : " AND sort < ?"
      bounds.append(try token.sort())
    }
    self.sql = sql + " AND (expires_at IS NULL OR expires_at > ?) ORDER BY sort" + (order == .descending ? " DESC" : "")
    self.bounds = bounds
  }

  func arguments(now: UnixMilliseconds) -> [any DatabaseValueConvertible] { bounds + [now] }

  /// The first string after all that start with `prefix`: its last scalar raised by one. UTF-8 sorts bytewise as its
  /// scalars do, so this is exact. Nil where there is no such string: all keys from the prefix on belong to it.
  static func upperBound(of prefix: String) -> String? {
    var scalars = Array(prefix.unicodeScalars)
    while let last = scalars.popLast() {
      // U+D800 to U+DFFF are surrogates, not scalars.
      let next = last.value == 0xD7FF ? 0xE000 : last.value + 1
      guard let scalar = Unicode.Scalar(next) else { continue }  // after U+10FFFF comes nothing: raise the one before
      scalars.append(scalar)
      var bound = String.UnicodeScalarView()
      bound.append(contentsOf: scalars)
      return String(bound)
    }
    return nil
  }
}

extension PageToken {
  /// Base64 of the last sort key seen: opaque to callers, checked when it comes back.
  init(sort: String) {
    self.init(rawValue: Data(sort.utf8).base64EncodedString())
  }

  func sort() throws(DocumentStoreError) -> String {
    guard rawValue.utf8.count <= Batch.maximumSortSize * 2, let data = Data(base64Encoded: rawValue),
      let sort = String(validating: data, as: UTF8.self), !sort.isEmpty, !sort.utf8.contains(0)
    else {
      throw .invalid("The page token is not one this store gave.", nextStep: "Start again without a page token.")
    }
    return sort
  }
}
