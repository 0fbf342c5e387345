// AzureBlobObjectStore against Tests/Doubles/azure_blob.py, which Microsoft's own SDK has passed the same calls
// against. Skipped unless FERRY_AZURE_DOUBLE holds the double's address (http://127.0.0.1:PORT/ACCOUNT) and
// FERRY_AZURE_DOUBLE_KEY the account's key.
import CloudsAzure
import Foundation
import NIOCore
import Testing
import Transport

@testable import ObjectStores

private let endpoint = ProcessInfo.processInfo.environment["FERRY_AZURE_DOUBLE"] ?? ""
private let accountKey = ProcessInfo.processInfo.environment["FERRY_AZURE_DOUBLE_KEY"] ?? ""

@Suite("Azure Blob object store on the double", .enabled(if: !endpoint.isEmpty))
struct AzureBlobDoubleTests {
  private let http = HTTPClient()
  private let account = String(endpoint.split(separator: "/").last ?? "")
  private let container = "swift-\(UUID().uuidString.lowercased())"

  private func store(_ secret: AzureCredentials.Secret = .accountKey(accountKey)) throws -> any ObjectStore {
    try ObjectStoreRegistry.store(
      ObjectStoreSettings(
        provider: "azure", endpoint: endpoint, azureCredentials: AzureCredentials(account: account, secret: secret)),
      http: http)
  }

  private func failure(_ work: () async throws -> Void) async -> ObjectStoreError? {
    do {
      try await work()
      return nil
    } catch {
      return error as? ObjectStoreError
    }
  }

  /// What the store has no call for: making the container, filling it, archiving.
  private func put(
    _ key: String = "", _ bytes: String = "", query: [(name: String, value: String)] = [],
    headers: [(name: String, value: String)] = []
  ) async throws {
    let signer = try #require(AzureSharedKey(account: account, base64Key: accountKey))
    let place = try AzureBlobEndpoint(ObjectStoreSettings(provider: "azure", endpoint: endpoint), account: account)
    let target = try key.isEmpty
      ? place.container(container) : place.blob(ObjectReference(bucket: container, key: key))
    let kind = key.isEmpty || !query.isEmpty ? [] : [(name: "x-ms-blob-type", value: "BlockBlob")]
    let signed = signer.headers(
      method: "PUT", path: target.path, query: query, headers: headers + kind, contentLength: bytes.utf8.count,
      secondsSince1970: Int64(Date().timeIntervalSince1970))
    let answer = try await http.execute(
      HTTPRequest(
        "PUT", target.url(query: AzureURIEncoding.query(query)), headers: headers + kind + signed,
        body: ByteBuffer(string: bytes)))
    #expect((200..<300).contains(answer.status), "\(answer.text)")
  }

  private func makeContainer() async throws { try await put(query: [(name: "restype", value: "container")]) }

  private func read(_ grant: ReadGrant, range: String? = nil) async throws -> HTTPResponse {
    guard case .url(let url) = grant.source else {
      Issue.record("the grant is no URL")
      throw CancellationError()
    }
    var headers = grant.headers.map { (name: $0.name, value: $0.value) }
    if let range { headers.append((name: "Range", value: range)) }
    return try await http.execute(HTTPRequest("GET", url, headers: headers))
  }

  private static let keys = [
    "a-b", "a/x", "a/y/deep/1", "a/y/deep/2", "a0", "b c/ü+%.txt", "b c/日本.bin", "c/#%+&?=~'\"", "ä", "e\u{301}",
    "x//y", "control-\u{1}-\u{FFFE}", "<&>]]>", "line\r\n\tend",
  ]

