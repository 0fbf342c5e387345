// The engine's one error: what kind, what failed and why, what to do next. Errors of the bodies' own effects pass
// through the engine untouched.

import DocumentStore

public struct WorkflowError: Error, Sendable, Equatable, CustomStringConvertible {
  public enum Kind: Sendable, Equatable {
    /// Another holder has taken the run over; nothing this one writes counts any more.
    case leaseLost
    /// The document store refused or failed.
    case store(DocumentStoreError)
    case unknownRun
    case unknownKind
    /// A run with this id exists with another kind or input.
    case idInUse
    /// The run is not in a state that allows the call.
    case wrongState(RunStatus)
    /// A bound or a key rule was broken.
    case invalid
  }

  public var kind: Kind
  public var message: String
  public var nextStep: String

  public init(_ kind: Kind, message: String, nextStep: String) {
    self.kind = kind
    self.message = message
    self.nextStep = nextStep
  }

  public var description: String { "\(message) \(nextStep)" }

  /// Whether the same call may succeed later.
  public var retryable: Bool {
    if case .store(let error) = kind { error.retryable } else { false }
  }

  static func store(_ error: DocumentStoreError) -> WorkflowError {
    WorkflowError(.store(error), message: error.message, nextStep: error.nextStep)
  }

  static func leaseLost(_ id: RunID) -> WorkflowError {
    WorkflowError(
      .leaseLost, message: "The run \(id) was taken over by another instance.",
      nextStep: "Nothing: the other instance finishes it.")
  }

  static func unknownRun(_ id: RunID) -> WorkflowError {
    WorkflowError(.unknownRun, message: "There is no run \(id).", nextStep: "Check the id; the run may be forgotten.")
  }
}

/// Runs a store call and turns its error into the engine's.
func storing<Value>(
  isolation: isolated (any Actor)? = #isolation,
  _ call: () async throws(DocumentStoreError) -> Value
) async throws(WorkflowError) -> Value {
  do { return try await call() } catch { throw .store(error) }
}
