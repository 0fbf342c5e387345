// Asking the server: requests one by one or several in one round trip, ranges of bytes, and what a failed one means.
import NIOCore

extension SFTPConnection {
  /// One request on its way to `askAll`.
  struct Request {
    var type: UInt8
    var body: ByteBuffer
    /// What it is to do, for errors: "close /in/a.part".
    var action: String
  }

  /// Sends a request and returns the server's answer, whatever it is.
  func ask(_ type: UInt8, _ body: ByteBuffer, _ action: String) async throws(SFTPError) -> SFTPReply {
    try await askAll([Request(type: type, body: body, action: action)])[0]
  }

  /// Sends requests in this order without waiting in between, and returns the answers in the same order.
  func askAll(_ requests: [Request]) async throws(SFTPError) -> [SFTPReply] {
    let channel = try live()
    let answers = await withCheckedContinuation { (done: CheckedContinuation<[SFTPChannel.Answer], Never>) in
      let collected = Collected(requests.count, done)
      for (index, request) in requests.enumerated() {
        channel.request(request.type, request.body) { collected.put($0, at: index) }
      }
    }
    var replies: [SFTPReply] = []
    for (answer, request) in zip(answers, requests) { replies.append(try reply(answer, request.action)) }
    return replies
  }

  /// Answers as they come in; confined to the thread.
  private final class Collected {
    private var answers: [SFTPChannel.Answer?]
    private var missing: Int
    private let done: CheckedContinuation<[SFTPChannel.Answer], Never>

    init(_ count: Int, _ done: CheckedContinuation<[SFTPChannel.Answer], Never>) {
      (answers, missing, self.done) = (Array(repeating: nil, count: count), count, done)
    }

    func put(_ answer: SFTPChannel.Answer, at index: Int) {
      answers[index] = answer
      missing -= 1
      if missing == 0 { done.resume(returning: answers.compactMap(\.self)) }
    }
  }

  /// Sends a request that is answered by a status alone.
  func order(_ type: UInt8, _ body: ByteBuffer, _ action: String) async throws(SFTPError) {
    let status = try await ask(type, body, action).status
    if status != SFTPStatus.ok { throw refusal(status, action) }
  }

  func transfer(
    _ action: String, _ make: (CheckedContinuation<SFTPTransfer.Outcome, Never>) -> SFTPTransfer
  ) async throws(SFTPError) -> SFTPTransfer.Outcome {
    let channel = try live()
    let outcome = await withCheckedContinuation { channel.add(make($0)) }
    if case .broken(let failure) = outcome { throw broken(failure, action) }
    return outcome
  }

  func reply(
    _ answer: SFTPChannel.Answer, _ action: String
  ) throws(SFTPError) -> SFTPReply {
    switch answer {
    case .success(let reply): return reply
    case .failure(let failure): throw broken(failure, action)
    }
  }

  /// The error of a status; of an answer that is none, too.
  func refusal(_ status: UInt?, _ action: String) -> SFTPError {
    SFTPStatus.error(status ?? SFTPStatus.badMessage, action: action, at: endpoint.description)
  }

  /// Anything but an answer from the server leaves the stream in doubt.
  private func broken(_ failure: SFTPChannel.Failure, _ action: String) -> SFTPError {
    giveUp()
    let what = "\(endpoint) couldn't \(action)"
    switch failure {
    case .closed: return closed
    case .timeout:
      return SFTPError(
        .timeout, "\(what): no answer in time.", nextStep: "Check the network and the server's load, then try again.",
        providerCode: "ETIMEDOUT")
    case .lost(let why):
      return SFTPError(
        .connectionLost, "\(what): the connection was lost\(why.isEmpty ? "" : " (\(why))").",
        nextStep: "Check that the server is up and lets this machine in, then try again.", providerCode: "LIBSSH2_ERROR_SOCKET_DISCONNECT")
    }
  }
}
