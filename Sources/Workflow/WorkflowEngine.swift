// The engine: takes runs in, gives them places by priority and age, keeps their leases, and wakes those who wait for
// them. What one run goes through from take-up to its end is in RunExecution.swift, what may be asked about it in
// RunCommands.swift.

import DocumentStore

public actor WorkflowEngine {
  public struct Options: Sendable {
    /// Bodies under way at once.
    public var maximumRunning: Int
    /// Bodies that wait in `RunContext.sleep`, beside those; further ones keep their place while they sleep.
    public var maximumSleeping: Int
    /// Waiting runs kept in memory; the rest waits in the store.
    public var maximumQueued: Int
    /// How long a run of a dead instance stays untouched by others. Renewed at a third of it.
    public var leaseTerm: Duration
    /// How often the store is searched for runs that nobody works on.
    public var scanInterval: Duration
    /// First part of the engine's partition keys.
    public var namespace: String

    public init(
      maximumRunning: Int = 64, maximumSleeping: Int = 1000, maximumQueued: Int = 10_000,
      leaseTerm: Duration = .seconds(30), scanInterval: Duration = .seconds(15), namespace: String = "workflow"
    ) {
      self.maximumRunning = maximumRunning
      self.maximumSleeping = maximumSleeping
      self.maximumQueued = maximumQueued
      self.leaseTerm = leaseTerm
      self.scanInterval = scanInterval
      self.namespace = namespace
    }
  }

  enum State {
    case idle, working, stopped
  }

  /// How often a call is repeated that another writer got in the way of.
  static let maximumContention = 16
  /// An index entry without a run is removed once this old: until then its run may be about to be written.
  static let orphanAge = Duration.seconds(600)

  nonisolated let documents: RunDocuments
  nonisolated let leases: Leases
  nonisolated let clock: WorkflowClock
  nonisolated let observe: @Sendable (WorkflowEvent) -> Void
  private let options: Options
  private(set) var kinds: [String: WorkflowKind] = [:]
  private var state = State.idle
  var queue: RunQueue
  private(set) var executions: [RunID: Execution] = [:]
  private var waiters: [RunID: [UInt64: CheckedContinuation<Run, any Error>]] = [:]
  private var nextWaiter: UInt64 = 0
  private var stopWaiters: [CheckedContinuation<Void, Never>] = []
  private var loops: [Task<Void, Never>] = []
  private var isScanning = false
  /// Executions that gave their place away while they sleep, those in `returning` included.
  private var sleeping = 0
  /// Awake again, and waiting for a place.
  private var returning: [CheckedContinuation<Void, Never>] = []
  /// Entries that came in while their run had a place.
  private var again: [RunID: RunQueue.Entry] = [:]
  /// A run ended here since the last scan began.
  private var hasProgressed = false

  /// - Parameters:
  ///   - instance: this replica's stable name: after a restart under the same name it takes its own runs over at once.
  ///     No two live processes on one store may share it.
  ///   - observe: called on any task; has to return soon.
  public init(
    store: any DocumentStore, instance: String, clock: WorkflowClock = .system, options: Options = Options(),
    observe: @escaping @Sendable (WorkflowEvent) -> Void = { _ in }
  ) {
    documents = RunDocuments(store: store, namespace: options.namespace)
    leases = Leases(documents: documents, instance: instance, term: options.leaseTerm, clock: clock)
    self.clock = clock
    self.options = options
    self.observe = observe
    queue = RunQueue(maximumCount: options.maximumQueued)
  }

  public func register(_ kind: WorkflowKind) {
    kinds[kind.name] = kind
  }

  // MARK: Life of the engine

  /// Takes up every unfinished run and goes on doing so until `stop`. Call it once all kinds are registered.
  public func resume() async throws(WorkflowError) {
    guard state == .idle else { return }
    state = .working
    do { try await scan() } catch {
      if state == .working { state = .idle }
      throw error
    }
    guard state == .working else { return }
    loops = [
      Task { await self.repeating(every: self.options.scanInterval) { await self.scanAgain() } },
      Task { await self.repeating(every: self.options.leaseTerm / 3) { await self.renewLeases() } },
    ]
  }

  /// Starts no more runs, cancels those under way, and returns when they have ended. They stay unfinished in the store,
  /// and any instance resumes them.
  public func stop() async {
    state = .stopped
    for loop in loops { loop.cancel() }
    for execution in executions.values { execution.interrupt(.stopping) }
    for continuation in waiters.values.flatMap(\.values) { continuation.resume(throwing: CancellationError()) }
    waiters = [:]
    while !returning.isEmpty { readmit(returning.removeFirst()) }
    while !executions.isEmpty { await withCheckedContinuation { stopWaiters.append($0) } }
  }

  private nonisolated func repeating(every interval: Duration, _ work: @Sendable () async -> Void) async {
    while !Task.isCancelled {
      do { try await clock.sleep(for: interval) } catch { return }  // only cancellation ends a sleep early
      await work()
    }
  }

  // MARK: Waiting for a run

  /// The run once it is finished, by this instance or another. Throws CancellationError when the caller's task is
  /// cancelled or the engine stops.
  public func wait(_ id: RunID) async throws -> Run {
    let key = nextWaiter
    nextWaiter += 1
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { continuation in
        if state == .stopped || Task.isCancelled { return continuation.resume(throwing: CancellationError()) }
        waiters[id, default: [:]][key] = continuation
        // Asked after being listed: an end between the two is seen by one of them.
        Task { await self.lookAfter(id) }
      }
    } onCancel: {
      Task { await self.abandon(id, waiter: key) }
    }
  }

  private func abandon(_ id: RunID, waiter: UInt64) {
    take(id, waiter)?.resume(throwing: CancellationError())
  }

  private func take(_ id: RunID, _ waiter: UInt64) -> CheckedContinuation<Run, any Error>? {
    let continuation = waiters[id]?.removeValue(forKey: waiter)
    if waiters[id]?.isEmpty == true { waiters[id] = nil }
    return continuation
  }

  /// Resumes the run's waiters if it is finished, unknown or unreadable; a store in trouble is asked at the next scan.
  private func lookAfter(_ id: RunID) async {
    do {
      guard let run = try await documents.load(id)?.run else { throw WorkflowError.unknownRun(id) }
      if run.status.isFinal { finish(run) }
    } catch {
      if let error = error as? WorkflowError, error.retryable { return }
      for continuation in (waiters.removeValue(forKey: id) ?? [:]).values { continuation.resume(throwing: error) }
    }
  }

  func finish(_ run: Run) {
    for continuation in (waiters.removeValue(forKey: run.id) ?? [:]).values { continuation.resume(returning: run) }
  }

  // MARK: Places

  func enqueue(_ entry: RunQueue.Entry) {
    if executions[entry.id] != nil {
      // It is just ending, or was looked at too early: it is looked at once more afterwards.
      again[entry.id] = entry
      return
    }
    queue.insert(entry)
    dispatch()
  }

  private func dispatch() {
    guard state == .working else { return }
    while hasFreePlace, !returning.isEmpty { readmit(returning.removeFirst()) }
    while hasFreePlace, let entry = queue.next() {
      let execution = Execution()
      executions[entry.id] = execution
      let kinds = kinds
      Task {
        let end = await RunExecution(engine: self, entry: entry, execution: execution, kinds: kinds).perform()
        self.ended(entry.id, end)
      }
    }
    // Without progress the index's front is in other hands: the next regular scan will do.
    if queue.isEmpty && queue.hasOverflowed && hasProgressed && !isScanning { Task { await self.scanAgain() } }
  }

  private var hasFreePlace: Bool { executions.count - sleeping < options.maximumRunning }

  private func readmit(_ sleeper: CheckedContinuation<Void, Never>) {
    sleeping -= 1
    sleeper.resume()
  }

  /// Runs a long wait without keeping a place from those who could work.
  nonisolated func withoutPlace(_ wait: () async throws -> Void) async throws {
    guard await givePlace() else { return try await wait() }
    do { try await wait() } catch {
      await takePlace()
      throw error
    }
    await takePlace()
  }

  private func givePlace() -> Bool {
    guard sleeping < options.maximumSleeping else { return false }
    sleeping += 1
    dispatch()
    return true
  }

  private func takePlace() async {
    if hasFreePlace || state == .stopped {
      sleeping -= 1
    } else {
      await withCheckedContinuation { returning.append($0) }
    }
  }

  private func ended(_ id: RunID, _ run: Run?) {
    executions[id] = nil
    if let entry = again.removeValue(forKey: id) { queue.insert(entry) }
    if let run {
      finish(run)
      hasProgressed = true
    }
    if executions.isEmpty {
      for waiter in stopWaiters { waiter.resume() }
      stopWaiters = []
    }
    dispatch()
  }

  nonisolated func delist(_ run: RunSnapshot) async {
    do { try await documents.delist(run.rank) } catch { observe(.scanFailed(error)) }  // a later scan removes it
  }

  // MARK: Background work

  private func scanAgain() async {
    do { try await scan() } catch { observe(.scanFailed(error)) }
    for id in waiters.keys where executions[id] == nil { await lookAfter(id) }
  }

  /// Queues every run of the index that is not here already, up to the queue's bound.
  private func scan() async throws(WorkflowError) {
    guard !isScanning else { return }
    isScanning = true
    defer { isScanning = false }
    queue.forgetOverflow()
    hasProgressed = false
    var token: PageToken?
    repeat {
      let after = token
      let page = try await storing { () throws(DocumentStoreError) in
        try await documents.store.query(partition: documents.indexPartition, after: after)
      }
      let found = page.documents.compactMap { document -> RunQueue.Entry? in
        guard let id = RunDocuments.indexEntry(document.key.sort)?.id, executions[id] == nil else { return nil }
        return RunQueue.Entry(id: id, rank: document.key.sort)
      }
      if !found.isEmpty { queue.insert(contentsOf: found) }
      dispatch()
      token = page.next
    } while token != nil && !queue.hasOverflowed && state == .working
  }

  private func renewLeases() async {
    let held = executions.values.filter { $0.lease != nil }
    await withTaskGroup(of: Void.self) { group in
      for execution in held { group.addTask { await self.renew(execution) } }
    }
  }

  private nonisolated func renew(_ execution: Execution) async {
    guard let lease = execution.lease else { return }
    do {
      execution.extend(try await leases.renew(lease))
      // Another instance can't reach the task: it leaves its wish in the store.
      if try await documents.isCancelRequested(lease.id) { execution.interrupt(.cancelRequested) }
    } catch {
      if error.kind == .leaseLost || clock.now() >= lease.expiresAt { execution.interrupt(.leaseLost) }
    }
  }
}
