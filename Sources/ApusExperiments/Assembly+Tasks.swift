import ApusAdapters
import ApusBase
import ApusCore
import ApusDatasets
import ApusMethods
import ApusModels
import ApusTokenizers
import ApusTorch
import ApusTraining

/// What differs by task: how rows become tokens, and which model is trained.
extension Assembly {
  /// How rows become tokens for the task.
  static func reader(
    _ experiment: Experiment, _ data: ExperimentData, _ checkpoint: Checkpoint,
    _ tokenizer: Tokenizer
  ) throws(ApusError) -> (Dataset) throws(ApusError) -> TokenizedRows {
    let (task, limit) = (experiment.task, experiment.model.maxLength)
    switch task.kind {
    case .sequenceClassification:
      return { (rows) throws(ApusError) in
        try TokenizedRows(rows, tokenizer: tokenizer, maxLength: limit)
      }
    case .causalLanguageModel:
      let source: PromptFormat.Source =
        if let template = try task.promptTemplate {
          .template(template)
        } else {
          .chat(try ChatTemplate(contentsOf: checkpoint.folder))
        }
      let format = PromptFormat(
        source, tokenizer: tokenizer, endToken: try checkpoint.stopTokens.first)
      return { (rows) throws(ApusError) in
        try TokenizedRows(
          rows, format: format, maxLength: limit, responseOnly: task.responseOnly)
      }
    case .sequenceToSequence:
      return { (rows) throws(ApusError) in
        try TokenizedRows(
          sources: rows, tokenizer: tokenizer, sourcePrefix: task.sourcePrefix,
          targetStart: task.targetStart, maxLength: limit, maxTargetLength: task.maxTargetLength)
      }
    case .tokenClassification:
      let tags = try tags(experiment, data)
      return { (rows) throws(ApusError) in
        try TokenizedRows(
          tagged: rows, tags: tags, names: task.tagNames, tokenizer: tokenizer, maxLength: limit)
      }
    case .extractiveAnswer:
      return { (rows) throws(ApusError) in
        try TokenizedRows(questions: rows, tokenizer: tokenizer, maxLength: limit)
      }
    case .maskedLanguageModel:
      return { (rows) throws(ApusError) in
        try TokenizedRows(
          prompted: rows, prompt: task.prompt, tokenizer: tokenizer, maxLength: limit)
      }
    }
  }

