// One thread that runs one actor's jobs, so that the actor may block in libssh2 without holding up Swift's shared pool
// or an event loop. Between jobs it waits for the network, in a way that the next job ends. It knows nothing of SSH.
import CSSH2
import Glibc

/// A serial executor on a thread of its own. The thread starts with the first job and ends after `stop()` once no job
/// is left. `@unchecked Sendable`: `lock` guards every stored variable; its memory lives as long as the object.
public final class SSHThread: SerialExecutor, @unchecked Sendable {
  /// An eventfd(2): readable when a job came while the thread waited.
  let wake: Int32
  private let lock: UnsafeMutablePointer<pthread_mutex_t>
  private var jobs: [UnownedJob] = []
  private var thread: pthread_t?
  private var waiting = false
  private var stopping = false
  private let idle: Duration?
  private var onIdle: (@Sendable () -> Void)?
  private var wait: (@Sendable () -> Void)?

  public init(idle: Duration? = nil) {
    self.idle = idle
    wake = ferry_wake_make()
    precondition(wake >= 0, "the system refused to make an eventfd for an SFTP connection")
    lock = .allocate(capacity: 1)
    pthread_mutex_init(lock, nil)
  }

  deinit {
    pthread_mutex_destroy(lock)
    lock.deallocate()
    close(wake)
  }

  /// Called on the thread each time no job came for the `idle` duration. Must not block.
  func whenIdle(_ body: @escaping @Sendable () -> Void) {
    locked { onIdle = body }
  }

  /// Called on the thread whenever it has no job, to wait for something more than jobs. It must return once `wake` is
  /// readable, and after anything that made a job. Nil: the thread waits for jobs alone.
  func waitWith(_ wait: (@Sendable () -> Void)?) {
    locked { self.wait = wait }
  }

  /// Lets the thread end once its jobs are done. A job that comes later starts it anew for as long as it takes.
  public func stop() {
    locked {
      stopping = true
      wait = nil
      onIdle = nil
      if waiting { signal() }
    }
  }

  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    locked {
      jobs.append(job)
      if let thread {
        if waiting, pthread_equal(thread, pthread_self()) == 0 { signal() }
      } else {
        start()
      }
    }
  }

  public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

  private func locked(_ body: () -> Void) {
    pthread_mutex_lock(lock)
    body()
    pthread_mutex_unlock(lock)
  }

  private func signal() { ferry_wake_signal(wake) }

  /// With the lock held. Without a thread no job could ever run, so a refusal of the system to make one ends the
  /// process.
  private func start() {
    thread = POSIXThread.detach { self.run() }
    precondition(thread != nil, "the system refused to start a thread for an SFTP connection")
  }

  private func run() {
    pthread_mutex_lock(lock)
    while true {
      while !jobs.isEmpty {
        let batch = jobs
        jobs = []
        pthread_mutex_unlock(lock)
        for job in batch { job.runSynchronously(on: asUnownedSerialExecutor()) }
        pthread_mutex_lock(lock)
      }
      if stopping { break }
      let (wait, tick) = (wait, onIdle)
      waiting = true
      pthread_mutex_unlock(lock)
      if let wait { wait() } else if !waitForJob() { tick?() }
      pthread_mutex_lock(lock)
      waiting = false
    }
    thread = nil
    pthread_mutex_unlock(lock)
  }

  /// False if none came for the `idle` duration.
  private func waitForJob() -> Bool {
    var poll = pollfd(fd: wake, events: Int16(POLLIN), revents: 0)
    let limit = idle.map { Int32(clamping: SSHTimeouts.milliseconds($0)) } ?? -1
    let isWoken = Glibc.poll(&poll, 1, limit) != 0
    ferry_wake_drain(wake)
    return isWoken
  }

  static func now(plus duration: Duration) -> timespec {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    let nanoseconds = now.tv_nsec + Int(duration.components.attoseconds / 1_000_000_000)
    return timespec(
      tv_sec: now.tv_sec + Int(duration.components.seconds) + nanoseconds / 1_000_000_000,
      tv_nsec: nanoseconds % 1_000_000_000)
  }
}

/// A detached POSIX thread.
enum POSIXThread {
  private final class Body: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  /// Nil if the system refused to make one.
  @discardableResult
  static func detach(_ run: @escaping @Sendable () -> Void) -> pthread_t? {
    let body = Unmanaged.passRetained(Body(run))
    var thread = pthread_t()
    let status = pthread_create(&thread, nil, { raw in
      if let raw { Unmanaged<Body>.fromOpaque(raw).takeRetainedValue().run() }
      return nil
    }, body.toOpaque())
    guard status == 0 else {
      body.release()
      return nil
    }
    pthread_detach(thread)
    return thread
  }
}