  @Test("every name is listed, folded, looked up and read as it was written, whatever the page size")
  func names() async throws {
    try await makeContainer()
    for key in Self.keys { try await put(key, key) }
    let store = try store()
    let sorted = Self.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    for limit in [1, 3, 1000] {
      var flat: [String] = [], folded: [String] = [], token: PageToken?
      repeat {
        let page = try await store.objects(in: container, prefix: "", delimiter: nil, after: token, limit: limit)
        for case .object(let info) in page.items { flat.append(info.key) }
        token = page.next
      } while token != nil
      repeat {
        let page = try await store.objects(in: container, prefix: "a/", delimiter: "/", after: token, limit: limit)
        for entry in page.items {
          switch entry {
          case .object(let info): folded.append(info.key)
          case .commonPrefix(let prefix): folded.append("[" + prefix + "]")
          }
        }
        token = page.next
      } while token != nil
      #expect(flat.map { Array($0.utf8) } == sorted.map { Array($0.utf8) })
      #expect(folded == ["a/x", "[a/y/]"])
    }
    for key in Self.keys {
      let object = ObjectReference(bucket: container, key: key)
      let info = try await store.stat(object)
      let grant = try await store.grant(object, pinnedTo: info.version, lifetime: .seconds(60))
      let answer = try await read(grant)
      #expect(answer.status == 200)
      #expect(Array(answer.body.readableBytesView) == Array(key.utf8))
      #expect(answer.headers["etag"] == grant.etag)
    }
    let buckets = try await store.buckets(after: nil, limit: 0)
    #expect(buckets.items.contains { $0.name == container })
  }

  @Test("a grant reads the version it was made for and no other, also after an overwrite")
  func versions() async throws {
    try await makeContainer()
    let store = try store(), object = ObjectReference(bucket: container, key: "report.csv")
    try await put(object.key, "first")
    let first = try await store.stat(object)
    #expect(first.checksums == [ObjectChecksum(algorithm: "MD5", value: "iwTV43ddKY54RV78XKQE1Q==")])
    let grant = try await store.grant(object, pinnedTo: first.version, lifetime: .seconds(60))
    try await put(object.key, "second")
    let part = try await read(grant, range: "bytes=1-3")
    #expect(part.status == 206)
    #expect(part.text == "irs")
    #expect(part.headers["etag"] == first.etag)

    // Pinned by ETag alone, an overwritten blob is refused; and a signature opens no other version.
    let byTag = try await store.grant(
      object, pinnedTo: ObjectVersion(etag: first.etag, size: 5), lifetime: .seconds(60))
    #expect(try await read(byTag).status == 412)
    var other = grant
    if case .url(let url) = grant.source {
      let second = try await store.stat(object)
      other.source = .url(
        url.replacingOccurrences(
          of: AzureURIEncoding.encode(first.versionID), with: AzureURIEncoding.encode(second.versionID)))
      other.headers = []
    }
    #expect(try await read(other).status == 403)
    let changed = await failure {
      _ = try await store.grant(object, pinnedTo: ObjectVersion(etag: first.etag), lifetime: .seconds(60))
    }
    #expect(changed?.kind == .conflict)
  }

  @Test("wrong keys, missing things and archived blobs are told by Azure's own codes")
  func refusals() async throws {
    try await makeContainer()
    let object = ObjectReference(bucket: container, key: "x")
    try await put(object.key, "cold")
    let wrong = try store(.accountKey("AAAA"))
    let denied = await failure { _ = try await wrong.stat(object) }
    #expect(denied?.kind == .denied && denied?.code == "AuthenticationFailed")
    #expect(denied?.requestID.isEmpty == false)
    let store = try store()
    let missing = await failure { _ = try await store.stat(ObjectReference(bucket: container, key: "nope")) }
    #expect(missing?.kind == .missing && missing?.code == "BlobNotFound")
    let elsewhere = await failure { _ = try await store.stat(ObjectReference(bucket: "nowhere", key: "x")) }
    #expect(elsewhere?.kind == .missing && elsewhere?.code == "ContainerNotFound")
    try await put(
      object.key, query: [(name: "comp", value: "tier")], headers: [(name: "x-ms-access-tier", value: "Archive")])
    let info = try await store.stat(object)
    #expect(info.storageClass == "Archive")
    let answer = try await read(try await store.grant(object, pinnedTo: info.version, lifetime: .seconds(60)))
    #expect(answer.status == 409)
    #expect(answer.headers["x-ms-error-code"] == "BlobArchived")
  }
}
