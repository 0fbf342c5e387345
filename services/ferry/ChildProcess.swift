// Starting another program: posix_spawn, a pipe on its standard input that closes when this process ends, and waiting.
import Glibc
import Synchronization

struct ChildProcess {
  let pid: pid_t
  /// This side of the child's standard input. Never written to: its closing tells the child that its parent is gone.
  let lifeline: Int32

  struct Failed: Error, CustomStringConvertible { let description: String }

  /// - Parameter output: where the child's standard error goes; its standard output stays this process's.
  static func spawn(_ executable: String, _ arguments: [String], output: Int32) -> Result<ChildProcess, Failed> {
    // One at a time: a child started between `pipe` and `fcntl` would inherit another's lifeline and keep it open.
    spawning.withLock { _ in spawnAlone(executable, arguments, output: output) }
  }

  private static let spawning = Mutex(())

  private static func spawnAlone(
    _ executable: String, _ arguments: [String], output: Int32
  ) -> Result<ChildProcess, Failed> {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { return .failure(failed("pipe", errno)) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, ends[0], 0)
    posix_spawn_file_actions_adddup2(&actions, output, 2)

    // A group of its own keeps Ctrl-C on the terminal from reaching the services before their supervisor acts.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK))

    var words: [UnsafeMutablePointer<CChar>?] = ([executable] + arguments).map { strdup($0) }
    words.append(nil)
    defer { for word in words { free(word) } }
    var environment: [UnsafeMutablePointer<CChar>?] = Environment.all().map { strdup($0) }
    environment.append(strdup("FERRY_EXIT_WITH_STDIN=1"))
    environment.append(nil)
    defer { for word in environment { free(word) } }

    var pid: pid_t = 0
    let result = posix_spawn(&pid, executable, &actions, &attributes, &words, &environment)
    close(ends[0])
    guard result == 0 else {
      close(ends[1])
      return .failure(failed("posix_spawn", result))
    }
    return .success(ChildProcess(pid: pid, lifeline: ends[1]))
  }

  private static func failed(_ call: String, _ code: Int32) -> Failed {
    Failed(description: "\(call): \(String(cString: strerror(code)))")
  }

  /// Waits for the end, and says how it came.
  func wait() -> String {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    close(lifeline)
    let signal = status & 0x7F
    return signal == 0 ? "exit code \(status >> 8 & 0xFF)" : "signal \(signal)"
  }
}
