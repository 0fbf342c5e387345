// Small things of the operating system that commands need: threads, signals, where this program lies, its environment.
import ArgumentParser
import Dispatch
import FoundationEssentials
import Glibc
import Synchronization

enum Thread {
  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Runs blocking work on a thread of its own.
  static func start(_ body: @escaping @Sendable () -> Void) {
    var thread = pthread_t()
    let argument = Unmanaged.passRetained(Body(body)).toOpaque()
    let result = pthread_create(
      &thread, nil,
      { argument in
        if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
        return nil
      }, argument)
    if result == 0 {
      pthread_detach(thread)
    } else {
      Unmanaged<Body>.fromOpaque(argument).release()
      printError("a thread cannot be started: \(String(cString: strerror(result)))")
      exit(1)
    }
  }
}

/// Waits for SIGINT or SIGTERM.
final class StopSignal: Sendable {
  private let stream: AsyncStream<Void>
  // Dispatch sources are thread-safe once resumed; they are only kept alive here.
  private nonisolated(unsafe) let sources: [any DispatchSourceSignal]

  init() {
    let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    self.stream = stream
    sources = [SIGINT, SIGTERM].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { continuation.yield() }
      source.resume()
      return source
    }
  }

  func wait() async {
    for await _ in stream { return }
  }
}

enum Executables {
  /// The folder in which this program and the services lie.
  static func directory() throws -> String {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &buffer, buffer.count)
    guard count > 0 else { throw ValidationError("The folder of this program cannot be found: /proc/self/exe is unreadable.") }
    let path = String(decoding: buffer[..<count], as: UTF8.self)
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return String(path[..<slash])
  }
}

enum Environment {
  static func all() -> [String] { ProcessInfo.processInfo.environment.map { "\($0.key)=\($0.value)" } }
}

enum Output {
  /// Pushes out what was printed; standard output may be a pipe, which would keep it.
  static func flush() { fflush(nil) }
}
