// A Problem as a call's error and back: it travels in the error's details (google.rpc.Status), so that any caller can
// show what to do next.
import ProtoWire
import RPC

extension RPCError {
  /// An error that carries `problem`; its message is the problem's sentence.
  public init(_ code: StatusCode, _ problem: Problem) {
    self.init(code, problem.message, details: [StatusDetail(problem)])
  }

  /// The first Problem among the details, if there is one.
  public var problem: Problem? {
    for detail in details {
      if let problem = detail.decoded(as: Problem.self) { return problem }
    }
    return nil
  }
}
