// One input, as it was kept, and inputs to start from.
import ArgumentParser
import Glibc

/// One input, as it was kept.
enum Replay {
  static func run(_ target: any FuzzTarget, _ bytes: [UInt8]) -> Int32 {
    let block = UnsafeMutableRawBufferPointer(start: malloc(max(1, bytes.count)), count: bytes.count)
    defer { free(block.baseAddress) }
    block.copyBytes(from: bytes)
    let input = UnsafeRawBufferPointer(block)
    target.measuresMemory = Process.countsMemory
    print("\(target.name): \(target.describe(input))")
    let began = Process.cpuNow()
    do throws(Finding) { try target.check(input) } catch {
      print("FOUND: \(error)")
      return 1
    }
    let taken = Process.cpuNow() - began
    let allowed = target.budget(for: input).nanoseconds(for: input.count) * Process.slack
    print("\(taken / 1000) microseconds of \(allowed / 1000); nothing else found")
    return taken > allowed ? 1 : 0
  }
}

enum Corpus {
  static let count = 500
  static let maxSize = 16 << 10

  static func write(_ target: any FuzzTarget, seed: UInt64, folder: String) throws {
    var generator = Generator(state: seed)
    for index in 0..<count {
      var input: [UInt8] = []
      target.makeInput(&generator, into: &input)
      guard input.count <= maxSize else { continue }
      guard let file = fopen("\(folder)/seed-\(index)", "wb") else {
        throw ValidationError("\(folder) cannot be written.")
      }
      defer { fclose(file) }
      fwrite(input, 1, input.count, file)
    }
  }
}
