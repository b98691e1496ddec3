import ApusAdapters
import ApusBase
import ApusModels
import ApusTokenizers
import ApusTorch
import Foundation

// A checkpoint folder as Hugging Face writes it, and where the adapter goes.
let folder = URL(fileURLWithPath: CommandLine.arguments[1])
let output = URL(fileURLWithPath: CommandLine.arguments[2])

let random = RandomStream(seed: 1)
let tokenizer = try Tokenizer(contentsOf: folder)
let model = try Backbone(Checkpoint(folder: folder))
  .makeClassifier(labels: 2, pooling: .mean, random: random)
let adapted = try AdaptedModel(model, AdapterConfiguration(), random: random)

let texts = ["a warm and funny film", "two hours that felt like ten"]
let batch = try TokenBatch(texts.map { try tokenizer.encode($0, padding: .off).ids })
let labels = Tensor([1, 0], shape: [2])

let leaves = adapted.trainables.map(\.leaf)
var optimizer = try OptimizerConfiguration.adamW.makeOptimizer()
for step in 0..<10 {
  let loss = model.loss(batch, labels: labels, random: random.substream("step", step))
  optimizer.step(leaves, gradients: loss.gradients(by: leaves), learningRate: 3e-3)
  try Tensor.check()
  print("step \(step): loss \(loss.item)")
}

try adapted.folder(
  baseModel: "sentence-transformers/all-MiniLM-L6-v2",
  notes: AdapterNotes(pooling: "mean", labels: ["bad", "good"])
).write(to: output)
