// SMTPClient's promises against a scripted mail server, and the mail's own form.
import Foundation
import NIOCore
import Synchronization
import Testing

@testable import Transport

@Suite("SMTP client")
struct SMTPClientTests {
  /// What a mail server heard.
  private final class Mailbox: Sendable {
    let lines = Mutex<[String]>([])
    var all: [String] { lines.withLock { $0 } }
  }

  /// Answers as a mail server does, `replies` by command first.
  private func server(_ mailbox: Mailbox, _ replies: [String: String] = [:], ehlo: String = "250-here\r\n250 8BITMIME")
    throws -> ScriptedServer
  {
    try ScriptedServer { connection in
      connection.write((replies["greeting"] ?? "220 scripted") + "\r\n")
      var inData = false
      while let line = connection.line() {
        mailbox.lines.withLock { $0.append(line) }
        let command = line.prefix(4).uppercased()
        if inData {
          guard line == "." else { continue }
          inData = false
          connection.write((replies["."] ?? "250 2.0.0 queued as 4711") + "\r\n")
        } else if command == "DATA" {
          inData = replies[command] == nil
          connection.write((replies[command] ?? "354 go on") + "\r\n")
        } else {
          let usual = command == "EHLO" ? ehlo : command == "QUIT" ? "221 bye" : "250 ok"
          connection.write((replies[command] ?? usual) + "\r\n")
        }
      }
    }
  }

  private func client(
    _ server: ScriptedServer, _ security: SMTPClientConfiguration.Security = .none, user: String? = nil
  ) -> SMTPClient {
    var configuration = SMTPClientConfiguration(
      host: "127.0.0.1", port: server.port, security: security, user: user, password: user.map { _ in "hush-hush" })
    configuration.clientName = "ferry.example.com"
    configuration.allowsPasswordWithoutTLS = user == "plain"
    return SMTPClient(configuration)
  }

  private func mail(subject: String = "Delivered", text: String = "Hello\n.\nend") -> SMTPMessage {
    SMTPMessage(
      from: SMTPMailbox("ferry@example.com", name: "FileFerry"),
      to: [SMTPMailbox("ada@example.com", name: "Ada"), SMTPMailbox("bob@example.com")], subject: subject, text: text,
      messageID: "<1@example.com>", date: SMTPMessage.date(secondsSince1970: 784_111_777),
      headers: [("Auto-Submitted", "auto-generated")])
  }

  private func failure(_ client: SMTPClient, _ message: SMTPMessage) async -> TransportError? {
    do throws(TransportError) {
      _ = try await client.send(message)
      return nil
    } catch {
      return error
    }
  }

