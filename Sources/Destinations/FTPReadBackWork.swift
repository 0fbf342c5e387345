// Which chunks of a file are still to be read back. One reader begins with all of them; once all are written another may take
// the later half of what is left, and read it over a connection of its own.
import Synchronization

final class FTPReadBackWork: Sendable {
  private let rest: Mutex<Range<Int>>

  init(_ chunks: Range<Int>) { rest = Mutex(chunks) }

  /// The next chunk; nil if all have been given out.
  func next() -> Int? {
    rest.withLock { rest in
      guard let first = rest.first else { return nil }
      rest = first + 1..<rest.upperBound
      return first
    }
  }

  /// The later half of what is left.
  var laterHalf: Range<Int> { rest.withLock { Self.laterHalf(of: $0) } }

  /// Gives the later half away.
  func split() -> FTPReadBackWork {
    FTPReadBackWork(
      rest.withLock { rest in
        let later = Self.laterHalf(of: rest)
        rest = rest.lowerBound..<later.lowerBound
        return later
      })
  }

  private static func laterHalf(of rest: Range<Int>) -> Range<Int> {
    rest.lowerBound + (rest.count + 1) / 2..<rest.upperBound
  }
}
