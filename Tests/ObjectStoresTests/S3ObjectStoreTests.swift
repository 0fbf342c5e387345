// S3ObjectStore against a scripted S3: what it asks, what it makes of the answers, and when it asks again. The real
// server is met in the end-to-end tests.
import CloudsAWS
import Foundation
import Synchronization
import Testing
import Transport

@testable import ObjectStores

@Suite("S3 object store")
struct S3ObjectStoreTests {
  private static let now = Date(timeIntervalSince1970: 1_369_353_600)

  /// A store on a scripted server, and what the server and the clock saw.
  private final class Rig: Sendable {
    let server: ScriptedServer
    let store: any ObjectStore

    init(region: String = "", _ answer: @escaping @Sendable (ScriptedServer.Request, Int) -> ScriptedServer.Answer)
      throws
    {
      let (seen, slept) = (Seen(), Slept())
      server = try ScriptedServer.http { request in
        let count = seen.requests.withLock { requests in
          requests.append(request)
          return requests.count
        }
        return answer(request, count)
      }
      let environment = ObjectStoreEnvironment(
        now: { S3ObjectStoreTests.now }, sleep: { duration in slept.sleeps.withLock { $0.append(duration) } },
        random: { 0.5 })
      store = try ObjectStoreRegistry.store(
        ObjectStoreSettings(
          provider: "s3", endpoint: server.url, region: region,
          credentials: AWSCredentials(accessKeyID: "AK", secretAccessKey: "SK")),
        http: HTTPClient(), environment: environment)
      (self.seen, self.slept) = (seen, slept)
    }

    private final class Seen: Sendable {
      let requests = Mutex<[ScriptedServer.Request]>([])
    }
    private final class Slept: Sendable {
      let sleeps = Mutex<[Duration]>([])
    }
    private let seen: Seen
    private let slept: Slept
    var all: [ScriptedServer.Request] { seen.requests.withLock { $0 } }
    var waits: [Duration] { slept.sleeps.withLock { $0 } }
  }

  private func failure(_ work: () async throws -> Void) async -> ObjectStoreError? {
    do {
      try await work()
      return nil
    } catch {
      return error as? ObjectStoreError
    }
  }

  private static let key = ObjectReference(bucket: "b-1", key: "a b/ü+%.bin")

