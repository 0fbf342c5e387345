// Chunks to read back are given out once each, however the work is divided.
import Testing

@testable import Destinations

@Suite("Chunks to read back") struct FTPReadBackWorkTests {
  @Test("each chunk is given out once, whenever the later half goes to another", arguments: 0..<9, 0..<9)
  func once(count: Int, before: Int) {
    let work = FTPReadBackWork(0..<count)
    var given: [Int] = []
    for _ in 0..<min(before, count) { if let next = work.next() { given.append(next) } }
    let expected = work.laterHalf
    let later = work.split()
    #expect(later.laterHalf.upperBound == expected.upperBound)
    var ofLater: [Int] = []
    while let next = later.next() { ofLater.append(next) }
    #expect(ofLater == Array(expected))
    while let next = work.next() { given.append(next) }
    #expect(given + ofLater == Array(0..<count))
    #expect(ofLater.count <= given.count)
    #expect(work.next() == nil && later.next() == nil)
  }
}
