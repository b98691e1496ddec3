internal import ApusBase
internal import ApusCore
internal import ApusTorch

extension AdapterConfiguration {
  /// A fresh adapter for every chosen projection, in their order; start values come from the
  /// substreams of the paths.
  func makeAdapters(
    at choices: [SiteSelection.Choice], random: RandomStream
  ) -> [any Parameterization] {
    let layers = choices.map(\.site.base)
    let projections =
      kind == .vera
      ? VeRAProjections(
        rank: rank, inputs: layers.map(\.inputs).max() ?? 1,
        outputs: layers.map(\.outputs).max() ?? 1, seed: vera.projectionSeed,
        device: layers.first?.weight.value.device ?? .cpu) : nil
    return choices.map { choice in
      let layer = choice.site.base
      let stream = random.substream("lora_A").substream(choice.path)
      switch (kind, projections) {
      case (.vera, let projections?):
        return VeRA(for: layer, sharing: projections, vera, dropout: dropout)
      case (.dylora, _):
        return DyLoRA(
          for: layer, rank: choice.rank, scaling: choice.scaling, width: dylora.width,
          dropout: dropout, random: stream)
      case (.adalora, _):
        return AdaLoRA(
          for: layer, rank: choice.rank, of: startRank, alpha: alpha, dropout: dropout,
          random: stream)
      case (.dora, _):
        return DoRA(
          for: layer, rank: choice.rank, scaling: choice.scaling, dropout: dropout,
          random: stream)
      case (.lora, _), (.vera, nil):
        return LoRA(
          for: layer, rank: choice.rank, scaling: choice.scaling, dropout: dropout,
          random: stream)
      }
    }
  }
}

extension AdapterSet {
  /// What the adapters of the set do around each optimizer step; fresh for every local phase.
  func makeStepHooks() -> [any StepHook] {
    switch configuration.kind {
    case .lora, .dora, .vera: []
    case .dylora: [DyLoRASteps(sites(DyLoRA.self), configuration.dylora)]
    case .adalora:
      [
        AdaLoRAAllocator(
          sites(AdaLoRA.self), targetRank: configuration.rank, configuration.adalora)
      ]
    }
  }

  /// The adapters with the names of their tensors, in the order of the leaves.
  private func sites<Kind: Parameterization>(
    _ kind: Kind.Type
  ) -> [(adapter: Kind, names: [String])] {
    members.compactMap { member in
      (member.adapter as? Kind).map { adapter in
        (adapter, adapter.leaves.map { tensorName(member, $0.suffix) })
      }
    }
  }
}
