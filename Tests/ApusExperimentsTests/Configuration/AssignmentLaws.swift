import ApusBase
import Testing

@testable import ApusExperiments

@Suite struct AssignmentLaws {
  @Test func `an assignment overrides the file, and the last one wins`() throws {
    let found = try read(
      "local-epochs: 2\ninner:\n  kind: third\n  clip-norm: 4", "local-epochs=5",
      "inner.clip-norm=6", "inner.clip-norm=1e-2")
    #expect(found.localEpochs == 5)
    #expect(found.inner == SampleOptions.Inner(kind: .third, clipNorm: 0.01))
  }

  @Test func `an assignment creates what the file does not have`() throws {
    let found = try read("", "inner.clip_norm=6", "sites=[a, b]", "target=", "name=\"x = y\"")
    #expect(found.inner.clipNorm == 6)
    #expect(found.sites == ["a", "b"])
    #expect(found.target == nil)
    #expect(found.name == "x = y")
    #expect(try read("inner: 3", "inner.clip-norm=6").inner.clipNorm == 6)
    #expect(try read("name: a", "name=b=c").name == "b=c")
  }

  @Test func `either spelling overrides either spelling`() throws {
    #expect(try read("local-epochs: 2", "local_epochs=5").localEpochs == 5)
    #expect(try read("local_epochs: 2", "local-epochs=5").localEpochs == 5)
    #expect(try read("", "local_epochs=4", "local-epochs=5").localEpochs == 5)
  }

  @Test(arguments: ["", "=", "=5", "local-epochs", ".=5", "inner.=5", "inner..kind=5", ".name=a"])
  func `an assignment without key and value is refused`(assignment: String) {
    let error = refusal("", assignment)
    #expect(error?.location == "--set \(assignment)")
    #expect(error?.remedy.contains("--set training.learning-rate=1e-3") == true)
  }

  @Test(arguments: ["name=[a", "name={", "name=\"a", "name=a: b: c"])
  func `a value that is not YAML is refused`(assignment: String) {
    #expect(refusal("", assignment)?.location == "--set \(assignment)")
  }

  @Test(arguments: [
    ("local-epochs=many", "--set local-epochs=many, local-epochs"),
    ("local_epochs=0", "--set local_epochs=0, local-epochs"),
    ("inner.clip-norm=-1", "--set inner.clip-norm=-1, inner.clip-norm"),
    ("inner={kind: x}", "--set inner={kind: x}, inner.kind"),
    ("innner.kind=plain", "--set innner.kind=plain, innner"),
    ("backup.clip-norm=-1", "--set backup.clip-norm=-1, backup.clip-norm"),
    ("ranks=[1, x]", "--set ranks=[1, x], ranks[1]"),
  ])
  func `an error in an assigned value points to the assignment, not to the file`(
    assignment: String, place: String
  ) {
    let yaml = "local-epochs: 2\ninner:\n  kind: third\n  clip-norm: 4"
    #expect(refusal(yaml, assignment)?.location == place)
  }

  @Test func `what is not assigned still points to the file`() {
    let error = refusal("name: a\ninner:\n  kind: wrong", "inner.clip-norm=1")
    #expect(error?.location == "run.yaml:3, inner.kind")
  }
}
