// The same targets under libFuzzer, which keeps the inputs that reach new code. Only built with -D FUZZ_COVERAGE, by
// `scripts/fuzz --coverage`: the compiler then adds the counters and the linker libFuzzer ("libFuzzer", llvm.org/docs).

enum Coverage {
  #if FUZZ_COVERAGE
    // Set once before libFuzzer's loop starts, and read by it on the same thread.
    nonisolated(unsafe) fileprivate static var target: (any FuzzTarget)?

    /// libFuzzer's exit code. It ends the process itself at a finding.
    static func run(_ chosen: any FuzzTarget, arguments: [String]) -> Int32? {
      target = chosen
      var texts = (["rpc-fuzz"] + arguments).map { strdup($0) } + [nil]
      var count = Int32(texts.count - 1)
      return texts.withUnsafeMutableBufferPointer { buffer in
        var start = buffer.baseAddress
        return runDriver(&count, &start, testOneInput)
      }
    }
  #else
    static func run(_ chosen: any FuzzTarget, arguments: [String]) -> Int32? { nil }
  #endif
}

#if FUZZ_COVERAGE
  import Glibc

  @_silgen_name("LLVMFuzzerRunDriver")
  private func runDriver(
    _ count: UnsafeMutablePointer<Int32>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
    _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> Int32
  ) -> Int32

  /// libFuzzer's own main, which is linked but never runs, wants this name.
  @_cdecl("LLVMFuzzerTestOneInput")
  public func testOneInput(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> Int32 {
    guard let target = Coverage.target else { return 0 }
    do throws(Finding) { try target.check(UnsafeRawBufferPointer(start: bytes, count: count)) } catch {
      print("FOUND: \(error)\n  input: \(target.describe(UnsafeRawBufferPointer(start: bytes, count: count)))")
      abort()
    }
    return 0
  }
#endif
