// What a target is: a maker of inputs and a check that says what an input broke.

/// Something that no input may bring about.
struct Finding: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}

/// What a target may spend on an input of n bytes, in an optimised build.
struct Budget {
  var fixedMicroseconds: Int
  var nanosecondsPerByte: Int

  func nanoseconds(for bytes: Int) -> Int { fixedMicroseconds * 1000 + nanosecondsPerByte * bytes }
}

/// One place where bytes from outside enter. An input means the same in every run: a file of it can be replayed.
protocol FuzzTarget: AnyObject {
  var name: String { get }
  /// True while the runner wants the memory of this input measured, which is dearer.
  var measuresMemory: Bool { get set }
  /// Makes the next input, into an empty array.
  func makeInput(_ generator: inout Generator, into input: inout [UInt8])
  /// Feeds the input to the code under test. `input` is a block of exactly its size.
  func check(_ input: UnsafeRawBufferPointer) throws(Finding)
  func budget(for input: UnsafeRawBufferPointer) -> Budget
  /// What this input is, in one line.
  func describe(_ input: UnsafeRawBufferPointer) -> String
  /// What to say when all inputs are through.
  func summary() -> [String]
}
