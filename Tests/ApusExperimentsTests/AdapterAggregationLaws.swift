import ApusAdapters
import ApusBase
import ApusCore
import ApusExperiments
import ApusMethods
import ApusTestSupport
import ApusTorch
import Foundation
import Testing

private let stem = "base_model.model.encoder.layer.0.attention.self.query"

/// A PEFT folder of one site [6, 5] with alpha and rank of its own, and its product; one of the
/// factors may be the same in all folders.
private func writeFolder(
  _ folder: URL, rank: Int, alpha: Int, seed: UInt64, sharing shared: String? = nil,
  dtype: DType = .float32
) throws -> Tensor {
  func draw(_ name: String, _ shape: [Int]) -> Tensor {
    var stream = RandomStream(seed: name == shared ? 99 : seed).substream(name)
    return Tensor.normal(shape, stream: &stream).to(dtype)
  }
  let (a, b) = (draw("A", [rank, 5]), draw("B", [6, rank]))
  try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
  try Safetensors.write(
    [("\(stem).lora_A.weight", a), ("\(stem).lora_B.weight", b)], metadata: ["format": "pt"],
    to: folder.appending(path: "adapter_model.safetensors"))
  let config = """
    {"peft_type": "LORA", "r": \(rank), "lora_alpha": \(alpha), "target_modules": ["query"],
     "base_model_name_or_path": "tiny"}
    """
  try Data(config.utf8).write(to: folder.appending(path: "adapter_config.json"))
  return matmul(b.to(.float64), a.to(.float64)) * (Double(alpha) / Double(rank))
}

