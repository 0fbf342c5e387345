// One thread that runs one actor's jobs, so that the actor may block in libssh2 without holding up Swift's shared pool
// or an event loop. It knows nothing of SSH.
import Glibc

/// A serial executor on a thread of its own. The thread starts with the first job and ends after `stop()` once no job
/// is left. `@unchecked Sendable`: `lock` guards every stored variable; the conditions' memory lives as long as the
/// object.
final class SSHThread: SerialExecutor, @unchecked Sendable {
  private let lock: UnsafeMutablePointer<pthread_mutex_t>
  private let wake: UnsafeMutablePointer<pthread_cond_t>
  private let idle: Duration
  private var jobs: [UnownedJob] = []
  private var running = false
  private var stopping = false
  private var onIdle: (@Sendable () -> Void)?

  init(idle: Duration) {
    self.idle = idle
    lock = .allocate(capacity: 1)
    wake = .allocate(capacity: 1)
    pthread_mutex_init(lock, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(wake, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(wake)
    pthread_mutex_destroy(lock)
    wake.deallocate()
    lock.deallocate()
  }

  /// Called on the thread each time no job came for the `idle` duration. Must not block.
  func whenIdle(_ body: @escaping @Sendable () -> Void) {
    locked { onIdle = body }
  }

  /// Lets the thread end once its jobs are done. A job that comes later starts it anew for as long as it takes.
  func stop() {
    locked {
      stopping = true
      onIdle = nil
      pthread_cond_signal(wake)
    }
  }

  func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    locked {
      jobs.append(job)
      if running { pthread_cond_signal(wake) } else { start() }
    }
  }

  func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

  private func locked(_ body: () -> Void) {
    pthread_mutex_lock(lock)
    body()
    pthread_mutex_unlock(lock)
  }

  /// With the lock held. Without a thread no job could ever run, so a refusal of the system to make one ends the
  /// process.
  private func start() {
    let started = POSIXThread.detach { self.run() }
    precondition(started, "the system refused to start a thread for an SFTP connection")
    running = true
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
      var until = Self.now(plus: idle)
      if pthread_cond_timedwait(wake, lock, &until) == ETIMEDOUT, jobs.isEmpty, let tick = onIdle {
        pthread_mutex_unlock(lock)
        tick()
        pthread_mutex_lock(lock)
      }
    }
    running = false
    pthread_mutex_unlock(lock)
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

  /// False if the system refused to make one.
  static func detach(_ run: @escaping @Sendable () -> Void) -> Bool {
    let body = Unmanaged.passRetained(Body(run))
    var thread = pthread_t()
    let status = pthread_create(&thread, nil, { raw in
      if let raw { Unmanaged<Body>.fromOpaque(raw).takeRetainedValue().run() }
      return nil
    }, body.toOpaque())
    guard status == 0 else {
      body.release()
      return false
    }
    pthread_detach(thread)
    return true
  }
}
