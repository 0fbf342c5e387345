// AzureBlobObjectStore against a scripted Azure: what it asks, what it makes of the answers, and when it asks again.
// The double that Microsoft's SDK vouches for is met in AzureBlobDoubleTests.
import CloudsAzure
import Foundation
import Synchronization
import Testing
import Transport

@testable import ObjectStores

@Suite("Azure Blob object store")
struct AzureBlobObjectStoreTests {
  private static let now = Date(timeIntervalSince1970: 1_795_646_208)  // 2026-11-25T22:36:48Z
  private static let key = AzureCredentials.Secret.accountKey(AzureBlobSigningTests.base64Key)
  private static let token = "sv=2021-12-02&ss=b&srt=sco&sp=rl&se=2026-11-25T22:46:48Z&sig=s%3D"

  /// A store on a scripted server, and what the server and the clock saw.
  private final class Rig: Sendable {
    let server: ScriptedServer
    let store: any ObjectStore
    private let seen: Seen

    init(
      _ secret: AzureCredentials.Secret = AzureBlobObjectStoreTests.key,
      _ answer: @escaping @Sendable (ScriptedServer.Request, Int) -> ScriptedServer.Answer
    ) throws {
      let seen = Seen()
      server = try ScriptedServer.http { request in
        let count = seen.requests.withLock { requests in
          requests.append(request)
          return requests.count
        }
        return answer(request, count)
      }
      let environment = ObjectStoreEnvironment(
        now: { AzureBlobObjectStoreTests.now }, sleep: { duration in seen.sleeps.withLock { $0.append(duration) } },
        random: { 0.5 })
      store = try ObjectStoreRegistry.store(
        ObjectStoreSettings(
          provider: "azure", endpoint: server.url + "/ferrytest",
          azureCredentials: AzureCredentials(account: "ferrytest", secret: secret)), http: HTTPClient(),
        environment: environment)
      self.seen = seen
    }

    private final class Seen: Sendable {
      let requests = Mutex<[ScriptedServer.Request]>([])
      let sleeps = Mutex<[Duration]>([])
    }
    var all: [ScriptedServer.Request] { seen.requests.withLock { $0 } }
    var waits: [Duration] { seen.sleeps.withLock { $0 } }
  }

  private func failure(_ work: () async throws -> Void) async -> ObjectStoreError? {
    do {
      try await work()
      return nil
    } catch {
      return error as? ObjectStoreError
    }
  }

  private static let blob = ObjectReference(bucket: "b-1", key: "a b/ü+%.bin")

