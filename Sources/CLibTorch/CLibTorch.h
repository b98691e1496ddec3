// Names no symbol: this target only carries the flags of apus-libtorch.pc, which scripts/setup writes.
