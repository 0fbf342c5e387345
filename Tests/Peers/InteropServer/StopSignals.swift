// SIGTERM and SIGINT as something to wait for.
import Dispatch
import Glibc

final class StopSignals: Sendable {
  private let received: AsyncStream<Void>

  init() {
    received = AsyncStream(bufferingPolicy: .bufferingOldest(1)) { continuation in
      for number in [SIGTERM, SIGINT] {
        signal(number, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
        source.setEventHandler {
          // The system's own handling is back, so that a second signal ends the process.
          signal(number, SIG_DFL)
          continuation.yield()
          source.cancel()
        }
        source.resume()
      }
    }
  }

  func wait() async { for await _ in received { return } }
}