  @Test("a list page is decoded, merged in order, and goes on with S3's token")
  func listing() async throws {
    let rig = try Rig { _, _ in
      .init(
        body: """
          <ListBucketResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
          <NextContinuationToken>t+/=</NextContinuationToken>
          <Contents><Key>p%2Fz+%2B%C3%BC</Key><Size>7</Size><ETag>&quot;e&quot;</ETag>
          <LastModified>2009-10-12T17:50:30.000Z</LastModified><StorageClass>GLACIER</StorageClass></Contents>
          <CommonPrefixes><Prefix>p%2Fa%2F</Prefix></CommonPrefixes></ListBucketResult>
          """)
    }
    let page = try await rig.store.objects(in: "b-1", prefix: "p/", delimiter: "/", after: PageToken("x y"), limit: 5)
    #expect(
      page.items == [
        .commonPrefix("p/a/"),
        .object(
          ObjectInfo(
            bucket: "b-1", key: "p/z +ü", size: 7, etag: "\"e\"",
            modifiedAt: Date(timeIntervalSince1970: 1_255_369_830),
            storageClass: "GLACIER")),
      ])
    #expect(page.next == PageToken("t+/="))
    #expect(
      rig.all.first?.target
        == "/b-1?continuation-token=x%20y&delimiter=%2F&encoding-type=url&list-type=2&max-keys=5&prefix=p%2F")
  }

  @Test(
    "an ETag has its quotes, however the server writes it",
    arguments: [("abc", "\"abc\""), ("\"abc\"", "\"abc\""), ("W/\"abc\"", "W/\"abc\""), ("", "")])
  func etags(_ written: String, _ read: String) async throws {
    let rig = try Rig { request, _ in
      if request.method == "HEAD" { return .init(headers: [("ETag", written)], statedLength: 1) }
      return .init(
        body: "<ListBucketResult><Contents><Key>k</Key><Size>1</Size><ETag>\(written)</ETag></Contents></ListBucketResult>")
    }
    let page = try await rig.store.objects(in: "b-1", prefix: "", delimiter: nil, after: nil, limit: 1)
    #expect(page.items == [.object(ObjectInfo(bucket: "b-1", key: "k", size: 1, etag: read))])
    guard !written.isEmpty else { return }
    #expect(try await rig.store.stat(Self.key).etag == read)
    let version = ObjectVersion(etag: written, size: 1)
    #expect(try await rig.store.grant(Self.key, pinnedTo: version, lifetime: .seconds(1)).etag == read)
  }

  @Test(
    "a page that lacks what it must have is an error, not a shorter list",
    arguments: [
      "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
      "<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>",
      "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>",
      "<ListBucketResult><Contents><Key>a</Key><Size>-1</Size></Contents></ListBucketResult>",
      "<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%</Key><Size>1</Size></Contents>"
        + "</ListBucketResult>",
      "<html/>", "", "<ListBucketResult>",
    ])
  func brokenListing(_ body: String) async throws {
    let rig = try Rig { _, _ in .init(body: body) }
    let error = await failure {
      _ = try await rig.store.objects(in: "b", prefix: "", delimiter: nil, after: nil, limit: 0)
    }
    #expect(error?.kind == .fatal)
  }

  @Test("buckets page by S3's token, or by name where the server answers with all at once")
  func buckets() async throws {
    let paged = try Rig { request, _ in
      let isSecond = request.target.contains("continuation-token=t2")
      return .init(
        body: """
          <ListAllMyBucketsResult><Buckets><Bucket><Name>\(isSecond ? "z" : "a")</Name>
          <BucketRegion>eu-west-1</BucketRegion>
          </Bucket></Buckets>\(isSecond ? "" : "<ContinuationToken>t2</ContinuationToken>")</ListAllMyBucketsResult>
          """)
    }
    let first = try await paged.store.buckets(after: nil, limit: 1)
    #expect(first.items == [Bucket(name: "a", region: "eu-west-1")])
    let second = try await paged.store.buckets(after: first.next, limit: 1)
    #expect(second.items.map(\.name) == ["z"])
    #expect(second.next == nil)

    let whole = try Rig { _, _ in
      let buckets = ["c", "a", "b", "d", "e"].map { "<Bucket><Name>\($0)</Name></Bucket>" }.joined()
      return .init(body: "<ListAllMyBucketsResult><Buckets>\(buckets)</Buckets></ListAllMyBucketsResult>")
    }
    var names: [[String]] = [], token: PageToken?
    repeat {
      let page = try await whole.store.buckets(after: token, limit: 2)
      names.append(page.items.map(\.name))
      token = page.next
    } while token != nil && names.count < 9
    #expect(names == [["a", "b"], ["c", "d"], ["e"]])
  }

  @Test("stat reads size, version, checksums and tier from HEAD")
  func stat() async throws {
    let rig = try Rig { _, _ in
      .init(
        headers: [
          ("ETag", "\"e\""), ("x-amz-version-id", "v1"), ("Last-Modified", "Mon, 12 Oct 2009 17:50:30 GMT"),
          ("x-amz-storage-class", "STANDARD_IA"), ("Content-Type", "text/csv"), ("x-amz-checksum-sha256", "AAA="),
          ("x-amz-checksum-type", "FULL_OBJECT"),
        ], statedLength: 5_000_000_000)
    }
    let info = try await rig.store.stat(Self.key)
    #expect(
      info
        == ObjectInfo(
          bucket: "b-1", key: Self.key.key, size: 5_000_000_000, etag: "\"e\"", versionID: "v1",
          modifiedAt: Date(timeIntervalSince1970: 1_255_369_830), storageClass: "STANDARD_IA", contentType: "text/csv",
          checksums: [ObjectChecksum(algorithm: "SHA256", value: "AAA=")]))
    let request = try #require(rig.all.first)
    #expect(request.method == "HEAD")
    #expect(request.target == "/b-1/a%20b/%C3%BC%2B%25.bin")
    #expect(request["x-amz-checksum-mode"] == "ENABLED")
    #expect(
      request["authorization"]?.contains("SignedHeaders=host;x-amz-checksum-mode;x-amz-content-sha256;x-amz-date")
        == true)
  }

  @Test(
    "a checksum of checksums is left out, typed or told by its part count",
    arguments: [
      [("x-amz-checksum-crc32c", "AAAA"), ("x-amz-checksum-type", "COMPOSITE")], [("x-amz-checksum-sha256", "AAA=-3")],
    ])
  func composite(_ headers: [(String, String)]) async throws {
    let rig = try Rig { _, _ in .init(headers: headers + [("ETag", "\"e-3\"")], statedLength: 1) }
    #expect(try await rig.store.stat(Self.key).checksums == [])
  }

  @Test(
    "after a bodiless refusal of HEAD the reason is fetched by GET",
    arguments: [
      (403, "SignatureDoesNotMatch", ObjectStoreError.Kind.denied), (403, "InvalidAccessKeyId", .denied),
      (403, "AccessDenied", .denied), (404, "NoSuchKey", .missing), (404, "NoSuchBucket", .missing),
      (400, "ExpiredToken", .denied),
    ])
  func headReason(_ status: Int, _ code: String, _ kind: ObjectStoreError.Kind) async throws {
    let rig = try Rig { request, _ in
      .init(
        status: status,
        body: request.method == "HEAD" ? "" : "<Error><Code>\(code)</Code><RequestId>R</RequestId></Error>")
    }
    let error = await failure { _ = try await rig.store.stat(Self.key) }
    #expect(error?.kind == kind)
    #expect(error?.code == code)
    #expect(error?.requestID == "R")
    #expect(error?.retryable == false)
    #expect(error?.nextStep.isEmpty == false)
    #expect(rig.all.map(\.method) == ["HEAD", "GET"])
    #expect(rig.all.last?["range"] == "bytes=0-0")
  }

  @Test("a bucket elsewhere is an error that names its region, by HEAD's header and by GET's body")
  func wrongRegion() async throws {
    let head = try Rig(region: "us-east-1") { _, _ in
      .init(status: 301, headers: [("x-amz-bucket-region", "eu-central-1")])
    }
    let byHead = await failure { _ = try await head.store.stat(Self.key) }
    #expect(byHead?.kind == .invalid)
    #expect(byHead?.nextStep.contains("eu-central-1") == true)
    #expect(byHead?.nextStep.contains("us-east-1") == true)
    let get = try Rig(region: "us-east-1") { _, _ in
      .init(
        status: 400, body: "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-central-1</Region></Error>")
    }
    let byGet = await failure {
      _ = try await get.store.objects(in: "b", prefix: "", delimiter: nil, after: nil, limit: 0)
    }
    #expect(byGet?.kind == .invalid)
    #expect(byGet?.nextStep.contains("eu-central-1") == true)
  }

  @Test("throttling and 5xx are asked again with growing waits, up to the bound")
  func retries() async throws {
    let busy = try Rig { _, _ in .init(status: 503, body: "<Error><Code>SlowDown</Code></Error>") }
    let error = await failure { _ = try await busy.store.buckets(after: nil, limit: 0) }
    #expect(error?.kind == .throttled)
    #expect(error?.retryable == true)
    #expect(busy.all.count == 4)
    #expect(busy.waits == [.milliseconds(50), .milliseconds(100), .milliseconds(200)])

    let passing = try Rig { _, count in
      count < 3 ? .init(status: 500) : .init(body: "<ListAllMyBucketsResult><Buckets/></ListAllMyBucketsResult>")
    }
    #expect(try await passing.store.buckets(after: nil, limit: 0).items == [])
    #expect(passing.all.count == 3)
  }

  @Test("a grant is a URL for one version that a changed object fails, made without asking when all is known")
  func grant() async throws {
    let rig = try Rig { _, _ in .init(status: 500) }
    let version = ObjectVersion(etag: "\"e\"", versionID: "v 1", size: 9)
    let grant = try await rig.store.grant(Self.key, pinnedTo: version, lifetime: .seconds(900))
    guard case .url(let url) = grant.source else {
      Issue.record("the grant is no URL")
      return
    }
    #expect(url.hasPrefix(rig.server.url + "/b-1/a%20b/%C3%BC%2B%25.bin?X-Amz-Algorithm=AWS4-HMAC-SHA256&"))
    for part in [
      "X-Amz-Expires=900", "X-Amz-SignedHeaders=host%3Bif-match%3Bx-amz-checksum-mode", "versionId=v%201",
      "X-Amz-Date=20130524T000000Z",
    ] {
      #expect(url.contains("&" + part + "&"), "\(part)")
    }
    #expect(
      grant.headers == [
        .init(name: "If-Match", value: "\"e\""), .init(name: "x-amz-checksum-mode", value: "ENABLED"),
      ])
    #expect(grant.checksums == [])
    #expect(grant.expiresAt == Self.now.addingTimeInterval(900))
    #expect(grant.etag == "\"e\"")
    #expect(grant.size == 9)
    #expect(!"\(grant)".contains("Signature"))
    #expect(rig.all.isEmpty)
  }

  @Test("a grant looks the object up when its version is unknown, and refuses a changed one")
  func grantLooksUp() async throws {
    let rig = try Rig { _, _ in
      .init(
        headers: [("ETag", "now"), ("x-amz-version-id", "null"), ("x-amz-checksum-crc32", "AAAAAA==")], statedLength: 3)
    }
    let grant = try await rig.store.grant(Self.key, pinnedTo: ObjectVersion(), lifetime: .seconds(60))
    #expect(grant.etag == "\"now\"")
    #expect(grant.size == 3)
    #expect(grant.checksums == [ObjectChecksum(algorithm: "CRC32", value: "AAAAAA==")])
    #expect(!"\(grant.source)".contains("versionId"))
    let error = await failure {
      _ = try await rig.store.grant(Self.key, pinnedTo: ObjectVersion(etag: "\"then\""), lifetime: .seconds(60))
    }
    #expect(error?.kind == .conflict)
    let tooLong = await failure {
      _ = try await rig.store.grant(Self.key, pinnedTo: ObjectVersion(), lifetime: .seconds(604_801))
    }
    #expect(tooLong?.kind == .invalid)
  }

  @Test(
    "hosts and paths follow endpoint, region and style",
    arguments: [
      ("", "", ObjectStoreSettings.AddressingStyle.automatic, "b", "https://b.s3.us-east-1.amazonaws.com/k"),
      ("", "eu-central-1", .automatic, "b.dots", "https://s3.eu-central-1.amazonaws.com/b.dots/k"),
      ("", "cn-north-1", .path, "b", "https://s3.cn-north-1.amazonaws.com.cn/b/k"),
      ("http://h.example:9000/", "", .automatic, "b", "http://h.example:9000/b/k"),
      ("http://h.example:80", "", .automatic, "b", "http://h.example/b/k"),
      ("https://h.example:443", "", .virtualHosted, "b", "https://b.h.example/k"),
      ("http://[::1]:9000", "", .path, "B_1", "http://[::1]:9000/B_1/k"),
    ])
  func addressing(
    _ endpoint: String, _ region: String, _ style: ObjectStoreSettings.AddressingStyle, _ bucket: String, _ url: String
  ) throws {
    let place = try S3Endpoint(
      ObjectStoreSettings(provider: "s3", endpoint: endpoint, region: region, addressingStyle: style))
    #expect(try place.object(ObjectReference(bucket: bucket, key: "k")).url(query: "") == url)
  }

  @Test("settings and names that can't work are refused before anything is sent")
  func refused() async throws {
    let keys = AWSCredentials(accessKeyID: "A", secretAccessKey: "B")
    for endpoint in [
      "h", "ftp://h", "http://", "http://u@h", "http://h/path", "http://h:0", "http://h:x", "http://h?q", "http://h h",
    ] {
      #expect(throws: ObjectStoreError.self) {
        try S3ObjectStore(
          ObjectStoreSettings(provider: "s3", endpoint: endpoint, credentials: keys), http: HTTPClient())
      }
    }
    for settings in [
      ObjectStoreSettings(provider: "s3"), ObjectStoreSettings(provider: "nope", credentials: keys),
      ObjectStoreSettings(provider: "s3", region: "a/b", credentials: keys),
      ObjectStoreSettings(provider: "folder", root: "relative"),
    ] {
      #expect(throws: ObjectStoreError.self) { try ObjectStoreRegistry.store(settings, http: HTTPClient()) }
    }
    let rig = try Rig { _, _ in .init() }
    for object in [
      ObjectReference(bucket: "", key: "k"), ObjectReference(bucket: "..", key: "k"),
      ObjectReference(bucket: "a/b", key: "k"),
      ObjectReference(bucket: "b", key: ""), ObjectReference(bucket: "b", key: String(repeating: "k", count: 1025)),
    ] {
      let error = await failure { _ = try await rig.store.stat(object) }
      #expect(error?.kind == .invalid)
    }
    #expect(rig.all.isEmpty)
  }

  @Test("a server that is not there is unavailable, with host and port in the sentence")
  func unreachable() async throws {
    let waited = Mutex(0)
    let environment = ObjectStoreEnvironment(
      now: { Self.now }, sleep: { _ in waited.withLock { $0 += 1 } }, random: { 0 })
    let store = try S3ObjectStore(
      ObjectStoreSettings(
        provider: "s3", endpoint: "http://127.0.0.1:1",
        credentials: AWSCredentials(accessKeyID: "A", secretAccessKey: "B")), http: HTTPClient(),
      environment: environment)
    let error = await failure { _ = try await store.stat(Self.key) }
    #expect(error?.kind == .unavailable)
    #expect(error?.message.contains("127.0.0.1:1") == true)
    #expect(waited.withLock { $0 } == 3)
  }
}
