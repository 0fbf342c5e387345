// One run from take-up to its end: lease, body, clean-up if it is cancelled, and the final record. Whatever goes
// wrong with the store or the lease leaves the run unfinished in the index, for a later scan by this instance or
// another.

import DocumentStore

struct RunExecution {
  let engine: WorkflowEngine
  let entry: RunQueue.Entry
  let execution: Execution
  let kinds: [String: WorkflowKind]

  private var documents: RunDocuments { engine.documents }
  private var leases: Leases { engine.leases }

  /// The run if it is finished now.
  func perform() async -> Run? {
    do {
      guard let run = try await documents.load(entry.id) else {
        try await dropOrphan()
        return nil
      }
      if run.rank != entry.rank { try await dropOrphan() }
      if run.record.value.status.isFinal {
        if run.rank == entry.rank { await engine.delist(run) }
        return run.run
      }
      guard let kind = kinds[run.record.value.kind] else {
        engine.observe(.unknownKind(run.id, kind: run.record.value.kind))
        return nil
      }
      // A stop that came while this was waiting for the store: nothing was begun.
      if execution.interruption == .stopping { return nil }
      guard let lease = try await leases.acquire(run) else { return nil }
      execution.lease = lease
      defer { execution.lease = nil }
      engine.observe(.started(run.id, kind: kind.name, start: run.record.value.starts + 1))
      return try await work(run, kind, lease)
    } catch {
      engine.observe(error.kind == .leaseLost ? .leaseLost(entry.id) : .postponed(entry.id, error))
      return nil
    }
  }

  private func work(_ run: RunSnapshot, _ kind: WorkflowKind, _ lease: Lease) async throws(WorkflowError) -> Run? {
    let context = RunContext(run: run, lease: lease, engine: engine)
    if run.cancelRequested { execution.interrupt(.cancelRequested) }
    var result: Result<[UInt8], any Error> = .failure(CancellationError())
    if !run.cancelRequested {
      result = await execution.run(.body) { try await kind.body(context) }
    }
    switch result {
    case .success(let output):
      return try await end(run, lease, .succeeded, output: output)
    case .failure(let error):
      if try await mustLeaveUnfinished(context, lease) { return nil }
      guard execution.interruption == .cancelRequested else {
        return try await end(run, lease, .failed, problem: kind.problem(error))
      }
      return try await cleanUp(run, kind, lease)
    }
  }

  private func cleanUp(_ run: RunSnapshot, _ kind: WorkflowKind, _ lease: Lease) async throws(WorkflowError) -> Run? {
    let context = RunContext(run: run, lease: lease, engine: engine)
    let result = await execution.run(.cleanup) {
      try await kind.cleanup(context)
      return []
    }
    switch result {
    case .success:
      return try await end(run, lease, .cancelled)
    case .failure(let error):
      if try await mustLeaveUnfinished(context, lease) { return nil }
      return try await end(run, lease, .cancelled, problem: kind.problem(error))
    }
  }

  /// Whether the error a task ended with says nothing about the run: the store failed it, the lease went, or we stop.
  private func mustLeaveUnfinished(_ context: RunContext, _ lease: Lease) async throws(WorkflowError) -> Bool {
    if let trouble = context.interruptedBy { throw trouble }
    switch execution.interruption {
    case .leaseLost:
      throw .leaseLost(entry.id)
    case .stopping:
      try await leases.release(lease)
      return true
    case .cancelRequested, nil:
      return false
    }
  }

  private func end(
    _ run: RunSnapshot, _ lease: Lease, _ status: RunStatus, output: [UInt8]? = nil, problem: [UInt8]? = nil
  ) async throws(WorkflowError) -> Run {
    // A message longer than a document can be is cut; an output is not, its kind has to keep the bound.
    let problem = problem.map { Array($0.prefix(Batch.maximumBodySize)) }
    var record = run.record.value
    record.status = status
    record.starts += 1
    record.updatedAt = engine.clock.now()
    if let output, output.count > Batch.maximumBodySize {
      let message = "The output has \(output.count) bytes; a run's may have \(Batch.maximumBodySize)."
      return try await end(run, lease, .failed, problem: Array(message.utf8))
    }
    var batch = leases.fenced(lease)
    batch.put(RunKeys.record, try documents.encode(record), if: .version(lease.recordVersion))
    if let output { batch.put(RunKeys.output, output) }
    if let problem { batch.put(RunKeys.problem, problem) }
    batch.delete(RunKeys.lease)
    _ = try await leases.commit(batch, under: lease)
    await engine.delist(run)
    engine.observe(.finished(run.id, kind: record.kind, status))
    var ended = run.run
    (ended.status, ended.starts, ended.updatedAt) = (status, record.starts, record.updatedAt)
    (ended.output, ended.problem) = (output, problem)
    ended.cancelRequested = run.cancelRequested || execution.interruption == .cancelRequested
    return ended
  }

  // MARK: The index

  /// An entry without a run, or with another place than its run's, is either a crash's leftover or just about to get
  /// its run or retry: only its age tells.
  private func dropOrphan() async throws(WorkflowError) {
    guard let queuedAt = RunDocuments.indexEntry(entry.rank)?.queuedAt else { return }
    let age = engine.clock.now() - queuedAt
    if age > WorkflowEngine.orphanAge.inMilliseconds { try await documents.delist(entry.rank) }
  }
}
