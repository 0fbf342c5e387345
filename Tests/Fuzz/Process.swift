// What the operating system and the allocator say of this process: clocks and memory.
import CMalloc
import Glibc

enum Process {
  /// False where the allocator does not count, as under AddressSanitizer: then there is nothing to hold memory against.
  static let countsMemory: Bool = heldBytes() > 0

  /// How much longer things may take in a build that is not the fast one.
  static let slack: Int = {
    var debug = false
    assert({ debug = true; return true }())
    return debug || !countsMemory ? 60 : 1
  }()

  /// Bytes that the allocator has given out and not got back.
  static func heldBytes() -> Int {
    let info = mallinfo2()
    return Int(info.uordblks) + Int(info.hblkhd)
  }

  /// Has free memory filled with a pattern, so that its use after the free shows also in libraries that no sanitizer
  /// has seen. (Small blocks escape it: the allocator keeps those aside.)
  static func spoilFreeMemory() { mallopt(M_PERTURB, 0x5A) }

  /// Gives free pages back, so that the resident size is that of what is held.
  static func trim() { malloc_trim(0) }

  static func residentKilobytes() -> Int {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    guard fgets(&line, Int32(line.count), file) != nil else { return 0 }
    let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let fields = text.split(separator: " ")
    return fields.count > 1 ? (Int(fields[1]) ?? 0) * Int(getpagesize()) / 1024 : 0
  }

  static func now() -> Int { read(CLOCK_MONOTONIC) }
  /// Time of this thread alone: what other programs take from the machine does not count.
  static func cpuNow() -> Int { read(CLOCK_THREAD_CPUTIME_ID) }

  private static func read(_ clock: clockid_t) -> Int {
    var time = timespec()
    clock_gettime(clock, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
  }
}
