// What a person would want to know of the files before they leave: empty or unfinished ones, names that collide or that
// another system refuses, programs. Each rule counts its files and hands a few names to AnalysisWords.
import FerryAPI

enum FileWarnings {
  /// From here on a file is worth a word about how long it takes.
  static let veryLargeBytes: Int64 = 10 << 30
  /// Names that a warning shows; it counts them all.
  static let shownNames = 3

  static func all(of files: [FileFacts]) -> [String] {
    var warnings = rules.compactMap { rule -> String? in
      let found = files.lazy.filter { rule.matches($0) }
      let count = found.count
      return count == 0 ? nil : rule.words(count, found.prefix(shownNames).map(\.name))
    }
    let collisions = collidingNames(in: files)
    if !collisions.isEmpty {
      warnings.append(AnalysisWords.collidingNames(collisions.count, collisions.prefix(shownNames).map { $0 }))
    }
    return warnings
  }

  private struct Rule: Sendable {
    let matches: @Sendable (FileFacts) -> Bool
    let words: @Sendable (_ count: Int, _ names: [String]) -> String
  }

  private static let rules: [Rule] = [
    // A key that ends in "/" marks a folder and is empty by nature.
    Rule(matches: { $0.size == 0 && !$0.name.hasSuffix("/") }, words: AnalysisWords.emptyFiles),
    Rule(matches: { isUnfinished(FileName($0.name)) }, words: AnalysisWords.unfinishedFiles),
    Rule(matches: { FileName($0.name).last.hasPrefix(".") }, words: AnalysisWords.hiddenFiles),
    Rule(matches: { programs.contains(FileName($0.name).ending) }, words: AnalysisWords.programs),
    Rule(matches: { hasOddCharacters($0.name) }, words: AnalysisWords.oddNames),
    Rule(matches: { $0.size >= veryLargeBytes }, words: AnalysisWords.veryLargeFiles),
  ]

  private static let unfinishedEndings: Set<String> = [
    "tmp", "temp", "part", "partial", "crdownload", "download", "filepart", "swp", "inprogress",
  ]
  private static let programs: Set<String> = [
    "exe", "dll", "com", "scr", "bat", "cmd", "ps1", "vbs", "msi", "sh", "bin", "app", "deb", "rpm", "apk", "jar", "so",
  ]

  private static func isUnfinished(_ name: FileName) -> Bool {
    unfinishedEndings.contains(name.ending) || name.last.hasPrefix("~$") || name.last.hasSuffix("~")
  }

  /// Characters that Windows refuses in names, control characters, blanks or dots at an end, and steps like "..".
  static func hasOddCharacters(_ name: String) -> Bool {
    if name.unicodeScalars.contains(where: { "\\:*?\"<>|".unicodeScalars.contains($0) || OneLine.isHidden($0) }) {
      return true
    }
    return name.split(separator: "/").contains { step in
      step == "." || step == ".." || step.first == " " || step.last == " " || step.last == "."
    }
  }

  /// Names that another one equals but for upper and lower case, each set shown by its first.
  private static func collidingNames(in files: [FileFacts]) -> [String] {
    var seen: [String: Int] = [:]
    var collisions: [String] = []
    for file in files {
      let count = seen[file.name.lowercased(), default: 0] + 1
      seen[file.name.lowercased()] = count
      if count == 2 { collisions.append(file.name) }
    }
    return collisions
  }
}
