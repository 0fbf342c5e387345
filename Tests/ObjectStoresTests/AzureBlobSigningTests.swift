// Azure's signatures against the example that Microsoft publishes and against those its own SDK makes, and the
// encodings, times and errors around them.
import Testing

@testable import CloudsAzure

@Suite("Azure Storage signing")
struct AzureBlobSigningTests {
  /// Bytes 0 to 63.
  static let base64Key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+Pw=="
  private static let time: Int64 = 1_795_646_208  // 2026-11-25T22:36:48Z

  private func key(_ account: String = "ferrytest") throws -> AzureSharedKey {
    try #require(AzureSharedKey(account: account, base64Key: Self.base64Key))
  }

  // "Authorize with Shared Key", Azure Storage REST API: Get Container Metadata.
  @Test("the string to sign of Microsoft's example is Microsoft's")
  func documentedString() throws {
    let text = try key("myaccount").stringToSign(
      method: "GET", path: "/mycontainer",
      query: [(name: "restype", value: "container"), (name: "comp", value: "metadata"), (name: "timeout", value: "20")],
      headers: [
        (name: "x-ms-version", value: "2015-02-21"), (name: "x-ms-date", value: "Fri, 26 Jun 2015 23:39:12 GMT"),
      ], contentLength: 0)
    #expect(
      text
        == "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n"
        + "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20")
  }

  // Made by azure-storage-blob 12.31.1's SharedKeyCredentialPolicy with the same key, date and version.
  @Test("requests have the signatures that Microsoft's SDK gives them")
  func sdkSignatures() throws {
    let signature = { (headers: [(name: String, value: String)]) in
      headers.first { $0.name == "Authorization" }?.value
    }
    let head = try key().headers(
      method: "HEAD", path: "/exports/" + AzureURIEncoding.encode("a b/ü+%.bin", keepingSlashes: true),
      query: [(name: "versionid", value: "2026-11-25T22:36:48.1234567Z")], secondsSince1970: Self.time)
    #expect(signature(head) == "SharedKey ferrytest:PiYAJ/Fm3dLe0Xa0jHVB0thP/YeetqxIvO8fEnlUtFQ=")
    #expect(head.contains { $0.name == "x-ms-date" && $0.value == "Wed, 25 Nov 2026 22:36:48 GMT" })
    let list = try key().headers(
      method: "GET", path: "/ferrytest/exports",
      query: [
        (name: "restype", value: "container"), (name: "comp", value: "list"), (name: "maxresults", value: "5"),
        (name: "prefix", value: "a b/&"), (name: "marker", value: "2!x="),
      ], secondsSince1970: Self.time)
    #expect(signature(list) == "SharedKey ferrytest:oPRCyAOZDur4mtU7QAMJYJCSqVzv+uRfBholetIGGb8=")
    let put = try key().headers(
      method: "PUT", path: "/ferrytest/exports/x",
      headers: [
        (name: "Content-Type", value: "text/plain"), (name: "x-ms-blob-type", value: "BlockBlob"),
        (name: "If-None-Match", value: "*"),
      ], contentLength: 5, secondsSince1970: Self.time)
    #expect(signature(put) == "SharedKey ferrytest:B5tSlwwg65vt+za9JowycyvfzQUFEELJL7k/5LzOshM=")
  }

  // Made by azure-storage-blob 12.31.1's generate_blob_sas with the same key, times and version.
  @Test("a blob's and a version's SAS have the signatures that Microsoft's SDK gives them")
  func sdkTokens() throws {
    let blob = try key().readToken(
      container: "exports", blob: "a b/ü+%.bin", expiresAtSecondsSince1970: Self.time, httpsOnly: true)
    #expect(
      AzureURIEncoding.query(blob)
        == "sv=2021-12-02&sr=b&sp=r&se=2026-11-25T22%3A36%3A48Z&spr=https"
        + "&sig=68J20FC6Gy1Fs04TfkJ%2Be1x6plSPI6pQP5yoyBI4BGY%3D")
    let version = try key().readToken(
      container: "exports", blob: "a b/ü+%.bin", versionID: "2026-11-25T22:36:48.1234567Z",
      expiresAtSecondsSince1970: Self.time, httpsOnly: false)
    #expect(
      AzureURIEncoding.query(version)
        == "sv=2021-12-02&sr=bv&sp=r&se=2026-11-25T22%3A36%3A48Z"
        + "&sig=d0m1rJnVFH6W6t3mgykcoxGzsbIt%2FgQ%2FBtX%2FExeTVpE%3D")
  }

  @Test("a key that is no base64 makes no signer", arguments: ["", "no base64!", "AAE"])
  func wrongKey(_ text: String) { #expect(AzureSharedKey(account: "a", base64Key: text) == nil) }

  @Test("a SAS is kept word for word, and its end is read")
  func givenToken() throws {
    let text = "sv=2021-12-02&ss=b&srt=sco&sp=rl&se=2026-11-25T22:36:48Z&spr=https&sig=a%2Bb%3D"
    for given in [text, "?" + text] {
      let token = try AzureSASToken(given)
      #expect(token.query == text)
      #expect(token.expiresAtSecondsSince1970 == Self.time)
    }
    #expect(try AzureSASToken("sv=2021-12-02&sr=c&si=policy&sig=x").expiresAtSecondsSince1970 == nil)
  }

  @Test(
    "a text that is no SAS is refused with its reason",
    arguments: [
      ("", AzureSASToken.Problem.notAQuery), ("?", .notAQuery), ("sig=a b&se=2026-11-25", .notAQuery),
      ("https://a.blob.core.windows.net/c?sig=x&se=2026-11-25", .notAQuery), ("sig=%zz&se=2026-11-25", .notAQuery),
      ("sig", .notAQuery), ("sig=x&se=2026-11-25#f", .notAQuery), (String(repeating: "a", count: 4097), .notAQuery),
      ("se=2026-11-25", .incomplete), ("sig=&se=2026-11-25", .incomplete), ("sig=x&sv=2021-12-02", .incomplete),
      ("sig=x&se=soon", .noTime), ("sig=x&se=2026-11-25&Comp=list", .foreignParameter("Comp")),
    ])
  func noToken(_ text: String, _ problem: AzureSASToken.Problem) {
    #expect(throws: problem) { try AzureSASToken(text) }
  }

  @Test("the three lengths of Azure's times are read, and anything else is none")
  func timestamps() {
    #expect(AzureTimestamp.text(secondsSince1970: Self.time) == "2026-11-25T22:36:48Z")
    for (text, seconds) in [
      ("2026-11-25T22:36:48Z", Self.time), ("2026-11-25T22:36:48.1234567Z", Self.time),
      ("2026-11-25T22:36Z", Self.time - 48), ("2026-11-25", Self.time - 48 - 36 * 60 - 22 * 3600),
    ] {
      #expect(AzureTimestamp.secondsSince1970(text) == seconds)
    }
    for text in [
      "", "2026", "2026-13-25", "2026-11-25T22:36:48", "2026-11-25T22:36:48+01:00", "2026-11-25T22:36:48.Z",
      "2026-11-25T22:36:48.12345678Z", "2026/11/25", "2026-11-25T2:36Z", "2026-11-25T24:00Z", "2026-11-2\u{e4}",
    ] {
      #expect(AzureTimestamp.secondsSince1970(text) == nil, "\(text)")
    }
  }

  @Test("all but the unreserved characters are escaped byte by byte, a plus stays a plus")
  func encoding() {
    #expect(AzureURIEncoding.encode("aZ09-._~") == "aZ09-._~")
    #expect(AzureURIEncoding.encode("a b+c/d%é🚀!*'()") == "a%20b%2Bc%2Fd%25%C3%A9%F0%9F%9A%80%21%2A%27%28%29")
    #expect(AzureURIEncoding.encode("a//b", keepingSlashes: true) == "a//b")
    for text in ["a b+c/d%é🚀", "", "e\u{301}", "\u{1}\t\u{FFFE}"] {
      #expect(AzureURIEncoding.decode(AzureURIEncoding.encode(text)).map { Array($0.utf8) } == Array(text.utf8))
    }
    #expect(AzureURIEncoding.decode("a+b%2B") == "a+b+")
    for broken in ["%", "%4", "%zz", "%FF"] { #expect(AzureURIEncoding.decode(broken) == nil) }
  }

  @Test("an error keeps its code, id, first line and detail, and one that is no XML its status and headers")
  func errors() {
    let body = """
      \u{FEFF}<?xml version="1.0" encoding="utf-8"?><Error><Code>AuthenticationFailed</Code><Message>Server failed.
      RequestId:R1
      Time:2026</Message><AuthenticationErrorDetail>Signature did not match.</AuthenticationErrorDetail></Error>
      """
    let headers = ["x-ms-request-id": "R1"]
    #expect(
      AzureError(status: 403, body: Array(body.utf8)) { headers[$0] }
        == AzureError(
          status: 403, code: "AuthenticationFailed", message: "Server failed.", requestID: "R1",
          detail: "Signature did not match."))
    let told = ["x-ms-request-id": "R2", "x-ms-error-code": "BlobNotFound"]
    #expect(
      AzureError(status: 404, body: []) { told[$0] }
        == AzureError(status: 404, code: "BlobNotFound", message: "", requestID: "R2"))
    let proxy = AzureError(status: 502, body: Array("<html>Bad".utf8)) { _ in nil }
    #expect(proxy == AzureError(status: 502, code: "", message: "", requestID: ""))
  }

  @Test("no secret shows when credentials are printed or dumped")
  func redacted() throws {
    var text = ""
    for secret in [
      AzureCredentials.Secret.accountKey(Self.base64Key), .sharedAccessSignature("sig=hush&se=2026-11-25"),
    ] {
      let credentials = AzureCredentials(account: "ferrytest", secret: secret)
      text += "\(credentials) \(String(reflecting: credentials)) \(secret) \(String(reflecting: secret))"
      dump(credentials, to: &text)
      dump(secret, to: &text)
    }
    dump(try key(), to: &text)
    dump(try AzureSASToken("sig=hush&se=2026-11-25"), to: &text)
    text += "\(try key()) \(try AzureSASToken("sig=hush&se=2026-11-25"))"
    #expect(text.contains("ferrytest"))
    #expect(!text.contains("hush"))
    #expect(!text.contains("AAECAw"))
  }
}
