// codec-peer: the Swift side of the round trip Swift -> Python -> Swift that test_codecs.py runs. It makes random
// messages and checks what comes back; it judges nothing else.
import FerryAPI
import ProtoWire

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

let usage = """
  usage: codec-peer names                    prints the full name of every message
         codec-peer descriptors              writes each file's FileDescriptorProto, framed
         codec-peer generate NAME COUNT SEED writes COUNT random messages, framed
         codec-peer check NAME COUNT SEED    reads them back, framed, and compares
         codec-peer json NAME COUNT SEED     writes COUNT random messages in proto3 JSON, one a line
         codec-peer json-defaults NAME COUNT SEED  the same with fields that hold their default
         codec-peer check-json NAME COUNT SEED     reads those messages in proto3 JSON, one a line, and compares
  A frame is 4 bytes of length, big-endian, and the bytes.
  """

let messageTypes = KnownMessages.all
let arguments = CommandLine.arguments.dropFirst()

func run() throws(PeerFailure) {
  switch (arguments.first, arguments.count) {
  case ("names", 1):
    for type in messageTypes { StandardStreams.put(Array((type.descriptor.fullName + "\n").utf8)) }
  case ("descriptors", 1):
    for file in FerryFiles.all { StandardStreams.writeFrame(file.fileDescriptorProto()) }
    StandardStreams.writeFrame(WellKnownFiles.timestamp.fileDescriptorProto())
  case (let command?, 4):
    let values = Array(arguments)
    guard let type = messageTypes.first(where: { $0.descriptor.fullName == values[1] }), let count = Int(values[2]),
      let seed = UInt64(values[3])
    else { throw PeerFailure("no such message, or COUNT or SEED is not a number\n" + usage) }
    try Exchange.run(command, type, count: count, seed: seed)
  default: throw PeerFailure(usage)
  }
}

do throws(PeerFailure) { try run() } catch {
  StandardStreams.writeError(error.description + "\n")
  exit(1)
}
