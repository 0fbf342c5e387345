// A file compressed on its way: what arrives unpacks to the source, chunk by chunk it goes on where a run broke off, and the
// record tells both the file there and the source.
import CZstd
import Crypto
import Destinations
import FerryAPI
import FoundationEssentials
import Glibc
import Testing

@testable import TransferService

@Suite struct CompressedDeliveryTests {
  private static let lost = DestinationError(.unreachable, "The connection was lost.", nextStep: "Try again.")
  private static let formats = [Compression.gzip, .zstd]

  private static func text(_ bytes: Int) -> [UInt8] {
    Array((0..<bytes / 8 + 1).map { "line \($0 % 97);" }.joined().utf8.prefix(bytes))
  }

  private func bench(_ format: Compression, bytes: Int = 3900, sidecar: Bool = false) async throws -> Bench {
    try await Bench(Self.text(bytes), .with { ($0.compression, $0.checksumSidecar) = (format, sidecar) })
  }

  /// By the system's gzip, or by libzstd's own reading of whole files.
  private func unpacked(_ bytes: [UInt8], _ format: Compression) throws -> [UInt8] {
    if format == .zstd {
      var output = [UInt8](repeating: 0, count: 1 << 20)
      let count = ZSTD_decompress(&output, output.count, bytes, bytes.count)
      try #require(ZSTD_isError(count) == 0)
      return Array(output[..<count])
    }
    let path = FileManager.default.temporaryDirectory.appending(path: "ferry-\(UUID().uuidString)").path
    try Data(bytes).write(to: URL(filePath: path))
    defer { unlink(path) }
    let pipe = try #require(popen("gzip -dc < '\(path)'", "r"))
    defer { pclose(pipe) }
    var output: [UInt8] = []
    while true {
      let byte = fgetc(pipe)
      if byte == EOF { return output }
      output.append(UInt8(byte))
    }
  }

  /// The file is there under its name, unpacks to the source, and its record says what it is.
  private func expectArrived(_ bench: Bench, _ format: Compression, _ location: SourceLocation = #_sourceLocation) async throws {
    let path = "/out/f" + (format == .gzip ? ".gz" : ".zst")
    #expect(Set(bench.server.files.keys) == [path], sourceLocation: location)
    let there = bench.server.files[path] ?? []
    let back = try unpacked(there, format)
    #expect(back == bench.content, sourceLocation: location)
    let file = try await bench.file()
    #expect(file.status == .delivered, sourceLocation: location)
    #expect(file.sha256 == Hex.encode(SHA256.hash(data: there)), sourceLocation: location)
    #expect(file.sourceSHA256 == bench.sha256, sourceLocation: location)
    #expect(file.deliveredSize == Int64(there.count), sourceLocation: location)
    #expect(file.size == Int64(bench.content.count), sourceLocation: location)
  }

  @Test("it arrives under the format's name and unpacks to the source", arguments: formats, [0, 1, 900, 1000, 3900])
  func arrives(_ format: Compression, _ bytes: Int) async throws {
    let bench = try await bench(format, bytes: bytes)
    try await bench.succeeds()
    try await expectArrived(bench, format)
    #expect(try await bench.chunks().allSatisfy { $0.written && $0.sends == 1 && $0.deliveredLength > 0 })
  }

  @Test("chunks that are compressed at once take their places in order", arguments: formats, [true, false])
  func inParallel(_ format: Compression, _ writesAtOffsets: Bool) async throws {
    let bench = try await bench(format, bytes: 60_000)
    bench.server.state.withLock { $0.writesAtOffsets = writesAtOffsets }
    try await bench.succeeds(inFlight: 8)
    try await expectArrived(bench, format)
  }

  @Test("a lost connection costs the chunks in flight and no more", arguments: formats, [1, 4])
  func resumes(_ format: Compression, _ inFlight: Int) async throws {
    let bench = try await bench(format, bytes: 9900)
    bench.server.state.withLock { $0.onWrite = { number, _ in number >= 5 ? Self.lost : nil } }
    await #expect(throws: DeliveryFailure.self) { try await bench.run(inFlight: inFlight) }
    let before = try await bench.chunks().filter(\.written)
    #expect(before.count == 4)
    bench.server.state.withLock { $0.onWrite = nil }
    try await bench.succeeds(inFlight: inFlight)
    try await expectArrived(bench, format)
    let after = try await bench.chunks()
    #expect(before.allSatisfy { after[Int($0.index)].sends == $0.sends })
    #expect(bench.server.state.withLock { $0.creates } == 1)
  }

  @Test("a chunk that comes back changed is sent again, the others are not", arguments: formats)
  func corrupted(_ format: Compression) async throws {
    let bench = try await bench(format)
    bench.server.state.withLock { $0.corruptsOnce = 0 }
    try await bench.succeeds()
    #expect(try await bench.chunks().map(\.sends) == [2, 1, 1, 1])
    try await expectArrived(bench, format)
  }

  @Test("a .part file that was tampered with between two runs is found out", arguments: formats)
  func tampered(_ format: Compression) async throws {
    let bench = try await bench(format)
    bench.server.state.withLock { $0.onWrite = { number, _ in number == 4 ? Self.lost : nil } }
    await #expect(throws: DeliveryFailure.self) { try await bench.run() }
    bench.server.state.withLock { state in
      state.onWrite = nil
      for path in state.files.keys { state.files[path]?[15] ^= 0x80 }
    }
    try await bench.succeeds()
    #expect(try await bench.chunks().map(\.sends) == [2, 1, 1, 2])
    try await expectArrived(bench, format)
  }

