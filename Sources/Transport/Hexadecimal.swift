// Bytes as others write them in hexadecimal: hashes in replies, in what programs print, in headers.

extension Array<UInt8> {
  /// Of a word with two digits a byte, capitals or not; nil if it is something else.
  public init?(hexadecimal word: some StringProtocol) {
    let digits = word.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
    guard digits.count == word.utf8.count, digits.count.isMultiple(of: 2) else { return nil }
    self = stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
  }
}
