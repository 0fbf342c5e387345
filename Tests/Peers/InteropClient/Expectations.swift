// What the cases share: the sizes and messages of the descriptions, and the one way in which a case fails.
import Glibc
import InteropMessages
import ProtoWire
import RPC

/// Why a case failed, as a sentence.
struct CaseFailure: Error, CustomStringConvertible {
  let description: String
}

func expect(_ holds: Bool, _ otherwise: @autoclosure () -> String) throws(CaseFailure) {
  if !holds { throw CaseFailure(description: otherwise()) }
}

/// The error that a call has to end with; one that succeeds, or ends with another code, fails the case.
@discardableResult
func expectFailure(
  _ code: StatusCode, of what: String, _ call: () async throws -> Void
) async throws -> RPCError {
  do {
    try await call()
  } catch let error as RPCError {
    try expect(error.code == code, "\(what) ended with \(error) where \(code) is due.")
    return error
  }
  throw CaseFailure(description: "\(what) succeeded where it has to end with \(code).")
}

func expectZeros(_ payload: Payload?, _ size: Int32, _ what: String) throws(CaseFailure) {
  let body = payload?.body ?? []
  try expect(body.count == Int(size), "\(what) holds \(body.count) bytes where \(size) are due.")
  try expect(body.allSatisfy { $0 == 0 }, "\(what) holds other bytes than zeros.")
}

/// Which of the responses of a stream is meant, in a sentence.
func responseNumber(_ number: Int) -> String { "response \(number + 1)" }

enum Sizes {
  static let largeRequest = 271_828
  static let largeResponse: Int32 = 314_159
  static let requests = [27_182, 8, 1_828, 45_904]
  static let responses: [Int32] = [31_415, 9, 2_653, 58_979]
}

/// A server that does not answer must fail a case, not hang it.
let ordinaryOptions = CallOptions.timeout(.seconds(30))

func zeros(_ count: Int) -> Payload { .with { $0.body = [UInt8](repeating: 0, count: count) } }

func truth(_ value: Bool) -> BoolValue { .with { $0.value = value } }

func largeRequest(_ change: (inout SimpleRequest) -> Void = { _ in }) -> SimpleRequest {
  .with {
    $0.responseSize = Sizes.largeResponse
    $0.payload = zeros(Sizes.largeRequest)
    change(&$0)
  }
}

/// Asks for one response of `size` bytes, and carries `body` bytes.
func outputRequest(_ size: Int32, body: Int) -> StreamingOutputCallRequest {
  .with {
    $0.responseParameters = [.with { $0.size = size }]
    $0.payload = zeros(body)
  }
}

func tellOnStandardError(_ sentence: String) {
  let line = Array((sentence + "\n").utf8)
  // Where standard error is gone there is nobody to tell.
  _ = write(STDERR_FILENO, line, line.count)
}
