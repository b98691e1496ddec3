import ApusBase
import ApusCore
import ApusTorch
import Foundation

/// Briefs and updates as Flower's own strategies and apps know them: the interoperable form.
///
/// An instruction has `arrays`, one for each tensor under its Hugging Face PEFT name, and `config`
/// with the brief's fields and `server-round`, from 1. A reply to `train` has `arrays` and `metrics`
/// with `num-examples`; one to `evaluate` has `metrics`. bfloat16, which NumPy lacks, travels as
/// float32; and fractions that arrive become float32, as some strategies compute in float64.
enum ArrayContent {
  static let arrays = "arrays"
  static let config = "config"
  static let metrics = "metrics"
  static let roundKey = "server-round"
  static let countKey = "num-examples"

  /// A brief as an instruction.
  static func instruction(_ brief: Message, round: Int) -> FlowerContent {
    let fields = brief.fields.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
    return FlowerContent([
      (arrays, .arrays(encoded(brief.tensors))),
      (config, .config([(roundKey, .int(round + 1))] + fields)),
    ])
  }

  /// The brief in an instruction.
  static func brief(_ content: FlowerContent, at place: String) throws(ApusError) -> Message {
    var fields = content.config
    fields[roundKey] = nil
    return Message(tensors: try tensors(of: content, at: place), fields: fields)
  }

  /// An update as a reply to `train`; `samples` counts if the update does not say.
  static func reply(_ update: Message, samples: Int) -> FlowerContent {
    var values: FlowerContent.Values = [(countKey, .int(update.sampleCount ?? samples))]
    for (name, value) in update.fields.sorted(by: { $0.key < $1.key }) where name != "samples" {
      if value.double != nil { values.append((name == "loss" ? "train_loss" : name, value)) }
    }
    return FlowerContent([(arrays, .arrays(encoded(update.tensors))), (metrics, .metrics(values))])
  }

  /// The update in a reply to `train`.
  ///
  /// - Throws: ``ApusError`` `.invalidMessage` if it has no arrays, or no `num-examples` that is a
  ///   count.
  static func update(_ content: FlowerContent, at place: String) throws(ApusError) -> Message {
    var values = content.metrics
    guard let count = values.removeValue(forKey: countKey)?.double else {
      throw ApusError(
        .invalidMessage, at: "\(place), metrics", "there is no \(countKey)",
        remedy: "Put the number of training examples into the MetricRecord")
    }
    let samples = try PeerNumber.count(count, at: "\(place), metrics, \(countKey)")
    var message = Message(tensors: try tensors(of: content, at: place), sampleCount: samples)
    if let loss = values.removeValue(forKey: "train_loss") { message.fields["loss"] = loss }
    for (name, value) in values where message.fields[name] == nil { message.fields[name] = value }
    return message
  }

  /// Metrics as a reply to `evaluate`.
  static func reply(_ metrics: Metrics, samples: Int) -> FlowerContent {
    let values = metrics.sorted { $0.key < $1.key }
      .map { (name: $0.key, value: FieldValue.double($0.value)) }
    return FlowerContent([(self.metrics, .metrics([(countKey, .int(samples))] + values))])
  }

  private static func encoded(_ tensors: NamedTensors) -> [(name: String, array: FlowerArray)] {
    tensors.map { name, tensor in
      let plain = tensor.dtype == .bfloat16 ? tensor.to(.float32) : tensor
      let bytes = plain.withUnsafeBytes { Data($0) }
      return (name, FlowerArray(dtype: plain.dtype.rawValue, shape: plain.shape, elements: bytes))
    }
  }

  private static func tensors(
    of content: FlowerContent, at place: String
  ) throws(ApusError) -> NamedTensors {
    guard let arrays = content.arrays() else {
      throw ApusError(
        .invalidMessage, at: place, "there are no arrays",
        remedy: "Send one ArrayRecord, with an array for each trainable tensor")
    }
    var tensors: [String: Tensor] = [:]
    for (name, array) in arrays {
      guard let dtype = DType(rawValue: array.dtype) else {
        throw ApusError(
          .invalidMessage, at: "\(place), \(name)", "there is no tensor of \(array.dtype)",
          remedy: "Send float32")
      }
      let tensor = array.elements.withUnsafeBytes {
        Tensor(bytes: $0, shape: array.shape, dtype: dtype)
      }
      tensors[name] = dtype.isFloatingPoint ? tensor.to(.float32) : tensor
    }
    try Tensor.check(place)
    return NamedTensors(tensors)
  }
}
