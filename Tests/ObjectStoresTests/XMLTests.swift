// The XML reader and the error shape built on it: what AWS sends is read, everything else is refused.
import CloudsAWS
import Testing
import Transport

@Suite("AWS's XML")
struct XMLTests {
  @Test("elements, text, entities, CDATA and comments are read")
  func reads() throws {
    let text = """
      \u{FEFF}<?xml version="1.0" encoding="UTF-8"?>
      <!-- c --><R xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><K a='1' b="&quot;">a&amp;b&#x1F680;&#65;</K><E/>
      <K><![CDATA[<raw>&]]]></K><!-- in --><K> </K></R>
      """
    let root = try XMLElement(parsing: Array(text.utf8))
    #expect(root.name == "R")
    #expect(root.all("K").map(\.text) == ["a&b🚀A", "<raw>&]", " "])
    #expect(root["E"]?.text == "")
    #expect(root["K"]?.attributes == ["a": "1", "b": "\""])
    #expect(root["none"] == nil)
  }

  @Test(
    "what is not well-formed, not UTF-8 or has a DTD is refused",
    arguments: [
      "", "x", "<a>", "<a></b>", "</a>", "<a/><b/>", "<a/>x", "<a>&nope;</a>", "<a>&#0;</a>", "<a>&#xD800;</a>",
      "<a>&amp</a>",
      "<a b></a>", "<a b=c/>", "<a b=\"<\"/>", "<a b=\"1\"c=\"2\"/>", "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
      "<a><!x></a>",
      "<a><![CDATA[x</a>", "<a><!-- x</a>", "<>", "< a/>", "<a", "<a b=\"1",
    ])
  func refuses(_ text: String) {
    #expect(throws: XMLError.self) { try XMLElement(parsing: Array(text.utf8)) }
  }

  @Test("bytes that are no UTF-8 are refused")
  func notUTF8() {
    #expect(throws: XMLError.self) { try XMLElement(parsing: Array("<a>".utf8) + [0xFF] + Array("</a>".utf8)) }
  }

  @Test("depth is bounded, and any cut of a document is an error, not a crash")
  func bounds() throws {
    let nested = { (depth: Int) in
      String(repeating: "<a>", count: depth) + String(repeating: "</a>", count: depth)
    }
    _ = try XMLElement(parsing: Array(nested(XMLElement.maxDepth).utf8))
    #expect(throws: XMLError.self) { try XMLElement(parsing: Array(nested(XMLElement.maxDepth + 1).utf8)) }
    let whole = Array("<?xml version='1.0'?><r><k a='&lt;'>v&#x41;</k><![CDATA[x]]><!-- c --></r>".utf8)
    _ = try XMLElement(parsing: whole)
    for length in 0..<whole.count {
      #expect(throws: XMLError.self) { try XMLElement(parsing: Array(whole[..<length])) }
    }
  }

  @Test("an S3 error keeps its code, ids and region, and one that is no XML its status")
  func errors() {
    let body = """
      <Error><Code>AuthorizationHeaderMalformed</Code><Message>wrong</Message><Region>eu-west-1</Region>\
      <RequestId>R1</RequestId><HostId>H1</HostId></Error>
      """
    let error = AWSError(status: 400, body: Array(body.utf8)) { _ in nil }
    #expect(
      error
        == AWSError(
          status: 400, code: "AuthorizationHeaderMalformed", message: "wrong", requestID: "R1", hostID: "H1",
          region: "eu-west-1"))
    let proxy = AWSError(status: 502, body: Array("<html>Bad".utf8)) { $0 == "x-amz-request-id" ? "R2" : nil }
    #expect(proxy == AWSError(status: 502, code: "", message: "", requestID: "R2"))
    let query = "<ErrorResponse><Error><Code>Throttling</Code></Error><RequestId>R3</RequestId></ErrorResponse>"
    let other = AWSError(status: 400, body: Array(query.utf8)) { _ in nil }
    #expect(other.code == "Throttling")
    #expect(other.requestID == "R3")
  }
}