  @Test("a mail reaches every recipient with its headers and its text")
  func delivered() async throws {
    let mailbox = Mailbox()
    let server = try server(mailbox)
    let receipt = try await client(server).send(mail())
    #expect(receipt == SMTPClient.Receipt(replyCode: 250, reply: "250 2.0.0 queued as 4711"))
    let heard = mailbox.all
    #expect(heard.first == "EHLO ferry.example.com")
    #expect(heard.contains { $0.hasPrefix("MAIL FROM:<ferry@example.com>") })
    #expect(heard.filter { $0.hasPrefix("RCPT TO:") } == ["RCPT TO:<ada@example.com>", "RCPT TO:<bob@example.com>"])
    for line in [
      "Date: Sun, 06 Nov 1994 08:49:37 +0000", "From: \"FileFerry\"", " <ferry@example.com>",
      "Message-ID: <1@example.com>",
      "Subject: Delivered", "Auto-Submitted: auto-generated", "Content-Type: text/plain; charset=utf-8",
      Data("Hello\r\n.\r\nend".utf8).base64EncodedString(),
    ] { #expect(heard.contains(line), "\(line)") }
  }

  @Test(
    "a refusal carries the server's words, and 4xx alone may be tried again",
    arguments: [
      ("RCPT", "550 5.1.1 no such user", false), ("MAIL", "451 4.7.1 greylisted", true), (".", "554 5.7.1 spam", false),
      (".", "452 4.3.1 disk full", true), ("greeting", "421 too busy", true), ("DATA", "503 no", false),
    ])
  func refused(_ command: String, _ reply: String, _ retryable: Bool) async throws {
    let mailbox = Mailbox()
    let server = try server(mailbox, [command: reply])
    let error = await failure(client(server), mail())
    #expect(error?.kind == .refused)
    #expect(error?.retryable == retryable)
    #expect(error?.message.contains(reply) == true, "\(error?.message ?? "none")")
    #expect(error?.message.contains("127.0.0.1:\(server.port)") == true)
  }

  @Test("a wrong password is a refused login that shows no password")
  func login() async throws {
    let mailbox = Mailbox()
    let server = try server(mailbox, ["AUTH": "535 5.7.8 bad credentials"], ehlo: "250-here\r\n250 AUTH PLAIN")
    let error = await failure(client(server, user: "plain"), mail())
    #expect(error?.kind == .refused)
    #expect(error?.retryable == false)
    #expect(error?.description.contains("hush") == false)
    #expect(mailbox.all.contains { $0.hasPrefix("AUTH PLAIN") })
  }

  @Test("without the STARTTLS that was asked for nothing is sent")
  func noSTARTTLS() async throws {
    let mailbox = Mailbox()
    let server = try server(mailbox)
    #expect(await failure(client(server, .startTLS), mail())?.kind == .tls)
    #expect(!mailbox.all.contains { $0.hasPrefix("MAIL") })
  }

  @Test(
    "a password does not go over an unencrypted line unless that is allowed",
    arguments: [
      SMTPClientConfiguration.Security.none, .startTLSIfOffered,
    ])
  func passwordNeedsTLS(_ security: SMTPClientConfiguration.Security) async throws {
    let mailbox = Mailbox()
    let server = try server(mailbox, ehlo: "250-here\r\n250 AUTH PLAIN")
    #expect(await failure(client(server, security, user: "ada"), mail())?.kind == .invalidRequest)
    #expect(mailbox.all.isEmpty)
  }

  @Test("no value can smuggle in a header, a recipient or a command")
  func injection() {
    var messages = [SMTPMessage](repeating: mail(), count: 9)
    messages[0].subject = "a\r\nBcc: eve@example.com"
    messages[1].headers = [("X-A", "b\nBcc: eve@example.com")]
    messages[2].headers = [("X-A: b\r\nBcc", "eve@example.com")]
    messages[3].to = [SMTPMailbox("ada@example.com>\r\nRCPT TO:<eve@example.com")]
    messages[4].from = SMTPMailbox("ferry@example.com", name: "x\r\nBcc: eve@example.com")
    messages[5].messageID = "<1@example.com>\r\nBcc: eve@example.com"
    messages[6].headers = [("Bcc", "eve@example.com")]
    messages[7].to = []
    messages[8].date = "x\r\nBcc: eve@example.com"
    for message in messages {
      #expect(throws: TransportError.self) { try message.rendered() }
    }
  }

  @Test("headers beyond ASCII become encoded words of at most 75 characters that split no character")
  func encodedWords() throws {
    let subject = String(repeating: "Straße 🚀 ", count: 30)
    let text = try mail(subject: subject).rendered()
    let lines = text.components(separatedBy: "\r\n")
    let start = try #require(lines.firstIndex { $0.hasPrefix("Subject: ") })
    let words =
      [String(lines[start].dropFirst(9))]
      + lines[(start + 1)...].prefix { $0.hasPrefix(" ") }.map { String($0.dropFirst()) }
    var decoded = ""
    for word in words {
      #expect(word.utf8.count <= 75)
      let base64 = word.dropFirst("=?utf-8?B?".count).dropLast(2)
      let data = try #require(Data(base64Encoded: String(base64)))
      decoded += try #require(String(data: data, encoding: .utf8))
    }
    #expect(decoded == subject)
  }

  @Test("line ends of any kind become CRLF, and no line is longer than 78")
  func lineEnds() throws {
    let text = try mail(text: "a\nb\r\nc\rd\n\n" + String(repeating: "long ", count: 400)).rendered()
    let parts = text.components(separatedBy: "\r\n\r\n")
    let body = try #require(Data(base64Encoded: parts[1].replacingOccurrences(of: "\r\n", with: "")))
    #expect(String(decoding: body, as: UTF8.self).hasPrefix("a\r\nb\r\nc\r\nd\r\n\r\nlong"))
    #expect(text.components(separatedBy: "\r\n").allSatisfy { $0.utf8.count <= 78 })
    #expect(!text.replacingOccurrences(of: "\r\n", with: "").contains { $0 == "\r" || $0 == "\n" })
  }

  @Test("a configuration shows no password")
  func redacted() {
    let configuration = SMTPClientConfiguration(
      host: "mail.example.com", port: 465, security: .implicitTLS, user: "ada", password: "hush-hush")
    var dumped = ""
    dump(configuration, to: &dumped)
    #expect(!(dumped + "\(configuration) \(String(reflecting: configuration))").contains("hush"))
  }
}
