import ApusBase
import Testing

@testable import ApusExperiments

@Suite struct ConfigurationNodeLaws {
  @Test(arguments: [
    "a: [", "a: {b", "a: \"x", "\ta: 1", "a: 1\n b: 2", "a: *nowhere", "a: 1\na: 2", "%YAML 9",
    "--- a\n--- b", "a: !!int {", "- a\nb: c", "\u{1}", "a: b: c",
  ])
  func `malformed YAML is refused with the file's name`(yaml: String) {
    let error = refusal(yaml)
    #expect(error?.location.hasPrefix("run.yaml") == true, "\(error?.location ?? "")")
    #expect(error?.description.contains("\n") == false)
  }

  @Test(arguments: ["5", "- a\n- b", "just text", "[a]"])
  func `a file without sections is refused`(yaml: String) {
    #expect(refusal(yaml)?.problem.contains("sections") == true)
  }

  @Test(arguments: ["[", "{a: ", "- ", "? "])
  func `a file nested without end is refused, not followed down`(opening: String) {
    let error = refusal("name: " + String(repeating: opening, count: 100_000))
    #expect(error?.location.hasPrefix("run.yaml") == true)
  }

  @Test func `anchors are read like what they stand for`() throws {
    let found = try read("inner: {clip-norm: &x 2}\nlearning-rate: *x")
    #expect(found.learningRate == 2)
  }

  @Test func `a missing value is a node that knows where it would be`() throws {
    let node = try ConfigurationNode.parse("a:\n  b: 1", file: "run.yaml")["a"]["c"]["d"]
    #expect(node.node == nil)
    #expect(node.keys.isEmpty)
    #expect(node.path == "a.c.d")
    #expect(node.error("p", remedy: "r").location.hasSuffix("a.c.d"))
  }

  @Test(arguments: 0..<400 as Range<UInt64>)
  func `a mutated file is read or refused in one line`(seed: UInt64) {
    let whole = """
      # a run
      local-epochs: 3
      learning_rate: 1e-3
      name: "näme"
      is-quiet: true
      step-limit: null
      ranks: [1, 2, 3]
      sites:
        - query
        - 'value'
      counts: &c {a: 1, b: 2}
      inner:
        kind: two-words
        clip-norm: 0.5
      """
    var stream = RandomStream(seed: seed)
    var scalars = Array(whole.unicodeScalars)
    let noise = Array(":-[]{}\"'#&*!|>%@`?,\n\t ~0.e_\0\u{FEFF}é😀".unicodeScalars)
    for _ in 0...stream.integer(below: 4) {
      let place = stream.integer(below: scalars.count)
      switch stream.integer(below: 4) {
      case 0: scalars.remove(at: place)
      case 1: scalars.insert(noise[stream.integer(below: noise.count)], at: place)
      case 2: scalars[place] = noise[stream.integer(below: noise.count)]
      default: scalars.swapAt(place, stream.integer(below: scalars.count))
      }
    }
    var text = String.UnicodeScalarView()
    text.append(contentsOf: scalars)
    do throws(ApusError) { _ = try read(String(text)) } catch {
      #expect(error.code == .invalidConfig)
      #expect(error.location.hasPrefix("run.yaml"))
      #expect(!error.description.contains("\n"), "\(error)")
    }
  }
}
