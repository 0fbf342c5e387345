// How much room a server's folders have, remembered for some seconds, so that thousands of small files don't ask
// thousands of times.
import Synchronization
import Transport

final class SFTPFreeSpace: Sendable {
  static let lifetime = Duration.seconds(5)
  static let maxFolders = 256

  private struct Known {
    var free: Int64
    let until: ContinuousClock.Instant
  }
  private let folders = Mutex<[String: Known]>([:])

  /// True if `folder` was lately found to have room for `size` bytes more; they are counted as used.
  func take(_ size: Int64, in folder: String) -> Bool {
    folders.withLock { folders in
      guard let known = folders[folder], known.until > .now, known.free >= size else { return false }
      folders[folder]?.free -= size
      return true
    }
  }

  func remember(_ volume: SFTPVolume, of folder: String, less size: Int64) {
    folders.withLock { folders in
      if folders.count >= Self.maxFolders { folders = [:] }
      folders[folder] = Known(free: max(0, volume.free - size), until: .now + Self.lifetime)
    }
  }
}
