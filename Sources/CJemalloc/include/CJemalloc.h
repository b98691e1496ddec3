// Programs that depend on this target allocate from jemalloc on Linux. A batch of text has another
// size at every step, and the C library's heap keeps gaps of all those sizes: a third of what a run
// held. Libraries leave the choice of an allocator to the program that they are part of.
