// What kind of file a name ending stands for, and whether such files shrink when they are compressed. By name only:
// nobody here reads a byte of a file.

struct FileKind: Equatable {
  /// As assist.proto lists them.
  let name: String
  /// Whether most files of this kind get much smaller by gzip or zstd.
  let compressible: Bool

  static let archive = FileKind(name: "archive", compressible: false)
  static let text = FileKind(name: "text", compressible: true)
  static let image = FileKind(name: "image", compressible: false)
  static let video = FileKind(name: "video", compressible: false)
  static let database = FileKind(name: "database", compressible: true)
  static let document = FileKind(name: "document", compressible: false)
  static let other = FileKind(name: "other", compressible: false)

  private static let endings: [(kind: FileKind, endings: String)] = [
    (archive, "zip gz tgz bz2 xz zst 7z rar tar lz4 br z cab iso jar war"),
    (text, "txt csv tsv json jsonl ndjson xml html htm log md yaml yml ini conf sql edi x12 dat fix swift py js css"),
    (image, "jpg jpeg png gif tif tiff bmp webp heic svg ico psd raw dng"),
    (video, "mp4 mov mkv avi webm m4v mpg mpeg wmv ts"),
    (database, "db sqlite sqlite3 mdb accdb bak dmp dump dbf mdf ldf ibd frm"),
    (document, "pdf doc docx xls xlsx xlsm ppt pptx odt ods odp rtf pages numbers key epub msg eml"),
  ]

  private static let byEnding: [String: FileKind] = endings.reduce(into: [:]) { table, row in
    for ending in row.endings.split(separator: " ") { table[String(ending)] = row.kind }
  }

  init(name: String, compressible: Bool) {
    self.name = name
    self.compressible = compressible
  }

  /// "orders.csv.gz" is an archive: the last ending decides.
  init(of fileName: String) { self = Self.byEnding[FileName(fileName).ending] ?? .other }
}

/// A key cut into what the rules look at.
struct FileName {
  /// What stands after the last "/".
  let last: Substring
  /// Lower case, without its dot; empty where there is none.
  let ending: String

  init(_ key: String) {
    last = key.split(separator: "/", omittingEmptySubsequences: true).last ?? ""
    guard let dot = last.lastIndex(of: "."), dot != last.startIndex else {
      ending = ""
      return
    }
    ending = last[last.index(after: dot)...].lowercased()
  }
}
