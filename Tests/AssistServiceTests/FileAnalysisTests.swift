// What the analysis counts and warns of.
import FerryAPI
import RPC
import Testing

@testable import AssistService

func analysis(_ files: [(String, Int64)]) -> FileAnalysis {
  RulesGenerator().analyseFiles(
    .with { $0.files = files.map { file in .with { $0.name = file.0; $0.size = file.1 } } })
}

@Suite("File analysis")
struct FileAnalysisTests {
  @Test("files are grouped by kind, largest first, and summed")
  func groups() {
    let result = analysis([("a.csv", 10), ("b.JSON", 30), ("c.tar.gz", 100), ("d", 5), ("x/e.jpg", 7)])
    #expect((result.files, result.bytes) == (5, 152))
    #expect(result.groups.map(\.kind) == ["archive", "text", "image", "other"])
    #expect(result.groups.map(\.files) == [1, 2, 1, 1])
    #expect(result.groups.map(\.bytes) == [100, 40, 7, 5])
    #expect(result.groups.map(\.compressible) == [false, true, false, false])
    #expect(result.generator == "rules")
    #expect(
      result.summary
        == "5 files, 152 bytes in all: archive (1 file, 100 bytes), text (2 files, 40 bytes), "
        + "image (1 file, 7 bytes), other (1 file, 5 bytes). The largest is c.tar.gz with 100 bytes.")
  }

  @Test("no files are said to be none, and clean ones get no warning")
  func clean() {
    #expect(analysis([]).summary == "There are no files.")
    #expect(analysis([("reports/a.csv", 10), ("reports/b.csv", 20)]).warnings == [])
  }

  @Test("each kind of trouble is named with its file", arguments: [
    ("x/empty.csv", 0, "1 file is empty: x/empty.csv."),
    ("data.csv.part", 1, "1 file has a name of temporary or unfinished files: data.csv.part."),
    ("~$plan.xlsx", 1, "1 file has a name of temporary or unfinished files: ~$plan.xlsx."),
    ("a/.env", 1, "1 file is hidden, for the name starts with a dot: a/.env."),
    ("setup.EXE", 1, "1 file looks like a program: setup.EXE."),
    ("a:b.csv", 1, "1 file has a name that some systems refuse or change: a:b.csv."),
    ("a /b.csv", 1, "1 file has a name that some systems refuse or change: a /b.csv."),
    ("a/../b.csv", 1, "1 file has a name that some systems refuse or change: a/../b.csv."),
    ("a\nb.csv", 1, "1 file has a name that some systems refuse or change: a\\u{A}b.csv."),
    ("big.bak", 10 << 30, "1 file has 10 GiB or more: big.bak."),
  ] as [(String, Int64, String)])
  func warnings(name: String, size: Int64, warning: String) {
    #expect(analysis([("ok.csv", 1), (name, size)]).warnings == [warning])
  }

  @Test("names that differ only in case are told, once a set")
  func collisions() {
    let warnings = analysis([("A.csv", 1), ("a.CSV", 1), ("a.csv", 1), ("b.csv", 1)]).warnings
    #expect(warnings.count == 1)
    #expect(warnings.first?.hasSuffix("one file may replace another: a.CSV.") == true)
  }

  @Test("a warning shows a few names and counts the rest")
  func manyNames() {
    let warnings = analysis((1...1204).map { ("f\($0).csv", 0) }).warnings
    #expect(warnings == ["1,204 files are empty: f1.csv, f2.csv, f3.csv and 1,201 more."])
  }

  @Test("a marker of a folder is no empty file")
  func folderMarker() { #expect(analysis([("reports/", 0), ("reports/a.csv", 1)]).warnings == []) }

  @Test("sums stop at the largest number instead of wrapping")
  func overflow() { #expect(analysis([("a.csv", .max), ("b.csv", .max)]).bytes == .max) }

  @Test("negative sizes and too many files are refused")
  func refused() {
    #expect(throws: RPCError.self) { try AssistRoutes.check([.with { $0.name = "a"; $0.size = -1 }]) }
    #expect(throws: RPCError.self) {
      try AssistRoutes.check([FileFacts](repeating: FileFacts(), count: AssistRoutes.maximumFiles + 1))
    }
  }
}
