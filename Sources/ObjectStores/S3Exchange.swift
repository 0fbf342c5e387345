// One signed request to S3 and its answer, with the retries that are safe since all we send are reads. What is asked,
// and what the answer means, is S3ObjectStore's affair.
import CloudsAWS
import FoundationEssentials
import NIOCore
import Transport

struct S3Exchange: Sendable {
  /// A list page has at most 1,000 keys of at most 1,024 bytes, three times as long when encoded.
  static let maxAnswerBytes = 16 * 1024 * 1024

  let http: HTTPClient
  let signer: SigV4
  let environment: ObjectStoreEnvironment
  let retries: ReadRetryPolicy

  /// The answer with a status of 2xx. `what` names the thing asked for in errors: "the object a/b in bucket c".
  func send(
    _ method: String, _ target: S3Endpoint.Target, query: [(name: String, value: String)] = [],
    headers: [(name: String, value: String)] = [], what: String
  ) async throws(ObjectStoreError) -> HTTPResponse {
    var attempt = 1
    while true {
      let problem: ObjectStoreError
      do throws(TransportError) {
        let response = try await once(method, target, query: query, headers: headers)
        if (200..<300).contains(response.status) { return response }
        problem = try await error(response, method, target, query: query, what: what)
      } catch {
        problem = ObjectStoreError(error, what: what, provider: S3ObjectStore.provider)
      }
      guard problem.retryable, attempt < retries.maxAttempts else { throw problem }
      attempt += 1
      do throws(CancellationError) {
        try await environment.sleep(retries.delay(beforeAttempt: attempt, random: environment.random()))
      } catch {
        throw ObjectStoreError(
          .cancelled, provider: S3ObjectStore.provider, message: "Asking for \(what) was cancelled.",
          nextStep: "Ask again if it is still wanted.")
      }
    }
  }

  private func once(
    _ method: String, _ target: S3Endpoint.Target, query: [(name: String, value: String)],
    headers: [(name: String, value: String)]
  ) async throws(TransportError) -> HTTPResponse {
    let signed = signer.headers(
      method: method, host: target.host, path: target.path, query: query, headers: headers, payload: .empty,
      secondsSince1970: Int64(environment.now().timeIntervalSince1970.rounded(.down)))
    return try await http.execute(
      HTTPRequest(
        method, target.url(query: AWSURIEncoding.query(query)), headers: headers + signed,
        maxResponseBytes: Self.maxAnswerBytes))
  }

  /// An answer to HEAD says no more than its status; asking for the first byte by GET brings the reason, which is what
  /// a person needs to tell a wrong secret from a missing right, or a missing bucket from a missing object.
  private func error(
    _ response: HTTPResponse, _ method: String, _ target: S3Endpoint.Target, query: [(name: String, value: String)],
    what: String
  ) async throws(TransportError) -> ObjectStoreError {
    var reason = AWSError(response)
    if method == "HEAD", reason.code.isEmpty, [301, 307, 400, 403, 404].contains(response.status) {
      let second = try await once("GET", target, query: query, headers: [(name: "Range", value: "bytes=0-0")])
      if second.status == response.status { reason = AWSError(second) }
    }
    return ObjectStoreError(reason, what: what, region: signer.region)
  }
}

extension AWSError {
  init(_ response: HTTPResponse) {
    self.init(status: response.status, body: Array(response.body.readableBytesView)) { response.headers[$0] }
  }
}
