// A dry run's figures: what the cloud charges, how long it takes, and what is worth knowing before.
import FerryAPI
import Foundation
import Testing

@testable import TransferService

@Suite struct PlanEstimateTests {
  private func file(_ size: Int64, in storageClass: String = "STANDARD") -> PlannedFile {
    var planned = PlannedFile(file: .with { $0.size = size })
    planned.storageClass = storageClass
    return planned
  }

  private func tally(_ files: [PlannedFile], chunkSize: Int64 = 0) -> PlanTally {
    var tally = PlanTally(chunkSize: chunkSize)
    for file in files { tally.add(file) }
    return tally
  }

  private func s3(endpoint: String = "", region: String = "") -> Connection {
    .with { connection in
      connection.provider = "s3"
      connection.s3 = .with { ($0.endpoint, $0.region) = (endpoint, region) }
    }
  }

  private func costs(_ connection: Connection, _ tally: PlanTally, lists: Int64 = 0) throws -> [String: Int64]? {
    PlanCosts(try PriceList.load(nil), connection).map { costs in
      Dictionary(uniqueKeysWithValues: costs.lines(tally, lists: lists).map { ($0.item, $0.microunits) })
    }
  }

  private let gib: Int64 = 1 << 30

  @Test("a GiB out of a region costs that region's price, and each chunk is a read")
  func transferOut() throws {
    let tally = tally([file(gib)], chunkSize: 8 << 20)
    let virginia = try #require(try costs(s3(), tally))
    #expect(virginia["Data transfer out to the internet"] == 90_000)
    #expect(virginia["Read requests"] == 52)  // 128 chunks and one HEAD, 0.0004 USD a thousand, rounded up
    #expect(try costs(s3(region: "sa-east-1"), tally)?["Data transfer out to the internet"] == 150_000)
  }

  @Test("colder classes cost their retrieval and dearer reads")
  func retrieval() throws {
    let found = try #require(try costs(s3(), tally([file(gib, in: "GLACIER_IR"), file(1), file(1)]), lists: 1))
    #expect(found["Retrieval from GLACIER_IR"] == 30_000)
    #expect(found["List requests"] == 10)
    let plain = try #require(try costs(s3(), tally([file(gib), file(1), file(1)])))
    #expect((found["Read requests"] ?? 0) > (plain["Read requests"] ?? 0))
    #expect(plain["Retrieval from GLACIER_IR"] == nil)
  }

  @Test("a server of one's own has no public price list", arguments: [
    ("https://minio.example.com", false), ("https://amazonaws.com.example.com", false),
    ("https://s3.eu-central-1.amazonaws.com", true), ("https://bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com:443/x", true),
  ])
  func ownServer(_ endpoint: String, _ isPriced: Bool) throws {
    #expect((try costs(s3(endpoint: endpoint), tally([file(1)])) != nil) == isPriced)
  }

  @Test("Azure's own prices count for Azure, and a folder costs nothing")
  func otherProviders() throws {
    let azure = Connection.with { $0.provider = "azure" }
    #expect(try costs(azure, tally([file(gib)]))?["Data transfer out to the internet"] == 87_000)
    #expect(try costs(.with { $0.provider = "folder" }, tally([file(gib)])) == nil)
  }

  @Test("a price list that is none is refused with the place of the mistake")
  func badList() throws {
    let path = FileManager.default.temporaryDirectory.appending(path: "prices-\(UUID()).json").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    let cloud = #""payer":"A","hosts":[],"readsPerThousand":{"*":1},"listsPerThousand":{"*":1},"classes":{}"#
    for (text, told) in [
      (#"{"asOf":"2026-01","source":"s","currency":"USD"}"#, "clouds is missing"),
      (#"{"asOf":"2026-01","source":"s","currency":"USD","clouds":{"s3":{\#(cloud)}}}"#, "transferOutPerGiB is missing"),
      (#"{"asOf":"2026-01","source":"s","currency":"USD","clouds":{"s3":{\#(cloud),"transferOutPerGiB":{"x":1}}}}"#, "\"*\""),
    ] {
      try Data(text.utf8).write(to: URL(filePath: path))
      let error = #expect(throws: PriceList.Unreadable.self) { try PriceList.load(path) }
      #expect(error?.description.contains(told) == true, "\(error?.description ?? "")")
    }
    #expect(throws: PriceList.Unreadable.self) { try PriceList.load(path + ".none") }
  }

  @Test("without experience the time is a guess that says so; with it, it holds what was seen")
  func durations() {
    let guess = PlanDuration(files: 1, bytes: gib, samples: [], server: "h")
    #expect(guess.basis.hasPrefix("a guess") && guess.low < guess.high)
    let samples = [
      PlanDuration.Sample(files: 1, bytes: gib, seconds: 20), PlanDuration.Sample(files: 1, bytes: gib, seconds: 40),
    ]
    let known = PlanDuration(files: 1, bytes: gib, samples: samples, server: "h")
    #expect(known.low <= 20 && known.low >= 10 && known.high >= 40 && known.high <= 60)
    let twice = PlanDuration(files: 2, bytes: 2 * gib, samples: samples, server: "h")
    #expect(twice.low > known.low && twice.high > known.high)
    #expect(twice.basis == "the last 2 deliveries to h")
  }

  @Test("archived, empty and fresh objects, plain FTP and a login that was not tried are told")
  func warnings() {
    var fresh = file(0, in: "DEEP_ARCHIVE")
    fresh.file.sourceModifiedAt = Timestamp(seconds: 1000, nanos: 0)
    func codes(_ tally: PlanTally, scheme: String, tried: Bool, now: Int64) -> [String] {
      PlanWarnings.of(tally, scheme: scheme, loginTried: tried, now: now) { $0 == "DEEP_ARCHIVE" }.map(\.code)
    }
    #expect(
      codes(tally([fresh]), scheme: "ftp", tried: false, now: 1010)
        == ["OBJECTS_ARCHIVED", "CHANGED_JUST_NOW", "FILES_EMPTY", "NOT_ENCRYPTED", "LOGIN_NOT_TRIED"])
    #expect(codes(tally([file(1)]), scheme: "sftp", tried: true, now: 10_000) == [])
  }
}
