// The JSON that messages become; test_codecs.py holds random messages against google.protobuf's json_format.
import FerryAPI
import ProtoWire
import Testing

@Suite("Writing proto3 JSON")
struct JSONWritingTests {
  @Test("fields come in the order of the .proto file, 64-bit numbers and enumerations as strings")
  func shape() {
    let delivery = Delivery.with {
      $0.sequence = 9_007_199_254_740_993
      $0.id = "dlv_1"
      $0.status = .running
      $0.runs = -2
      $0.hasReceipt = true
      $0.states = [.with { $0.state = .download }, .with { $0.state = .notify; $0.total = .min }]
      $0.createdAt = Timestamp(seconds: 1, nanos: 500_000_000)
    }
    #expect(
      delivery.jsonString() == """
        {"id":"dlv_1","status":"DELIVERY_STATUS_RUNNING","states":[{"state":"DELIVERY_STATE_DOWNLOAD"},\
        {"state":"DELIVERY_STATE_NOTIFY","total":"-9223372036854775808"}],"createdAt":"1970-01-01T00:00:01.500Z",\
        "hasReceipt":true,"runs":-2,"sequence":"9007199254740993"}
        """)
  }

  @Test("defaults are written on request, but not absent messages and optional fields")
  func defaults() {
    #expect(Person().jsonString() == "{}")
    #expect(Person().jsonString(includeDefaults: true) == #"{"id":"","name":"","email":""}"#)
    #expect(
      UpdateUserRequest.with { $0.email = "" }.jsonString(includeDefaults: true)
        == #"{"userId":"","email":"","replaceRoles":false,"roles":[]}"#)
    #expect(
      WorkNote.with { $0.text = "x"; $0.author = Person() }.jsonString(includeDefaults: true)
        == #"{"key":"","text":"x","author":{"id":"","name":"","email":""}}"#)
    #expect(
      Chunk.with { $0.offset = 1 }.jsonString(includeDefaults: true)
        == #"{"index":0,"offset":"1","length":"0","sha256":"","sends":0,"written":false,"sha256FromStart":"","gmac":"","deliveredOffset":"0","deliveredLength":"0","crc32":0}"#)
    #expect(
      Selection().jsonString(includeDefaults: true) == #"{"kind":"SELECTION_KIND_UNSPECIFIED","value":""}"#)
  }

  @Test("an enumeration's number without a name is written as a number")
  func unnamed() {
    let user = User.with { $0.roles = [.admin, Role(rawValue: 42), Role(rawValue: -1)] }
    #expect(user.jsonString() == #"{"roles":["ROLE_ADMIN",42,-1]}"#)
  }

  @Test("strings are escaped as JSON wants it and otherwise kept")
  func strings() {
    let fact = Fact.with { $0.value = "\"\\\n\r\t\u{8}\u{C}\u{0}\u{1F}/ä€👍" }
    #expect(fact.jsonString() == #"{"value":"\"\\\n\r\t\b\f\u0000\u001f/ä€👍"}"#)
  }

  @Test("unknown fields are left out, wherever they stand")
  func unknown() throws {
    let bytes: [UInt8] = [0x08, 0x01, 0x12, 0x01, 0x78, 0xF8, 0x07, 0x01]  // 1 as a number, name "x", 127: 1
    let person = try Person(decoding: bytes)
    #expect(!person.unknownFields.isEmpty)
    #expect(person.jsonString() == #"{"name":"x"}"#)
    #expect(person.jsonString(includeDefaults: true) == #"{"id":"","name":"x","email":""}"#)
    let list = try MarkReadRequest(decoding: [0x0A, 0x01, 0x61, 0x0A, 0x01, 0x62, 0x08, 0x05])
    #expect(list.jsonString() == #"{"ids":["a","b"]}"#)
  }

  @Test("every kind of number has its JSON form")
  func numbers() {
    let kinds = Kinds.with {
      $0.double = -0.0
      $0.float = 1.5
      $0.uint32 = .max
      $0.uint64 = .max
      $0.sint32 = .min
      $0.sint64 = .min
      $0.fixed32 = .max
      $0.fixed64 = .max
      $0.sfixed32 = -1
      $0.sfixed64 = -1
      $0.rawData = [0xFB, 0xFF, 0xFE, 0x01]
      $0.numbers = [1, -1]
      $0.longs = [0]
    }
    #expect(
      kinds.jsonString() == """
        {"double":-0.0,"float":1.5,"uint32":4294967295,"uint64":"18446744073709551615","sint32":-2147483648,\
        "sint64":"-9223372036854775808","fixed32":4294967295,"fixed64":"18446744073709551615","sfixed32":-1,\
        "sfixed64":"-1","rawData":"+//+AQ==","numbers":[1,-1],"longs":["0"]}
        """)
    #expect(
      Kinds.with { $0.double = .nan; $0.float = -.infinity }.jsonString() == #"{"double":"NaN","float":"-Infinity"}"#)
  }

  @Test("a time that RFC 3339 cannot say is null", arguments: [Int64.min, -62_135_596_801, 253_402_300_800, .max])
  func impossibleTimes(_ seconds: Int64) {
    #expect(WorkNote.with { $0.time = Timestamp(seconds: seconds) }.jsonString() == #"{"time":null}"#)
    #expect(WorkNote.with { $0.time = Timestamp(seconds: 0, nanos: -1) }.jsonString() == #"{"time":null}"#)
  }
}
