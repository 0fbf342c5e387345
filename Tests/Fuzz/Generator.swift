// Where all chance comes from: one seed makes one sequence of inputs, on every machine.

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
struct Generator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// A number from 0 to `count` - 1; the tiny bias of the multiplication does not matter here.
  mutating func below(_ count: Int) -> Int {
    Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(max(1, count))).high)
  }

  mutating func chance(_ oneIn: Int) -> Bool { below(oneIn) == 0 }

  mutating func byte() -> UInt8 { UInt8(truncatingIfNeeded: next() >> 32) }

  mutating func pick<T>(_ values: [T]) -> T { values[below(values.count)] }

  /// Mostly small, now and then one of the values at which arithmetic goes wrong.
  mutating func number() -> UInt64 {
    switch below(6) {
    case 0: pick(Self.edges)
    case 1: pick(Self.edges) &+ UInt64(below(3)) &- 1
    case 2: next()
    case 3: next() >> UInt64(below(64))
    default: UInt64(below(300))
    }
  }

  private static let edges: [UInt64] = [
    0, 1, 0x7F, 0x80, 0xFF, 0x3FFF, 0x4000, 0xFFFF, 0x1_0000, 0xFF_FFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF,
    0x1_0000_0000, 0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000, .max, .max - 4, .max - 8,
  ]
}
