// The page's files: exact names only, right types, no way out of the folder.
import Foundation
import HTTPTypes
import Logging
import Testing

@testable import GatewayService

@Suite final class StaticFilesTests {
  private let folder: URL
  private let files: StaticFiles

  init() throws {
    folder = FileManager.default.temporaryDirectory.appending(path: "gateway-web-\(UUID().uuidString)")
    let web = folder.appending(path: "web")
    try FileManager.default.createDirectory(at: web.appending(path: "pages"), withIntermediateDirectories: true)
    try Data("secret".utf8).write(to: folder.appending(path: "secret.txt"))
    try Data("<!doctype html>".utf8).write(to: web.appending(path: "index.html"))
    try Data("export {};".utf8).write(to: web.appending(path: "pages/home.js"))
    try Data("key".utf8).write(to: web.appending(path: ".hidden.js"))
    try Data("?".utf8).write(to: web.appending(path: "unknown.bin"))
    try FileManager.default.createSymbolicLink(
      at: web.appending(path: "link.txt"), withDestinationURL: folder.appending(path: "secret.txt"))
    files = try StaticFiles(root: web.path)
  }

  deinit {
    do { try FileManager.default.removeItem(at: folder) } catch { Issue.record(error) }
  }

  @Test("files are served under their names, the index also under /, each with its type")
  func served() throws {
    #expect(files.paths == ["/", "/index.html", "/pages/home.js"])
    #expect(files.response("/", [:])?.headers[.contentType] == "text/html; charset=utf-8")
    #expect(files.response("/pages/home.js", [:])?.headers[.contentType] == "text/javascript; charset=utf-8")
  }

  @Test(
    "nothing outside the folder, hidden, linked or of unknown type can be had",
    arguments: [
      "/../secret.txt", "/pages/../../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "//etc/passwd",
      "/link.txt",
      "/.hidden.js", "/unknown.bin", "/pages", "/pages/", "", "/index.html/", "/INDEX.HTML",
    ])
  func outside(path: String) {
    #expect(files.response(path, [:]) == nil)
  }

  @Test("who has the file already gets 304 and no body")
  func notModified() throws {
    let etag = try #require(files["/"]?.etag.description)
    for known in [etag, "W/\(etag)", "\"x\", \(etag)", "*"] {
      let response = try #require(files.response("/", [.ifNoneMatch: known]))
      #expect(response.status == .notModified)
      #expect(response.body.contentLength == 0)
      #expect(response.headers[.eTag] == etag)
    }
    #expect(files.response("/", [.ifNoneMatch: "\"x\""])?.status == .ok)
  }

  @Test("what is neither a route nor a file is a problem with 404; the page answers GET and HEAD alone")
  func neither() throws {
    let page = PageMiddleware(api: RestAPI(backends: FakeServices.nowhere, logger: Logger(label: "test")), files: files)
    let missing = page.answer(.get, "/api/v1/nope", [:])
    #expect(missing.status == .notFound)
    #expect(missing.headers[.contentType] == "application/problem+json")
    #expect(missing.headers[.contentSecurityPolicy] != nil)
    #expect(page.answer(.post, "/", [:]).status == .notFound)
    let head = page.answer(.head, "/", [:])
    #expect(head.status == .ok && head.headers[.contentSecurityPolicy] != nil)
    #expect(head.headers[.contentLength] == "15" && head.body.contentLength == 0)
  }

  @Test("another content has another validator")
  func etags() {
    #expect(EntityTag(of: Data("a".utf8)) != EntityTag(of: Data("b".utf8)))
  }

  @Test("a folder without the page is refused when the gateway starts")
  func noPage() {
    #expect(throws: StaticFiles.Failure.self) { try StaticFiles(root: self.folder.path) }
    #expect(throws: StaticFiles.Failure.self) { try StaticFiles(root: self.folder.path + "/missing") }
  }
}