  @Test("a .part file that is gone is sent again", arguments: formats)
  func partGone(_ format: Compression) async throws {
    let bench = try await bench(format)
    bench.server.state.withLock { $0.onWrite = { number, _ in number == 3 ? Self.lost : nil } }
    await #expect(throws: DeliveryFailure.self) { try await bench.run() }
    bench.server.state.withLock { ($0.onWrite, $0.files) = (nil, [:]) }
    try await bench.succeeds()
    try await expectArrived(bench, format)
  }

  @Test("a file renamed just before a crash is known again by its bytes, and not sent", arguments: formats)
  func renamed(_ format: Compression) async throws {
    let bench = try await bench(format)
    try await bench.succeeds()
    var file = try await bench.file()
    file.status = .verifying
    try await bench.set(file)
    try await bench.forgetRun()
    let writes = bench.server.writes.count
    try await bench.succeeds()
    #expect(bench.server.writes.count == writes)
    try await expectArrived(bench, format)
  }

  @Test("a chunk before others that the journal lost has them sent again, for they have no place", arguments: formats)
  func gap(_ format: Compression) async throws {
    let bench = try await bench(format)
    bench.server.state.withLock { $0.onWrite = { number, _ in number == 4 ? Self.lost : nil } }
    await #expect(throws: DeliveryFailure.self) { try await bench.run() }
    bench.server.state.withLock { $0.onWrite = nil }
    var lost = try await bench.chunks()[1]
    lost.forget()
    lost.forgetPlace()
    try await bench.set(lost)
    try await bench.succeeds()
    #expect(try await bench.chunks().map(\.sends) == [1, 2, 2, 2])
    try await expectArrived(bench, format)
  }

  @Test("a chunk that is compressed otherwise than by the run before ends the file; a retry sends it from its start")
  func compressedOtherwise() async throws {
    let bench = try await bench(.gzip)
    bench.server.state.withLock { $0.onWrite = { number, _ in number == 3 ? Self.lost : nil } }
    await #expect(throws: DeliveryFailure.self) { try await bench.run() }
    bench.server.state.withLock { $0.onWrite = nil }
    // As another version of the library would have made it.
    var chunk = try await bench.chunks()[2]
    #expect(chunk.deliveredLength > 1)
    chunk.deliveredLength -= 1
    try await bench.set(chunk)
    #expect(try await bench.problems().map { $0.prefix { $0 != ":" } } == ["COMPRESSION_CHANGED"])
    #expect(bench.server.files.isEmpty)
    #expect(try await bench.chunks().allSatisfy { !$0.written && $0.deliveredLength == 0 })
    try await bench.forgetRun()
    try await bench.succeeds()
    try await expectArrived(bench, .gzip)
  }

  @Test("a server that hashes is asked once for the whole compressed file", arguments: formats)
  func serverHashes(_ format: Compression) async throws {
    let bench = try await bench(format)
    bench.server.state.withLock { $0.hashes = [.sha256] }
    try await bench.succeeds()
    try await expectArrived(bench, format)
  }

  @Test("asked to skip what is equal, a compressed file with the very bytes is left alone", arguments: formats, [900, 3900])
  func skipsEqual(_ format: Compression, _ bytes: Int) async throws {
    let bench = try await bench(format, bytes: bytes)
    try await bench.succeeds()
    var file = try await bench.file()
    (file.status, file.sha256) = (.waiting, "")
    try await bench.set(file)
    for var chunk in try await bench.chunks() {
      chunk.forget()
      chunk.forgetPlace()
      try await bench.set(chunk)
    }
    try await bench.forgetRun()
    let writes = bench.server.writes.count
    let problems = try await bench.problems(onConflict: .skipIfEqual)
    #expect(problems == [])
    #expect(bench.server.writes.count == writes)
    try await expectArrived(bench, format)
  }

  @Test("automatically, text is compressed and what does not shrink is not, nor what is tiny")
  func automatic() async throws {
    var random = SystemRandomNumberGenerator()
    let noise = (0..<9000).map { _ in UInt8.random(in: 0...255, using: &random) }
    let options = DeliveryOptions.with { $0.compression = .automatic }
    for (content, isCompressed) in [(Self.text(9000), true), (noise, false), (Self.text(100), false), ([], false)] {
      let bench = try await Bench(content, options)
      try await bench.succeeds()
      if isCompressed {
        try await expectArrived(bench, .gzip)
      } else {
        #expect(bench.hasArrived)
        #expect(try await bench.file().compression == .none)
        #expect(try await bench.file().sha256 == bench.sha256)
      }
    }
  }

  @Test("the .sha256 beside it is of the file that lies there")
  func sidecar() async throws {
    let bench = try await bench(.gzip, sidecar: true)
    try await bench.succeeds()
    let line = String(decoding: bench.server.files["/out/f.gz.sha256"] ?? [], as: UTF8.self)
    #expect(line == "\(Hex.encode(SHA256.hash(data: bench.server.files["/out/f.gz"] ?? [])))  f.gz\n")
  }

  @Test("the size alone, where that was chosen, is that of the compressed file", arguments: formats)
  func sizeAlone(_ format: Compression) async throws {
    let bench = try await Bench(Self.text(3900), .with { ($0.compression, $0.proof) = (format, .size) })
    try await bench.succeeds()
    try await expectArrived(bench, format)
  }
}
