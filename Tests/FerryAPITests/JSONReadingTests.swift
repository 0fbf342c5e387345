// The JSON that messages are read from, and how its errors name the place.
import FerryAPI
import ProtoWire
import Testing

@Suite("Reading proto3 JSON")
struct JSONReadingTests {
  @Test("both forms of a name are read, and null is a default")
  func names() throws {
    let expected = Problem.with { $0.nextStep = "wait"; $0.requestID = "r"; $0.retryable = true }
    #expect(
      try Problem(json: #" { "nextStep" : "wait" , "requestId":"r", "retryable":true, "time":null } "#) == expected)
    #expect(try Problem(json: #"{"next_step":"wait","request_id":"r","retryable":true,"code":null}"#) == expected)
    #expect(try ListUsersResponse(json: #"{"users":null}"#) == ListUsersResponse())
    #expect(try UpdateUserRequest(json: #"{"name":"","disabled":null}"#) == .with { $0.name = "" })
  }

  @Test("fields may stand in any order, and messages inside keep what they are given")
  func order() throws {
    let message = try StartDeliveryRequest(
      json: """
        {"idempotencyKey":"k","request":{"path":"/in","source":{"selections":[
        {"value":"a/","kind":"SELECTION_KIND_PREFIX"},{"kind":1,"value":"b"}],"bucket":"x"},"options":{},"priority":3}}
        """)
    #expect(
      message == .with {
        $0.idempotencyKey = "k"
        $0.request = .with {
          $0.path = "/in"
          $0.priority = .high
          $0.options = DeliveryOptions()
          $0.source = .with {
            $0.bucket = "x"
            $0.selections = [
              .with { $0.kind = .prefix; $0.value = "a/" }, .with { $0.kind = .key; $0.value = "b" },
            ]
          }
        }
      })
  }

