// What a service registers for each kind of run, and what the engine tells it while it works.

/// The code of one kind of run.
public struct WorkflowKind: Sendable {
  /// The run itself. Its effects go through `RunContext.step`; what it returns is the run's output. It is started anew,
  /// and finds its journal, after each restart; on cancellation it should end soon, with any error.
  public typealias Body = @Sendable (RunContext) async throws -> [UInt8]
  /// Undoes what a cancelled run left behind. Runs after the body has ended, and again after a crash until it returns.
  public typealias Cleanup = @Sendable (RunContext) async throws -> Void

  public var name: String
  public var body: Body
  public var cleanup: Cleanup
  /// Turns the error a body failed with into what is kept as the run's problem, secrets left out.
  public var problem: @Sendable (any Error) -> [UInt8]

  public init(
    _ name: String, cleanup: @escaping Cleanup = { _ in },
    problem: @escaping @Sendable (any Error) -> [UInt8] = { Array(String(describing: $0).utf8) },
    body: @escaping Body
  ) {
    self.name = name
    self.body = body
    self.cleanup = cleanup
    self.problem = problem
  }
}

/// For logs and metrics.
public enum WorkflowEvent: Sendable {
  case started(RunID, kind: String, start: Int)
  case finished(RunID, kind: String, RunStatus)
  /// Another instance took the run over.
  case leaseLost(RunID)
  /// The store failed; the run is resumed at a later scan.
  case postponed(RunID, WorkflowError)
  /// No code is registered here for this kind; the run stays for an instance that has it.
  case unknownKind(RunID, kind: String)
  /// The index of unfinished runs could not be read; it is tried again at the next scan.
  case scanFailed(WorkflowError)
}
