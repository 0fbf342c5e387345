// Which servers of the system the tests can start.
import Foundation

enum InstalledServer {
  /// Only root may start them. scripts/test has installed them all and says so by FERRY_TEST_SERVERS=installed: then one that
  /// is missing fails its tests instead of having them skipped.
  static func canStart(_ path: String) -> Bool {
    guard geteuid() == 0 else { return false }
    return ProcessInfo.processInfo.environment["FERRY_TEST_SERVERS"] == "installed"
      || FileManager.default.isExecutableFile(atPath: path)
  }
}
