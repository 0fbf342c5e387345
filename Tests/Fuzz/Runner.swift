// Runs a target's inputs one after another and holds each against its limits of time and memory.
import Glibc

struct Runner {
  let target: any FuzzTarget
  let seed: UInt64
  /// At most so many inputs, and at most so long.
  let runs: Int
  let seconds: Int?
  let folder: String

  static let batch = 1024
  /// Inputs of at least this size have their memory measured, and of the others one in so many.
  static let largeInput = 4096
  static let measureOneIn = 64
  /// An input that takes longer than its budget gets this many more tries: other programs take time from it.
  static let secondTries = 3
  /// How much the resident size may grow between the first tenth of the runs and the end.
  static let residentGrowthKilobytes = 24 << 10

  private struct Progress {
    var run = 0
    var bytes = 0
    var largest = 0
    var slowest = 0
    var slowestInput = ""
    var earlyResident: Int?
  }

  /// False after the first finding, which is told and kept.
  func run() -> Bool {
    CrashRecord.install(target: target.name, seed: seed, folder: folder)
    var generator = Generator(state: seed)
    var progress = Progress()
    var input: [UInt8] = []
    let began = Process.now()
    let deadline = seconds.map { began + $0 * 1_000_000_000 }
    while progress.run < runs {
      if progress.run % Self.batch == 0, let deadline, Process.now() >= deadline { break }
      input.removeAll(keepingCapacity: true)
      target.makeInput(&generator, into: &input)
      guard once(input, &progress) else { return false }
      progress.run += 1
      if progress.earlyResident == nil, settled(progress.run, began) {
        Process.trim()
        progress.earlyResident = Process.residentKilobytes()
      }
    }
    return report(progress, nanoseconds: Process.now() - began)
  }

  private func settled(_ run: Int, _ began: Int) -> Bool {
    if let seconds, run % Self.batch == 0 { return Process.now() - began > seconds * 100_000_000 }
    return run == runs / 10
  }

  private func once(_ input: [UInt8], _ progress: inout Progress) -> Bool {
    // A block of exactly its size: AddressSanitizer then sees a read of one byte too many.
    let block = UnsafeMutableRawBufferPointer(start: malloc(max(1, input.count)), count: input.count)
    defer {
      CrashRecord.pause()
      free(block.baseAddress)
    }
    block.copyBytes(from: input)
    let bytes = UnsafeRawBufferPointer(block)
    CrashRecord.begin(run: progress.run, bytes)
    target.measuresMemory =
      Process.countsMemory && (input.count >= Self.largeInput || progress.run % Self.measureOneIn == 0)
    let began = Process.now()
    do throws(Finding) { try target.check(bytes) } catch { return tell(error, bytes, progress.run) }
    let taken = Process.now() - began
    progress.bytes += input.count
    progress.largest = max(progress.largest, input.count)
    if taken > progress.slowest {
      progress.slowest = taken
      progress.slowestInput = target.describe(bytes)
    }
    let allowed = target.budget(for: bytes).nanoseconds(for: input.count) * Process.slack
    if taken > allowed {
      do throws(Finding) { try retry(bytes, allowed) } catch { return tell(error, bytes, progress.run) }
    }
    return true
  }

  private func retry(_ bytes: UnsafeRawBufferPointer, _ allowed: Int) throws(Finding) {
    var best = Int.max
    for _ in 0..<Self.secondTries {
      let began = Process.cpuNow()
      try target.check(bytes)
      best = min(best, Process.cpuNow() - began)
      if best <= allowed { return }
    }
    throw Finding("\(best / 1000) microseconds for an input of \(bytes.count) bytes; \(allowed / 1000) are allowed")
  }

  private func tell(_ finding: Finding, _ bytes: UnsafeRawBufferPointer, _ run: Int) -> Bool {
    print("FOUND: target \(target.name), seed \(seed), run \(run): \(finding)")
    print("  input: \(target.describe(bytes))")
    print(CrashRecord.keep(bytes, run))
    fflush(nil)
    return false
  }

  private func report(_ progress: Progress, nanoseconds: Int) -> Bool {
    Process.trim()
    let resident = Process.residentKilobytes()
    let rate = Double(progress.run) / (Double(max(1, nanoseconds)) / 1e9)
    print("\(target.name): \(progress.run) inputs, \(progress.bytes >> 20) MiB, "
      + "in \((Double(nanoseconds) / 1e9).tenths) s (\(Int(rate)) a second)")
    print("  largest \(progress.largest) bytes; slowest \(progress.slowest / 1000) us (\(progress.slowestInput))")
    print("  resident \(resident >> 10) MiB, early \((progress.earlyResident ?? resident) >> 10) MiB")
    for line in target.summary() { print("  " + line) }
    fflush(nil)
    guard Process.countsMemory, let early = progress.earlyResident else { return true }
    guard resident - early <= Self.residentGrowthKilobytes else {
      print("FOUND: target \(target.name), seed \(seed): the resident size grew from \(early) to \(resident) KiB")
      return false
    }
    return true
  }
}
