// Why a service could not start or go on: one sentence on what failed, one on what to do. It ends a program, not a
// call; what calls are answered with is RPCError.

public struct ServiceFailure: Error, Sendable, Equatable, CustomStringConvertible {
  /// One sentence: what failed and why.
  public var message: String
  /// One sentence: what to do next.
  public var nextStep: String

  public init(_ message: String, nextStep: String) {
    self.message = message
    self.nextStep = nextStep
  }

  public var description: String { "\(message) \(nextStep)" }
}