  @Test("a list page is decoded, merged in order, and goes on with Azure's marker")
  func listing() async throws {
    let rig = try Rig { _, _ in
      .init(
        body: """
          \u{FEFF}<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="b-1"><Blobs>
          <Blob><Name>p/z +%2B&amp;ü</Name><Properties><Last-Modified>Mon, 12 Oct 2009 17:50:30 GMT</Last-Modified>
          <Etag>0x8D1</Etag><Content-Length>7</Content-Length><AccessTier>Cool</AccessTier></Properties></Blob>
          <Blob><Name Encoded="true">p/b%EF%BF%BE%25/</Name><Properties><Etag>"0x8D2"</Etag>
          <Content-Length>0</Content-Length></Properties></Blob>
          <Blob><Name>p/dir</Name><Properties><ResourceType>directory</ResourceType></Properties></Blob>
          <BlobPrefix><Name>p/a/</Name></BlobPrefix></Blobs><NextMarker>2!t+/=</NextMarker></EnumerationResults>
          """)
    }
    let page = try await rig.store.objects(in: "b-1", prefix: "p/", delimiter: "/", after: PageToken("2!x y"), limit: 5)
    #expect(
      page.items == [
        .commonPrefix("p/a/"), .object(ObjectInfo(bucket: "b-1", key: "p/b\u{FFFE}%/", size: 0, etag: "\"0x8D2\"")),
        .object(
          ObjectInfo(
            bucket: "b-1", key: "p/z +%2B&ü", size: 7, etag: "\"0x8D1\"",
            modifiedAt: Date(timeIntervalSince1970: 1_255_369_830), storageClass: "Cool")),
      ])
    #expect(page.next == PageToken("2!t+/="))
    let request = try #require(rig.all.first)
    #expect(
      request.target
        == "/ferrytest/b-1?restype=container&comp=list&maxresults=5&prefix=p%2F&delimiter=%2F&marker=2%21x%20y")
    #expect(request["x-ms-version"] == "2021-12-02")
    #expect(request["x-ms-date"] == "Wed, 25 Nov 2026 22:36:48 GMT")
    #expect(request["authorization"]?.hasPrefix("SharedKey ferrytest:") == true)
  }

  @Test(
    "a page that lacks what it must have is an error, not a shorter list",
    arguments: [
      "<EnumerationResults/>", "<EnumerationResults><Blobs><Blob/></Blobs></EnumerationResults>",
      "<EnumerationResults><Blobs><Blob><Name>a</Name></Blob></Blobs></EnumerationResults>",
      "<EnumerationResults><Blobs><Blob><Name>a</Name><Properties><Etag>e</Etag></Properties></Blob></Blobs>"
        + "</EnumerationResults>",
      "<EnumerationResults><Blobs><Blob><Name>a</Name><Properties><Content-Length>1</Content-Length></Properties>"
        + "</Blob></Blobs></EnumerationResults>",
      "<EnumerationResults><Blobs><BlobPrefix><Name Encoded=\"true\">%</Name></BlobPrefix></Blobs>"
        + "</EnumerationResults>",
      "<html/>", "", "<EnumerationResults>",
    ])
  func brokenListing(_ body: String) async throws {
    let rig = try Rig { _, _ in .init(body: body) }
    let error = await failure {
      _ = try await rig.store.objects(in: "b-1", prefix: "", delimiter: nil, after: nil, limit: 0)
    }
    #expect(error?.kind == .fatal)
    #expect(error?.provider == "azure")
    #expect(error?.service == "blob")
  }

  @Test("containers come by pages, an empty page with a marker among them")
  func buckets() async throws {
    let rig = try Rig { request, count in
      let page = [[], ["aaa", "$root"], ["zzz"]][count - 1]
      let names = page.map { "<Container><Name>\($0)</Name></Container>" }.joined()
      return .init(
        body: "<EnumerationResults><Containers>\(names)</Containers>"
          + "<NextMarker>\(count < 3 ? "m\(count)" : "")</NextMarker></EnumerationResults>")
    }
    var names: [[String]] = [], token: PageToken?
    repeat {
      let page = try await rig.store.buckets(after: token, limit: 2)
      names.append(page.items.map(\.name))
      token = page.next
    } while token != nil && names.count < 9
    #expect(names == [[], ["aaa", "$root"], ["zzz"]])
    #expect(
      rig.all.map(\.target) == [
        "/ferrytest/?comp=list&maxresults=2", "/ferrytest/?comp=list&maxresults=2&marker=m1",
        "/ferrytest/?comp=list&maxresults=2&marker=m2",
      ])
  }

  @Test("stat reads size, version, MD5 and tier from HEAD")
  func stat() async throws {
    let rig = try Rig { _, _ in
      .init(
        headers: [
          ("ETag", "\"0x8D1\""), ("x-ms-version-id", "2026-11-25T22:36:48.1234567Z"), ("Content-Type", "text/csv"),
          ("Last-Modified", "Mon, 12 Oct 2009 17:50:30 GMT"), ("x-ms-access-tier", "Archive"), ("Content-MD5", "AAA="),
        ], statedLength: 5_000_000_000)
    }
    #expect(
      try await rig.store.stat(Self.blob)
        == ObjectInfo(
          bucket: "b-1", key: Self.blob.key, size: 5_000_000_000, etag: "\"0x8D1\"",
          versionID: "2026-11-25T22:36:48.1234567Z", modifiedAt: Date(timeIntervalSince1970: 1_255_369_830),
          storageClass: "Archive", contentType: "text/csv",
          checksums: [ObjectChecksum(algorithm: "MD5", value: "AAA=")]))
    #expect(rig.all.map(\.method) == ["HEAD"])
    #expect(rig.all.first?.target == "/ferrytest/b-1/a%20b/%C3%BC%2B%25.bin")
  }

  @Test("a directory of a hierarchical namespace is no object")
  func directory() async throws {
    let rig = try Rig { _, _ in
      .init(headers: [("ETag", "\"e\""), ("x-ms-resource-type", "directory")], statedLength: 0)
    }
    #expect(await failure { _ = try await rig.store.stat(Self.blob) }?.kind == .missing)
  }

  @Test(
    "a refusal's code is told by HEAD's header alone, with a next step that fits the credentials",
    arguments: [
      (403, "AuthenticationFailed", ObjectStoreError.Kind.denied, "account's present key"),
      (403, "AuthorizationPermissionMismatch", .denied, "sp=rl"), (403, "AuthorizationFailure", .denied, "firewall"),
      (404, "BlobNotFound", .missing, "case-sensitive"), (404, "ContainerNotFound", .missing, "container's name"),
      (409, "BlobArchived", .denied, "rehydrate"), (412, "ConditionNotMet", .conflict, "plan the delivery again"),
      (400, "InvalidResourceName", .invalid, "names"), (404, "", .missing, "container"),
      (403, "", .denied, "credentials"),
    ])
  func refusals(_ status: Int, _ code: String, _ kind: ObjectStoreError.Kind, _ step: String) async throws {
    let rig = try Rig { _, _ in
      .init(status: status, headers: [("x-ms-request-id", "R")] + (code.isEmpty ? [] : [("x-ms-error-code", code)]))
    }
    let error = try #require(await failure { _ = try await rig.store.stat(Self.blob) })
    #expect(error.kind == kind)
    #expect(error.code == (code.isEmpty ? String(status) : code))
    #expect(error.requestID == "R")
    #expect(error.provider == "azure" && error.service == "blob")
    #expect(error.nextStep.contains(step), "\(error.nextStep)")
    #expect(!error.retryable)
    #expect(rig.all.count == 1)
  }

  @Test("a SAS that has ended, a clock that is off and a signature that is wrong are told apart")
  func refusedSignatures() async throws {
    let refusal = { (detail: String) in
      ScriptedServer.Answer(
        status: 403, headers: [("x-ms-error-code", "AuthenticationFailed")],
        body: "<Error><Code>AuthenticationFailed</Code><Message>Server failed.\nRequestId:x</Message>"
          + "<AuthenticationErrorDetail>\(detail)</AuthenticationErrorDetail></Error>")
    }
    let cases = [
      (Self.key, "Request date header too old: 'x'", "clock; it is off"),
      (Self.key, "The MAC signature found", "present key"),
      (.sharedAccessSignature(Self.token), "Signature not valid in the specified time frame", "not valid at this time"),
      (.sharedAccessSignature(Self.token), "Signature did not match.", "signed with a key"),
      (.sharedAccessSignature("sig=x&se=2026-11-25"), "", "not valid at this time"),
    ]
    for (secret, detail, step) in cases {
      let answer = refusal(detail)
      let rig = try Rig(secret) { _, _ in answer }
      let error = await failure { _ = try await rig.store.buckets(after: nil, limit: 0) }
      #expect(error?.kind == .denied)
      #expect(error?.nextStep.contains(step) == true, "\(error?.nextStep ?? "")")
      #expect(
        error?.message
          == "The storage answered AuthenticationFailed for the list of containers, saying: Server failed.")
    }
  }

  @Test("throttling and 5xx are asked again with growing waits, up to the bound")
  func retries() async throws {
    let busy = try Rig { _, _ in .init(status: 503, headers: [("x-ms-error-code", "ServerBusy")]) }
    let error = await failure { _ = try await busy.store.buckets(after: nil, limit: 0) }
    #expect(error?.kind == .throttled)
    #expect(error?.retryable == true)
    #expect(busy.all.count == 4)
    #expect(busy.waits == [.milliseconds(50), .milliseconds(100), .milliseconds(200)])

    let passing = try Rig { _, count in
      count < 3 ? .init(status: 500) : .init(body: "<EnumerationResults><Containers/></EnumerationResults>")
    }
    #expect(try await passing.store.buckets(after: nil, limit: 0).items == [])
    #expect(passing.all.count == 3)
  }

  @Test("a grant is a SAS URL for one version, made without asking when all is known")
  func grant() async throws {
    let rig = try Rig { _, _ in .init(status: 500) }
    let version = ObjectVersion(etag: "\"0x8D1\"", versionID: "2026-11-25T22:36:48.1234567Z", size: 9)
    let grant = try await rig.store.grant(Self.blob, pinnedTo: version, lifetime: .seconds(900))
    guard case .url(let url) = grant.source else {
      Issue.record("the grant is no URL")
      return
    }
    // Fifteen minutes, and five for a clock of ours that is behind.
    #expect(
      url.hasPrefix(
        rig.server.url + "/ferrytest/b-1/a%20b/%C3%BC%2B%25.bin?versionid=2026-11-25T22%3A36%3A48.1234567Z"
          + "&sv=2021-12-02&sr=bv&sp=r&se=2026-11-25T22%3A56%3A48Z&sig="))
    #expect(grant.headers == [.init(name: "If-Match", value: "\"0x8D1\"")])
    #expect(grant.expiresAt == Self.now.addingTimeInterval(900))
    #expect(grant.etag == "\"0x8D1\"")
    #expect(grant.size == 9)
    #expect(!"\(grant)".contains("sig="))
    #expect(rig.all.isEmpty)
  }

  @Test("a grant looks the blob up when its version is unknown, and refuses a changed one")
  func grantLooksUp() async throws {
    let rig = try Rig { _, _ in .init(headers: [("ETag", "\"now\"")], statedLength: 3) }
    let grant = try await rig.store.grant(Self.blob, pinnedTo: ObjectVersion(), lifetime: .seconds(60))
    #expect(grant.etag == "\"now\"")
    #expect(grant.size == 3)
    #expect("\(grant.source)".contains("sr=b&"))
    #expect(!"\(grant.source)".contains("versionid"))
    let error = await failure {
      _ = try await rig.store.grant(Self.blob, pinnedTo: ObjectVersion(etag: "\"then\""), lifetime: .seconds(60))
    }
    #expect(error?.kind == .conflict)
    for lifetime in [Duration.seconds(604_801), .zero] {
      let refused = await failure {
        _ = try await rig.store.grant(Self.blob, pinnedTo: ObjectVersion(), lifetime: lifetime)
      }
      #expect(refused?.kind == .invalid)
    }
  }

  @Test("with a SAS as credentials requests and grants carry it as it is, and no grant outlives it")
  func sharedAccessSignature() async throws {
    let rig = try Rig(.sharedAccessSignature("?" + Self.token)) { _, _ in
      .init(headers: [("ETag", "\"e\""), ("x-ms-version-id", "v1")], statedLength: 3)
    }
    let grant = try await rig.store.grant(Self.blob, pinnedTo: ObjectVersion(), lifetime: .seconds(3600))
    #expect(
      grant.source == .url(rig.server.url + "/ferrytest/b-1/a%20b/%C3%BC%2B%25.bin?versionid=v1&" + Self.token))
    #expect(grant.expiresAt == Self.now.addingTimeInterval(600))
    #expect(rig.all.first?.target == "/ferrytest/b-1/a%20b/%C3%BC%2B%25.bin?" + Self.token)
    #expect(rig.all.first?["authorization"] == nil)

    let ended = try Rig(.sharedAccessSignature("sig=x&se=2026-11-25T22:36:48Z")) { _, _ in .init(status: 500) }
    let version = ObjectVersion(etag: "\"e\"", size: 1)
    let error = await failure { _ = try await ended.store.grant(Self.blob, pinnedTo: version, lifetime: .seconds(1)) }
    #expect(error?.kind == .denied)
    #expect(error?.message.contains("2026-11-25T22:36:48Z") == true)
  }

  @Test(
    "hosts and paths follow account, endpoint and style",
    arguments: [
      ("", ObjectStoreSettings.AddressingStyle.automatic, "ccc", "https://ferrytest.blob.core.windows.net/ccc/k"),
      ("", .automatic, "$root", "https://ferrytest.blob.core.windows.net/%24root/k"),
      ("http://127.0.0.1:10000/ferrytest/", .automatic, "ccc", "http://127.0.0.1:10000/ferrytest/ccc/k"),
      ("http://127.0.0.1:10000", .path, "ccc", "http://127.0.0.1:10000/ferrytest/ccc/k"),
      ("http://127.0.0.1:10000/ferrytest", .path, "ccc", "http://127.0.0.1:10000/ferrytest/ccc/k"),
      ("https://Files.Example.com", .automatic, "ccc", "https://files.example.com/ccc/k"),
      ("http://[::1]:10000/ferrytest", .automatic, "ccc", "http://[::1]:10000/ferrytest/ccc/k"),
    ])
  func addressing(
    _ endpoint: String, _ style: ObjectStoreSettings.AddressingStyle, _ container: String, _ url: String
  ) throws {
    let place = try AzureBlobEndpoint(
      ObjectStoreSettings(provider: "azure", endpoint: endpoint, addressingStyle: style), account: "ferrytest")
    #expect(try place.blob(ObjectReference(bucket: container, key: "k")).url(query: "") == url)
  }

  @Test("settings and names that can't work are refused before anything is sent")
  func refused() async throws {
    let make = { (endpoint: String, account: String, secret: AzureCredentials.Secret) throws -> any ObjectStore in
      try ObjectStoreRegistry.store(
        ObjectStoreSettings(
          provider: "azure", endpoint: endpoint, azureCredentials: AzureCredentials(account: account, secret: secret)),
        http: HTTPClient())
    }
    for endpoint in [
      "h", "ftp://h", "http://", "http://u@h", "http://h/a/b", "http://h:0", "http://h:x", "http://h?q", "http://h h",
      "http:///a", "http://h//",
    ] {
      #expect(throws: ObjectStoreError.self, "\(endpoint)") { try make(endpoint, "ferrytest", Self.key) }
    }
    for account in ["", "ab", "Upper", "a-b-c", "a.b/c", String(repeating: "a", count: 25)] {
      #expect(throws: ObjectStoreError.self, "\(account)") { try make("", account, Self.key) }
    }
    for secret in [
      AzureCredentials.Secret.accountKey(""), .accountKey("no base64!"), .sharedAccessSignature(""),
      .sharedAccessSignature("sig=x"), .sharedAccessSignature("sig=x&se=2026-11-25&comp=list"),
    ] {
      #expect(throws: ObjectStoreError.self) { try make("", "ferrytest", secret) }
    }
    #expect(throws: ObjectStoreError.self) {
      try ObjectStoreRegistry.store(ObjectStoreSettings(provider: "azure"), http: HTTPClient())
    }
    let rig = try Rig { _, _ in .init() }
    for object in [
      ObjectReference(bucket: "", key: "k"), ObjectReference(bucket: "ab", key: "k"),
      ObjectReference(bucket: "Upper", key: "k"), ObjectReference(bucket: "a/b", key: "k"),
      ObjectReference(bucket: "bbb", key: ""), ObjectReference(bucket: "bbb", key: "../ccc/k"),
      ObjectReference(bucket: "bbb", key: "a/./k"), ObjectReference(bucket: "bbb", key: ".."),
      ObjectReference(bucket: "bbb", key: "../\u{301}k"),
      ObjectReference(bucket: "bbb", key: String(repeating: "k", count: 1025)),
    ] {
      #expect(await failure { _ = try await rig.store.stat(object) }?.kind == .invalid, "\(object.key)")
    }
    #expect(rig.all.isEmpty)
  }

  @Test("the registry knows Azure by name and regions")
  func registry() throws {
    let azure = try #require(ObjectStoreRegistry.providers.first { $0.id == "azure" })
    #expect(azure.displayName == "Azure Blob Storage")
    #expect(azure.regions.contains("westeurope"))
    #expect(azure.regions == azure.regions.sorted() && Set(azure.regions).count == azure.regions.count)
  }

  @Test("a server that is not there is unavailable, with host and port in the sentence")
  func unreachable() async throws {
    let waited = Mutex(0)
    let environment = ObjectStoreEnvironment(
      now: { Self.now }, sleep: { _ in waited.withLock { $0 += 1 } }, random: { 0 })
    let store = try AzureBlobObjectStore(
      ObjectStoreSettings(
        provider: "azure", endpoint: "http://127.0.0.1:1/ferrytest",
        azureCredentials: AzureCredentials(account: "ferrytest", secret: Self.key)), http: HTTPClient(),
      environment: environment)
    let error = await failure { _ = try await store.stat(Self.blob) }
    #expect(error?.kind == .unavailable)
    #expect(error?.provider == "azure" && error?.service == "blob")
    #expect(error?.message.contains("127.0.0.1:1") == true)
    #expect(waited.withLock { $0 } == 3)
  }
}
