// The right to work on a run. The fence document is written only when the run changes hands, and each write of its
// holder is bound to the fence's version: a holder that lost the run can't write any more, however late it notices.
// The term document is renewed beside it, so that renewing never disturbs writes under way. Source: the fencing
// tokens of M. Kleppmann, "How to do distributed locking".

import DocumentStore

/// Who took the run up last, and for the how-manieth time.
struct Fence: Codable, Sendable {
  /// Grows by one at each change of hands.
  var token: Int64
  var instance: String
}

/// Until when nobody else may take the run up.
struct LeaseTerm: Codable, Sendable {
  var expiresAt: UnixMilliseconds
}

/// A lease held by this process.
struct Lease: Sendable {
  var id: RunID
  /// Monotonic: of two holders the later one has the larger token.
  var fencingToken: Int64
  var fenceVersion: DocumentVersion
  var recordVersion: DocumentVersion
  var expiresAt: UnixMilliseconds
}

struct Leases: Sendable {
  let documents: RunDocuments
  let instance: String
  let term: Duration
  let clock: WorkflowClock

  /// Takes the run up and marks it as running, in one batch. Nil if another instance holds it or was quicker.
  /// An instance's own lease, left by its earlier process, is taken over at once.
  func acquire(_ run: RunSnapshot) async throws(WorkflowError) -> Lease? {
    let now = clock.now()
    if let term = run.lease, term.value.expiresAt > now, let fence = run.fence, fence.value.instance != instance {
      return nil
    }
    let token = (run.fence?.value.token ?? 0) + 1
    let expiresAt = now + term.inMilliseconds
    var record = run.record.value
    record.status = .running
    record.starts += 1
    record.updatedAt = now
    var batch = Batch(partition: documents.partition(run.id))
    batch.put(
      RunKeys.fence, try documents.encode(Fence(token: token, instance: instance)),
      if: run.fence.map { .version($0.version) } ?? .absent)
    // A holder that renews at this very moment changes the term, and this batch is refused.
    batch.put(
      RunKeys.lease, try documents.encode(LeaseTerm(expiresAt: expiresAt)),
      if: run.lease.map { .version($0.version) } ?? .absent)
    batch.put(RunKeys.record, try documents.encode(record), if: .version(run.record.version))
    do {
      let versions = try await documents.commit(batch)
      return Lease(
        id: run.id, fencingToken: token, fenceVersion: versions[0], recordVersion: versions[2], expiresAt: expiresAt)
    } catch {
      if case .store(let cause) = error.kind, cause.conflictingKey != nil { return nil }
      throw error
    }
  }

  /// The lease with its new end; throws leaseLost if somebody else has it.
  func renew(_ lease: Lease) async throws(WorkflowError) -> Lease {
    var renewed = lease
    renewed.expiresAt = clock.now() + term.inMilliseconds
    var batch = fenced(lease)
    batch.put(RunKeys.lease, try documents.encode(LeaseTerm(expiresAt: renewed.expiresAt)))
    _ = try await commit(batch, under: lease)
    return renewed
  }

  /// Gives the run back unfinished: any instance may take it up at once.
  func release(_ lease: Lease) async throws(WorkflowError) {
    var batch = fenced(lease)
    batch.delete(RunKeys.lease)
    _ = try await commit(batch, under: lease)
  }

  /// A batch in the run's partition that is refused once the lease is lost.
  func fenced(_ lease: Lease) -> Batch {
    var batch = Batch(partition: documents.partition(lease.id))
    batch.check(RunKeys.fence, if: .version(lease.fenceVersion))
    return batch
  }

  /// Commits a batch made by `fenced`; a refusal by the fence is told as leaseLost.
  func commit(_ batch: Batch, under lease: Lease) async throws(WorkflowError) -> [DocumentVersion] {
    do { return try await documents.commit(batch) } catch {
      if case .store(let cause) = error.kind, cause.conflictingKey?.sort == RunKeys.fence { throw .leaseLost(lease.id) }
      throw error
    }
  }
}
