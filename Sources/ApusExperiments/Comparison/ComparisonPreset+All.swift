import ApusCore
import ApusMethods

extension ComparisonPreset {
  static let agNewsDirichlet = ComparisonPreset(
    name: "ag-news-dirichlet",
    summary: "topics of news, 20 clients with Dirichlet(0.1) over classes, 6 a round",
    papers: "SLoRA, FRLoRA and LoRA-A² on topics with Dirichlet skew",
    files: "train.jsonl (text, label)", defaultModel: CheckpointLocator.defaultModel,
    sections: classification(
      data: "max-rows: 1600", length: 32,
      partition: "{kind: dirichlet-by-class, clients: 20, concentration: 0.1, minimum: 8}",
      rounds: 12, cohort: 6, target: 0.7),
    entries: classifiers())

  static let agNewsShards = ComparisonPreset(
    name: "ag-news-shards",
    summary: "topics of news, 20 clients with two shards each, 6 a round",
    papers: "FedAvg's shards, as FedIT's code cuts Dolly",
    files: "train.jsonl (text, label)", defaultModel: CheckpointLocator.defaultModel,
    sections: classification(
      data: "max-rows: 1600", length: 32, partition: "{kind: shards, clients: 20, per-client: 2}",
      rounds: 12, cohort: 6, target: 0.7),
    entries: classifiers())

  static let sst2Dirichlet = ComparisonPreset(
    name: "sst2-dirichlet",
    summary: "sentiment, 3 clients with Dirichlet(0.5) over classes, all in each round",
    papers: "FedSA-LoRA on GLUE, and FFA-LoRA and FedEx-LoRA with three clients",
    files: "train.jsonl (text, label)", defaultModel: CheckpointLocator.defaultModel,
    sections: classification(
      data: "max-rows: 1600", length: 48,
      partition: "{kind: dirichlet-by-class, clients: 3, concentration: 0.5, minimum: 40}",
      rounds: 8, cohort: 3, target: 0.75),
    entries: classifiers())

  static let sst2Shards = ComparisonPreset(
    name: "sst2-shards", summary: "sentiment, 8 clients of whom most know one class, 4 a round",
    papers: "PF2LoRA's sorted labels with eight clients",
    files: "train.jsonl (text, label)", defaultModel: CheckpointLocator.defaultModel,
    sections: classification(
      data: "max-rows: 1600", length: 48, partition: "{kind: shards, clients: 8, per-client: 2}",
      rounds: 10, cohort: 4, target: 0.7),
    entries: classifiers())

  static let masakhaNEWS = ComparisonPreset(
    name: "masakhanews", summary: "topics of headlines in African languages, one client a language",
    papers: "FedP²EFT on MasakhaNEWS",
    files: "<language>/train.jsonl (text, label_text, language)",
    defaultModel: CheckpointLocator.defaultModel,
    sections: classification(
      data: "max-rows: 2000", train: "*/train.jsonl",
      columns: "{text: text, label: label_text, client: language}", length: 48,
      partition: "{kind: natural}", rounds: 8, cohort: 4, target: 0.5),
    entries: classifiers())

  static let flan = ComparisonPreset(
    name: "flan", summary: "eight FLAN tasks, one a client, all in each round",
    papers: "FedDPA and FedALT on FLAN",
    files: "client_*.jsonl and, for FedBiOT's server, test.jsonl (instruction, output, task)",
    defaultModel: nil,
    sections: language(
      data: "{train: client_*.jsonl, "
        + "columns: {text: instruction, response: output, client: task}, max-rows: 1600, "
        + "partition: {kind: natural}, test-rows: per-client, test-share: 0.25}",
      rounds: 6, cohort: 8),
    entries: writers(publicRows: true))

