import ApusBase
import ApusTestSupport
import ApusTokenizers
import Foundation
import Testing

@Suite struct ChatTemplateLaws {
  /// A conversation, and what transformers makes of it.
  struct Case: CustomTestStringConvertible, Sendable {
    let name: String
    let template: String
    let messages: [ChatMessage]
    let add: Bool
    let expected: String?
    let refusal: String?

    var testDescription: String { "\(name)\(add ? ", to go on" : "")" }
  }

  static let cases: [Case] = {
    let file = Places.fixtures.appending(path: "../chat/chat.json")
    guard let nodes = try? JSONNode(contentsOf: file).array() else { return [] }
    return nodes.compactMap { node in
      guard let name = try? node["name"].string(), let add = try? node["add"].bool(),
        let template = try? node["template"].string(), let turns = try? node["messages"].array()
      else { return nil }
      return Case(
        name: name, template: template,
        messages: turns.map {
          ChatMessage(
            role: (try? $0["role"].string()) ?? "", content: (try? $0["content"].string()) ?? "")
        }, add: add, expected: try? node["expected"].string(),
        refusal: try? node["error"].string())
    }
  }()

  private let tokens = ["bos_token": "<s>", "eos_token": "</s>"]

  @Test(arguments: cases)
  func `conversations read as in transformers`(_ item: Case) throws {
    let template = try ChatTemplate(item.template, tokens: tokens)
    guard let refusal = item.refusal else {
      let text = try template.render(item.messages, addGenerationPrompt: item.add)
      #expect(text == item.expected)
      return
    }
    let error = #expect(throws: ApusError.self) {
      try template.render(item.messages, addGenerationPrompt: item.add)
    }
    #expect(error?.problem.contains(refusal) == true)
  }

  @Test func `there are conversations to compare`() { #expect(Self.cases.count == 40) }

  @Test(arguments: [
    ("{% include 'x' %}", "include"), ("{{ x | shuffle }}", "shuffle"),
    ("{{ 'a'.encode() }}", "encode"), ("{{ x is prime }}", "prime"), ("{% if x %}", "endif"),
    ("{{ x", "}"), ("{{ x ! y }}", "!"), ("{{ f() }}", "f"), ("{{ nothing.there }}", "there"),
    ("{{ 1 / 0 }}", "0"), ("{{ 9223372036854775807 + 1 }}", "large"),
    ("{{ 99999999999999999999 }}", "large"), ("{{ range(1000000) }}", "long"),
    ("{{ 'a' * 100000000 }}", "100000000"), ("{{ strftime_now('%Y') }}", "date"),
    ("{% set a, b = [1] %}", "2 names"), ("{% set x.y = 1 %}", "namespace"),
    ("{% for a in 5 %}{% endfor %}", "walked"), ("{{ 'a' < 1 }}", "order"),
    ("{{ 'a' + 1 }}", "joined"), ("{{ [1, 2][::0] }}", "step"),
    ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "f"),
  ])
  func `what a template may not do is named`(template: String, told: String) throws {
    let error = #expect(throws: ApusError.self) {
      try ChatTemplate(template).render([], addGenerationPrompt: false)
    }
    #expect(error.map { "\($0)".contains(told) } == true, "\(String(describing: error))")
  }

  @Test(arguments: [
    String(repeating: "(", count: 5_000), String(repeating: "[", count: 5_000),
    String(repeating: "not ", count: 5_000) + "x", "1" + String(repeating: " + 1", count: 5_000),
    "x" + String(repeating: ".y", count: 5_000), "x" + String(repeating: " or x", count: 5_000),
    "1" + String(repeating: " if 1 else 1", count: 5_000),
    String(repeating: "-", count: 5_000) + "1",
  ])
  func `no expression exhausts the stack`(_ expression: String) {
    // Thrown or computed: what counts is that the process goes on.
    _ = try? ChatTemplate("{{ \(expression) }}").render([], addGenerationPrompt: false)
    let nested = String(repeating: "{% if 1 %}", count: 5_000)
    #expect(throws: ApusError.self) { try ChatTemplate(nested) }
  }

  @Test func `a checkpoint's template has its special tokens`() throws {
    let folder = try TemporaryFolder()
    let missing = #expect(throws: ApusError.self) { try ChatTemplate(contentsOf: folder.url) }
    #expect(missing?.code == .unsupported)
    let config = """
      {"bos_token": {"content": "<s>", "special": true}, "eos_token": "</s>",
       "chat_template": [{"name": "tool", "template": "no"},
         {"name": "default", "template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"}]}
      """
    try Data(config.utf8).write(to: folder("tokenizer_config.json"))
    let messages = [ChatMessage(role: "user", content: "hi")]
    let own = try ChatTemplate(contentsOf: folder.url)
    #expect(try own.render(messages, addGenerationPrompt: true) == "<s>hi</s>")
    try Data("{{ 1 }}".utf8).write(to: folder("chat_template.jinja"))
    #expect(
      try ChatTemplate(contentsOf: folder.url).render(messages, addGenerationPrompt: true) == "1")
  }
}
