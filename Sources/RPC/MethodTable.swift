// Finds a call's method by the bytes of its path, without making a String of them.
import Synchronization

/// A method that a server answers.
final class RegisteredMethod: Sendable {
  /// "/fileferry.v1.Ticketing/OpenTickets"
  let path: String
  let taking: RequestTaking
  /// It takes one message, not a stream of them.
  let isSingle: Bool
  /// What interceptors keep for this method, one each, the newest first. Whoever looks it up, for every call, needs no lock:
  /// the list only grows, and lives as long as the method.
  private let newest = Atomic<Unmanaged<StateOfMethod>?>(nil)
  private let growing = Mutex<Void>(())

  init(path: String, taking: RequestTaking) {
    self.path = path
    self.taking = taking
    isSingle = if case .single = taking { true } else { false }
  }

  func state<State: AnyObject & Sendable>(of owner: any AnyObject & Sendable, _ make: () -> State) -> State {
    if let found: State = find(owner) { return found }
    return growing.withLock { _ in
      // Another call may have been first.
      if let found: State = find(owner) { return found }
      let state = make()
      let entry = StateOfMethod(owner: owner, state: state, older: newest.load(ordering: .relaxed))
      newest.store(Unmanaged.passRetained(entry), ordering: .releasing)
      return state
    }
  }

  private func find<State: AnyObject & Sendable>(_ owner: any AnyObject & Sendable) -> State? {
    var next = newest.load(ordering: .acquiring)
    while let entry = next {
      // What stands under an owner was put there by that owner, so it is of its type; being held, it is never another's.
      let found = entry._withUnsafeGuaranteedRef { $0.owner === owner ? unsafeDowncast($0.state, to: State.self) : nil }
      if let found { return found }
      next = entry._withUnsafeGuaranteedRef { $0.older }
    }
    return nil
  }

  deinit {
    var next = newest.load(ordering: .acquiring)
    while let entry = next {
      next = entry._withUnsafeGuaranteedRef { $0.older }
      entry.release()
    }
  }
}

/// One interceptor's state of a method. Never changes, and is freed by its method, which makes `@unchecked Sendable` true.
private final class StateOfMethod: @unchecked Sendable {
  let owner: any AnyObject & Sendable
  let state: any AnyObject & Sendable
  let older: Unmanaged<StateOfMethod>?

  init(owner: any AnyObject & Sendable, state: any AnyObject & Sendable, older: Unmanaged<StateOfMethod>?) {
    self.owner = owner
    self.state = state
    self.older = older
  }
}

final class MethodTable: Sendable {
  private struct Entry {
    var hash: UInt64
    var method: RegisteredMethod
  }
  /// Open addressing; the count is a power of two and at least twice the methods.
  private let slots: [Entry?]
  private let forwards: [String: RequestTaking]

  init(_ methods: [String: RegisteredMethod], forwards: [String: RequestTaking]) {
    var capacity = 16
    while capacity < methods.count * 2 { capacity *= 2 }
    var slots = [Entry?](repeating: nil, count: capacity)
    for method in methods.values {
      var path = method.path
      let hash = path.withUTF8 { Self.hash(UnsafeRawBufferPointer($0)) }
      var slot = Int(truncatingIfNeeded: hash) & (capacity - 1)
      while slots[slot] != nil { slot = (slot + 1) & (capacity - 1) }
      slots[slot] = Entry(hash: hash, method: method)
    }
    self.slots = slots
    self.forwards = forwards
  }

  /// The method of a path, or one that passes its whole service on.
  func find(_ path: UnsafeRawBufferPointer) -> RegisteredMethod? {
    let hash = Self.hash(path)
    var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while let entry = slots[slot] {
      if entry.hash == hash, Self.equal(entry.method.path, path) { return entry.method }
      slot = (slot + 1) & (slots.count - 1)
    }
    guard !forwards.isEmpty, path.first == UInt8(ascii: "/") else { return nil }
    let text = String(decoding: path, as: UTF8.self)
    return forwards[Self.service(of: text)].map { RegisteredMethod(path: text, taking: $0) }
  }

  /// "fileferry.v1.Ticketing" of "/fileferry.v1.Ticketing/OpenTickets"
  static func service(of path: String) -> String { String(path.dropFirst().prefix { $0 != "/" }) }

  private static func equal(_ text: String, _ bytes: UnsafeRawBufferPointer) -> Bool {
    text.utf8.withContiguousStorageIfAvailable { utf8 in
      guard utf8.count == bytes.count else { return false }
      for index in 0..<bytes.count where utf8[index] != bytes[index] { return false }
      return true
    } ?? text.utf8.elementsEqual(bytes)
  }

  private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    var hash = UInt64(bytes.count) &* 0x9E37_79B9_7F4A_7C15
    var offset = 0
    while offset + 8 <= bytes.count {
      hash = (hash ^ bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)) &* 0xBF58_476D_1CE4_E5B9
      hash ^= hash >> 32
      offset += 8
    }
    while offset < bytes.count {
      hash = (hash ^ UInt64(bytes[offset])) &* 0x94D0_49BB_1331_11EB
      hash ^= hash >> 32
      offset += 1
    }
    return hash
  }
}
