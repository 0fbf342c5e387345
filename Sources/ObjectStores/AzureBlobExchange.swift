// One authorised request to Azure Blob Storage and its answer, with the retries that are safe since all we send are
// reads. What is asked, and what the answer means, is AzureBlobObjectStore's affair.
import CloudsAzure
import FoundationEssentials
import NIOCore
import Transport

enum AzureBlobCredentials: Sendable {
  case sharedKey(AzureSharedKey)
  case token(AzureSASToken)
}

struct AzureBlobExchange: Sendable {
  /// A list page has at most 1,000 names of at most 1,024 characters and as much again in properties.
  static let maxAnswerBytes = 16 * 1024 * 1024

  let http: HTTPClient
  let credentials: AzureBlobCredentials
  let environment: ObjectStoreEnvironment
  let retries: ReadRetryPolicy

  var now: Int64 { Int64(environment.now().timeIntervalSince1970.rounded(.down)) }

  /// The answer with a status of 2xx. `what` names the thing asked for in errors: "the object a/b in container c".
  func send(
    _ method: String, _ target: AzureBlobEndpoint.Target, query: [(name: String, value: String)] = [], what: String
  ) async throws(ObjectStoreError) -> HTTPResponse {
    var attempt = 1
    while true {
      let problem: ObjectStoreError
      do throws(TransportError) {
        let response = try await once(method, target, query: query)
        if (200..<300).contains(response.status) { return response }
        problem = ObjectStoreError(
          AzureError(response), what: what, credentials: credentials, secondsSince1970: now)
      } catch {
        problem = ObjectStoreError(
          error, what: what, provider: AzureBlobObjectStore.provider, service: AzureBlobObjectStore.service)
      }
      guard problem.retryable, attempt < retries.maxAttempts else { throw problem }
      attempt += 1
      do throws(CancellationError) {
        try await environment.sleep(retries.delay(beforeAttempt: attempt, random: environment.random()))
      } catch {
        throw ObjectStoreError(
          .cancelled, provider: AzureBlobObjectStore.provider, service: AzureBlobObjectStore.service,
          message: "Asking for \(what) was cancelled.", nextStep: "Ask again if it is still wanted.")
      }
    }
  }

  private func once(
    _ method: String, _ target: AzureBlobEndpoint.Target, query: [(name: String, value: String)]
  ) async throws(TransportError) -> HTTPResponse {
    let encoded = AzureURIEncoding.query(query)
    let url: String, headers: [(name: String, value: String)]
    switch credentials {
    case .sharedKey(let key):
      url = target.url(query: encoded)
      headers = key.headers(method: method, path: target.path, query: query, secondsSince1970: now)
    case .token(let token):
      url = target.url(query: encoded.isEmpty ? token.query : "\(encoded)&\(token.query)")
      headers = [(name: "x-ms-version", value: AzureSharedKey.serviceVersion)]
    }
    return try await http.execute(
      HTTPRequest(method, url, headers: headers, maxResponseBytes: Self.maxAnswerBytes))
  }
}

extension AzureError {
  init(_ response: HTTPResponse) {
    self.init(status: response.status, body: Array(response.body.readableBytesView)) { response.headers[$0] }
  }
}
