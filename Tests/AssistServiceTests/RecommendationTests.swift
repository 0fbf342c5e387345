// When which advice is given, and that it is not given otherwise.
import FerryAPI
import Testing

@testable import AssistService

func codes(_ request: DeliveryRequest, _ analysis: FileAnalysis? = nil) -> [String] {
  RulesGenerator().recommend(.with { $0.request = request; $0.analysis = analysis }).recommendations.map(\.code)
}

func facts(files: Int64, bytes: Int64, kind: String = "other", compressible: Bool = false) -> FileAnalysis {
  .with {
    $0.files = files
    $0.bytes = bytes
    $0.groups = [
      .with { $0.kind = kind; $0.files = files; $0.bytes = bytes; $0.compressible = compressible }
    ]
  }
}

@Suite("Recommendations")
struct RecommendationTests {
  @Test("a plain request gets no advice")
  func none() { #expect(codes(request(), facts(files: 5, bytes: 1 << 20)) == []) }

  @Test("accepting a new host key without a fingerprint asks for pinning it")
  func hostKey() {
    let keys = HostKeyPolicy.with { $0.acceptNew = true }
    #expect(codes(request { $0.destination?.hostKeys = keys }) == ["PIN_HOST_KEY"])
    let pinned = HostKeyPolicy.with { $0.acceptNew = true; $0.fingerprints = ["SHA256:x"] }
    #expect(codes(request { $0.destination?.hostKeys = pinned }) == [])
  }

  @Test("PROD that overwrites is told, said or not; PROD that fails is not")
  func prodOverwrite() {
    #expect(codes(request { $0.environment = .prod }) == ["FAIL_ON_CONFLICT"])
    #expect(codes(request { $0.environment = .prod; $0.options = .with { $0.onConflict = .fail } }) == [])
  }

  @Test("a priority that does not fit the environment is told")
  func priority() {
    let fail = DeliveryOptions.with { $0.onConflict = .fail }
    #expect(codes(request { $0.environment = .prod; $0.priority = .low; $0.options = fail }) == ["RAISE_PRIORITY"])
    #expect(codes(request { $0.environment = .dev; $0.priority = .critical }) == ["LOWER_PRIORITY"])
    #expect(codes(request { $0.environment = .dev; $0.priority = .normal }) == [])
  }

  @Test("much text is advised to be compressed, much else is not")
  func compress() {
    #expect(codes(request(), facts(files: 5, bytes: 2 << 30, kind: "text", compressible: true)) == ["COMPRESS"])
    #expect(codes(request(), facts(files: 5, bytes: 2 << 30, kind: "video")) == [])
  }

  @Test("many small files are advised to be packed")
  func smallFiles() {
    #expect(codes(request(), facts(files: 5000, bytes: 5000 * 100)) == ["PACK_SMALL_FILES"])
    #expect(codes(request(), facts(files: 5000, bytes: 5000 << 20)) == [])
  }

  @Test("chunks far too small, too large or too many are told", arguments: [
    (1 << 16, 1 << 20, "LARGER_CHUNKS"), (256 << 20, 1 << 20, "SMALLER_CHUNKS"), (0, 1 << 40, "LARGER_CHUNKS"),
  ] as [(Int64, Int64, String)])
  func chunks(chunk: Int64, bytes: Int64, code: String) {
    let request = request { $0.options = .with { $0.chunkSize = chunk } }
    #expect(codes(request, facts(files: 1, bytes: bytes)).contains(code))
  }

  @Test("many keys of one folder are advised to be one prefix, one file to be a key")
  func selections() {
    let many = request {
      $0.source?.selections = (1...20).map { index in .with { $0.kind = .key; $0.value = "reports/f\(index).csv" } }
    }
    #expect(codes(many) == ["SELECT_PREFIX"])
    let apart = request {
      $0.source?.selections = (1...20).map { index in .with { $0.kind = .key; $0.value = "r\(index)/f.csv" } }
    }
    #expect(codes(apart) == [])
    #expect(codes(request(), facts(files: 1, bytes: 1 << 20)) == ["SELECT_KEY"])
  }

  @Test("every advice has a reason")
  func reasons() {
    let all = RulesGenerator().recommend(
      .with {
        $0.request = request { $0.environment = .prod; $0.priority = .low }
        $0.analysis = facts(files: 5000, bytes: 5000, kind: "text", compressible: true)
      }).recommendations
    #expect(all.count == 3)
    #expect(all.allSatisfy { $0.text.hasSuffix(".") && $0.reason.hasSuffix(".") && !$0.code.isEmpty })
  }
}
