import ApusBase
import Testing

@Suite struct YAMLTextLaws {
  @Test(arguments: [
    ("plain", "\"plain\""), ("", "\"\""), ("C:\\models", "\"C:\\\\models\""),
    ("a \"b\"", "\"a \\\"b\\\"\""), ("a\nb\t", "\"a\\u000ab\\u0009\""), ("ä: #é", "\"ä: #é\""),
    ("\u{2028}\u{85}", "\"\\u2028\\u0085\""),
  ])
  func `a text stands in double quotes, with what would end it escaped`(
    text: String, quoted: String
  ) {
    #expect(YAMLText.quoted(text) == quoted)
  }
}
