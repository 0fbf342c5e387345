// Keeps at hand the input that runs now, so that a crash or a hang leaves it in a file with the command that replays
// it. The handler runs after a fault: it allocates nothing and calls only what is safe there (signal-safety(7)).
import Glibc

enum CrashRecord {
  private struct State {
    var input: UnsafeRawPointer?
    var count = 0
    var run = 0
    var seenRun = -1
    var ticks = 0
    var path: UnsafeMutablePointer<CChar>?
    var about: UnsafeMutablePointer<CChar>?
    var replay: UnsafeMutablePointer<CChar>?
  }

  /// Seconds after which an input that is still running counts as a hang.
  static let hangSeconds = 20

  // Only this program's one thread touches it, and its signal handler, which runs on that thread.
  nonisolated(unsafe) private static let state: UnsafeMutablePointer<State> = {
    let state = UnsafeMutablePointer<State>.allocate(capacity: 1)
    state.initialize(to: State())
    return state
  }()

  static func begin(run: Int, _ input: UnsafeRawBufferPointer) {
    state.pointee.input = input.baseAddress
    state.pointee.count = input.count
    state.pointee.run = run
  }

  /// Writes this input now and returns what to tell.
  static func keep(_ input: UnsafeRawBufferPointer, _ run: Int) -> String {
    begin(run: run, input)
    write()
    guard let path = state.pointee.path, let replay = state.pointee.replay else { return "" }
    return "  kept in \(String(cString: path))\n  replay: \(String(cString: replay))"
  }

  /// Faults and hangs of `target` are told from here on.
  static func install(target: String, seed: UInt64, folder: String) {
    let path = "\(folder)/crash-\(target)-\(seed).bin"
    replace(&state.pointee.path, path)
    replace(&state.pointee.about, "\nFOUND: target \(target), seed \(seed), ")
    replace(&state.pointee.replay, "rpc-fuzz --target \(target) --input \(path)")
    state.pointee.ticks = 0
    state.pointee.seenRun = -1
    guard !isInstalled else { return }
    isInstalled = true
    let size = 1 << 16
    // A stack of its own: the fault may be that the other one is used up.
    var stack = stack_t(ss_sp: malloc(size), ss_flags: 0, ss_size: size)
    sigaltstack(&stack, nil)
    for number in [SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGABRT, SIGFPE] { handle(number, onFault, SA_ONSTACK) }
    handle(SIGALRM, onTick, SA_ONSTACK | SA_RESTART)
    var everySecond = itimerval(it_interval: timeval(tv_sec: 1, tv_usec: 0), it_value: timeval(tv_sec: 1, tv_usec: 0))
    setitimer(__itimer_which_t(ITIMER_REAL.rawValue), &everySecond, nil)
  }

  nonisolated(unsafe) private static var isInstalled = false

  private static func replace(_ text: inout UnsafeMutablePointer<CChar>?, _ new: String) {
    free(text)
    text = strdup(new)
  }

  private static func handle(_ number: Int32, _ handler: @escaping @convention(c) (Int32) -> Void, _ flags: Int32) {
    var action = sigaction()
    action.__sigaction_handler.sa_handler = handler
    action.sa_flags = flags
    sigaction(number, &action, nil)
  }

  private static let onFault: @convention(c) (Int32) -> Void = { number in
    tell("crashed")
    signal(number, SIG_DFL)
    raise(number)
  }

  private static let onTick: @convention(c) (Int32) -> Void = { _ in
    let state = CrashRecord.state
    if state.pointee.seenRun != state.pointee.run {
      state.pointee.seenRun = state.pointee.run
      state.pointee.ticks = 0
      return
    }
    state.pointee.ticks += 1
    guard state.pointee.ticks >= hangSeconds, state.pointee.input != nil else { return }
    tell("hangs")
    _exit(2)
  }

  /// No input runs: what takes time now is no hang.
  static func pause() { state.pointee.input = nil }

  private static func tell(_ what: StaticString) {
    write()
    put(state.pointee.about)
    put("run ")
    put(number: state.pointee.run)
    put(" ")
    put(state.pointee.input == nil ? "(while making the next input) " : "")
    put(what)
    put("\n  replay: ")
    put(state.pointee.replay)
    put("\n")
  }

  private static func write() {
    guard let path = state.pointee.path else { return }
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    guard file >= 0 else { return }
    if let input = state.pointee.input { _ = Glibc.write(file, input, state.pointee.count) }
    close(file)
  }

  private static func put(_ text: UnsafeMutablePointer<CChar>?) {
    if let text { _ = Glibc.write(2, text, strlen(text)) }
  }

  private static func put(_ text: StaticString) { _ = Glibc.write(2, text.utf8Start, text.utf8CodeUnitCount) }

  private static func put(number: Int) {
    withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 20) { digits in
      var rest = number
      var first = 20
      repeat {
        first -= 1
        digits[first] = UInt8(48 + rest % 10)
        rest /= 10
      } while rest > 0 && first > 0
      if let start = digits.baseAddress { _ = Glibc.write(2, start + first, 20 - first) }
    }
  }
}