  /// Makes a model of the experiment's task, with its adapters at their start values.
  static func makeModel(
    _ experiment: Experiment, _ data: ExperimentData, _ backbone: Backbone,
    _ tokenizer: Tokenizer, extended parts: ModelExtension
  ) throws(ApusError) -> WorkerModel {
    let random = RandomStream(seed: experiment.seed).substream("model")
    let (head, device) = (random.substream("head"), backbone.device)
    let isFrugal = experiment.model.activationCheckpointing
    func adapted(_ model: Module, heads: [String]) throws(ApusError) -> AdaptedModel {
      let targets = backbone.checkpoint.architecture.defaultTargets
      return try AdaptedModel(
        model, experiment.adapter(targets: targets, heads: heads), extendedBy: parts,
        random: random.substream("adapter"), further: random.substream("extension"))
    }
    if parts.companion != nil, experiment.task.kind != .sequenceClassification {
      throw ApusError(
        .unsupported, at: "method, \(experiment.method.card.id)",
        "a companion assigns one class to a text, which is not the task",
        remedy: "Use the task sequence-classification, or another method")
    }
    if parts.emulator != nil, experiment.task.kind != .causalLanguageModel {
      throw ApusError(
        .unsupported, at: "method, \(experiment.method.card.id)",
        "an emulator is aligned by the distributions of next tokens, which the task has not",
        remedy: "Use the task causal-lm, or another method")
    }
    func leaves(_ adapted: AdaptedModel) -> (() -> [Tensor])? {
      guard isFrugal else { return nil }
      return { [weak adapted] in adapted?.trainables.map(\.leaf) ?? [] }
    }
    switch experiment.task.kind {
    case .sequenceClassification:
      let model = try backbone.makeClassifier(
        labels: try labels(data).count,
        pooling: experiment.model.pooling ?? backbone.checkpoint.pooling, random: head)
      let adapted = try adapted(model, heads: model.headNames)
      model.recomputedLeaves = leaves(adapted)
      let companion = try parts.companion.map { (plan) throws(ApusError) in
        Companion(
          plan, vocabulary: try backbone.checkpoint.vocabularySize,
          outputs: plan.output == .scores ? model.labelCount : model.classifier.inputs,
          device: device, random: random.substream("companion"))
      }
      return WorkerModel(
        task: ClassificationTask(model, companion: companion, device: device), adapted: adapted,
        companion: companion, device: device)
    case .causalLanguageModel:
      let model = try backbone.makeLanguageModel()
      let adapted = try adapted(model, heads: [])
      model.recomputedLeaves = leaves(adapted)
      return WorkerModel(
        task: CausalLanguageTask(model, device: device), adapted: adapted, device: device)
    case .sequenceToSequence:
      let model = try backbone.makeSequenceToSequenceModel()
      let options = try writing(experiment.task, backbone.checkpoint, tokenizer)
      let adapted = try adapted(model, heads: [])
      model.recomputedLeaves = leaves(adapted)
      model.globalTokens = experiment.task.globalTokens
      return WorkerModel(
        task: SequenceToSequenceTask(model, tokenizer: tokenizer, options), adapted: adapted,
        device: device)
    case .tokenClassification:
      let tags = try tags(experiment, data)
      let model = try backbone.makeTokenScorer(.tags(tags.count), random: head)
      let adapted = try adapted(model, heads: model.headNames)
      model.recomputedLeaves = leaves(adapted)
      return WorkerModel(
        task: TokenClassificationTask(model, tags: tags, device: device), adapted: adapted,
        device: device)
    case .extractiveAnswer:
      let model = try backbone.makeTokenScorer(.answer, random: head)
      let adapted = try adapted(model, heads: model.headNames)
      model.recomputedLeaves = leaves(adapted)
      return WorkerModel(
        task: ExtractiveAnswerTask(model, device: device), adapted: adapted, device: device)
    case .maskedLanguageModel:
      let model = try backbone.makeMaskedLanguageModel()
      let verbalizer = try Verbalizer(
        experiment.task.verbalizer, labels: try labels(data), tokenizer: tokenizer)
      let adapted = try adapted(model, heads: [])
      model.recomputedLeaves = leaves(adapted)
      return WorkerModel(
        task: PromptedClassTask(model, verbalizer, device: device), adapted: adapted,
        device: device)
    }
  }

  /// Names of what the head tells apart: classes, or tags.
  var outputNames: [String] {
    switch experiment.task.kind {
    case .sequenceClassification: data.federated.dataset.labelNames
    case .tokenClassification: (try? Self.tags(experiment, data)) ?? []
    case .causalLanguageModel, .sequenceToSequence, .extractiveAnswer, .maskedLanguageModel: []
    }
  }

  private static func tags(
    _ experiment: Experiment, _ data: ExperimentData
  ) throws(ApusError) -> [String] {
    try TokenizedRows.tags(of: data.federated.dataset, named: experiment.task.tagNames)
  }

  private static func labels(_ data: ExperimentData) throws(ApusError) -> [String] {
    let labels = data.federated.dataset.labelNames
    guard labels.count >= 2 else {
      throw ApusError(
        .invalidData, at: data.federated.dataset.name,
        "classification needs two classes at least, the rows have \(labels.count)",
        remedy: "Choose the label column with data.columns.label")
    }
    return labels
  }

  /// How a model that writes is trained and measured.
  private static func writing(
    _ task: TaskOptions, _ checkpoint: Checkpoint, _ tokenizer: Tokenizer
  ) throws(ApusError) -> SequenceToSequenceTask.Options {
    var options = SequenceToSequenceTask.Options()
    options.labelSmoothing = task.labelSmoothing
    guard task.writtenTokens > 0 else { return options }
    var generation = GenerationOptions()
    generation.maxNewTokens = task.writtenTokens
    generation.numBeams = task.numBeams
    generation.stopTokens = try checkpoint.stopTokens
    generation.forcedFirstToken = task.targetStart.flatMap { tokenizer.id(of: $0) }
    options.generation = generation
    return options
  }
}
