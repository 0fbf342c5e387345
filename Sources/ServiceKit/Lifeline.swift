// Ends a service whose supervisor is gone. `ferry up` holds the other end of the service's standard input open and never
// writes to it; when it closes, however the supervisor ended, the service stops as on SIGTERM.
import Dispatch
import Glibc

enum Lifeline {
  /// Set by the supervisor. Without it standard input means nothing: a terminal or /dev/null.
  static let variable = "FERRY_EXIT_WITH_STDIN"

  static func holdIfAsked() {
    guard let value = getenv(variable), String(cString: value) == "1" else { return }
    let source = DispatchSource.makeReadSource(fileDescriptor: STDIN_FILENO, queue: .global())
    source.setEventHandler {
      var byte: UInt8 = 0
      let count = read(STDIN_FILENO, &byte, 1)
      if count > 0 || (count < 0 && (errno == EINTR || errno == EAGAIN)) { return }
      source.cancel()
      kill(getpid(), SIGTERM)
    }
    source.resume()
  }
}
