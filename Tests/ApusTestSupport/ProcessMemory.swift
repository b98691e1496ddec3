import Foundation

/// Memory of this process; only meaningful where no other test runs beside, as in an exit test.
public enum ProcessMemory {
  /// Memory in use now, in bytes; where /proc is missing, the largest so far.
  public static var resident: Int {
    if let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8),
      let pages = text.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
    {
      return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
    }
    var usage = rusage()
    #if os(Linux)
      getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
      return usage.ru_maxrss << 10
    #else
      getrusage(RUSAGE_SELF, &usage)
      return usage.ru_maxrss
    #endif
  }
}
