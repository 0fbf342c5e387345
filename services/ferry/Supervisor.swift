// Keeps one service running: starts it, starts it again with a growing pause when it dies, and stops it for good. A service
// ends by itself when its supervisor dies, because the pipe on its standard input then closes.
import ArgumentParser
import Dispatch
import FoundationEssentials
import Glibc
import Synchronization

final class Supervisor: Sendable {
  private struct State {
    var pid: pid_t = 0
    var isStopping = false
    var hasEnded = false
    var waiters: [CheckedContinuation<Void, Never>] = []
    var restarts = 0
  }

  let name: String
  private let executable: String
  private let arguments: [String]
  private let log: Int32
  private let pidFile: String
  private let state = Mutex(State())
  /// Ends the pause before a restart early.
  private let stopped = DispatchSemaphore(value: 0)

  static let firstPause: Duration = .milliseconds(50)
  static let longestPause: Duration = .seconds(10)
  /// A service that ran this long has recovered: its next death starts with the first pause again.
  static let recoveredAfter: Duration = .seconds(30)
  /// How long a service may take to end before it is killed.
  static let stopGrace: Duration = .seconds(15)

  init(name: String, executable: String, arguments: [String], log: Int32, pidFile: String) {
    self.name = name
    self.executable = executable
    self.arguments = arguments
    self.log = log
    self.pidFile = pidFile
  }

  func start() throws {
    guard access(executable, X_OK) == 0 else {
      throw ValidationError("\(executable) is missing: it belongs beside ferry. Build all products, or install them together.")
    }
    // Waiting for a child blocks, so each supervisor has a thread of its own.
    Thread.start { self.keepRunning() }
  }

  private func keepRunning() {
    var pause = Self.firstPause
    let clock = ContinuousClock()
    while true {
      let began = clock.now
      let child = ChildProcess.spawn(executable, arguments, output: log)
      switch child {
      case .failure(let reason):
        printError("\(name) cannot be started: \(reason)")
      case .success(let child):
        guard register(child.pid) else {
          kill(child.pid, SIGTERM)
          _ = child.wait()
          return end()
        }
        let how = child.wait()
        state.withLock { $0.pid = 0 }
        unlink(pidFile)
        if state.withLock({ $0.isStopping }) { return end() }
        printError("\(name) ended (\(how)); starting it again in \(pause).")
      }
      if began.duration(to: clock.now) > Self.recoveredAfter { pause = Self.firstPause }
      let microseconds = pause.components.seconds * 1_000_000 + pause.components.attoseconds / 1_000_000_000_000
      _ = stopped.wait(timeout: .now() + .microseconds(Int(microseconds)))
      pause = min(pause * 2, Self.longestPause)
      if state.withLock({ $0.isStopping }) { return end() }
    }
  }

  /// False if the service was stopped while it was being started.
  private func register(_ pid: pid_t) -> Bool {
    let isWanted = state.withLock { state in
      state.pid = pid
      return !state.isStopping
    }
    let text = "\(pid)\n"
    let descriptor = open(pidFile, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0o600)
    if descriptor >= 0 {
      _ = write(descriptor, text, text.utf8.count)
      close(descriptor)
    }
    return isWanted
  }

  func stop() {
    let pid = state.withLock { state in
      state.isStopping = true
      return state.pid
    }
    stopped.signal()
    guard pid > 0 else { return }
    kill(pid, SIGTERM)
    Task {
      // A cancelled sleep cannot happen here: nobody cancels this task.
      try? await Task.sleep(for: Self.stopGrace)
      let left = state.withLock { $0.hasEnded ? 0 : $0.pid }
      if left == pid { kill(left, SIGKILL) }
    }
  }

  func ended() async {
    await withCheckedContinuation { continuation in
      let isOver = state.withLock { state in
        if !state.hasEnded { state.waiters.append(continuation) }
        return state.hasEnded
      }
      if isOver { continuation.resume() }
    }
  }

  private func end() {
    let waiters = state.withLock { state in
      state.hasEnded = true
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }
}
