// Which FTP servers keep readers off a file that is being written (vsftpd's lock_upload_files). It is found out by a
// download that doesn't begin; later deliveries to the server know it from the beginning.
import Synchronization
import Transport

/// Kept in memory, for as long as whoever made it does.
public final class LockingServers: Sendable {
  static let maxServers = 1024
  /// A server's settings may change.
  static let remembered = Duration.seconds(3600)

  private let found = Mutex<[SSHEndpoint: ContinuousClock.Instant]>([:])

  public init() {}

  func contains(_ server: SSHEndpoint, now: ContinuousClock.Instant = .now) -> Bool {
    found.withLock { found in
      guard let time = found[server] else { return false }
      if now - time < Self.remembered { return true }
      found[server] = nil
      return false
    }
  }

  func note(_ server: SSHEndpoint, now: ContinuousClock.Instant = .now) {
    found.withLock { found in
      if found.count >= Self.maxServers, found[server] == nil,
        let oldest = found.min(by: { $0.value < $1.value })?.key
      {
        found[oldest] = nil
      }
      found[server] = now
    }
  }
}
