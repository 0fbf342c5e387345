// One page of a folder's keys in S3's order, with prefix and delimiter, going on after a token. Reads only directories
// that can hold a key of the page; a directory "a" sorts as "a/", which puts all keys under it in the order of their
// bytes.

struct FolderWalk {
  /// Deeper directories hold keys longer than a key may be.
  private static let maxDepth = ObjectStoreLimits.maxKeyBytes / 2

  private let files: FolderFiles
  private let bucket: String
  private let prefix: String
  private let delimiter: String?
  private let after: String?
  private let limit: Int
  private var top = ""
  private var entries: [ObjectEntry] = []
  private var lastEntry: String?
  private var isFull = false

  init(
    files: FolderFiles, bucket: String, prefix: String, delimiter: String?, after: String?, limit: Int
  ) {
    self.files = files
    self.bucket = bucket
    self.prefix = prefix
    self.delimiter = delimiter
    self.after = after
    self.limit = limit
  }

  mutating func page() throws(ObjectStoreError) -> Page<ObjectEntry> {
    top = try files.realRoot()
    try visit(try files.realBucket(bucket), keyPrefix: "", depth: 0)
    return Page(items: entries, next: isFull ? lastEntry.map(PageToken.init) : nil)
  }

  private mutating func visit(_ directory: String, keyPrefix: String, depth: Int) throws(ObjectStoreError) {
    let children = try files.entries(of: directory)
      .map { Child(key: keyPrefix + $0.name + ($0.kind == .directory ? "/" : ""), entry: $0) }
      .filter {
        $0.key.utf8.count <= ObjectStoreLimits.maxKeyBytes && mayMatch($0.key, isDirectory: $0.entry.kind == .directory)
      }
    // A page needs the first of perhaps a hundred thousand: they are put in order only as far as it goes.
    var heap = Heap(children)
    while !isFull, let child = heap.popMin() {
      let (key, entry) = (child.key, child.entry)
      let path = "\(directory)/\(entry.name)"
      switch entry.kind {
      case .directory:
        if let folded = commonPrefix(of: key) {
          if isNew(folded), try holdsFile(path, depth: depth + 1) { add(folded, .commonPrefix(folded)) }
        } else if depth < Self.maxDepth {
          try visit(path, keyPrefix: key, depth: depth + 1)
        }
      case .file:
        if let file = FolderFiles.regularFile(path) { offer(key, file) }
      case .link:
        if let file = linkedFile(path) { offer(key, file) }
      }
    }
  }

  private struct Child: Comparable {
    let key: String
    let entry: FolderFiles.Entry

    static func < (one: Child, other: Child) -> Bool { one.key.utf8.lexicographicallyPrecedes(other.key.utf8) }
    static func == (one: Child, other: Child) -> Bool { one.key == other.key }
  }

  private mutating func offer(_ key: String, _ file: FolderFiles.File) {
    if let folded = commonPrefix(of: key) {
      if isNew(folded) { add(folded, .commonPrefix(folded)) }
    } else if isNew(key) {
      add(key, .object(FolderObjectStore.info(ObjectReference(bucket: bucket, key: key), file)))
    }
  }

  private mutating func add(_ name: String, _ entry: ObjectEntry) {
    guard entries.count < limit else {
      isFull = true
      return
    }
    entries.append(entry)
    lastEntry = name
  }

  /// After the token and, for a folded prefix, not the one just listed.
  private func isNew(_ name: String) -> Bool {
    let last = lastEntry ?? after
    return last.map { $0.utf8.lexicographicallyPrecedes(name.utf8) } ?? true
  }

  /// Whether the key, or any key under the directory, can have the prefix and come after the token.
  private func mayMatch(_ key: String, isDirectory: Bool) -> Bool {
    let key = key.utf8
    guard key.starts(with: prefix.utf8) || isDirectory && prefix.utf8.starts(with: key) else { return false }
    guard let after else { return true }
    return after.utf8.lexicographicallyPrecedes(key) || isDirectory && after.utf8.starts(with: key)
  }

  /// What the key is folded into, up to and with the first delimiter after the prefix.
  private func commonPrefix(of key: String) -> String? {
    guard let delimiter, key.utf8.starts(with: prefix.utf8) else { return nil }
    let rest = Array(key.utf8.dropFirst(prefix.utf8.count)), mark = Array(delimiter.utf8)
    guard rest.count >= mark.count else { return nil }
    for start in 0...(rest.count - mark.count) where rest[start..<start + mark.count].elementsEqual(mark) {
      // The delimiter is whole UTF-8, so that the cut is at a character's edge.
      return prefix + String(decoding: rest[..<(start + mark.count)], as: UTF8.self)
    }
    return nil
  }

  /// S3 knows no empty folders.
  private func holdsFile(_ directory: String, depth: Int) throws(ObjectStoreError) -> Bool {
    guard depth < Self.maxDepth else { return false }
    let entries = try files.entries(of: directory)
    for entry in entries where entry.kind != .directory {
      if entry.kind == .file || linkedFile("\(directory)/\(entry.name)") != nil { return true }
    }
    for entry in entries where entry.kind == .directory {
      if try holdsFile("\(directory)/\(entry.name)", depth: depth + 1) { return true }
    }
    return false
  }

  /// A link to a file inside the root is the file; one to a directory is not followed, as it could lead round in a
  /// ring.
  private func linkedFile(_ path: String) -> FolderFiles.File? {
    guard let real = FolderFiles.resolved(path), FolderFiles.isInside(real, top) else { return nil }
    return FolderFiles.regularFile(real)
  }
}

/// A binary min-heap: its first k elements in order for n + k log n comparisons.
private struct Heap<Element: Comparable> {
  private var elements: [Element]

  init(_ elements: [Element]) {
    self.elements = elements
    for index in stride(from: elements.count / 2 - 1, through: 0, by: -1) { sink(index) }
  }

  mutating func popMin() -> Element? {
    guard let first = elements.first, let last = elements.popLast() else { return nil }
    if !elements.isEmpty {
      elements[0] = last
      sink(0)
    }
    return first
  }

  private mutating func sink(_ start: Int) {
    var parent = start
    while true {
      var least = 2 * parent + 1
      guard least < elements.count else { return }
      if least + 1 < elements.count, elements[least + 1] < elements[least] { least += 1 }
      guard elements[least] < elements[parent] else { return }
      elements.swapAt(parent, least)
      parent = least
    }
  }
}