  static let gsm8k = ComparisonPreset(
    name: "gsm8k", summary: "arithmetic in words, 3 clients alike, all in each round",
    papers: "FedSA-LoRA and FedEx-LoRA on GSM8K",
    files: "train.jsonl and test.jsonl (question, answer)", defaultModel: nil,
    sections: language(
      data: "{train: train.jsonl, test: test.jsonl, columns: {text: question, response: answer}, "
        + "max-rows: 1200, max-test-rows: 300, partition: {kind: iid, clients: 3}}",
      rounds: 6, cohort: 3),
    entries: writers())

  // MARK: What the presets have in common

  private static func classification(
    data: String, train: String = "train.jsonl", columns: String = "{text: text, label: label}",
    length: Int, partition: String, rounds: Int, cohort: Int, target: Double
  ) -> String {
    """
    model: {checkpoint: MODEL, pooling: mean, max-length: \(length), precision: bfloat16}
    data:
      train: "\(train)"
      columns: \(columns)
      \(data)
      partition: \(partition)
      test-rows: per-client
      test-share: 0.25
    adapter: {rank: 8, alpha: 16}
    \(common(rounds: rounds, cohort: cohort, rate: 1e-3))
      target: \(target)

    """
  }

  private static func language(data: String, rounds: Int, cohort: Int) -> String {
    """
    model: {checkpoint: MODEL, max-length: 192, precision: bfloat16}
    task: {kind: causal-lm, template: plain}
    data: \(data)
    adapter: {rank: 8, alpha: 16}
    \(common(rounds: rounds, cohort: cohort, rate: 5e-3))

    """
  }

  private static func common(rounds: Int, cohort: Int, rate: Double) -> String {
    """
    method: {name: fedit}
    training:
      local-epochs: 1
      batch-size: 8
      learning-rate: \(rate)
      optimizer: {kind: adamw, weight-decay: 0}
      schedule: constant
      warmup-share: 0
      clip-norm: 1
      proximal: 0
    federation:
      rounds: \(rounds)
      sampling: {cohort-size: \(cohort)}
      evaluation: {every: 2, client-splits: [test]}
    compare:
      seeds: [1, 2, 3]
    """
  }

  /// All methods of the family and the reference points, for classes of texts.
  private static func classifiers() -> [Entry] { entries { $0.emulator == nil } }

  /// Those that can train a model to write: none that brings a companion which classifies, and
  /// with an emulator only where the server has rows.
  private static func writers(publicRows: Bool = false) -> [Entry] {
    entries { $0.companion == nil && (publicRows || $0.emulator == nil) }
      .map { entry in
        Entry(
          method: entry.method,
          settings: entry.settings.filter { !$0.hasPrefix("method.trains-head") })
      }
  }

  private static func entries(_ isIncluded: (ModelExtension) -> Bool) -> [Entry] {
    MethodCatalog.all.filter { entry in
      guard [.reparameterized, .reference].contains(entry.card.family),
        let method = try? entry.make(entry.defaultOptions)
      else { return false }
      return isIncluded(method.modelExtension)
    }
    .map { Entry(method: $0.card.id, settings: settings[$0.card.id] ?? []) }
  }

  /// What methods need beside the common settings: ranks and devices that differ, heads that train,
  /// rates.
  private static let settings: [String: [String]] = [
    "ffa-lora": ["method.trains-head: true"],
    "rolora": ["method.trains-head: true"],
    "lora-a2": ["method.trains-head: true"],
    "fedp2eft": ["method.trains-head: true"],
    "hetlora": ["method.ranks.rule: drawn", "method.ranks.list: \"[2, 4, 8]\""],
    "flexlora": ["method.ranks.rule: drawn", "method.ranks.list: \"[2, 4, 8]\""],
    "legend": ["devices.fleet: cross-silo"],
    "slora": ["method.sparse-rounds: 2"],
    "fedbiot": [
      "method.initial-steps: 50", "data.public-rows.file: test.jsonl",
      "data.public-rows.max-rows: 200", "data.public-rows.columns.text: instruction",
      "data.public-rows.columns.response: output",
    ],
  ]
}
