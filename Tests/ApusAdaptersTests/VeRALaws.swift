import ApusBase
import ApusCore
import ApusModels
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

@testable import ApusAdapters

@Suite struct VeRALaws {
  let golden: Golden
  let random = RandomStream(seed: 7)
  init() throws { golden = try Golden() }

  @Test func `a seed gives the matrices that PEFT draws from it, bit for bit`() throws {
    let file = try SafetensorsFile(
      contentsOf: ParameterizationFiles.fixtures.appending(
        path: "vera/adapter_model.safetensors"))
    let drawn = VeRAProjections(rank: 5, inputs: 32, outputs: 48, seed: 3, device: .cpu)
    for (name, tensor) in drawn.named {
      #expect(tensor.isIdentical(to: try file.tensor(name)), "\(name)")
    }
    let zero = try SafetensorsFile(
      contentsOf: ParameterizationFiles.fixtures.appending(path: "outputs.safetensors"))
    let standard = VeRAProjections(rank: 7, inputs: 20, outputs: 30, seed: 0, device: .cpu)
    #expect(standard.a.isIdentical(to: try zero.tensor("projection/A")))
    #expect(standard.b.isIdentical(to: try zero.tensor("projection/B")))
  }

  @Test func `all sites share the two matrices, and training moves the vectors alone`() throws {
    let model = try Golden.model()
    let adapted = try AdaptedModel(
      model, adapter(.vera) { $0.targets = .allLinear }, random: random)
    let adapters = adapted.adapters[0].members.compactMap { $0.adapter as? VeRA }
    let projections = try #require(adapters.first).projections
    #expect(adapters.allSatisfy { $0.projections === projections })
    #expect(projections.a.shape == [4, 48] && projections.b.shape == [48, 4])
    let before = (projections.a.cloned(), projections.b.cloned())
    let start = adapted.values
    let labels = try golden.file.tensor("labels")
    for _ in 0..<3 {
      let loss = model.loss(try golden.batch, labels: labels, random: nil)
      let gradients = loss.gradients(by: adapted.trainables.map(\.leaf))
      for ((_, leaf), gradient) in zip(adapted.trainables, gradients) {
        leaf.addInPlace(try #require(gradient), factor: -0.5)
      }
    }
    #expect(projections.a.isIdentical(to: before.0) && projections.b.isIdentical(to: before.1))
    for (name, tensor) in adapted.values {
      #expect(!tensor.isIdentical(to: try #require(start[name])), "\(name)")
      #expect(name.contains(".vera_lambda_") || name.contains(".classifier."))
    }
  }

  @Test func `the change is diag(b)·B·diag(d)·A`() {
    var stream = RandomStream(seed: 1)
    let layer = Linear(6, 5)
    layer.weight.value = .normal([5, 6], stream: &stream)
    let projections = VeRAProjections(rank: 3, inputs: 8, outputs: 9, seed: 2, device: .cpu)
    let adapter = VeRA(for: layer, sharing: projections, VeRAOptions(), dropout: 0)
    #expect(adapter.d.floats == [0.1, 0.1, 0.1])
    adapter.b.assignInPlace(.normal([5], stream: &stream))
    adapter.d.assignInPlace(.normal([3], stream: &stream))
    let x = Tensor.normal([4, 6], stream: &stream)
    let inner = linear(x, weight: projections.a.sliced(1, 0..<6)) * adapter.d
    let expected = linear(inner, weight: projections.b.sliced(0, 0..<5)) * adapter.b
    let pass = ForwardPass(layout: RowLayout(lengths: [4]))
    expectClose(
      adapter.contribution(of: x, layer: layer, pass: pass), expected, absolute: 1e-6,
      relative: 1e-5)
    expectClose(
      linear(x, weight: adapter.change(of: layer.weight.value)), expected, absolute: 1e-5,
      relative: 1e-4)
  }
}
