public import ApusCore

// What servers can make of adapters that were trained elsewhere, where it is not their whole mean:
// one table, as `apus aggregate` answers for every method.

extension FFALoRA {
  public static var combination: AdapterCombination { .oneFactor([.b]) }
}

extension RoLoRA {
  public static var combination: AdapterCombination { .oneFactor([.b, .a]) }
}

extension FedSALoRA {
  public static var combination: AdapterCombination {
    .impossible(because: "B stays with each client, and A alone is no adapter")
  }
}

extension LoRAA2 {
  public static var combination: AdapterCombination {
    .impossible(because: "clients send changes of ranks that each of them chose")
  }
}

extension FRLoRA {
  public static var combination: AdapterCombination {
    .impossible(
      because: "its clients train from principal directions of the base, beside a base without "
        + "them, and adapters of others did not")
  }
}

extension PFedLoRA {
  public static var combination: AdapterCombination {
    .impossible(because: "what is averaged is a companion beside the model")
  }
}

extension FedP2EFT {
  public static var combination: AdapterCombination {
    .impossible(because: "what is averaged is a network that proposes ranks")
  }
}

extension FedALT {
  public static var combination: AdapterCombination {
    .impossible(because: "each client is sent another mean, that of all others")
  }
}

extension LEGEND {
  public static var combination: AdapterCombination {
    .impossible(because: "the server needs the times of each device, which no adapter holds")
  }
}

extension FedBiOT {
  public static var combination: AdapterCombination {
    .impossible(because: "the server aligns an emulator on public rows")
  }
}

extension Centralised {
  public static var combination: AdapterCombination {
    .impossible(because: "it is a reference point where rows are in one place")
  }
}

extension Local {
  public static var combination: AdapterCombination {
    .impossible(because: "it is a reference point where nothing is sent")
  }
}
