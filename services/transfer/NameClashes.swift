// Names that would get into each other's way at the destination: the same file twice, a file where another needs a folder,
// and a file named like another's .part. It keeps 16 bytes of a file's name, so a million names fit.
import Crypto
import Destinations

struct NameClashes {
  /// 128 bits of a name's SHA-256: two names of a million share them by chance once in 10^26 plans. Names count by their
  /// bytes: two spellings of one letter are two names.
  struct Name: Hashable {
    private let bits: SIMD2<UInt64>

    init(_ path: RemotePath) {
      bits = SHA256.hash(data: Array(path.text.utf8)).withUnsafeBytes { $0.loadUnaligned(as: SIMD2<UInt64>.self) }
    }
  }

  /// What a name met: a file of that name, or the folder of one.
  struct Taken: Hashable {
    var name: Name
    var isFolder: Bool
  }

  private var files: Set<Name> = []
  private var folders: Set<Name> = []
  /// Names that are cut for their .part: what they belong to can't be read off them.
  private var cutParts: [Name: Name] = [:]

  /// Takes the name, or says by what it is taken.
  mutating func add(_ path: RemotePath) -> Taken? {
    let (name, part) = (Name(path), Name(path.part))
    if let taken = file(name, path) ?? folder(name) ?? file(part, path.part) ?? folder(part) { return taken }
    // A folder that is known had its own folders looked at.
    var parent = path.parent
    var added: [Name] = []
    while parent.name != nil {
      let name = Name(parent)
      if folders.contains(name) { break }
      if let taken = file(name, parent) { return taken }
      added.append(name)
      parent = parent.parent
    }
    files.insert(name)
    folders.formUnion(added)
    if path.part.parts.last != path.parts.last.map({ $0 + RemotePath.partSuffix }) { cutParts[part] = name }
    return nil
  }

  /// A file of that name, or one that has it as its .part.
  private func file(_ name: Name, _ path: RemotePath) -> Taken? {
    if files.contains(name) { return Taken(name: name, isFolder: false) }
    if let whole = cutParts[name] { return Taken(name: whole, isFolder: false) }
    guard let whole = path.withoutPartSuffix.map(Name.init), files.contains(whole) else { return nil }
    return Taken(name: whole, isFolder: false)
  }

  private func folder(_ name: Name) -> Taken? { folders.contains(name) ? Taken(name: name, isFolder: true) : nil }

  /// All that a file takes: its own name, and its folders'.
  static func taken(by path: RemotePath) -> [Taken] {
    var all = [Taken(name: Name(path), isFolder: false)]
    var parent = path.parent
    while parent.name != nil {
      all.append(Taken(name: Name(parent), isFolder: true))
      parent = parent.parent
    }
    return all
  }
}

extension RemotePath {
  /// The file that would have this name as its .part; nil if none would.
  fileprivate var withoutPartSuffix: RemotePath? {
    let suffix = Self.partSuffix.utf8
    guard let name, name.utf8.count > suffix.count, name.utf8.suffix(suffix.count).elementsEqual(suffix) else { return nil }
    // What is no name is no file's name.
    return try? parent.appending(String(decoding: name.utf8.dropLast(suffix.count), as: UTF8.self))
  }

  /// From `text`, as it was journalled.
  init(text: String) throws(DestinationError) {
    let isRoot = text.utf8.first == UInt8(ascii: "/")
    self = try RemotePath(isRoot ? .root : .home).appending(isRoot ? String(text.dropFirst()) : text)
  }
}
