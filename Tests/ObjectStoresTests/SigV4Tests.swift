// Signatures against the examples that AWS publishes, and the encodings they rest on.
import CloudsAWS
import Testing

@Suite("AWS Signature Version 4")
struct SigV4Tests {
  private static let credentials = AWSCredentials(
    accessKeyID: "AKIAIOSFODNN7EXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
  private static let signer = SigV4(credentials: credentials, region: "us-east-1", service: "s3")
  private static let host = "examplebucket.s3.amazonaws.com"
  private static let time: Int64 = 1_369_353_600  // 20130524T000000Z

  private func authorization(_ headers: [(name: String, value: String)]) -> String {
    headers.first { $0.name == "Authorization" }?.value ?? ""
  }

  // Amazon S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in a Single
  // Chunk".
  @Test("GET Object of AWS's example has AWS's signature")
  func getObject() {
    let headers = Self.signer.headers(
      method: "GET", host: Self.host, path: "/test.txt", headers: [(name: "Range", value: "bytes=0-9")],
      payload: .empty,
      secondsSince1970: Self.time)
    #expect(
      authorization(headers)
        == "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
        + "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
        + "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")
  }

  @Test("PUT Object of AWS's example, with a key that is escaped, has AWS's signature")
  func putObject() {
    let headers = Self.signer.headers(
      method: "PUT", host: Self.host, path: "/" + AWSURIEncoding.encode("test$file.text"),
      headers: [
        (name: "Date", value: "Fri, 24 May 2013 00:00:00 GMT"),
        (name: "x-amz-storage-class", value: "REDUCED_REDUNDANCY"),
      ], payload: .of("Welcome to Amazon S3.".utf8), secondsSince1970: Self.time)
    #expect(authorization(headers).hasSuffix("98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"))
  }

  @Test(
    "requests with queries of AWS's examples have AWS's signatures",
    arguments: [
      ([(name: "lifecycle", value: "")], "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
      (
        [(name: "prefix", value: "J"), (name: "max-keys", value: "2")],
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
      ),
    ])
  func queries(_ query: [(name: String, value: String)], _ signature: String) {
    let headers = Self.signer.headers(
      method: "GET", host: Self.host, path: "/", query: query, payload: .empty, secondsSince1970: Self.time)
    #expect(authorization(headers).hasSuffix("Signature=" + signature))
  }

  // Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters".
  @Test("the presigned URL of AWS's example has AWS's signature")
  func presigned() {
    let query = Self.signer.presignedQuery(
      method: "GET", host: Self.host, path: "/test.txt", expiresInSeconds: 86400, secondsSince1970: Self.time)
    #expect(
      query
        == "X-Amz-Algorithm=AWS4-HMAC-SHA256"
        + "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
        + "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        + "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")
  }

  @Test("a session token is signed along, in headers as in URLs")
  func sessionToken() {
    let credentials = AWSCredentials(accessKeyID: "A", secretAccessKey: "B", sessionToken: "T+/=")
    let signer = SigV4(credentials: credentials, region: "eu-west-1", service: "s3")
    let headers = signer.headers(
      method: "GET", host: "h", path: "/", payload: .unsigned, secondsSince1970: Self.time)
    #expect(headers.contains { $0.name == "X-Amz-Security-Token" && $0.value == "T+/=" })
    #expect(headers.contains { $0.name == "X-Amz-Content-Sha256" && $0.value == "UNSIGNED-PAYLOAD" })
    #expect(authorization(headers).contains("x-amz-security-token"))
    let query = signer.presignedQuery(
      method: "GET", host: "h", path: "/", expiresInSeconds: 1, secondsSince1970: Self.time)
    #expect(query.contains("X-Amz-Security-Token=T%2B%2F%3D&"))
  }

  @Test("all but the unreserved characters are escaped, byte by byte")
  func encoding() {
    #expect(AWSURIEncoding.encode("aZ09-._~") == "aZ09-._~")
    #expect(AWSURIEncoding.encode("a b+c/d%é🚀!*'()") == "a%20b%2Bc%2Fd%25%C3%A9%F0%9F%9A%80%21%2A%27%28%29")
    #expect(AWSURIEncoding.encode("a//b/../c", keepingSlashes: true) == "a//b/../c")
    #expect(
      AWSURIEncoding.query([(name: "b", value: "2"), (name: "a", value: "x y"), (name: "B", value: "")])
        == "B=&a=x%20y&b=2")
  }

  @Test("list encoding is undone, and what is not encoded so is refused")
  func decoding() {
    for text in ["a b+c/d%é🚀", "", "e\u{301}", "\u{1}\t"] {
      let decoded = AWSURIEncoding.decode(AWSURIEncoding.encode(text))
      #expect(decoded.map { Array($0.utf8) } == Array(text.utf8))
    }
    #expect(AWSURIEncoding.decode("a+b%2B") == "a b+")
    for broken in ["%", "%4", "%zz", "%FF"] { #expect(AWSURIEncoding.decode(broken) == nil) }
  }

  @Test("no secret shows when credentials are printed or dumped")
  func redacted() {
    let credentials = AWSCredentials(accessKeyID: "AKIAEXAMPLE", secretAccessKey: "hush", sessionToken: "quiet")
    var text = "\(credentials) \(String(reflecting: credentials)) "
    dump(SigV4(credentials: credentials, region: "r", service: "s3"), to: &text)
    #expect(text.contains("AKIAEXAMPLE"))
    #expect(!text.contains("hush"))
    #expect(!text.contains("quiet"))
  }

  @Test("AWS's times are read to the nanosecond, and anything else is none")
  func timestamps() throws {
    let time = try #require(AWSTimestamp.parse("2009-10-12T17:50:30.250Z"))
    #expect(time.seconds == 1_255_369_830)
    #expect(time.nanoseconds == 250_000_000)
    #expect(AWSTimestamp.parse("2009-10-12T17:50:30Z")?.seconds == 1_255_369_830)
    for text in ["", "2009-10-12", "2009-13-12T17:50:30Z", "2009-10-12T17:50:30+01:00", "2009-10-12T17:50:30.Z"] {
      #expect(AWSTimestamp.parse(text) == nil)
    }
  }
}
