// The codecs of FerryAPI, in protobuf and in JSON. An input is two bytes that choose the message type, and the message.
import FerryAPI
import ProtoWire

/// Every message type that the services' methods or other messages mention, sorted by name.
enum FerryMessages {
  static let all: [any Message.Type] = {
    var found: [String: any Message.Type] = [:]
    func visit(_ type: any Message.Type) {
      guard found[type.descriptor.fullName] == nil else { return }
      found[type.descriptor.fullName] = type
      for field in type.descriptor.fields {
        if case .message(let nested) = field.kind { visit(nested) }
      }
    }
    for service in FerryFiles.all.flatMap(\.services) {
      for method in service.methods {
        visit(method.request)
        visit(method.response)
      }
    }
    return found.values.sorted { $0.descriptor.fullName < $1.descriptor.fullName }
  }()

  static let selectorSize = 2

  /// The type that an input names, and the rest of the input.
  static func split(_ input: UnsafeRawBufferPointer) -> (index: Int, UnsafeRawBufferPointer)? {
    guard input.count >= selectorSize else { return nil }
    let selector = Int(input[0]) << 8 | Int(input[1])
    return (selector % all.count, UnsafeRawBufferPointer(rebasing: input[selectorSize...]))
  }
}

/// Takes the types in turn, so that each gets the same share of the inputs.
final class FerryCodecTarget: FuzzTarget {
  let name = "ferry-codecs"
  var measuresMemory = false
  private var turn = 0
  private var pools = FerryMessages.all.map { _ in MessagePool() }
  private var tallies = FerryMessages.all.map { _ in CodecTally() }
  private let memoryLimits = FerryMessages.all.map { Codec.memoryLimit($0) }

  func makeInput(_ generator: inout Generator, into input: inout [UInt8]) {
    let index = turn % FerryMessages.all.count
    turn += 1
    input.append(UInt8(index >> 8))
    input.append(UInt8(index & 0xFF))
    pools[index].make(FerryMessages.all[index], &generator, into: &input)
  }

  func check(_ input: UnsafeRawBufferPointer) throws(Finding) {
    guard let (index, bytes) = FerryMessages.split(input) else { return }
    let limit = measuresMemory ? memoryLimits[index] : nil
    try Codec.check(FerryMessages.all[index], bytes, memoryLimit: limit, &tallies[index])
  }

  func budget(for input: UnsafeRawBufferPointer) -> Budget {
    let limit = FerryMessages.split(input).map { memoryLimits[$0.index] } ?? 0
    return Budget(fixedMicroseconds: 3000, nanosecondsPerByte: 300 + 3 * limit)
  }

  func describe(_ input: UnsafeRawBufferPointer) -> String {
    guard let (index, bytes) = FerryMessages.split(input) else { return "no message" }
    return "\(FerryMessages.all[index].descriptor.fullName), \(bytes.count) bytes"
  }

  func summary() -> [String] {
    let sorted = tallies.indices.sorted { tallies[$0].memoryMultiple > tallies[$1].memoryMultiple }
    let inputs = tallies.map(\.inputs)
    let accepted = tallies.reduce(0) { $0 + $1.accepted }
    var lines = [
      "\(tallies.count) message types, \(inputs.min() ?? 0) to \(inputs.max() ?? 0) inputs each; accepted \(accepted)",
      "most bytes held a byte of input (and how many are allowed):",
    ]
    for index in sorted.prefix(5) {
      let name = FerryMessages.all[index].descriptor.fullName
      lines.append("  \(name): \(tallies[index].memoryMultiple.tenths) (\(memoryLimits[index]))")
    }
    if let least = tallies.indices.min(by: { rate($0) < rate($1) }) {
      let name = FerryMessages.all[least].descriptor.fullName
      lines.append("least often accepted: \(name), \((rate(least) * 100).tenths) %")
    }
    return lines
  }

  private func rate(_ index: Int) -> Double { Double(tallies[index].accepted) / Double(max(1, tallies[index].inputs)) }
}