/// Σ pₖ·sₖBₖAₖ of folders with these ranks and alphas, and the product of what a method writes.
private func aggregated(
  _ method: String, ranks: [Int], alphas: [Int], weights: [Double], sharing shared: String? = nil,
  dtype: DType = .float32
) throws -> (found: Tensor, ideal: Tensor, metrics: Metrics) {
  let place = try TemporaryFolder()
  var (folders, ideal): ([URL], Tensor) = ([], .zeros([6, 5], dtype: .float64))
  for (index, rank) in ranks.enumerated() {
    let folder = place("site\(index)")
    let product = try writeFolder(
      folder, rank: rank, alpha: alphas[index], seed: UInt64(index), sharing: shared, dtype: dtype)
    ideal = ideal + product * (weights[index] / weights.reduce(0, +))
    folders.append(folder)
  }
  let result = try AdapterAggregation(
    folders, weights: weights, method: try MethodCatalog.entry(method))
  let out = place("out")
  try result.folder.write(to: out)
  let written = try AdapterFolder(reading: out)
  let pair = try #require(try written.factorPairs.first)
  let (a, b) = (try #require(written.tensors[pair.a]), try #require(written.tensors[pair.b]))
  return (
    matmul(b.to(.float64), a.to(.float64)) * pair.scaling, ideal, result.metrics
  )
}

private func relativeGap(_ result: (found: Tensor, ideal: Tensor, metrics: Metrics)) -> Double {
  (result.found - result.ideal).norm().item / result.ideal.norm().item
}

@Suite struct AdapterAggregationLaws {
  @Test(arguments: ["fedex-lora", "flora", "flexlora"])
  func `exact methods write Σ pₖsₖBₖAₖ, whatever the alphas`(method: String) throws {
    let result = try aggregated(
      method, ranks: [2, 2, 2], alphas: [4, 4, 8], weights: [100, 250, 40])
    #expect(relativeGap(result) < 1e-5)
  }

  @Test(arguments: ["flora", "flexlora"])
  func `where ranks may differ they are exact too`(method: String) throws {
    let result = try aggregated(
      method, ranks: [1, 3, 2], alphas: [4, 4, 6], weights: [1, 2, 3])
    #expect(relativeGap(result) < 1e-5)
  }

  @Test(arguments: [DType.bfloat16, .float16], ["fedex-lora", "flora", "flexlora"])
  func `folders of few digits lose none of them`(dtype: DType, method: String) throws {
    let result = try aggregated(
      method, ranks: [2, 2, 2], alphas: [4, 7, 10], weights: [100, 250, 40], dtype: dtype)
    #expect(relativeGap(result) < 1e-5)
  }

  @Test func `what is wrong with one folder is said with its name and the tensor's`() {
    let error = #expect(throws: ApusError.self) {
      try aggregated("fedit", ranks: [2, 2, 1], alphas: [4, 4, 4], weights: [1, 1, 1])
    }
    let location = error?.location ?? ""
    #expect(
      location.hasPrefix("method fedit, ") && location.contains("site2, update, \(stem).lora_"))
  }

  @Test func `others write what their server makes, and report what it misses`() throws {
    let fedit = try aggregated("fedit", ranks: [2, 2], alphas: [4, 4], weights: [1, 3])
    let reported = try #require(fedit.metrics["aggregation_bias"])
    #expect(abs(reported - relativeGap(fedit)) < 1e-5 && reported > 0.01)
    let fair = try aggregated("lora-fair", ranks: [2, 2], alphas: [4, 4], weights: [1, 3])
    #expect(relativeGap(fair) < relativeGap(fedit))
    let het = try aggregated("hetlora", ranks: [1, 3], alphas: [4, 4], weights: [1, 3])
    #expect(het.found.norm().item > 0)
    #expect(het.metrics["mean_rank"] == 2)
  }

  /// Why the others cannot, in part.
  private static let reasons = [
    "fedsa-lora": "B stays with each client", "lora-a2": "chose", "pfedlora": "companion",
    "fedp2eft": "network", "fedalt": "another mean", "legend": "times of each device",
    "fedbiot": "public rows", "frlora": "principal directions", "local": "nothing is sent",
    "centralised": "one place",
  ]

  @Test(arguments: MethodCatalog.all)
  func `every method combines adapters, or says why it cannot`(method: MethodCatalog.Entry) throws {
    let id = method.card.id
    // What FFA-LoRA and RoLoRA trained has one A.
    let combine = {
      try aggregated(id, ranks: [2, 2], alphas: [4, 4], weights: [1, 3], sharing: "A")
    }
    if let reason = Self.reasons[id] {
      let error = #expect(throws: ApusError.self) { try combine() }
      #expect(error?.code == .unsupported)
      #expect(error.map { "\($0)".contains(reason) } == true, "\(String(describing: error))")
      return
    }
    #expect(AdapterAggregation.methods.contains(id))
    let result = try combine()
    // With one A for all the mean is exact for everyone but HetLoRA, whose weights are norms.
    #expect(id == "hetlora" || relativeGap(result) < 1e-5)
    let norms = ["ideal", "written", "missed"].compactMap { result.metrics["\($0)_norm"] }
    try #require(norms.count == 3)
    let (ideal, found) = (result.ideal.norm().item, result.found.norm().item)
    #expect(abs(norms[0] - ideal) < 1e-5 * ideal && abs(norms[1] - found) < 1e-5 * found)
    #expect(abs(norms[2] - (result.found - result.ideal).norm().item) < 1e-3 * ideal)
  }

  @Test func `methods that average one factor need the other one to be common`() throws {
    for (method, shared) in [("ffa-lora", "A"), ("rolora", "A"), ("rolora", "B")] {
      let result = try aggregated(
        method, ranks: [2, 2, 2], alphas: [4, 4, 4], weights: [1, 2, 3], sharing: shared)
      #expect(relativeGap(result) < 1e-5, "\(method), common \(shared)")
    }
    for (method, shared) in [("ffa-lora", "B"), ("ffa-lora", nil), ("rolora", nil)] {
      let error = #expect(throws: ApusError.self) {
        try aggregated(
          method, ranks: [2, 2], alphas: [4, 4], weights: [1, 1], sharing: shared)
      }
      #expect(error?.problem.contains("not the same in all") == true)
    }
  }

  @Test func `averages of unequal ranks, and weights that make none, are refused`() {
    #expect(throws: ApusError.self) {
      try aggregated("fedit", ranks: [1, 2], alphas: [4, 4], weights: [1, 1])
    }
    for weights in [[1.0, 0], [1, -1]] {
      #expect(throws: ApusError.self) {
        try aggregated("fedit", ranks: [2, 2], alphas: [4, 4], weights: weights)
      }
    }
  }
}
