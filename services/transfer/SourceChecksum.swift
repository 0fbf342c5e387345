// The check of an object that is read in pieces, in any order and each perhaps more than once, against what its provider
// states of the whole: pieces leave a number each, and the numbers are put together when all were read.
//
// That works for CRCs. A stated SHA-256 is compared with the file's own, which reading it back gives anyhow; SHA-1 and MD5
// need the bytes in their order, so of an object read in pieces they are not checked.

struct SourceChecksum: Sendable {
  /// What the provider states, if it can be checked so.
  let stated: SourceStatement
  private let size: Int64
  /// By where they begin: one small value a piece.
  private var pieces: [Int64: Piece] = [:]

  private struct Piece {
    var length: Int64
    var crc: UInt64
  }

  init?(_ stated: SourceStatement, size: Int64) {
    guard stated.algorithm.crc != nil || stated.algorithm == .sha256 else { return nil }
    self.stated = stated
    self.size = size
  }

  /// What to run over each piece's bytes; nil if nothing is needed of them.
  var crc: SourceCRC? { stated.algorithm.crc }

  /// A piece that is read again replaces what was read before.
  mutating func add(_ crc: UInt64, of range: Range<Int64>) {
    pieces[range.lowerBound] = Piece(length: range.upperBound - range.lowerBound, crc: crc)
  }

  /// Nil if that can't be told: pieces that an earlier run read left nothing.
  /// - Parameter sha256: of the whole, in hexadecimal.
  func holds(sha256: String) -> Bool? {
    guard let crc else { return Hex.encode(stated.value) == sha256 }
    var (end, whole) = (Int64(0), UInt64(0))
    // All pieces but the last are of one length as a rule.
    var (length, shift) = (Int64(0), UInt64(0))
    while end < size {
      guard let piece = pieces[end], piece.length > 0 else { return nil }
      if piece.length != length { (length, shift) = (piece.length, crc.shift(piece.length)) }
      whole = crc.combine(whole, piece.crc, shift: shift)
      end += piece.length
    }
    return end == size ? crc.bytes(whole) == stated.value : nil
  }
}