  @Test("whole numbers are read bare, in quotes, and with an exponent or a zero fraction")
  func integers() throws {
    #expect(try Chunk(json: #"{"offset":12,"length":"-9223372036854775808","index":1e3,"sends":2.0}"#)
      == .with { $0.offset = 12; $0.length = .min; $0.index = 1000; $0.sends = 2 })
    #expect(try Kinds(json: #"{"uint64":"18446744073709551615"}"#).uint64 == .max)
    #expect(try Kinds(json: #"{"sint32":-2147483648,"sint64":"-1","fixed32":4294967295,"sfixed64":-2}"#)
      == .with { $0.sint32 = .min; $0.sint64 = -1; $0.fixed32 = .max; $0.sfixed64 = -2 })
  }

  @Test("every kind of value that is written is read back")
  func backAgain() throws {
    let kinds = Kinds.with {
      $0.double = 1e-300
      $0.float = .infinity
      $0.uint32 = 7
      $0.sint64 = .min
      $0.fixed64 = .max
      $0.sfixed32 = -5
      $0.rawData = Array(0...255)
      $0.numbers = [.min, 0, .max]
      $0.longs = [.min, .max]
      $0.children = [Kinds(), .with { $0.float = 0.1 }]
    }
    #expect(try Kinds(json: kinds.jsonString()) == kinds)
    #expect(try Kinds(json: kinds.jsonString(includeDefaults: true)) == kinds)
    #expect(try Kinds(json: #"{"double":"NaN"}"#).double.isNaN)
    #expect(try Kinds(json: #"{"double":"1.5","float":-1e2}"#) == .with { $0.double = 1.5; $0.float = -100 })
  }

  @Test("base64 is read in both alphabets, padded or not", arguments: ["+//+AQ==", "-__-AQ==", "+//+AQ", "-__-AQ"])
  func base64(_ text: String) throws {
    #expect(try Kinds(json: "{\"rawData\":\"\(text)\"}").rawData == [0xFB, 0xFF, 0xFE, 0x01])
  }

  @Test("escapes are resolved, surrogate pairs too")
  func escapes() throws {
    #expect(
      try Fact(json: #"{"n\u0061me":"\"\\\/\b\f\n\r\t\u00e4\u20AC\ud83d\uDC4D"}"#).name
        == "\"\\/\u{8}\u{C}\n\r\tä€👍")
  }

  @Test(
    "an error names the field and what was expected",
    arguments: zip(
      [
        #"{"request":{"source":{"bucket":5}}}"#,
        #"{"request":{"source":{"selections":[{},{"kind":"NO_SUCH"}]}}}"#,
        #"{"request":{"source":{"selections":{}}}}"#,
        #"{"request":{"source":{"selections":[null]}}}"#,
        #"{"request":[]}"#,
        #"{"request":{"options":{"chunk_size":1.5}}}"#,
        #"{"request":{"destination":{"maxConnections":2147483648}}}"#,
        #"{"request":{"destination":{"hasPassword":"true"}}}"#,
        #"{"request":{"destination":{"updatedAt":"yesterday"}}}"#,
        #"{"request":{"environment":true}}"#,
        #"{"request":{"colour":1}}"#,
        #"{"request":{"title":"a","title":"b"}}"#,
      ],
      [
        "request.source.bucket: expected a string",
        "request.source.selections[1].kind: \"NO_SUCH\" is none of SELECTION_KIND_UNSPECIFIED, SELECTION_KIND_KEY, "
          + "SELECTION_KIND_PREFIX, SELECTION_KIND_GLOB",
        "request.source.selections: expected an array",
        "request.source.selections[0]: null cannot be an element",
        "request: expected an object",
        "request.options.chunk_size: expected a whole number",
        "request.destination.maxConnections: the number does not fit into 32 bits with a sign",
        "request.destination.hasPassword: expected true or false",
        "request.destination.updatedAt: expected an RFC 3339 time, as \"2026-02-03T04:05:06Z\"",
        "request.environment: expected a name of Environment",
        "request: there is no field \"colour\" here",
        "request.title: the field is there twice",
      ]))
  func errors(_ json: String, _ sentence: String) throws {
    do throws(JSONError) {
      _ = try StartDeliveryRequest(json: json)
      Issue.record("it was read")
    } catch { #expect(error.description == sentence) }
  }

  @Test("one field under both of its names is refused")
  func bothNames() {
    #expect(throws: JSONError.self) { try Problem(json: #"{"nextStep":"a","next_step":"b"}"#) }
  }

  @Test("unknown names are passed over on request, whatever they hold")
  func ignored() throws {
    let json = #"{"x":[1,{"y":[]},"]",null,true,-1.5e3],"roles":["ROLE_NEW","ROLE_ADMIN"],"disabled":true,"z":{}}"#
    #expect(try User(json: json, unknownNames: .ignored) == .with { $0.roles = [.admin]; $0.disabled = true })
    #expect(throws: JSONError.self) { try User(json: json) }
    #expect(throws: JSONError.self) { try User(json: #"{"x":[1,],"disabled":true}"#, unknownNames: .ignored) }
  }

  @Test(
    "text that is not JSON is refused",
    arguments: [
      "", " ", "null", "1", "[]", "\"\"", "{", "{}x", "{} {}", "{,}", #"{"name":"a",}"#, #"{"name" "a"}"#,
      #"{name:"a"}"#, #"{'name':"a"}"#, #"{"name":"a"#, #"{"name":"\x"}"#, #"{"name":"\u12"}"#, #"{"name":"\ud800"}"#,
      #"{"name":"\udc00"}"#, #"{"name":"\ud800\u0041"}"#, "{\"name\":\"a\nb\"}", #"{"name":nul}"#, #"{"name":nulll}"#,
      #"{"name":"a" "value":"b"}"#, "{/**/}", "{\"name\":\"a\"}\u{0}", "\u{FEFF}{}",
    ])
  func malformed(_ text: String) {
    #expect(throws: JSONError.self) { try Fact(json: text) }
  }

  @Test(
    "a number that JSON does not allow is refused",
    arguments: ["01", "-", "+1", "1.", ".5", "1e", "0x10", "NaN", "1_0", "\" 1\"", "\"1 \"", "\"\"", "\"0x1\"", "--1"])
  func numbers(_ text: String) {
    #expect(throws: JSONError.self) { try FileFacts(json: "{\"size\":\(text)}") }
    #expect(throws: JSONError.self) { try Kinds(json: "{\"double\":\(text)}") }
  }

  @Test("a number too large for its kind is refused")
  func tooLarge() {
    for json in [
      #"{"double":1e999}"#, #"{"float":1e39}"#, #"{"uint32":-1}"#, #"{"uint64":"18446744073709551616"}"#,
      #"{"sint64":"9223372036854775808"}"#, #"{"numbers":[2147483648]}"#,
    ] {
      #expect(throws: JSONError.self, "\(json)") { try Kinds(json: json) }
    }
  }

  @Test("values nest 100 deep and no deeper, also where they are passed over")
  func depth() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: #"{"children":["#, count: depth) + "{}" + String(repeating: "]}", count: depth)
    }
    #expect(try Kinds(json: nested(49)).children.count == 1)
    #expect(throws: JSONError.self) { try Kinds(json: nested(51)) }
    let arrays = "{\"x\":" + String(repeating: "[", count: 100_000)
    #expect(throws: JSONError.self) { try Fact(json: arrays, unknownNames: .ignored) }
  }

  @Test("bytes that are not UTF-8 are refused")
  func utf8() {
    #expect(throws: JSONError.self) { try Fact(json: Array("{\"name\":\"".utf8) + [0xFF] + Array("\"}".utf8)) }
  }

  @Test("text cut off anywhere is refused")
  func truncation() throws {
    let text = Array(
      #"{"id":"dl\u00e4","states":[{"done":"5","startedAt":"1970-01-01T00:00:01Z"}],"hasReceipt":true}"#.utf8)
    _ = try Delivery(json: text)
    for length in 0..<text.count {
      #expect(throws: JSONError.self) { try Delivery(json: Array(text[..<length])) }
    }
  }
}
