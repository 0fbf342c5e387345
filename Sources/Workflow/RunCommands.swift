// What others ask of the engine about one run: start, cancel, retry, forget. Each is durable when it returns, and
// each may be asked of any instance.

import DocumentStore

extension WorkflowEngine {
  /// How many runs get a place before this one does; nil if it doesn't wait for one here, or so many wait that it isn't known.
  public func waiting(before id: RunID) -> Int? { queue.before(id) }

  /// Makes the run durable and queues it. The same id again returns the run as it is; with another kind or input it is
  /// refused as idInUse.
  @discardableResult
  public func start(
    _ id: RunID, kind: String, input: [UInt8] = [], priority: RunPriority = .normal
  ) async throws(WorkflowError) -> Run {
    try check(id, kind: kind)
    if let run = try await documents.load(id)?.run { return try same(run, kind: kind, input: input) }
    let now = clock.now()
    let rank = RunDocuments.indexSort(id, priority, now)
    let record = RunRecord(
      kind: kind, priority: priority, status: .pending, starts: 0, createdAt: now, queuedAt: now, updatedAt: now)
    // Index first: a crash between the two leaves a stale entry, never a run that nobody finds.
    try await documents.enlist(rank)
    var batch = Batch(partition: documents.partition(id))
    batch.put(RunKeys.record, try documents.encode(record), if: .absent)
    batch.put(RunKeys.input, input)
    do { _ = try await documents.commit(batch) } catch {
      guard case .store(let cause) = error.kind, cause.conflictingKey != nil,
        let run = try await documents.load(id)?.run
      else { throw error }
      return try same(run, kind: kind, input: input)
    }
    enqueue(RunQueue.Entry(id: id, rank: rank))
    return Run(
      id: id, kind: kind, input: input, priority: priority, status: .pending, cancelRequested: false, starts: 0,
      createdAt: now, updatedAt: now)
  }

  private func check(_ id: RunID, kind: String) throws(WorkflowError) {
    let size = id.rawValue.utf8.count
    if size == 0 || size > RunID.maximumSize || id.rawValue.utf8.contains(0) {
      throw WorkflowError(
        .invalid, message: "A run id of \(size) bytes is empty, too long or holds a NUL.",
        nextStep: "Use 1 to \(RunID.maximumSize) bytes.")
    }
    if kinds[kind] == nil {
      throw WorkflowError(
        .unknownKind, message: "No workflow of kind '\(kind)' is registered.", nextStep: "Register it before.")
    }
  }

  private func same(_ run: Run, kind: String, input: [UInt8]) throws(WorkflowError) -> Run {
    if run.kind == kind && run.input == input { return run }
    throw WorkflowError(
      .idInUse, message: "The run \(run.id) exists with another kind or input.", nextStep: "Choose another id.")
  }

  public func run(_ id: RunID) async throws(WorkflowError) -> Run? {
    try await documents.load(id)?.run
  }

  /// Asks for the run's end, durably. A run that never started ends at once; one under way is cancelled and cleaned up,
  /// after a restart if need be. A finished run is left as it is.
  @discardableResult
  public func cancel(_ id: RunID) async throws(WorkflowError) -> Run {
    let snapshot = try await change(id) { run, batch, documents throws(WorkflowError) in
      if run.record.value.status.isFinal { return false }
      var record = run.record.value
      batch.put(RunKeys.cancel, [])
      if record.status == .pending && record.starts == 0 {
        record.status = .cancelled
        record.updatedAt = clock.now()
        batch.put(RunKeys.record, try documents.encode(record), if: .version(run.record.version))
      } else {
        batch.check(RunKeys.record, if: .version(run.record.version))
      }
      return true
    }
    if snapshot.record.value.status.isFinal {
      queue.remove(id)
      finish(snapshot.run)
      await delist(snapshot)
    } else if let execution = executions[id] {
      execution.interrupt(.cancelRequested)
    } else {
      enqueue(RunQueue.Entry(id: id, rank: snapshot.rank))
    }
    return snapshot.run
  }

  /// Sets a failed or cancelled run going again. A failed one keeps its journal and goes on where it failed; a
  /// cancelled one was cleaned up, so its journal and its body's documents are dropped and it begins afresh.
  @discardableResult
  public func retry(_ id: RunID) async throws(WorkflowError) -> Run {
    guard let before = try await documents.load(id) else { throw .unknownRun(id) }
    let status = before.record.value.status
    guard status == .failed || status == .cancelled else {
      throw WorkflowError(
        .wrongState(status), message: "The run \(id) is \(status.rawValue).",
        nextStep: "Only a failed or cancelled run can be retried.")
    }
    if status == .cancelled {
      try await documents.wipe(id) { !$0.hasPrefix(RunKeys.head) }
    }
    var record = before.record.value
    record.status = .pending
    record.updatedAt = clock.now()
    // A new place in the index: whoever still removes the old one doesn't hit it.
    record.queuedAt = max(record.updatedAt, record.queuedAt + 1)
    let rank = RunDocuments.indexSort(id, record.priority, record.queuedAt)
    try await documents.enlist(rank)
    var batch = Batch(partition: documents.partition(id))
    batch.put(RunKeys.record, try documents.encode(record), if: .version(before.record.version))
    batch.delete(RunKeys.problem)
    batch.delete(RunKeys.cancel)
    do { _ = try await documents.commit(batch) } catch {
      guard case .store(let cause) = error.kind, cause.conflictingKey != nil else { throw error }
      // Somebody else retried it first: theirs counts.
    }
    enqueue(RunQueue.Entry(id: id, rank: rank))
    guard let run = try await run(id) else { throw .unknownRun(id) }
    return run
  }

  /// Deletes a finished run with its journal and its body's documents.
  public func forget(_ id: RunID) async throws(WorkflowError) {
    guard let run = try await documents.load(id) else { return }
    let status = run.record.value.status
    guard status.isFinal else {
      throw WorkflowError(
        .wrongState(status), message: "The run \(id) is \(status.rawValue).", nextStep: "Cancel it first.")
    }
    // The record goes last: a crash on the way leaves a run that can be forgotten again.
    try await documents.wipe(id) { $0 != RunKeys.record }
    try await documents.wipe(id) { _ in true }
  }

  /// Reads the run, lets `edit` fill a batch, commits it, and begins again if the run changed meanwhile.
  /// - Parameter edit: returns false if there is nothing to do.
  private func change(
    _ id: RunID, _ edit: (RunSnapshot, inout Batch, RunDocuments) throws(WorkflowError) -> Bool
  ) async throws(WorkflowError) -> RunSnapshot {
    for _ in 0..<Self.maximumContention {
      guard let before = try await documents.load(id) else { throw .unknownRun(id) }
      var batch = Batch(partition: documents.partition(id))
      if try !edit(before, &batch, documents) { return before }
      do { _ = try await documents.commit(batch) } catch {
        guard case .store(let cause) = error.kind, cause.conflictingKey != nil else { throw error }
        continue
      }
      guard let after = try await documents.load(id) else { throw .unknownRun(id) }
      return after
    }
    throw .store(
      DocumentStoreError(
        .unavailable, message: "The run \(id) changed \(Self.maximumContention) times while it was being changed.",
        nextStep: "Try again."))
  }
}
